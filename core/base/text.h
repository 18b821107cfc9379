// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::base {

/// Splits at every `separator`; "" gives one empty part. The views borrow from `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Without leading and trailing ASCII white space (space, \t, \n, \v, \f, \r).
std::string_view trim(std::string_view text);

/// With a to z for the ASCII letters A to Z; every other byte stays.
std::string to_lower(std::string_view text);

/// A decimal number, all of `text`, no sign, no blanks; ERANGE above `max`, EINVAL otherwise.
/// `what` names the value in the error.
Result<std::uint64_t>
parse_unsigned(std::string_view text, std::string_view what, std::uint64_t max = UINT64_MAX);

/// What some editors put in front of a UTF-8 text.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// True if `bytes` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
bool is_valid_utf8(std::string_view bytes);

/// What is not UTF-8 read as Latin-1, as Proxmox VE reads its files; UTF-8 stays as it is.
std::string to_utf8(std::string_view bytes);

/// Appends `text` (valid UTF-8) as a JSON string in quotes (RFC 8259, 7), with no more escapes than
/// it needs.
void append_json_string(std::string& out, std::string_view text);

/// `word` as one POSIX shell word: as it is where that is safe, else in single quotes.
std::string shell_quote(std::string_view word);
/// The words quoted and joined with a space.
std::string shell_join(std::span<const std::string> words);

/// The candidate that `word` is most likely a misspelling of (edit distance with transpositions, at
/// most a third of its length, at least 1); nothing when none is near. For "Did you mean …?".
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

} // namespace vfskit::base
