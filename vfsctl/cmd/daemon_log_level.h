// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/running_daemons.h"

namespace vfskit::vfsctl {

struct DaemonLogLevelOptions {
    LogLevel level = LogLevel::info;
    DaemonChoice daemons;
};

Verb daemon_log_level_verb();
Result<ExitCode> run_daemon_log_level(const DaemonLogLevelOptions& options, Services& services);

} // namespace vfskit::vfsctl
