// SPDX-License-Identifier: Apache-2.0
// Private to the room.
#pragma once

#include "core/fuse/outcome.h"

namespace vfskit::passthrough {

/// Of a system call that answers 0, or anything else with errno set.
[[nodiscard]] inline fuse::Outcome<void> outcome_of(long result) {
    if (result != 0) {
        return fuse::last_errno();
    }
    return {};
}

} // namespace vfskit::passthrough
