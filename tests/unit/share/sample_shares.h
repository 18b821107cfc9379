// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/share/daemon_command.h"
#include "core/share/share.h"

namespace vfskit::share {

/// A share that is valid for every dialect.
inline Share plain_share() {
    Share share;
    share.dirid = "media";
    share.tag = "media";
    share.path = "/srv/media";
    return share;
}

inline Share share_with_method(mapping::MigrationMethod method) {
    auto share = plain_share();
    share.method = method;
    return share;
}

inline DaemonCommandOptions options_with_path() {
    DaemonCommandOptions options;
    options.socket = SocketPath{"/run/vfskit/101-media.sock"};
    return options;
}

inline DaemonCommandOptions options_with_fd() {
    constexpr int inherited_fd = 3;
    DaemonCommandOptions options;
    options.socket = SocketFd{inherited_fd};
    return options;
}

} // namespace vfskit::share
