// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/store/sync.h"
#include "vfsctl/cli/verb.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct SyncVerbOptions {
    std::string from;
    std::string to;
    bool watch = false;
    bool dry_run = false;
    store::Prefer prefer = store::Prefer::nobody;
    std::optional<std::string> state;
};

Verb sync_verb();
Result<ExitCode> run_sync(const SyncVerbOptions& options, Services& services);

} // namespace vfskit::vfsctl
