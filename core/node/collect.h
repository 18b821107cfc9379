// SPDX-License-Identifier: Apache-2.0
// Finds out the facts of the node that the process runs on.
#pragma once

#include "core/base/result.h"
#include "core/node/facts.h"
#include "core/node/path_probe.h"
#include "core/share/dialect.h"

#include <optional>
#include <string>
#include <vector>

namespace vfskit::node {

/// What the caller knows and the node does not.
struct CollectRequest {
    std::string node; ///< what mappings call it
    std::string vfskit_version;
    std::vector<MappedPath> paths;
    std::optional<std::string> mappings_revision;
    /// Becomes the beginning of NodeFacts::problems: why there are no paths.
    std::vector<std::string> problems;
};

/// Where things are; tests put a made-up world there.
struct Places {
    std::string proc = "/proc";
    std::string root;                    ///< put before /etc, /usr, /run and /sys
    std::string run_dir = "/run/vfskit"; ///< records of the daemons that vfskit started
    /// Programs are asked for their versions through this.
    share::ProcessRunner run = share::run_daemon_query;
    ProbeLimits limits;
};

/// Never fails: what could not be found out is absent, and `problems` says why. Takes as long as
/// limits.together at worst, plus what the installed programs take to print their versions (some
/// 10 ms each). Needs root to see other users' processes and to open file handles.
NodeFacts collect(const CollectRequest& request, const Places& places = {});

} // namespace vfskit::node
