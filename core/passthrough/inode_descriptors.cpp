// SPDX-License-Identifier: Apache-2.0
// InodeStore: the descriptors of records, cached under a budget and opened again.
#include "core/passthrough/inode_store.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace vfskit::passthrough {

void InodeStore::keep_fd(const InodeRef& inode, UniqueFd fd, const FilePlace& place) {
    if (fd && inode->state.fd() < 0) {
        const bool cannot_come_back = !inode->handle && place.name.empty();
        (void)cache(*inode.inode_, std::move(fd), cannot_come_back);
    }
}

/// Caches `fd`, or gives it back when it does not fit.
UniqueFd InodeStore::cache(Inode& inode, UniqueFd fd, bool even_if_full) {
    auto added = ring_.add(inode, fd.get());
    if (added == FdRing::Added::full && evict_one()) {
        added = ring_.add(inode, fd.get());
    }
    if (added == FdRing::Added::full && even_if_full) {
        added = ring_.add(inode, fd.get(), true);
    }
    if (added == FdRing::Added::yes) {
        (void)fd.release();
    }
    return fd;
}

bool InodeStore::evict_one() {
    constexpr int tries = 16;
    for (int i = 0; i < tries; ++i) {
        auto* candidate = ring_.take_idle();
        if (candidate == nullptr) {
            return false;
        }
        const InodeRef user{*this, *candidate};
        const UniqueFd fd{can_open_again(*candidate) ? candidate->state.take_fd_if_alone() : -1};
        if (fd) {
            return true;
        }
        ring_.put_back(*candidate);
    }
    return false;
}

bool InodeStore::can_open_again(Inode& inode) {
    if (!inode.handle) {
        const UniqueFd again{std::max(open_by_place(inode, false), -1)};
        return again.is_valid();
    }
    std::array<char, fuse::Name::max_size + 1> name{};
    (void)copy_place(inode, name);
    if (name.front() != '\0') {
        return true;
    }
    // Perhaps unlinked, as a working directory may be: then the descriptor is what keeps the file.
    struct statx status {};
    return stat_fd(inode.state.fd(), status) == 0 && status.stx_nlink != 0;
}

InodeFd InodeStore::fd_of(const InodeRef& inode) {
    if (const int fd = inode->state.fd(); fd >= 0) {
        return InodeFd{fd};
    }
    if (inode->is_lost()) {
        return InodeFd{-EIO};
    }
    const int fd = open_again(*inode.inode_, true);
    if (fd < 0) {
        return InodeFd{fd};
    }
    auto rest = cache(*inode.inode_, UniqueFd{fd}, false);
    if (!rest) {
        return InodeFd{fd};
    }
    return InodeFd{std::move(rest)};
}

int InodeStore::open_again(Inode& inode, bool caches_ancestors) {
    if (inode.handle) {
        return mounts_.open(inode.identity.mount, inode.handle.expand(), O_PATH);
    }
    return open_by_place(inode, caches_ancestors);
}

/// From a record up to the next one that has a descriptor or a handle.
struct InodeStore::Way {
    struct Step {
        InodeRef inode;
        std::array<char, fuse::Name::max_size + 1> name{};
    };
    InodeRef base;
    std::vector<Step> steps; ///< the record itself first
};

/// Copies the place out of the lock; an empty name when it is not known.
NodeId InodeStore::copy_place(const Inode& inode, std::span<char> name) {
    auto& shard = identities_->shard(ByIdentityTraits::hash(inode));
    const std::lock_guard lock{shard.mutex};
    const auto known = inode.name_view();
    *std::copy(known.begin(), known.end(), name.begin()) = '\0';
    return inode.parent;
}

int InodeStore::climb(Inode& start, Way& way) {
    // Places may be stale and then even form a circle; no real path is longer than this.
    constexpr std::size_t longest_way = 2048;
    start.state.enter();
    InodeRef current{*this, start};
    while (way.steps.size() < longest_way) {
        Way::Step step;
        auto parent = find(copy_place(*current, step.name));
        if (!parent || step.name.front() == '\0') {
            return -ESTALE;
        }
        step.inode = std::move(current);
        way.steps.push_back(std::move(step));
        current = std::move(parent);
        if (current->state.fd() >= 0 || current->handle) {
            way.base = std::move(current);
            return 0;
        }
    }
    return -ESTALE;
}

int InodeStore::descend(Way& way, bool caches_ancestors) {
    UniqueFd own;
    int directory = way.base->state.fd();
    if (directory < 0) {
        directory = open_again(*way.base.inode_, caches_ancestors);
        own.reset(std::max(directory, -1));
    }
    for (auto step = way.steps.rbegin(); directory >= 0; ++step) {
        UniqueFd opened{std::max(open_entry(directory, step->name.data()), -1)};
        struct statx status {};
        if (!opened || stat_fd(opened.get(), status) != 0 ||
            HostIdentity::of(status) != step->inode->identity) {
            return -ESTALE;
        }
        if (step + 1 == way.steps.rend()) {
            return opened.release();
        }
        own = caches_ancestors ? cache(*step->inode.inode_, std::move(opened), false)
                               : std::move(opened);
        directory = own ? own.get() : step->inode->state.fd();
    }
    return directory;
}

int InodeStore::open_by_place(Inode& inode, bool caches_ancestors) {
    Way way;
    const int error = climb(inode, way);
    return error != 0 ? error : descend(way, caches_ancestors);
}

int InodeStore::reopen(const InodeRef& inode, int flags) {
    if (inode->is_lost()) {
        return -EIO;
    }
    if (!is_openable(inode->type)) {
        return -EBADF;
    }
    flags = (flags & ~O_NOFOLLOW) | O_CLOEXEC | O_NOCTTY;
    if (inode->handle) {
        // Measured no slower than by /proc/self/fd, and it needs no cached descriptor.
        return mounts_.open(inode->identity.mount, inode->handle.expand(), flags);
    }
    const auto fd = fd_of(inode);
    if (!fd.is_valid()) {
        return fd.get();
    }
    const int opened = ::openat(proc_self_fd_, FdName{fd.get()}.c_str(), flags);
    return opened < 0 ? -errno : opened;
}

bool InodeStore::reserve_handle_fd() {
    return ring_.reserve_handle() || (evict_one() && ring_.reserve_handle()) ||
           ring_.reserve_handle_over_inodes();
}

} // namespace vfskit::passthrough
