// SPDX-License-Identifier: Apache-2.0
// Little-endian bytes with every bound checked: the only way that wire formats are read and
// written.
#pragma once

#include "core/base/result.h"

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace vfskit::base {

static_assert(std::endian::native == std::endian::little,
              "the wire formats are little-endian and this code copies them as they are");

/// Reads a borrowed byte range front to back. A read past the end is an Error (EBADMSG) that names
/// the field, and consumes nothing.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) : rest_{bytes} {}

    [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
    [[nodiscard]] bool is_at_end() const { return rest_.empty(); }

    /// Reads one trivially copyable wire struct or integer. `what` names it in the error.
    template <class T>
    requires std::is_trivially_copyable_v<T> Result<T> read(std::string_view what) {
        if (rest_.size() < sizeof(T)) {
            return too_short(what, sizeof(T));
        }
        T value;
        std::memcpy(&value, rest_.data(), sizeof(T));
        rest_ = rest_.subspan(sizeof(T));
        return value;
    }

    /// A view of the next `size` bytes; valid as long as the bytes given to the constructor.
    Result<std::span<const std::byte>> read_bytes(std::size_t size, std::string_view what);
    /// The bytes up to the next NUL, which is consumed but not returned. No NUL: EBADMSG.
    Result<std::string_view> read_c_string(std::string_view what);
    Result<void> skip(std::size_t size, std::string_view what);

private:
    [[nodiscard]] Error too_short(std::string_view what, std::size_t wanted) const;

    std::span<const std::byte> rest_;
};

/// Appends to an owned buffer.
class ByteWriter {
public:
    template <class T>
    requires std::is_trivially_copyable_v<T>
    void write(const T& value) {
        const auto old_size = bytes_.size();
        bytes_.resize(old_size + sizeof(T));
        std::memcpy(bytes_.data() + old_size, &value, sizeof(T));
    }
    void write_bytes(std::span<const std::byte> bytes);
    void write_text(std::string_view text);

    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] std::vector<std::byte> take() && { return std::move(bytes_); }

private:
    std::vector<std::byte> bytes_;
};

/// The bytes of a text, and the text of bytes; neither copies.
std::span<const std::byte> as_bytes(std::string_view text);
std::string_view as_text(std::span<const std::byte> bytes);

} // namespace vfskit::base
