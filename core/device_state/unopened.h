// SPDX-License-Identifier: Apache-2.0
// Files that the destination takes over without opening them: the time a guest stands still then
// does not grow by a few system calls for each file that it knows.
//
// Only where that hides nothing. The shared directory is proved to be the source's (identity.h), so
// what the source has just seen there is there. The file lies in the directory's own mount, and by
// path in a directory that was opened here; what is open is opened here, too. A time of birth tells
// the file from another that gets its number; a handle that is sent to be verified does better, for
// the file is opened by it. The first use opens it, as a file whose descriptor had to make room,
// and is answered with ESTALE if another is there by then: what a guest sees without a migration,
// too, when somebody else removes a file.
#pragma once

#include "core/base/result.h"
#include "core/device_state/identity.h"
#include "core/device_state/inode_tree.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/inode_store.h"

#include <cstddef>
#include <unordered_set>

namespace vfskit::device_state {

/// Borrows all that it is given. Not thread-safe.
class UnopenedFiles {
public:
    UnopenedFiles(const State& state,
                  const InodeTree& tree,
                  passthrough::InodeStore& inodes,
                  const HostId& host);

    /// Takes over the inode at position `i`, whose directory has been; false, and nothing is done,
    /// when it must be opened. Every other error is the store's.
    Result<bool> take_over(std::size_t i);

private:
    [[nodiscard]] bool is_proved(const HostId& host) const;
    [[nodiscard]] bool may_wait(std::size_t i) const;
    [[nodiscard]] bool is_open(NodeId id) const {
        return open_.count(static_cast<std::uint64_t>(id)) != 0;
    }
    [[nodiscard]] bool has_own_directory(std::size_t i);

    const State& state_;
    const InodeTree& tree_;
    passthrough::InodeStore& inodes_;
    passthrough::HostIdentity root_;
    std::unordered_set<std::uint64_t> open_; ///< inodes with open files
    bool is_possible_ = false;
    std::size_t last_directory_ = InodeTree::none;
    bool last_is_own_ = false;
};

} // namespace vfskit::device_state
