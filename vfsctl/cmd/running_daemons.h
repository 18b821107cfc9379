// SPDX-License-Identifier: Apache-2.0
// Which running daemons a verb is about, and the words that choose them.
#pragma once

#include "core/base/result.h"
#include "core/control/daemon_sockets.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/services.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// What the command line says; all of it absent: every daemon of this host.
struct DaemonChoice {
    std::optional<std::string> vm;
    std::optional<std::string> tag;
    std::optional<std::string> control_socket;

    [[nodiscard]] bool names_any() const { return vm || control_socket; }
};

/// The arguments VM and TAG and the option --control-socket.
void bind_daemon_choice(DaemonChoice& choice, OptionSet& set);

/// VFSKIT_RUN_DIR, or the default.
std::string run_dir_of(const Services& services);

/// The control sockets of the chosen daemons. ENOENT when something was named and is not there;
/// EINVAL for --control-socket beside a VM.
Result<std::vector<control::DaemonSocket>> find_daemons(const DaemonChoice& choice,
                                                        const Services& services);

/// "100/media", or the socket's path where that is all we know.
std::string name_of(const control::DaemonSocket& socket);

/// {"vm", "tag", "control-socket"}, the first two where they are known.
nlohmann::ordered_json to_json(const control::DaemonSocket& socket);
/// {"message", "remedy"}
nlohmann::ordered_json failure_to_json(const Error& error);

} // namespace vfskit::vfsctl
