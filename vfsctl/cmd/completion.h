// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <string>

namespace vfskit::vfsctl {

struct CompletionOptions {
    std::string shell; ///< bash, zsh or fish
};

Verb completion_verb();
Result<ExitCode> run_completion(const CompletionOptions& options, Services& services);

} // namespace vfskit::vfsctl
