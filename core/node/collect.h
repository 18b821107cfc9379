// SPDX-License-Identifier: Apache-2.0
// Finds out the facts of the node that the process runs on.
#pragma once

#include "core/base/result.h"
#include "core/control/migration_report.h"
#include "core/node/facts.h"
#include "core/node/path_probe.h"
#include "core/share/dialect.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::node {

/// Asks the daemon with this control socket for its migration report; see control::Client.
using MigrationReporter = std::function<Result<control::MigrationReport>(
    const std::string& control_socket, std::chrono::milliseconds timeout)>;
Result<control::MigrationReport> report_over_socket(const std::string& control_socket,
                                                    std::chrono::milliseconds timeout);

/// What the caller knows and the node does not.
struct CollectRequest {
    std::string node; ///< what mappings call it
    std::string vfskit_version;
    std::vector<MappedPath> paths;
    std::optional<std::string> mappings_revision;
    /// Becomes the beginning of NodeFacts::problems: why there are no paths.
    std::vector<std::string> problems;
    /// Running daemons of ours are asked what their guests have open; without it
    /// DaemonFacts::open_files stay absent.
    bool asks_daemons = true;
};

/// Where things are; tests put a made-up world there.
struct Places {
    std::string proc = "/proc";
    std::string root;                    ///< put before /etc, /usr, /run and /sys
    std::string run_dir = "/run/vfskit"; ///< records of the daemons that vfskit started
    /// Programs are asked for their versions through this.
    share::ProcessRunner run = share::run_daemon_query;
    MigrationReporter ask_daemon = report_over_socket;
    ProbeLimits limits;
};

/// All daemons of the node that are asked answer within this, or stay unasked: a daemon compares
/// some 100 000 files a second.
inline constexpr std::chrono::milliseconds asking_daemons{20'000};

/// Never fails: what could not be found out is absent, and `problems` says why. Takes as long as
/// limits.together and `asking_daemons` at worst, plus what the installed programs take to print
/// their versions (some 10 ms each). Needs root to see other users' processes and to open file
/// handles.
NodeFacts collect(const CollectRequest& request, const Places& places = {});

} // namespace vfskit::node
