// SPDX-License-Identifier: Apache-2.0
// Which virtiofsd: the same two options in every verb that prints or starts its command.
#pragma once

#include "core/share/dialect.h"
#include "vfsctl/cli/option_set.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

/// --binary and --dialect.
void bind_daemon_program(std::string& binary,
                         std::optional<share::DaemonInfo>& dialect,
                         OptionSet& set);

} // namespace vfskit::vfsctl
