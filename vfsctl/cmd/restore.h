// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/check_facts.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct RestoreOptions {
    std::string file;
    std::optional<std::string> on;      ///< the node; absent: this one
    std::optional<std::string> connect; ///< absent, with `on`: qemu+ssh://NODE/system
    bool persistent = false;
    bool stays_paused = false;
    bool bypass_cache = false;
    FactsChoice facts;
    bool force = false;
    bool dry_run = false;
};

Verb restore_verb();
Result<ExitCode> run_restore(const RestoreOptions& options, Services& services);

} // namespace vfskit::vfsctl
