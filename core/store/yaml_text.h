// SPDX-License-Identifier: Apache-2.0
// YAML scalars as text: what must be quoted, how a quoted one is written and read. Internal to the
// room store.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::store {

/// A set of bytes, to be asked for every byte of a file.
class ByteSet {
public:
    constexpr explicit ByteSet(std::string_view members) {
        for (const char member : members) {
            has_[static_cast<unsigned char>(member)] = true;
        }
    }
    [[nodiscard]] constexpr bool has(char c) const { return has_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> has_{};
};

enum class QuoteStyle { plain, single_quotes, double_quotes };

/// `text` (valid UTF-8) as one YAML scalar on one line, the way every YAML 1.1 and 1.2 reader takes
/// it for a string with exactly these bytes. `wish` is kept where it can hold the text.
std::string encode_scalar(std::string_view text, QuoteStyle wish, bool in_flow);

/// True if `text` can stand without quotes as above. Errs on the side of quoting.
bool is_plain_safe(std::string_view text, bool in_flow);

/// The characters that no reader takes for an indicator in a flow mapping, wherever they stand.
/// yaml-cpp refuses more of them than YAML does ('%' in the middle of a word).
bool is_plain_in_flow(char c);

/// A scalar as it stands in a file. `decoded` is empty where the text between the quotes is the
/// value as it is.
struct QuotedScalar {
    std::size_t end = 0; ///< one behind the closing quote
    std::string_view raw;
    std::optional<std::string> decoded;
};

/// Reads the quoted scalar that begins at text[at] ('"' or '\''); nothing when it does not end
/// before `limit` or holds an escape that YAML does not know.
std::optional<QuotedScalar> scan_quoted(std::string_view text, std::size_t at, std::size_t limit);

} // namespace vfskit::store
