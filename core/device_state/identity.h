// SPDX-License-Identifier: Apache-2.0
// Is the destination's shared directory the source's? File handles mean the same file only then: in
// another directory of the same filesystem they still open, and old and new inodes of the guest
// would be served from two directories.
#pragma once

#include "core/base/result.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/inode_store.h"

#include <string>
#include <vector>

namespace vfskit::device_state {

/// Which host this is. Empty where a container hides it.
struct HostId {
    std::string boot_id;
    std::string machine_id;
};
/// Reads /proc/sys/kernel/random/boot_id and /etc/machine-id: before a sandbox hides them.
HostId read_host_id();

/// What identifies the shared directory of `inodes`.
Result<ShareIdentity> identify_share(passthrough::InodeStore& inodes, const HostId& host);

/// Success when both are surely the same directory; EXDEV when they differ or nothing proves that
/// they do not. In this order:
/// - The root's file handle and the filesystem's type must be equal.
/// - On one running kernel the device numbers decide.
/// - The root's times of birth must not differ.
/// - f_fsid decides where it belongs to the filesystem. xfs, f2fs and the disk cluster filesystems
///   make it from the device number, which other hosts count differently; NFS has none.
/// - A network or cluster filesystem's handle contains the server's own identity of the file.
/// - Else equal times of birth, which are exact to the nanosecond there.
Result<void> prove_same_share(const ShareIdentity& source, const ShareIdentity& here);

/// The same where both must be on one running kernel anyway, for open descriptors are to be passed:
/// host and directory must be the same, which the device number and the inode number tell there.
/// EXDEV, also where the host cannot be told.
Result<void> prove_same_host_and_share(const ShareIdentity& source, const ShareIdentity& here);

/// For streams without our trailer: that the files just loaded by handle lie in this share and hang
/// together from its root. A Linux guest knows a file only together with all directories above it,
/// so each directory's parent must be the root or among `loaded`; where there are no directories,
/// the root itself must contain one of the files. This tells directories of one filesystem apart; a
/// copy of the whole filesystem, block by block, it cannot. EXDEV.
Result<void> prove_loaded_below_root(passthrough::InodeStore& inodes,
                                     const std::vector<NodeId>& loaded);

} // namespace vfskit::device_state
