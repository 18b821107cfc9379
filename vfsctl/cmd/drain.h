// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/check.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct DrainOptions {
    std::string node;
    std::string connect = "qemu:///system";
    std::vector<std::string> targets; ///< empty: every other node
    FactsChoice facts;
    MigrationChoice migration;
};

Verb drain_verb();
Result<ExitCode> run_drain(const DrainOptions& options, Services& services);

} // namespace vfskit::vfsctl
