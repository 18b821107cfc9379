// SPDX-License-Identifier: Apache-2.0
// Where the daemons of VMs have their files, and what they are called: predictable from VM and tag.
#pragma once

#include "core/base/result.h"
#include "core/control/daemon_sockets.h"

#include <string>
#include <string_view>

namespace vfskit::launch {

/// The slice that all daemons share, so that an administrator can limit them together.
inline constexpr std::string_view slice_name = "vfskit.slice";
/// Every unit of ours, as a pattern for systemctl.
inline constexpr std::string_view unit_pattern = "vfskit-virtiofsd-*-*.service";

/// The names that belong to one share of one VM.
struct SharePaths {
    std::string directory; ///< BASE/VM
    std::string socket;    ///< vhost-user: what QEMU connects to
    std::string control;   ///< the daemon's control socket
    std::string pid_file;
    std::string record; ///< what was started: daemon-record.schema.json
    std::string log;    ///< of a daemon without systemd
    std::string unit;   ///< name of the systemd unit

    /// The pid file that virtiofsd itself makes and locks beside its socket.
    [[nodiscard]] std::string socket_pid_file() const { return socket + ".pid"; }
    bool operator==(const SharePaths&) const = default;
};

/// Names only; touches no file. A plain value.
class Layout {
public:
    Layout() : base_{control::default_run_dir} {}
    /// `base`: absolute, without a slash at the end. For tests and VFSKIT_RUN_DIR.
    explicit Layout(std::string base) : base_{std::move(base)} {}

    [[nodiscard]] const std::string& base() const { return base_; }
    /// BASE/VM. EINVAL for a name that is no file name.
    [[nodiscard]] Result<std::string> vm_directory(std::string_view vm) const;
    /// EINVAL for a VM that is no file name or an empty tag; ENAMETOOLONG when a socket's path
    /// would not fit into the 107 bytes of unix(7), or the unit's into systemd's 255.
    [[nodiscard]] Result<SharePaths> paths(std::string_view vm, std::string_view tag) const;

private:
    std::string base_;
};

/// One part of a unit's name, as systemd-escape(1) writes it: '-' is \x2d, so '-' separates parts.
std::string escape_unit_part(std::string_view part);

} // namespace vfskit::launch
