// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/fd_ring.h"

#include <algorithm>

namespace vfskit::passthrough {

namespace {

// The first turn of the clock only clears marks, so a full turn may find nobody; a second one does.
// This bounds what one request pays for it: some 10 µs. A hand that gives up stays where it is.
constexpr std::size_t steps_at_most = 4096;

} // namespace

void FdRing::push(Inode& inode) {
    inode.ring_slot = static_cast<std::uint32_t>(ring_.size());
    ring_.push_back(&inode);
    size_.store(ring_.size(), std::memory_order_relaxed);
}

void FdRing::erase(Inode& inode) {
    if (inode.ring_slot == UINT32_MAX) {
        return;
    }
    auto* last = ring_.back();
    ring_[inode.ring_slot] = last;
    last->ring_slot = inode.ring_slot;
    ring_.pop_back();
    inode.ring_slot = UINT32_MAX;
    size_.store(ring_.size(), std::memory_order_relaxed);
}

FdRing::Added FdRing::add(Inode& inode, int fd, bool even_if_full) {
    const std::lock_guard lock{mutex_};
    const bool is_full = ring_.size() >= inode_limit_ || ring_.size() + handle_fds() >= limit_;
    if (is_full && !even_if_full) {
        return Added::full;
    }
    if (!inode.state.install_fd(fd)) {
        return Added::has_one;
    }
    push(inode);
    return Added::yes;
}

void FdRing::remove(Inode& inode) {
    const std::lock_guard lock{mutex_};
    erase(inode);
}

Inode* FdRing::take_idle() {
    const std::lock_guard lock{mutex_};
    const auto steps = std::min(2 * ring_.size(), steps_at_most);
    for (std::size_t i = 0; i < steps; ++i) {
        if (hand_ >= ring_.size()) {
            hand_ = 0;
        }
        auto* inode = ring_[hand_];
        if (inode->state.enter_if_idle()) {
            erase(*inode); // another takes its place, so the hand stays
            return inode;
        }
        ++hand_;
    }
    return nullptr;
}

void FdRing::put_back(Inode& inode) {
    const std::lock_guard lock{mutex_};
    push(inode);
}

bool FdRing::reserve_handle() {
    const auto handles = handles_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (handles + inode_fds() <= limit_) {
        return true;
    }
    release_handle();
    return false;
}

bool FdRing::reserve_handle_over_inodes() {
    if (handles_.fetch_add(1, std::memory_order_relaxed) < limit_) {
        return true;
    }
    release_handle();
    return false;
}

} // namespace vfskit::passthrough
