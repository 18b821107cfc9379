// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace vfskit::vhost_user {

/// Moves the back-end's state in a migration (VHOST_USER_SET_DEVICE_STATE_FD). Both calls run on a
/// thread of their own, one at a time; every ring is stopped meanwhile. A load arrives before
/// SET_FEATURES, before any memory and before any ring, after a RESET_DEVICE: it must survive what
/// follows.
class DeviceStateHandler {
public:
    virtual ~DeviceStateHandler() = default;

    /// Writes the whole state to `fd` (a pipe: writes block until the front-end reads) and closes
    /// it: its end is what tells the front-end that the state is complete. `cancel_fd` turns
    /// readable (POLLIN) when the transfer is to be given up; the front-end is gone then. An Error
    /// is told to the front-end by CHECK_DEVICE_STATE and fails the migration; the source goes on
    /// serving.
    virtual Result<void> save(UniqueFd fd, int cancel_fd) = 0;
    /// Reads the state from `fd` up to its end and takes it over, wholly or not at all.
    virtual Result<void> load(UniqueFd fd, int cancel_fd) = 0;
};

} // namespace vfskit::vhost_user
