// SPDX-License-Identifier: Apache-2.0
// Private to the room: the files of a state as descriptors that the source's daemon passes.
#pragma once

#include "core/device_state/descriptor_source.h"
#include "core/passthrough/inode_store.h"

#include <sys/stat.h>

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace vfskit::device_state {

/// The references must outlive it. The source is on this host and serves the same directory.
class PassedFiles {
public:
    PassedFiles(const State& state, DescriptorSource& source, passthrough::InodeStore& inodes);

    /// Whether that is the file that the source has under this id; true where it did not say.
    [[nodiscard]] bool is_file(NodeId id, const struct statx& status) const;
    /// O_PATH of what the source has, and its `status`. ENOENT: it has nothing; ESTALE: another
    /// file than it said. A descriptor of another process belongs to that one's mounts, through
    /// which nothing could be linked or renamed to ours; so the file is opened again by its handle
    /// where that can be done.
    Result<UniqueFd> open(NodeId id, struct statx& status);

private:
    Result<UniqueFd> fetch(NodeId id);
    UniqueFd through_own_mount(UniqueFd fd, const struct statx& status);

    DescriptorSource& source_;
    passthrough::InodeStore& inodes_;
    std::unordered_map<std::uint64_t, const SavedNumber*> numbers_;
    /// What the source could not name, in the order of the state: fetched in batches.
    std::vector<NodeId> nameless_;
    std::size_t next_nameless_ = 0;
    std::unordered_map<std::uint64_t, UniqueFd> fetched_;
    UniqueFd own_mount_; ///< the shared directory, open for reading
};

} // namespace vfskit::device_state
