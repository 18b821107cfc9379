// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct WatchOptions {
    std::optional<std::string> connect;
    bool once = false;
    bool dry_run = false;
};

Verb watch_verb();
Result<ExitCode> run_watch(const WatchOptions& options, Services& services);

} // namespace vfskit::vfsctl
