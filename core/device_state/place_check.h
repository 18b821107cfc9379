// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/device_state/serialized.h"
#include "core/passthrough/inode_store.h"

#include <atomic>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

namespace vfskit::device_state {

/// Inodes that are not where the guest found them.
using Suspects = std::unordered_set<std::uint64_t>;

/// Compares every place that the store remembers with the host, one statx(2) each; ends early when
/// `cancelled`. From any thread, while the guest runs or not.
Suspects find_suspects(passthrough::InodeStore& inodes, const std::atomic<bool>& cancelled);

/// Those among `suspects`, and among the inodes without a place, that have no name at all any more:
/// deleted while the guest has them open. At most `limit`; ends early when `cancelled`.
std::vector<NodeId> find_deleted(passthrough::InodeStore& inodes,
                                 const Suspects& suspects,
                                 const std::atomic<bool>& cancelled,
                                 std::size_t limit);

/// find_suspects() on a thread of its own while the guest runs, so that only what it found has to
/// be searched for when the guest stands still. The store keeps places right under the guest's own
/// renames and removals at all times, migration or not, so there is nothing else to switch on, and
/// nothing to switch off when the migration is cancelled.
class PlaceCheck {
public:
    explicit PlaceCheck(passthrough::InodeStore& inodes) : inodes_{inodes} {}
    PlaceCheck(const PlaceCheck&) = delete;
    PlaceCheck& operator=(const PlaceCheck&) = delete;
    ~PlaceCheck() { cancel(); }

    /// What else to do with what was found, on the same thread, unless it is cancelled meanwhile.
    using Then = std::function<void(const Suspects&, const std::atomic<bool>& cancelled)>;

    /// Begins anew.
    void start(Then then = {});
    /// Ends it and forgets what it found.
    void cancel();
    /// Waits for the end and answers what it found; nothing when it was not started.
    std::optional<Suspects> take();

private:
    passthrough::InodeStore& inodes_;
    std::atomic<bool> cancelled_{false};
    Suspects suspects_;
    std::thread thread_;
};

} // namespace vfskit::device_state
