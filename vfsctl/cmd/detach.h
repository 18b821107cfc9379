// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct DetachOptions {
    std::string domain;
    std::string share; ///< dirid or tag
    std::optional<std::string> connect;
    bool live = false; ///< neither of the two: whatever the domain has
    bool config = false;
};

Verb detach_verb();
Result<ExitCode> run_detach(const DetachOptions& options, Services& services);

} // namespace vfskit::vfsctl
