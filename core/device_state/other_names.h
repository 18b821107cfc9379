// SPDX-License-Identifier: Apache-2.0
// Private to the room: another name of a file that is not where it was.
#pragma once

#include "core/passthrough/inode_store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

/// A file of which the guest removed one of several names has no place any more, but mostly another
/// name in a directory that the guest knows. Those are listed, once, if there is such a file; the
/// kernel only remembers the name that is gone.
class OtherNames {
public:
    explicit OtherNames(passthrough::InodeStore& inodes) : inodes_{inodes} {}

    /// Looks for names of that file, if it has any.
    void want(fuse::NodeId id);
    [[nodiscard]] bool wants_any() const { return !numbers_.empty(); }
    /// Looks through a directory; `index` is what find() answers for it.
    void list(std::size_t index, fuse::NodeId directory);
    /// Index of the directory, and name in it, that is the file's now.
    [[nodiscard]] std::optional<std::pair<std::size_t, std::string>> find(fuse::NodeId id);

private:
    struct Candidate {
        std::size_t index = 0;
        fuse::NodeId directory{};
        std::string name;
    };

    passthrough::InodeStore& inodes_;
    std::unordered_set<std::uint64_t> numbers_;
    std::unordered_multimap<std::uint64_t, Candidate> candidates_; ///< by inode number
};

} // namespace vfskit::device_state
