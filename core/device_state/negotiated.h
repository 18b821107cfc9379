// SPDX-License-Identifier: Apache-2.0
// Private to the room: what the source agreed on with its guest, judged by what this daemon does.
#pragma once

#include "core/base/result.h"
#include "core/device_state/serialized.h"

namespace vfskit::device_state {

/// What holds from now on. ENOTSUP for what the guest relies on and `offered` does not have.
Result<fuse::NegotiatedState> negotiated_of(const State& state,
                                            const fuse::NegotiatedState& offered);

} // namespace vfskit::device_state
