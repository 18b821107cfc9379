// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <cstdint>
#include <optional>

namespace vfskit::vfsctl {

struct NodePublishOptions {
    std::optional<std::uint32_t> lifetime; ///< seconds
    bool withdraw = false;
};

Verb node_publish_verb();
Result<ExitCode> run_node_publish(const NodePublishOptions& options, Services& services);

} // namespace vfskit::vfsctl
