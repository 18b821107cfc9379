// SPDX-License-Identifier: Apache-2.0
// Open descriptors of the source's daemon, as the destination asks for them (--migration-mode
// fd-passing).
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/device_state/serialized.h"

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace vfskit::device_state {

using LockKey = std::pair<NodeId, fuse::LockOwner>;

/// One thread at a time. Each call answers in the order of what was asked for, with an empty
/// descriptor where the source has none. ECONNRESET: the source's daemon has gone; ETIMEDOUT: it
/// does not answer; EMFILE: this process may not have that many descriptors; ECANCELED.
///
/// What is fetched counts against RLIMIT_NOFILE and not yet against the budget of the guest's
/// descriptors: fetch usual_batch at a time and hand them over before the next.
class DescriptorSource {
public:
    static constexpr std::size_t usual_batch = 253; ///< SCM_MAX_FD: what one message carries

    virtual ~DescriptorSource() = default;

    /// O_PATH descriptors of files, in the mount namespace of the source.
    virtual Result<std::vector<UniqueFd>> fetch_inodes(std::span<const NodeId> ids) = 0;
    /// The guest's open files: the same open file descriptions, with their locks.
    virtual Result<std::vector<UniqueFd>> fetch_handles(std::span<const HandleId> ids) = 0;
    /// The descriptions that carry fcntl(2) locks.
    virtual Result<std::vector<UniqueFd>> fetch_lock_owners(std::span<const LockKey> keys) = 0;
    /// Tells the source that everything has arrived.
    virtual Result<void> finish() = 0;
};

} // namespace vfskit::device_state
