// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/inode_changes.h"

#include <utility>

namespace vfskit::passthrough {

bool InodeChanges::append(NodeId id) {
    const std::lock_guard lock{mutex_};
    is_everything_ = is_everything_ || ids_.size() == most;
    if (!is_everything_) {
        ids_.push_back(id);
    }
    return !is_everything_;
}

void InodeChanges::note_everything() {
    const std::lock_guard lock{mutex_};
    is_everything_ = true;
}

InodeChanges::Taken InodeChanges::take() {
    const std::lock_guard lock{mutex_};
    return {std::exchange(ids_, {}), std::exchange(is_everything_, false)};
}

} // namespace vfskit::passthrough
