// SPDX-License-Identifier: Apache-2.0
// The command line that starts virtiofsd for a share.
#pragma once

#include "core/base/log.h"
#include "core/base/process.h"
#include "core/base/result.h"
#include "core/share/dialect.h"
#include "core/share/share.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace vfskit::share {

/// The daemon binds this path itself.
struct SocketPath {
    std::string path;
    bool operator==(const SocketPath&) const = default;
};
/// The daemon inherits this listening descriptor.
struct SocketFd {
    int fd = -1;
    bool operator==(const SocketFd&) const = default;
};

/// What the command line needs besides the share.
struct DaemonCommandOptions {
    std::string program = "/usr/libexec/virtiofsd";
    std::variant<SocketPath, SocketFd> socket;
    std::optional<std::string> socket_group; ///< only with SocketPath
    /// --tag: offer the tag in the device's configuration space. For front-ends that read it; QEMU
    /// 7.1 to 8.0 crash on it and later ones ignore it, so it is off.
    bool advertise_tag = false;
    std::optional<LogLevel> log_level;
    bool syslog = false;
    /// Who will run the daemon, where that is known: uid-map is for unprivileged users, sandbox
    /// chroot for root.
    std::optional<bool> runs_as_root;
};

/// The command line of `daemon` for `share`. Validates the share first. EINVAL or ENOTSUP (the
/// daemon is too old, or of the wrong kind) name the option, the daemon and the way out; nothing is
/// ever left out silently. The place's key is the option. Pure.
Result<ProcessSpec>
daemon_command(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options);

/// Only what daemon_command() passes because of the live-migration method: for whoever completes a
/// command line that somebody else has made. Nothing without a method. With file-handles the last
/// of them is --modcaps, which repeats share.modcaps because the last one wins. The same errors.
Result<std::vector<std::string>> migration_arguments(const Share& share, const DaemonInfo& daemon);

/// What Proxmox VE passes besides the mapping and the share.
struct PveCommandOptions {
    int fd = -1; ///< the listening descriptor
};

/// Byte for byte what Proxmox VE with its patch series of February 2026 runs. The share's
/// inode_file_handles = prefer stands for a Windows ostype. Options that Proxmox cannot give are
/// refused (ENOTSUP), on_error is always guest-error there, and handles are always verified.
Result<ProcessSpec> pve_daemon_command(const Share& share, const PveCommandOptions& options);

/// The part of it that comes from the live-migration method and stands before --syslog. Nothing
/// without a method; ENOTSUP for fd-passing, which Proxmox cannot express.
Result<std::vector<std::string>> pve_migration_arguments(const Share& share);

} // namespace vfskit::share
