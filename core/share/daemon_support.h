// SPDX-License-Identifier: Apache-2.0
// Which daemon knows which option: the table behind docs/daemon-options.md.
#pragma once

#include "core/base/result.h"
#include "core/share/daemon_command.h"
#include "core/share/dialect.h"
#include "core/share/share.h"

#include <string_view>

namespace vfskit::share {

/// ENOTSUP for the first thing that the share or the options want and `daemon` does not know; the
/// place's key is the option, the remedy names the daemons that know it.
Result<void>
check_support(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options);

} // namespace vfskit::share
