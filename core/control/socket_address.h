// SPDX-License-Identifier: Apache-2.0
// Private to the room.
#pragma once

#include "core/base/result.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace vfskit::control {

/// ENAMETOOLONG for an empty path and above 107 bytes: what unix(7) has room for.
inline Result<sockaddr_un> make_socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return Error{ENAMETOOLONG,
                     fmt::format("Socket path '{}' is empty or longer than {} bytes",
                                 path,
                                 sizeof(address.sun_path) - 1)}
            .with_remedy("Give a shorter path for the control socket");
    }
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

} // namespace vfskit::control
