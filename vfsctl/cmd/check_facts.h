// SPDX-License-Identifier: Apache-2.0
// The mappings and the facts that a check decides by, and where they came from.
#pragma once

#include "core/base/result.h"
#include "core/check/check.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/cmd/check_vms.h"
#include "vfsctl/services.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct FactsChoice {
    std::vector<std::string> files;
    std::uint64_t max_age = 600; ///< seconds
    bool without_ssh = false;
};

/// --facts, --max-age, --no-ssh.
void bind_facts_choice(FactsChoice& choice, OptionSet& set);

/// Where one node's facts came from, or why there are none.
struct FactsOrigin {
    std::string node;
    std::optional<std::string> origin; ///< absent: no facts
    std::chrono::seconds age{};
    std::string problem; ///< why there are none
};

struct CheckGround {
    check::Cluster cluster;
    std::vector<FactsOrigin> origins; ///< by node
};

/// The store's mappings and the facts of `nodes`: of the files first, then published, then over
/// ssh. A node without facts is no error: the check finds that. If one of `vms` is on this node,
/// its daemons are asked what their guests have open, as they are for published facts and over ssh.
Result<CheckGround> prepare_ground(const FactsChoice& choice,
                                   const std::set<std::string>& nodes,
                                   const std::vector<PlacedVm>& vms,
                                   Services& services);

/// Nodes that stand in the mappings or have published facts, for "--to all".
Result<std::set<std::string>> all_nodes(Services& services, const FactsChoice& choice);

} // namespace vfskit::vfsctl
