// SPDX-License-Identifier: Apache-2.0
// What the hook and the daemon's wrapper are told by /etc/vfskit/libvirt.conf: libvirt runs both
// with an empty environment.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>

namespace vfskit::libvirt_hook {

inline constexpr std::string_view config_path = "/etc/vfskit/libvirt.conf";

struct Config {
    std::string store;                                 ///< URL; "": as vfsctl chooses it
    std::string node;                                  ///< ""; this host's name
    std::string daemon = "/usr/libexec/virtiofsd";     ///< the real virtiofsd
    std::string wrapper = "/usr/bin/vfskit-virtiofsd"; ///< <binary path=> of our shares
    std::string vfsctl = "/usr/bin/vfsctl";
    std::string run_dir = "/run/vfskit";
    std::string socket_group; ///< "": vfsctl's default

    bool operator==(const Config&) const = default;
};

/// Lines "key = value", '#' begins a comment line. EINVAL names the line of an unknown key, because
/// a misspelt one would silently be the default.
Result<Config> parse_config(std::string_view text);
/// The defaults where the file does not exist.
Result<Config> read_config(const std::string& path);

} // namespace vfskit::libvirt_hook
