// SPDX-License-Identifier: Apache-2.0
// Files that the destination takes over without opening them: the time a guest stands still then
// does not grow by a few system calls for each file that it knows.
//
// Only where that hides nothing. The shared directory is proved to be the source's (identity.h), so
// what the source has just seen there is there. The file lies in the directory's own mount, and by
// path in a directory that was opened here. What the guest has open is opened here, too, but by its
// handle once and not by its path before, where the source says that handle. A time of birth tells
// the file from another that gets its number; a handle that is sent to be verified does better, for
// the file is opened by it. The first use opens it, as a file whose descriptor had to make room,
// and is answered with ESTALE if another is there by then: what a guest sees without a migration,
// too, when somebody else removes a file.
//
// Which they are is known before the guest runs. The records of those that are not open are made
// while it runs already, if they are many: nothing about that can fail any more.
#pragma once

#include "core/base/result.h"
#include "core/device_state/identity.h"
#include "core/device_state/inode_tree.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/inode_store.h"

#include <cstddef>
#include <span>
#include <unordered_map>
#include <vector>

namespace vfskit::device_state {

/// Borrows all that it is given.
class UnopenedFiles {
public:
    UnopenedFiles(const State& state,
                  const InodeTree& tree,
                  passthrough::InodeStore& inodes,
                  const HostId& host);

    /// Whether the inode at position `i` is one of them, as far as the state says.
    [[nodiscard]] bool may_wait(std::size_t i) const;
    /// Of the inodes at positions that may_wait(), whose directories have been taken over: makes
    /// the records of open files and remembers the others for make_rest(). Answers those that must
    /// be opened, with which nothing is done. Errors are the store's.
    Result<std::vector<std::size_t>> take_over(std::span<const std::size_t> files);
    /// How many records are still to be made.
    [[nodiscard]] std::size_t rest() const { return later_.size(); }
    /// Makes them, on several threads if they are many. Once.
    void make_rest();

private:
    [[nodiscard]] bool is_proved(const HostId& host) const;
    /// Neighbours have one directory.
    struct Directory {
        std::size_t index = InodeTree::none;
        bool is_own = false;
    };
    enum class Fate { make_now, make_later, must_be_opened };
    [[nodiscard]] Fate fate_of(std::size_t i, Directory& last) const;
    [[nodiscard]] bool has_own_directory(std::size_t i, Directory& last) const;
    [[nodiscard]] const FileHandle* handle_of(std::size_t i) const;
    Result<void> make(std::size_t i);

    const State& state_;
    const InodeTree& tree_;
    passthrough::InodeStore& inodes_;
    passthrough::HostIdentity root_;
    /// Inodes with open files, and their handles where the source says them.
    std::unordered_map<std::uint64_t, const FileHandle*> open_;
    bool is_possible_ = false;
    bool opens_handles_ = false;
    std::vector<std::size_t> later_;
};

} // namespace vfskit::device_state
