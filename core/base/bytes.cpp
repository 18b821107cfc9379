// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::base {

Error ByteReader::too_short(std::string_view what, std::size_t wanted) const {
    return {EBADMSG,
            fmt::format("Too short for {}: {} bytes needed, {} left", what, wanted, rest_.size())};
}

Result<std::span<const std::byte>> ByteReader::read_bytes(std::size_t size, std::string_view what) {
    if (rest_.size() < size) {
        return too_short(what, size);
    }
    const auto bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
}

Result<std::string_view> ByteReader::read_c_string(std::string_view what) {
    const auto nul = std::find(rest_.begin(), rest_.end(), std::byte{0});
    if (nul == rest_.end()) {
        return Error{EBADMSG, fmt::format("No terminating NUL in {}", what)};
    }
    const auto length = static_cast<std::size_t>(nul - rest_.begin());
    const auto text = as_text(rest_.first(length));
    rest_ = rest_.subspan(length + 1);
    return text;
}

Result<void> ByteReader::skip(std::size_t size, std::string_view what) {
    VFSKIT_TRY(read_bytes(size, what));
    return {};
}

void ByteWriter::write_bytes(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void ByteWriter::write_text(std::string_view text) {
    write_bytes(as_bytes(text));
}

std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

} // namespace vfskit::base
