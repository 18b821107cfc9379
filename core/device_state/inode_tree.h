// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/device_state/serialized.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace vfskit::device_state {

/// How the inodes of a State hang together, by their positions in State::inodes. Borrows from the
/// State.
struct InodeTree {
    static constexpr std::size_t none = SIZE_MAX;

    struct Node {
        std::size_t parent = none; ///< of a path or place
        std::string_view name;     ///< in that parent
        /// The guest's own references, those of the stream taken off. 0: the inode is only there to
        /// lead to others.
        std::uint64_t lookup_count = 0;
        /// The place is how the file is found, not only where it was.
        bool is_found_by_place = false;
    };
    std::vector<Node> nodes;
    /// All positions, each after its parent's where it is found by place.
    std::vector<std::size_t> order;

    /// Checks what the bytes alone do not tell; EBADMSG names the first that is wrong:
    /// - ids are unique and the root's is the root's only;
    /// - every parent is in the stream, no inode is below itself;
    /// - an inode has at least the references that its children hold on it;
    /// - open files belong to inodes of the stream, flags to open files, places to inodes;
    /// - locks belong to inodes and open files of the stream, and come with an offer of
    /// descriptors;
    /// - file handles of nameless or open files and file numbers belong to inodes, once each.
    static Result<InodeTree> make(const State& state);
};

} // namespace vfskit::device_state
