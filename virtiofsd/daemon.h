// SPDX-License-Identifier: Apache-2.0
// The steps of the daemon's life, in the order in which main() takes them.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "virtiofsd/options.h"
#include "virtiofsd/runtime_files.h"
#include "virtiofsd/sandbox.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace vfskit::virtiofsd {

/// The socket that front-ends connect to, with its pid file where we made the socket ourselves.
struct Entrance {
    Listener listener;
    std::optional<PidFile> pid_file;
};

/// The shared directory must exist, as a directory or a regular file. ENOENT, ENOTDIR, EACCES.
Result<void> check_shared_dir(const std::string& path);

/// --socket-path, --fd or systemd's socket; none of them is EINVAL.
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
                  LogSink& log);

} // namespace vfskit::virtiofsd
