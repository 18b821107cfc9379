// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/running_daemons.h"

namespace vfskit::vfsctl {

struct DaemonStatusOptions {
    DaemonChoice daemons;
    bool prometheus = false;
};

Verb daemon_status_verb();
Result<ExitCode> run_daemon_status(const DaemonStatusOptions& options, Services& services);

} // namespace vfskit::vfsctl
