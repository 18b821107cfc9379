// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/device_state/serialized.h"
#include "core/passthrough/inode_store.h"

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace vfskit::device_state {

/// Inodes that are not where the guest found them.
using Suspects = std::unordered_set<std::uint64_t>;

/// When directories changed last. An entry that comes, goes or becomes another file changes its
/// directory's ctime(2), which nobody can set; so in a directory with the same one everything is
/// where it was. That holds on a filesystem of this kernel alone, and once the directory has been
/// left alone for longer than its clock's step: others are not remembered.
class DirectoryTimes {
public:
    /// `status` is what the directory has at `now`, in seconds, before its entries are looked at.
    /// `fd`: also O_PATH. False when it is not remembered.
    bool remember(NodeId directory, int fd, const struct statx& status, std::int64_t now);
    [[nodiscard]] bool is_unchanged(NodeId directory, const struct statx& status) const;

private:
    bool is_local(int fd, const struct statx& status);

    std::unordered_map<std::uint64_t, std::pair<std::int64_t, std::uint32_t>> times_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, bool> is_local_; ///< by device
};

/// Compares every place that the store remembers with the host, one statx(2) each; ends early when
/// `cancelled`. From any thread, while the guest runs or not. `times`, if not null, are remembered.
Suspects find_suspects(passthrough::InodeStore& inodes,
                       const std::atomic<bool>& cancelled,
                       DirectoryTimes* times = nullptr);

/// What find_suspects(), which remembered `times`, would find in addition by now: one statx(2) for
/// each directory, and for each file in those that have changed.
Suspects find_new_suspects(passthrough::InodeStore& inodes, const DirectoryTimes& times);

/// Those among `suspects`, and among the inodes without a place, that have no name at all any more:
/// deleted while the guest has them open. At most `limit`; ends early when `cancelled`.
std::vector<NodeId> find_deleted(passthrough::InodeStore& inodes,
                                 const Suspects& suspects,
                                 const std::atomic<bool>& cancelled,
                                 std::size_t limit);

} // namespace vfskit::device_state
