// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/save_open_files.h"

#include <fcntl.h>

#include <algorithm>

namespace vfskit::device_state {

using passthrough::PassthroughFs;

namespace {

/// What upstream may open with as it is: it changes nothing about the flags of a stream.
std::uint32_t fit_flags(std::uint32_t guest_flags, const passthrough::OpenFlagRules& rules) {
    auto flags = guest_flags & ~static_cast<std::uint32_t>(O_APPEND | O_CREAT | O_EXCL | O_TRUNC);
    if (!rules.allows_direct_io) {
        flags &= ~static_cast<std::uint32_t>(O_DIRECT);
    }
    if (!rules.preserves_noatime) {
        flags &= ~static_cast<std::uint32_t>(O_NOATIME);
    }
    if (rules.has_writeback && (flags & O_ACCMODE) == O_WRONLY) {
        flags = (flags & ~static_cast<std::uint32_t>(O_ACCMODE)) | O_RDWR;
    }
    return flags;
}

} // namespace

std::vector<HandleId> save_open_files(PassthroughFs& filesystem,
                                      State& state,
                                      const std::function<bool(NodeId)>& is_known) {
    std::vector<HandleId> orphans;
    const auto rules = filesystem.open_rules();
    filesystem.handles().for_each([&](const passthrough::Handle& handle) {
        const auto flags = fit_flags(handle.guest_flags, rules);
        if (!is_known(handle.node)) {
            orphans.push_back(handle.id);
            return;
        }
        state.handles.push_back({handle.id, handle.node, static_cast<std::int32_t>(flags)});
        if (flags != handle.guest_flags) {
            state.trailer->guest_flags.push_back({handle.id, handle.guest_flags});
        }
    });
    std::sort(state.handles.begin(), state.handles.end(), [](const auto& a, const auto& b) {
        return a.id < b.id;
    });
    state.next_handle = filesystem.handles().next_id();
    return orphans;
}

SavedLocks held_locks(PassthroughFs& filesystem) {
    SavedLocks locks;
    filesystem.locks().for_each(
        [&locks](NodeId node, fuse::LockOwner owner, const fuse::LockRange& range) {
            locks.posix.push_back({node,
                                   owner,
                                   static_cast<std::uint64_t>(range.start),
                                   static_cast<std::uint64_t>(range.end),
                                   range.type == F_WRLCK,
                                   range.pid});
        });
    filesystem.handles().for_each([&locks](const passthrough::Handle& handle) {
        if (handle.has_flock) {
            locks.flocks.push_back(handle.id);
        }
    });
    return locks;
}

} // namespace vfskit::device_state
