// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <cstdint>
#include <optional>

namespace vfskit::vfsctl {

struct NodeListOptions {
    std::optional<std::uint32_t> max_age; ///< seconds
};

Verb node_list_verb();
Result<ExitCode> run_node_list(const NodeListOptions& options, Services& services);

} // namespace vfskit::vfsctl
