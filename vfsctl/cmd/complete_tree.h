// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

namespace vfskit::vfsctl {

struct CompleteTreeOptions {};

Verb complete_tree_verb();
/// Every verb with its options as JSON; the man pages are made from it.
Result<ExitCode> run_complete_tree(const CompleteTreeOptions& options, Services& services);

} // namespace vfskit::vfsctl
