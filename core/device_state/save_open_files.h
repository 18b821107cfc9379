// SPDX-License-Identifier: Apache-2.0
// Private to the room: what the guest has open and locked, for a save.
#pragma once

#include "core/device_state/serialized.h"
#include "core/passthrough/passthrough_fs.h"

#include <functional>
#include <vector>

namespace vfskit::device_state {

/// Adds the open files to `state`. Answers those whose inode the guest has forgotten, which are
/// left out: `is_known` tells.
std::vector<HandleId> save_open_files(passthrough::PassthroughFs& filesystem,
                                      State& state,
                                      const std::function<bool(NodeId)>& is_known);

/// The locks that the guest holds on the host.
SavedLocks held_locks(passthrough::PassthroughFs& filesystem);

} // namespace vfskit::device_state
