// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct DaemonListOptions {
    std::optional<std::string> vm;
};

Verb daemon_list_verb();
Result<ExitCode> run_daemon_list(const DaemonListOptions& options, Services& services);

} // namespace vfskit::vfsctl
