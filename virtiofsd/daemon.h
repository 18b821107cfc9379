// SPDX-License-Identifier: Apache-2.0
// The steps of the daemon's life, in the order in which main() takes them.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/device_state/identity.h"
#include "virtiofsd/logging.h"
#include "virtiofsd/migration_socket.h"
#include "virtiofsd/options.h"
#include "virtiofsd/runtime_files.h"
#include "virtiofsd/sandbox.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace vfskit::virtiofsd {

/// What others reach the daemon by. Made before the walls close.
struct Entrance {
    Listener listener;                        ///< front-ends connect here
    std::optional<PidFile> pid_file;          ///< where we made the socket ourselves
    std::optional<Listener> control;          ///< --control-socket
    std::optional<MigrationSocket> migration; ///< --migration-mode=fd-passing
    pid_t pid = 0;             ///< as the host sees us; inside a PID namespace we are 1
    bool is_root = false;      ///< whether the host sees us as root
    device_state::HostId host; ///< which host that is
};

/// The shared directory must exist, as a directory or a regular file. ENOENT, ENOTDIR, EACCES.
Result<void> check_shared_dir(const std::string& path);

/// --socket-path, --fd or systemd's socket; none of them is EINVAL. And the control socket, if one
/// is wanted.
Result<Entrance> open_entrance(const Options& options);

/// Sandbox, then Landlock and seccomp, then capabilities. In namespace mode only the daemon's
/// process returns.
Result<ShareRoot> close_the_walls(const Options& options, Entrance& entrance, LogSink& log);

/// Serves front-ends until the last has gone (the first, unless --keep-listening) or a signal ends
/// it. `fd_quota` bounds the descriptors held for the guest. Gives the process's exit status: 0, or
/// 1 after a signal.
Result<int> serve(const Options& options,
                  Entrance entrance,
                  ShareRoot root,
                  std::uint64_t fd_quota,
                  DaemonLog& daemon_log,
                  LogSink& log);

} // namespace vfskit::virtiofsd
