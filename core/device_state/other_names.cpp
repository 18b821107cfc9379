// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/other_names.h"

#include "core/device_state/paths.h"
#include "core/passthrough/host_calls.h"

namespace vfskit::device_state {

void OtherNames::want(fuse::NodeId id) {
    const auto inode = inodes_.find(id);
    if (!inode) {
        return;
    }
    const auto fd = inodes_.fd_of(inode);
    struct statx status {};
    if (fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 && status.stx_nlink != 0) {
        numbers_.insert(static_cast<std::uint64_t>(inode->identity.ino));
    }
}

void OtherNames::list(std::size_t index, fuse::NodeId directory) {
    for_each_entry(inodes_, inodes_.find(directory), [&](std::uint64_t ino, const char* name) {
        if (numbers_.count(ino) != 0) {
            candidates_.emplace(ino, Candidate{index, directory, name});
        }
    });
}

std::optional<std::pair<std::size_t, std::string>> OtherNames::find(fuse::NodeId id) {
    const auto inode = inodes_.find(id);
    if (!inode) {
        return std::nullopt;
    }
    const auto [first, last] =
        candidates_.equal_range(static_cast<std::uint64_t>(inode->identity.ino));
    for (auto candidate = first; candidate != last; ++candidate) {
        const auto& [index, directory, name] = candidate->second;
        if (is_at_place(inodes_, inode, directory, name)) {
            return std::pair{index, name};
        }
    }
    return std::nullopt;
}

} // namespace vfskit::device_state
