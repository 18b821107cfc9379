// SPDX-License-Identifier: Apache-2.0
// Looks at directories without hanging on them: a dead NFS server stops whoever touches it, so the
// touching is done by a child that can be left behind.
#pragma once

#include "core/node/facts.h"
#include "core/node/mount_table.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace vfskit::node {

struct MappedPath {
    std::string dirid;
    std::string path;
};

struct ProbeLimits {
    /// For one path; a path on the mount of one that hung is not waited for again.
    std::chrono::milliseconds per_path{3000};
    /// For all of them.
    std::chrono::milliseconds together{20'000};
};

/// Everything about one path that system calls tell. May hang for as long as its filesystem does.
/// `proc` is where procfs is.
PathFacts look_at(const MappedPath& mapped, const std::string& proc = "/proc");

/// look_at() for each path in a child process, and what configuration expects there. Takes at most
/// limits.together and a little; a path that did not answer has state timed_out and what the mount
/// table tells. A child that hangs in the kernel is killed and, until the kernel lets it go, left
/// to init; it holds no descriptor of ours. `look` replaces look_at() in tests.
std::vector<PathFacts> probe_paths(const std::vector<MappedPath>& paths,
                                   const std::vector<std::string>& expected_mount_points,
                                   const ProbeLimits& limits = {},
                                   const std::function<PathFacts(const MappedPath&)>& look = {});

} // namespace vfskit::node
