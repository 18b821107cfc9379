// SPDX-License-Identifier: Apache-2.0
// Daemons without systemd.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/launch/layout.h"
#include "core/launch/record.h"

namespace vfskit::launch {

/// Starts `spec` as a daemon: in a session of its own, child of init, working directory "/",
/// nothing on standard input, output and errors in paths.log (which begins anew), no other
/// descriptor of ours but the locked pid file, default signal handling. The lock on paths.pid_file
/// lives as long as the daemon. EADDRINUSE when that is locked; ENOENT, EACCES … when the program
/// cannot be executed. Returns once the program runs, which may be before it listens.
Result<ProcessId> start_directly(const ProcessSpec& spec, const SharePaths& paths);

/// The last `lines` lines of a log, "" when there is none.
std::string last_lines(const std::string& path, int lines);

} // namespace vfskit::launch
