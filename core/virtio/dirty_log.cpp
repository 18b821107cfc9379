// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/dirty_log.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>

namespace vfskit::virtio {

Result<std::shared_ptr<DirtyLog>> DirtyLog::map(int fd, std::uint64_t size, std::uint64_t offset) {
    constexpr std::uint64_t limit = std::numeric_limits<std::int64_t>::max() - page_size;
    if (size == 0 || size > limit || offset > limit - size) {
        return Error{EINVAL, fmt::format("A dirty log of {} bytes at {} cannot be", size, offset)};
    }
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
        return Error::from_errno(errno, "Cannot inspect the dirty log's file");
    }
    if (!S_ISREG(info.st_mode) || size + offset > static_cast<std::uint64_t>(info.st_size)) {
        return Error{EINVAL, "The dirty log is longer than its file"};
    }
    const std::uint64_t skipped = offset % page_size;
    const std::size_t length = size + skipped;
    void* mapping = ::mmap(nullptr,
                           length,
                           PROT_READ | PROT_WRITE,
                           MAP_SHARED,
                           fd,
                           static_cast<off_t>(offset - skipped));
    if (mapping == MAP_FAILED) {
        return Error::from_errno(errno, "Cannot map the dirty log");
    }
    auto* bits = static_cast<std::uint8_t*>(mapping) + skipped;
    return std::shared_ptr<DirtyLog>{new DirtyLog{mapping, length, bits, size}};
}

DirtyLog::~DirtyLog() {
    static_cast<void>(::munmap(mapping_, mapping_length_));
}

void DirtyLog::mark(GuestAddress address, std::uint64_t length) {
    if (length == 0) {
        return;
    }
    const std::uint64_t start = to_integer(address);
    const std::uint64_t rest = std::numeric_limits<std::uint64_t>::max() - start;
    const std::uint64_t last_page = (start + std::min(length - 1, rest)) / page_size;
    for (std::uint64_t page = start / page_size; page <= last_page && page / 8 < size_; ++page) {
        const auto bit = static_cast<std::uint8_t>(1U << (page % 8));
        // Unconditional: a bit that reads as set may be being cleared by the front-end, whose copy
        // of the page may be older than our write.
        std::atomic_ref<std::uint8_t>{bits_[page / 8]}.fetch_or(bit, std::memory_order_seq_cst);
    }
}

} // namespace vfskit::virtio
