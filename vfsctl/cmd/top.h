// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/running_daemons.h"

#include <chrono>
#include <cstdint>
#include <optional>

namespace vfskit::vfsctl {

struct TopOptions {
    DaemonChoice daemons;
    std::chrono::milliseconds interval{2000};
    std::optional<std::uint64_t> count; ///< absent: until it is interrupted
    bool once = false;
};

Verb top_verb();
Result<ExitCode> run_top(const TopOptions& options, Services& services);

} // namespace vfskit::vfsctl
