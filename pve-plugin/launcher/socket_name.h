// SPDX-License-Identifier: Apache-2.0
// Proxmox VE gives virtiofsd neither the VM nor the mapping, only a listening socket: its name
// tells both.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace vfskit::pve_plugin {

/// Whose socket it is: device virtiofs<index> of a VM.
struct SocketOwner {
    int vmid = 0;
    int index = 0; ///< 0 to 9
    bool operator==(const SocketOwner&) const = default;
};

/// Reads ".../vm114-fs1". Nothing for every other name: VMIDs are 100 to 999999999, without leading
/// zeros.
std::optional<SocketOwner> parse_socket_name(std::string_view path);

/// The path that the listening socket `fd` is bound to. ENOTSOCK, EBADF …; EINVAL for a socket
/// without a path or one that does not listen.
Result<std::string> socket_path(int fd);

} // namespace vfskit::pve_plugin
