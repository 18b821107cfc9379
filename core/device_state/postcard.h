// SPDX-License-Identifier: Apache-2.0
// The encoding that upstream virtiofsd's streams are in (postcard 1.x): numbers of more than 8 bits
// as little-endian base-128, signed ones zigzag first, everything else put one behind the other.
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vfskit::device_state {

/// Reads a borrowed byte range. Every error is EBADMSG and names the field; nothing is allocated
/// that the remaining bytes could not fill.
class PostcardReader {
public:
    explicit PostcardReader(std::span<const std::byte> bytes)
        : bytes_{bytes}, size_{bytes.size()} {}

    [[nodiscard]] std::size_t remaining() const { return bytes_.remaining(); }
    [[nodiscard]] std::size_t position() const { return size_ - bytes_.remaining(); }

    Result<bool> read_bool(std::string_view what);
    Result<std::uint32_t> read_u32(std::string_view what);
    Result<std::uint64_t> read_u64(std::string_view what);
    Result<std::int32_t> read_i32(std::string_view what);
    /// One byte as it is.
    Result<std::byte> read_byte(std::string_view what);
    /// How many elements follow, each of at least `min_size` bytes.
    Result<std::size_t> read_count(std::size_t min_size, std::string_view what);
    /// Length and bytes; views of the range given to the constructor.
    Result<std::span<const std::byte>> read_bytes(std::size_t max_size, std::string_view what);
    /// The same as text, which must be UTF-8.
    Result<std::string_view> read_text(std::size_t max_size, std::string_view what);

private:
    Result<std::uint64_t> read_varint(unsigned bits, std::string_view what);

    base::ByteReader bytes_;
    std::size_t size_;
};

/// Appends to an owned buffer.
class PostcardWriter {
public:
    void write_bool(bool value) { push(value ? 1 : 0); }
    void write_unsigned(std::uint64_t value);
    void write_signed(std::int32_t value);
    void write_bytes(std::span<const std::byte> bytes);
    void write_text(std::string_view text) { write_bytes(base::as_bytes(text)); }
    /// As they are, without a length.
    void write_raw(std::span<const std::byte> bytes) {
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }

    void reserve(std::size_t size) { bytes_.reserve(size); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

private:
    void push(std::uint64_t byte) { bytes_.push_back(static_cast<std::byte>(byte)); }

    std::vector<std::byte> bytes_;
};

} // namespace vfskit::device_state
