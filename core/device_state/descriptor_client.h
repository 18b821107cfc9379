// SPDX-License-Identifier: Apache-2.0
// The destination's end of fd passing.
#pragma once

#include "core/device_state/descriptor_source.h"

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace vfskit::device_state {

/// Where the source is to be found.
struct SourceAddress {
    int directory_fd = -1; ///< the migration socket directory, also O_PATH; borrowed
    /// Users that the source's daemon may run as (own_uids()).
    std::vector<uid_t> allowed_uids;
    int cancel_fd = -1; ///< readable: give up
    std::chrono::milliseconds timeout{10'000};
};

/// Connects to the source's daemon and shows the token. The path is relative to a descriptor, for
/// the caller may see nothing else of the host: connect(2) knows no such form, so a thread of its
/// own makes that directory its working directory. ENOENT, ECONNREFUSED: no daemon there; EPERM:
/// another user; EACCES, ESTALE: refused by the source.
Result<std::unique_ptr<DescriptorSource>> connect_to_source(const DescriptorOffer& offer,
                                                            const SourceAddress& address);

} // namespace vfskit::device_state
