// SPDX-License-Identifier: Apache-2.0
// The walls around the daemon. enter_sandbox() is called once, by the only thread, after the
// listening socket exists and before anything from a front-end is read.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "virtiofsd/options.h"
#include "virtiofsd/runtime_files.h"

#include <functional>
#include <string>
#include <vector>

namespace vfskit::virtiofsd {

/// What stays reachable inside: everything was opened before the walls closed.
struct ShareRoot {
    UniqueFd root;         ///< O_PATH of the shared directory (or of the one shared file)
    UniqueFd proc_self_fd; ///< O_PATH of /proc/self/fd
    UniqueFd mountinfo;    ///< /proc/self/mountinfo, to be read from offset 0 whenever it is needed
    /// What stands in front of the share's own paths in mountinfo; "" where the share is the root.
    std::string mountinfo_prefix;
    /// The migration socket directory, where one was asked for, as a mount of its own where
    /// possible: then its ".." leads nowhere.
    UniqueFd migration_dir;
};

struct SandboxRequest {
    SandboxMode mode = SandboxMode::namespaces;
    std::string shared_dir;
    std::vector<NamespaceIdRange> uid_map; ///< empty: our own id, one to one
    std::vector<NamespaceIdRange> gid_map;
    std::string migration_dir; ///< absolute; empty: none
};

/// Runs in the process that stays outside, between the fork and its wait for the daemon: it gives
/// up what only the daemon shall hold (the listening socket).
using OutsideStep = std::function<void()>;

/// Enters `request.mode`. In namespace mode the calling process never returns from here: it stays
/// outside, passes SIGTERM, SIGINT and SIGHUP on, removes `files` when the daemon has ended, and
/// exits as the daemon did; the daemon is a child, PID 1 of its own namespace, and is what returns.
/// In the other modes nothing forks.
///
/// Namespace: own PID, mount and network namespace, and a user namespace when not root; the shared
/// directory becomes "/", nothing else is mounted. Needs Linux 5.2 (open_tree(2)). Chroot: root
/// only; the shared directory becomes "/". None: nothing; the paths stay what they are.
Result<ShareRoot> enter_sandbox(const SandboxRequest& request,
                                std::vector<RuntimeFile*> files,
                                const OutsideStep& outside,
                                LogSink& log);

/// Landlock on top, where the kernel has it (Linux 5.19; LSM enabled): nothing may be executed, and
/// no TCP port used (ABI 4) nor an abstract UNIX socket or a process outside reached (ABI 6). True
/// if it was applied. Paths are not restricted by it: Landlock judges a file by walking up from it,
/// and a file that was opened by its handle may have no way up.
Result<bool> apply_landlock();

} // namespace vfskit::virtiofsd
