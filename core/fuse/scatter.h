// SPDX-License-Identifier: Apache-2.0
// Scattered buffers. Every byte of the guest's is touched at most once.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

namespace vfskit::fuse {

[[nodiscard]] std::size_t total_size(std::span<const iovec> parts);

/// Copies bytes [offset, offset + to.size()) out of `parts`; how many there were.
std::size_t gather(std::span<const iovec> parts, std::size_t offset, std::span<std::byte> to);
/// Copies `from` into `parts` at `offset`, which has room for it.
void scatter(std::span<const iovec> parts, std::size_t offset, std::span<const std::byte> from);

/// Bytes [offset, offset + size) of `parts`, fewer where they end, as buffers. Uses `storage` only
/// if the borders do not coincide with those of `parts`, and then until storage's next use.
[[nodiscard]] std::span<const iovec> slice(std::span<const iovec> parts,
                                           std::size_t offset,
                                           std::size_t size,
                                           std::vector<iovec>& storage);

} // namespace vfskit::fuse
