// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/scatter.h"

#include "core/base/request_path.h"

#include <algorithm>
#include <cassert>

namespace vfskit::fuse::scatter_detail {

namespace {

/// Calls `visit(pointer, size)` for the pieces of bytes [offset, offset + size); the bytes visited.
template <class Visit>
std::size_t
for_each_piece(std::span<const iovec> parts, std::size_t offset, std::size_t size, Visit visit) {
    std::size_t done = 0;
    for (const auto& part : parts) {
        if (done == size) {
            break;
        }
        if (offset >= part.iov_len) {
            offset -= part.iov_len;
            continue;
        }
        const auto step = std::min(part.iov_len - offset, size - done);
        visit(byte_of(part, offset), step);
        done += step;
        offset = 0;
    }
    return done;
}

} // namespace

VFSKIT_OUT_OF_LINE std::size_t
gather_pieces(std::span<const iovec> parts, std::size_t offset, std::span<std::byte> to) {
    auto* target = to.data();
    return for_each_piece(parts, offset, to.size(), [&](const std::byte* piece, std::size_t size) {
        std::memcpy(target, piece, size);
        target += size;
    });
}

VFSKIT_OUT_OF_LINE void
scatter_pieces(std::span<const iovec> parts, std::size_t offset, std::span<const std::byte> from) {
    const auto* source = from.data();
    const auto done =
        for_each_piece(parts, offset, from.size(), [&](std::byte* piece, std::size_t size) {
            std::memcpy(piece, source, size);
            source += size;
        });
    assert(done == from.size());
    static_cast<void>(done);
}

VFSKIT_OUT_OF_LINE std::span<const iovec> slice_pieces(std::span<const iovec> parts,
                                                       std::size_t offset,
                                                       std::size_t size,
                                                       std::vector<iovec>& storage) {
    storage.clear();
    for_each_piece(parts, offset, size, [&](std::byte* piece, std::size_t step) {
        storage.push_back({.iov_base = piece, .iov_len = step});
    });
    return storage;
}

} // namespace vfskit::fuse::scatter_detail
