// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/device_state/descriptor_source.h"
#include "core/device_state/identity.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/passthrough_fs.h"

#include <functional>
#include <memory>

namespace vfskit::device_state {

/// --migration-on-error, of the destination.
enum class OnError {
    abort,       ///< the first file that is not found fails the load
    guest_error, ///< the guest gets EIO for it
};

struct LoadOptions {
    OnError on_error = OnError::abort;
    /// What this daemon would agree on with a guest that can do everything. Bounds what the source
    /// may have agreed on, and stands in for what an upstream source does not send.
    fuse::NegotiatedState offered;
    /// Mounts below the shared directory are shown as mounts. INIT does not agree on it, and the
    /// guest relies on it all the same: without it files of two filesystems share inode numbers.
    bool announces_submounts = true;
    HostId host;
    /// How to reach a source that offers its open descriptors; absent: this daemon cannot. It is
    /// called after the source's host and shared directory have been proved to be ours.
    std::function<Result<std::unique_ptr<DescriptorSource>>(const DescriptorOffer&)> connect;
};

/// Replaces what `filesystem` holds by `state`, wholly: when it fails, the filesystem is empty and
/// as before INIT. No request may run meanwhile. Answers what source and guest agreed on, which the
/// FUSE session must be told. Records of many files that are not opened are made behind it, while
/// requests run (unopened.h).
///
/// Where the source offers its open descriptors (fd passing), they are taken: open files are the
/// source's own file descriptions, and what cannot be opened by its path, or is another file there,
/// is the descriptor that the source has. Without them (another host, another directory, a source
/// that cannot be reached or refuses) `on_error` decides: abort fails the load, guest_error goes on
/// by paths, and files on which the guest held locks answer EIO.
///
/// Files are opened below the shared directory, name by name and through no symbolic link. File
/// handles are opened only after the source's directory has been proved to be this one
/// (identity.h). Errors name the inode and where it was looked for: ENOENT …, EXDEV for another
/// directory, ENOTSUP for what the source's guest was promised and this daemon's options forbid,
/// ESTALE for a file that is not the one expected, EBADMSG for a state that contradicts itself.
Result<fuse::NegotiatedState>
load(State state, passthrough::PassthroughFs& filesystem, const LoadOptions& options, LogSink& log);

} // namespace vfskit::device_state
