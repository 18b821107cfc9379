// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/postcard.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::device_state {

namespace {

Error malformed(std::string_view what, std::string_view why) {
    return Error{EBADMSG, fmt::format("The {} in the device state {}", what, why)};
}

} // namespace

Result<std::uint64_t> PostcardReader::read_varint(unsigned bits, std::string_view what) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < bits; shift += 7) {
        VFSKIT_TRY_ASSIGN(const auto byte, bytes_.read<std::uint8_t>(what));
        const std::uint64_t digit = byte & 0x7fU;
        if (bits - shift < 7 && (digit >> (bits - shift)) != 0) {
            break;
        }
        value |= digit << shift;
        if ((byte & 0x80U) == 0) {
            return value;
        }
    }
    return malformed(what, fmt::format("does not fit in {} bits", bits));
}

Result<bool> PostcardReader::read_bool(std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto byte, bytes_.read<std::uint8_t>(what));
    if (byte > 1) {
        return malformed(what, fmt::format("is {}, neither 0 nor 1", byte));
    }
    return byte == 1;
}

Result<std::uint32_t> PostcardReader::read_u32(std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto value, read_varint(32, what));
    return static_cast<std::uint32_t>(value);
}

Result<std::uint64_t> PostcardReader::read_u64(std::string_view what) {
    return read_varint(64, what);
}

Result<std::int32_t> PostcardReader::read_i32(std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto zigzag, read_u32(what));
    return static_cast<std::int32_t>((zigzag >> 1U) ^ (0U - (zigzag & 1U)));
}

Result<std::byte> PostcardReader::read_byte(std::string_view what) {
    return bytes_.read<std::byte>(what);
}

Result<std::size_t> PostcardReader::read_count(std::size_t min_size, std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto count, read_u64(what));
    if (count > remaining() / min_size) {
        return malformed(
            what, fmt::format("is {}, more than the {} bytes left can hold", count, remaining()));
    }
    return static_cast<std::size_t>(count);
}

Result<std::span<const std::byte>> PostcardReader::read_bytes(std::size_t max_size,
                                                              std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto size, read_u64(what));
    if (size > max_size) {
        return malformed(what,
                         fmt::format("has {} bytes, more than the {} allowed", size, max_size));
    }
    return bytes_.read_bytes(static_cast<std::size_t>(size), what);
}

Result<std::string_view> PostcardReader::read_text(std::size_t max_size, std::string_view what) {
    VFSKIT_TRY_ASSIGN(const auto bytes, read_bytes(max_size, what));
    const auto text = base::as_text(bytes);
    if (!base::is_valid_utf8(text)) {
        return malformed(what, "is not UTF-8");
    }
    return text;
}

void PostcardWriter::write_unsigned(std::uint64_t value) {
    while (value >= 0x80U) {
        push((value & 0x7fU) | 0x80U);
        value >>= 7U;
    }
    push(value);
}

void PostcardWriter::write_signed(std::int32_t value) {
    const auto bits = static_cast<std::uint32_t>(value);
    write_unsigned((bits << 1U) ^ (value < 0 ? 0xffffffffU : 0U));
}

void PostcardWriter::write_bytes(std::span<const std::byte> bytes) {
    write_unsigned(bytes.size());
    write_raw(bytes);
}

} // namespace vfskit::device_state
