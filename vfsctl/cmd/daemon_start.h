// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/launch/limits.h"
#include "core/launch/record.h"
#include "core/share/dialect.h"
#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/launching.h"
#include "vfsctl/cmd/share_options.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct DaemonStartOptions {
    std::string mapping;
    std::string vm;
    std::string binary = "/usr/libexec/virtiofsd";
    std::optional<share::DaemonInfo> dialect; ///< absent: the binary is asked
    std::optional<std::string> socket_group;  ///< absent: kvm, where this host has it
    std::optional<LogLevel> log_level;
    LauncherKind launcher = LauncherKind::automatic;
    launch::Restart restart = launch::Restart::never;
    bool replaces_waiting = false;
    launch::Limits limits;
    ShareOptions share;
};

/// Returns when it listens; the errors of launch::Launcher::start().
Result<launch::DaemonRecord> start_daemon(const DaemonStartOptions& options, Services& services);

Verb daemon_start_verb();
Result<ExitCode> run_daemon_start(const DaemonStartOptions& options, Services& services);

} // namespace vfskit::vfsctl
