// SPDX-License-Identifier: Apache-2.0
// Scattered buffers. Every byte of the guest's is touched at most once.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace vfskit::fuse {

[[nodiscard]] inline std::size_t total_size(std::span<const iovec> parts) {
    std::size_t total = 0;
    for (const auto& part : parts) {
        total += part.iov_len;
    }
    return total;
}

namespace scatter_detail {

/// Drops the parts in front of byte `offset`, which then counts from the first that is left.
inline void skip_to(std::span<const iovec>& parts, std::size_t& offset) {
    while (!parts.empty() && offset >= parts.front().iov_len) {
        offset -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
}

/// Whether it is something and lies in the first part. Precondition: skip_to().
inline bool is_in_first(std::span<const iovec> parts, std::size_t offset, std::size_t size) {
    return size > 0 && !parts.empty() && size <= parts.front().iov_len - offset;
}

inline std::byte* byte_of(const iovec& part, std::size_t offset) {
    return static_cast<std::byte*>(part.iov_base) + offset;
}

std::size_t
gather_pieces(std::span<const iovec> parts, std::size_t offset, std::span<std::byte> to);
void scatter_pieces(std::span<const iovec> parts,
                    std::size_t offset,
                    std::span<const std::byte> from);
std::span<const iovec> slice_pieces(std::span<const iovec> parts,
                                    std::size_t offset,
                                    std::size_t size,
                                    std::vector<iovec>& storage);

} // namespace scatter_detail

// Linux gives each part of a request a buffer of its own, so what is wanted mostly lies in one
// piece. That case is inline: it is a few instructions, several times in each request.

/// Copies bytes [offset, offset + to.size()) out of `parts`; how many there were.
inline std::size_t
gather(std::span<const iovec> parts, std::size_t offset, std::span<std::byte> to) {
    scatter_detail::skip_to(parts, offset);
    if (!scatter_detail::is_in_first(parts, offset, to.size())) {
        return scatter_detail::gather_pieces(parts, offset, to);
    }
    std::memcpy(to.data(), scatter_detail::byte_of(parts.front(), offset), to.size());
    // The guest may change its memory at any time: what is checked must be what is used, so nothing
    // is read from there again in place of the copy.
    asm volatile("" : : "r"(to.data()) : "memory");
    return to.size();
}

/// Copies `from` into `parts` at `offset`, which has room for it.
inline void
scatter(std::span<const iovec> parts, std::size_t offset, std::span<const std::byte> from) {
    scatter_detail::skip_to(parts, offset);
    if (!scatter_detail::is_in_first(parts, offset, from.size())) {
        scatter_detail::scatter_pieces(parts, offset, from);
        return;
    }
    std::memcpy(scatter_detail::byte_of(parts.front(), offset), from.data(), from.size());
}

/// Bytes [offset, offset + size) of `parts`, fewer where they end, as buffers. Uses `storage` only
/// if the borders do not coincide with those of `parts`, and then until storage's next use.
[[nodiscard]] inline std::span<const iovec> slice(std::span<const iovec> parts,
                                                  std::size_t offset,
                                                  std::size_t size,
                                                  std::vector<iovec>& storage) {
    scatter_detail::skip_to(parts, offset);
    if (offset == 0 && total_size(parts) <= size) {
        return parts;
    }
    return scatter_detail::slice_pieces(parts, offset, size, storage);
}

} // namespace vfskit::fuse
