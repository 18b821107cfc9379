// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/share/dialect.h"
#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/share_options.h"

#include <cstdint>
#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct DaemonCommandVerbOptions {
    std::string mapping;
    std::optional<std::string> vm;
    std::optional<std::string> socket;
    std::optional<std::uint32_t> fd;
    std::optional<std::string> socket_group;
    std::string binary = "/usr/libexec/virtiofsd";
    std::optional<share::DaemonInfo> dialect; ///< absent: the binary is asked
    bool compat_pve = false;
    bool advertise_tag = false;
    bool syslog = false;
    std::optional<LogLevel> log_level;
    ShareOptions share;
};

Verb daemon_command_verb();
Result<ExitCode> run_daemon_command(const DaemonCommandVerbOptions& options, Services& services);

} // namespace vfskit::vfsctl
