// SPDX-License-Identifier: Apache-2.0
// /etc/vfskit/pve.yaml: what the administrator of a Proxmox VE node may choose about the launcher.
#pragma once

#include "core/base/result.h"
#include "core/share/share.h"

#include <string>
#include <string_view>

namespace vfskit::pve_plugin {

/// Which daemon serves the shares of this node's VMs. Spelled bundled, system.
enum class DaemonChoice { bundled, system };

/// Everything has a default: a node without the file is a node with these.
struct Settings {
    DaemonChoice daemon = DaemonChoice::bundled;
    /// Add exactly the options of Proxmox VE's patch series of February 2026.
    bool compat = false;
    share::OnError on_error = share::OnError::abort;
    std::string bundled_daemon = "/usr/libexec/vfskit/virtiofsd";
    /// Where dpkg-divert has put the distribution's virtiofsd.
    std::string system_daemon = "/usr/libexec/virtiofsd.distrib";
    std::string pve_root = "/etc/pve";

    bool operator==(const Settings&) const = default;
};

/// Where the file is, unless the environment variable VFSKIT_PVE_CONFIG names another.
inline constexpr std::string_view settings_file = "/etc/vfskit/pve.yaml";

/// Reads the file; a missing one gives the defaults. EBADMSG or EINVAL name file, line, key and
/// remedy for what YAML, the schema (schemas/pve-settings.schema.json) or a rule forbids.
Result<Settings> read_settings(const std::string& path);

} // namespace vfskit::pve_plugin
