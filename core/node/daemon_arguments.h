// SPDX-License-Identifier: Apache-2.0
// The command line of somebody else's virtiofsd, read as the daemon itself reads it.
#pragma once

#include "core/node/facts.h"

#include <optional>
#include <span>
#include <string>

namespace vfskit::node {

/// What argv says besides the options.
struct DaemonArguments {
    std::string shared_dir;
    std::optional<std::string> tag;
    std::optional<std::string> socket;
    std::optional<std::string> control_socket;
    DaemonOptions options;
};

/// Reads argv without argv[0], in the spellings of every dialect: "--name=value", "--name value",
/// "-o name=value,…" (which overrides the long options whatever the order, as in the daemon). The
/// last mention wins; options that are not known are passed over. Nothing when an option that is
/// known has a value that is not, or a word is no option: then nobody can be sure of the rest.
std::optional<DaemonArguments> parse_daemon_arguments(std::span<const std::string> argv);

} // namespace vfskit::node
