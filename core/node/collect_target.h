// SPDX-License-Identifier: Apache-2.0
// The facts that the target's half of a check decides by, and no others: for who may not take long.
#pragma once

#include "core/node/collect.h"

#include <string>
#include <vector>

namespace vfskit::node {

struct TargetRequest {
    std::string node;
    std::vector<MappedPath> paths;
    /// Programs that would serve shares. One that is not there, or not executable, has no facts.
    std::vector<std::string> virtiofsds;
    bool wants_libvirt_default = false; ///< the one that libvirt takes when a share names none
};

/// Like collect(), but only paths, memory and the named programs; asks each program once or
/// twice (some milliseconds each), and takes as long as limits.together at worst.
NodeFacts collect_target(const TargetRequest& request, const Places& places = {});

} // namespace vfskit::node
