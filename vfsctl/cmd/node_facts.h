// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

namespace vfskit::vfsctl {

struct NodeFactsOptions {};

Verb node_facts_verb();
Result<ExitCode> run_node_facts(const NodeFactsOptions& options, Services& services);

} // namespace vfskit::vfsctl
