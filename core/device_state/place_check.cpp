// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/place_check.h"

#include "core/device_state/paths.h"
#include "core/passthrough/host_calls.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::device_state {

using passthrough::InodeStore;
using passthrough::InodeView;

namespace {

struct KnownPlace {
    NodeId id{};
    NodeId parent{};
    std::string name;
    bool is_directory = false;
};

/// Neighbours have one parent, whose descriptor is then at hand.
std::vector<KnownPlace> places_by_parent(InodeStore& inodes) {
    std::vector<KnownPlace> places;
    places.reserve(inodes.size());
    inodes.for_each([&places](const InodeView& inode) {
        if (!inode.place.name.empty()) {
            places.push_back(
                {inode.id, inode.place.parent, std::string{inode.place.name}, S_ISDIR(inode.type)});
        }
    });
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
        return a.parent < b.parent;
    });
    return places;
}

/// What `use` says of the directory's descriptor and status; false where it cannot be examined.
template <class Use>
bool examine(InodeStore& inodes, NodeId directory, const Use& use) {
    const auto inode = inodes.find(directory);
    if (!inode) {
        return false;
    }
    const auto fd = inodes.fd_of(inode);
    struct statx status {};
    return fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 && use(fd.get(), status);
}

bool is_suspect(InodeStore& inodes, const KnownPlace& place) {
    // What has been forgotten meanwhile does not matter any more.
    const auto inode = inodes.find(place.id);
    return inode && !is_at_place(inodes, inode, place.parent, place.name);
}

} // namespace

bool DirectoryTimes::is_local(int fd, const struct statx& status) {
    constexpr std::array<std::uint32_t, 5> magics{
        EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};
    const auto [known, is_new] =
        is_local_.try_emplace({status.stx_dev_major, status.stx_dev_minor}, false);
    if (is_new) {
        struct statfs filesystem {};
        known->second = ::fstatfs(fd, &filesystem) == 0 &&
                        std::count(magics.begin(),
                                   magics.end(),
                                   static_cast<std::uint32_t>(filesystem.f_type)) != 0;
    }
    return known->second;
}

bool DirectoryTimes::remember(NodeId directory,
                              int fd,
                              const struct statx& status,
                              std::int64_t now) {
    constexpr std::int64_t longest_step = 3; // vfat's is two
    if (!is_local(fd, status) || status.stx_ctime.tv_sec + longest_step >= now) {
        return false;
    }
    times_[static_cast<std::uint64_t>(directory)] = {status.stx_ctime.tv_sec,
                                                     status.stx_ctime.tv_nsec};
    return true;
}

bool DirectoryTimes::is_unchanged(NodeId directory, const struct statx& status) const {
    const auto known = times_.find(static_cast<std::uint64_t>(directory));
    return known != times_.end() && known->second.first == status.stx_ctime.tv_sec &&
           known->second.second == status.stx_ctime.tv_nsec;
}

Suspects
find_suspects(InodeStore& inodes, const std::atomic<bool>& cancelled, DirectoryTimes* times) {
    Suspects suspects;
    NodeId directory{};
    for (const auto& place : places_by_parent(inodes)) {
        if (cancelled.load(std::memory_order_relaxed)) {
            break;
        }
        if (times != nullptr && std::exchange(directory, place.parent) != place.parent) {
            (void)examine(inodes, directory, [&](int fd, const struct statx& status) {
                return times->remember(directory, fd, status, std::time(nullptr));
            });
        }
        if (is_suspect(inodes, place)) {
            suspects.insert(static_cast<std::uint64_t>(place.id));
        }
    }
    return suspects;
}

Suspects find_new_suspects(InodeStore& inodes, const DirectoryTimes& times) {
    Suspects suspects;
    NodeId directory{};
    bool is_unchanged = false;
    for (const auto& place : places_by_parent(inodes)) {
        if (std::exchange(directory, place.parent) != place.parent) {
            is_unchanged = examine(inodes, directory, [&](int, const struct statx& status) {
                return times.is_unchanged(directory, status);
            });
        }
        // Something may have been mounted over a directory, which its parent does not show.
        if ((!is_unchanged || place.is_directory) && is_suspect(inodes, place)) {
            suspects.insert(static_cast<std::uint64_t>(place.id));
        }
    }
    return suspects;
}

std::vector<NodeId> find_deleted(InodeStore& inodes,
                                 const Suspects& suspects,
                                 const std::atomic<bool>& cancelled,
                                 std::size_t limit) {
    std::vector<NodeId> candidates;
    for (const auto id : suspects) {
        candidates.push_back(NodeId{id});
    }
    inodes.for_each([&candidates](const InodeView& inode) {
        if (inode.place.name.empty() && inode.type != 0 && inode.id != NodeId::root) {
            candidates.push_back(inode.id);
        }
    });
    std::sort(candidates.begin(), candidates.end());
    std::vector<NodeId> deleted;
    for (const auto id : candidates) {
        if (cancelled.load(std::memory_order_relaxed) || deleted.size() == limit) {
            break;
        }
        const auto inode = inodes.find(id);
        if (!inode) {
            continue;
        }
        const auto fd = inodes.fd_of(inode);
        struct statx status {};
        if (fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 && status.stx_nlink == 0) {
            deleted.push_back(id);
        }
    }
    return deleted;
}

} // namespace vfskit::device_state
