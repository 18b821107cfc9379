// SPDX-License-Identifier: Apache-2.0
// Who may keep a host descriptor open: a clock over the inodes that have one cached, and the count
// of those that the guest's open files need.
#pragma once

#include "core/passthrough/inode.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace vfskit::passthrough {

/// Thread-safe. The mutex protects the ring and Inode::ring_slot; it is a leaf: no other lock is
/// taken and no system call made under it. Requests whose inode has its descriptor never come here.
class FdRing {
public:
    /// `limit`: descriptors of inodes and of open handles together; `inode_limit`: of inodes alone.
    FdRing(std::size_t limit, std::size_t inode_limit)
        : limit_{limit}, inode_limit_{std::min(limit, inode_limit)} {}

    enum class Added { yes, has_one, full };
    /// Caches `fd` for `inode` (which the caller has entered) and takes it over, if the answer is
    /// yes. `even_if_full`: for a file that could not be opened again.
    Added add(Inode& inode, int fd, bool even_if_full = false);
    /// Forgets the record, which is going to be deleted.
    void remove(Inode& inode);
    /// The next inode that nobody uses and nobody has used for a turn of the clock: taken out of
    /// the ring and entered, its descriptor still in place. nullptr: none found.
    Inode* take_idle();
    /// Puts one back that take_idle() gave.
    void put_back(Inode& inode);

    /// Counts one more open handle; false when that is above the limit (nothing is counted then).
    [[nodiscard]] bool reserve_handle();
    /// The same with open handles alone compared to the limit: when every inode that has a
    /// descriptor needs it right now. Those are as many as requests run, and files without a name.
    [[nodiscard]] bool reserve_handle_over_inodes();
    void release_handle() { handles_.fetch_sub(1, std::memory_order_relaxed); }

    [[nodiscard]] std::size_t limit() const { return limit_; }
    [[nodiscard]] std::size_t inode_fds() const { return size_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t handle_fds() const {
        return handles_.load(std::memory_order_relaxed);
    }

private:
    void push(Inode& inode);
    void erase(Inode& inode);

    const std::size_t limit_;
    const std::size_t inode_limit_;
    std::atomic<std::size_t> handles_{0};
    std::atomic<std::size_t> size_{0};
    std::mutex mutex_;
    std::vector<Inode*> ring_;
    std::size_t hand_ = 0;
};

} // namespace vfskit::passthrough
