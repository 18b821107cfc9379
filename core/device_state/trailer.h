// SPDX-License-Identifier: Apache-2.0
// What follows upstream's bytes in our streams: magic, le32 version, le64 length, sections, le64
// checksum of everything from the stream's first byte on. A section is number, length and content;
// those numbered below 128 must be understood by the reader, others are skipped where they are not
// known.
#pragma once

#include "core/base/result.h"
#include "core/device_state/postcard.h"
#include "core/device_state/serialized.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace vfskit::device_state {

inline constexpr std::string_view trailer_magic = "VFSKITDS";
inline constexpr std::uint32_t trailer_version = 1;

/// Appends to the stream that `writer` holds from its first byte on.
void append_trailer(PostcardWriter& writer, const Trailer& trailer);

/// The same with the sections' bytes as they are, right or wrong: for tests of the reader.
void append_sections(PostcardWriter& writer, std::span<const std::byte> sections);

/// `stream` is everything, the trailer is looked for at `offset`. Nothing when other bytes or none
/// are there; EBADMSG when it is ours and damaged; EPROTONOSUPPORT when it is newer than this code.
Result<std::optional<Trailer>> read_trailer(std::span<const std::byte> stream, std::size_t offset);

/// True for "." and for components that name entries, joined by single slashes.
[[nodiscard]] bool is_relative_path(std::string_view path);

} // namespace vfskit::device_state
