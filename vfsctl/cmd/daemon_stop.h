// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <cstdint>
#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct DaemonStopOptions {
    std::optional<std::string> vm;
    std::optional<std::string> tag;
    bool all = false;
    bool stale = false;
    std::optional<std::uint32_t> grace; ///< seconds
};

Verb daemon_stop_verb();
Result<ExitCode> run_daemon_stop(const DaemonStopOptions& options, Services& services);

} // namespace vfskit::vfsctl
