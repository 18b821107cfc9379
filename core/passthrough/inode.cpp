// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/inode.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

namespace vfskit::passthrough {

HostIdentity HostIdentity::of(const struct statx& status) {
    HostIdentity identity;
    identity.ino = HostIno{status.stx_ino};
    identity.mount = MountId{static_cast<std::uint32_t>(status.stx_mnt_id)};
    // new_encode_dev(): 12 bits of major, 20 of minor, which is all that Linux has.
    const auto minor = status.stx_dev_minor;
    identity.device = (minor & 0xffU) | (status.stx_dev_major << 8U) | ((minor & ~0xffU) << 12U);
    if ((status.stx_mask & STATX_BTIME) != 0) {
        const auto seconds = static_cast<std::uint64_t>(status.stx_btime.tv_sec);
        const auto mixed = (seconds * 1'000'000'000U + status.stx_btime.tv_nsec) *
                           std::uint64_t{0x9e3779b97f4a7c15};
        identity.birth = static_cast<std::uint32_t>(mixed >> 32U) | 1U;
    }
    return identity;
}

CompactHandle::CompactHandle(const HostFileHandle& handle)
    : type_{handle.type}, size_{handle.size} {
    std::byte* target = inline_.data();
    if (size_ > inline_size) {
        outside_ = new std::byte[size_];
        target = outside_;
    }
    std::copy_n(handle.bytes.begin(), size_, target);
}

CompactHandle::~CompactHandle() {
    if (size_ > inline_size) {
        delete[] outside_;
    }
}

const std::byte* CompactHandle::data() const {
    return size_ > inline_size ? outside_ : inline_.data();
}

HostFileHandle CompactHandle::expand() const {
    HostFileHandle handle;
    handle.type = type_;
    handle.size = size_;
    std::copy_n(data(), size_, handle.bytes.begin());
    return handle;
}

bool CompactHandle::is(const HostFileHandle& handle) const {
    return type_ == handle.type && size_ == handle.size &&
           std::equal(handle.bytes.begin(), handle.bytes.begin() + size_, data());
}

int InodeState::enter() {
    const auto before = word_.fetch_add(one_user, std::memory_order_acq_rel);
    if ((before & used_bit) == 0) {
        word_.fetch_or(used_bit, std::memory_order_relaxed);
    }
    return fd_of(before);
}

bool InodeState::leave() {
    const auto before = word_.fetch_sub(one_user, std::memory_order_acq_rel);
    return (before & users_mask) == one_user && (before & doomed_bit) != 0;
}

bool InodeState::doom() {
    const auto before = word_.fetch_or(doomed_bit, std::memory_order_acq_rel);
    return (before & users_mask) == 0;
}

bool InodeState::install_fd(int fd) {
    auto word = word_.load(std::memory_order_acquire);
    do {
        if (fd_of(word) >= 0) {
            return false;
        }
    } while (!word_.compare_exchange_weak(
        word, word | word_of(fd) | used_bit, std::memory_order_acq_rel));
    return true;
}

bool InodeState::enter_if_idle() {
    auto word = word_.load(std::memory_order_acquire);
    if ((word & users_mask) != 0 || (word & doomed_bit) != 0) {
        return false;
    }
    if ((word & used_bit) != 0) {
        word_.fetch_and(~used_bit, std::memory_order_relaxed);
        return false;
    }
    return word_.compare_exchange_strong(word, word + one_user, std::memory_order_acq_rel);
}

int InodeState::take_fd_if_alone() {
    auto word = word_.load(std::memory_order_acquire);
    do {
        if ((word & users_mask) != one_user || fd_of(word) < 0) {
            return -1;
        }
    } while (!word_.compare_exchange_weak(word, word & ~fd_mask, std::memory_order_acq_rel));
    return fd_of(word);
}

int InodeState::take_fd() {
    return fd_of(word_.fetch_and(~fd_mask, std::memory_order_acq_rel));
}

Inode::~Inode() {
    if (const int fd = state.take_fd(); fd >= 0) {
        ::close(fd);
    }
}

} // namespace vfskit::passthrough
