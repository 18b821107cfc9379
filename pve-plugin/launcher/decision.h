// SPDX-License-Identifier: Apache-2.0
// Program pve-plugin, floor 5.
// Is: the launcher that Proxmox VE starts in place of /usr/libexec/virtiofsd: it completes the
//     command line with what the mapping says about live migration, and becomes the daemon.
// Knows: how Proxmox VE calls virtiofsd, where its files are.
// Does not know: whether a migration may be done; it never keeps a VM from starting.
#pragma once

#include "core/share/dialect.h"
#include "pve-plugin/launcher/settings.h"

#include <string>
#include <vector>

namespace vfskit::pve_plugin {

/// What the launcher may ask the system.
struct Surroundings {
    std::string node; ///< the name of this node
    share::ProcessRunner run = share::run_daemon_query;
};

/// What to become.
struct Decision {
    std::string program;           ///< the file to execute
    std::vector<std::string> args; ///< without argv[0]
    std::string fallback;          ///< to execute with the caller's own arguments if that fails
    bool is_compat = false;        ///< argv[0] stays what the caller wrote
    /// Why nothing was added although something may have been expected; empty when all is as it
    /// should be. For the log.
    std::string notice;
};

/// Decides for the arguments of one call (without argv[0]). Whatever is not understood, not found
/// or in doubt means: the arguments as they came. Reads the VM's configuration and the mappings;
/// asks the daemons for their versions, and whether they take the arguments. Never fails.
Decision decide(const std::vector<std::string>& args,
                const Settings& settings,
                const Surroundings& surroundings);

} // namespace vfskit::pve_plugin
