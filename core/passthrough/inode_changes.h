// SPDX-License-Identifier: Apache-2.0
// Which records changed since somebody began to collect them.
#pragma once

#include "core/passthrough/inode.h"

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace vfskit::passthrough {

/// While nobody collects, a change costs one load. Each record is noted once until it is taken, by
/// a mark of its own, so the common request takes no lock here either. Nothing is missed by who
/// begins first and reads the records afterwards: a change is made before it is noted, and both
/// sides are sequentially consistent.
class InodeChanges {
public:
    /// More than these are as good as everything.
    static constexpr std::size_t most = std::size_t{1} << 21U;

    void begin() { is_noting_.store(true); }
    void end() { is_noting_.store(false); }
    /// Call it after the change.
    void note(Inode& inode) {
        if (is_noting_.load() && !inode.is_noted.exchange(true) && !append(inode.id)) {
            inode.is_noted = false;
        }
    }
    /// All records are gone.
    void note_everything();
    struct Taken {
        std::vector<NodeId> ids;
        bool is_everything = false; ///< there may be others
    };
    /// What was noted until now. The caller clears the marks of `ids`, then reads the records.
    Taken take();

private:
    bool append(NodeId id);

    std::atomic<bool> is_noting_{false};
    std::mutex mutex_; ///< a leaf; protects the following
    std::vector<NodeId> ids_;
    bool is_everything_ = false;
};

} // namespace vfskit::passthrough
