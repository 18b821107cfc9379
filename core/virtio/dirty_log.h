// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/virtio/address.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace vfskit::virtio {

/// The bitmap of written guest pages that the front-end shares during a migration: one bit per 4
/// KiB of guest address, bit 0 of byte 0 first (vhost-user, "Migration"). Thread-safe: bits are
/// only set, each by an atomic OR, while the front-end collects and clears them.
class DirtyLog {
public:
    static constexpr std::uint64_t page_size = 4096;

    /// Maps `size` bytes at `offset` of `fd`. EINVAL when that is empty or longer than the file.
    static Result<std::shared_ptr<DirtyLog>> map(int fd, std::uint64_t size, std::uint64_t offset);

    DirtyLog(const DirtyLog&) = delete;
    DirtyLog& operator=(const DirtyLog&) = delete;
    ~DirtyLog();

    /// Marks every page that holds one of the `length` bytes at `address`. Pages past the end of
    /// the bitmap are left out: they were not offered, and the front-end sends a larger bitmap
    /// first when it adds memory. To be called after the bytes were written.
    void mark(GuestAddress address, std::uint64_t length);

private:
    DirtyLog(void* mapping, std::size_t length, std::uint8_t* bits, std::uint64_t size)
        : mapping_{mapping}, mapping_length_{length}, bits_{bits}, size_{size} {}

    void* mapping_;
    std::size_t mapping_length_;
    std::uint8_t* bits_;
    std::uint64_t size_;
};

} // namespace vfskit::virtio
