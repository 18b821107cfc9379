// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "virtiofsd/options.h"

#include <span>
#include <string_view>

namespace vfskit::virtiofsd {

/// Every system call that the daemon may make once it serves, with the reason beside it in the
/// source.
std::span<const std::string_view> allowed_system_calls();

/// What only some daemons need: to connect a socket. Nothing but UNIX sockets can be made then.
enum class OutgoingSockets {
    none,
    /// syslog(3) after a restart of its daemon; the source of a migration by fd passing.
    unix_only,
};

/// Loads the filter for all threads of the process: a call that is not on the list does what
/// `action` says (none: no filter is loaded).
Result<void> load_seccomp(SeccompAction action, OutgoingSockets sockets);

} // namespace vfskit::virtiofsd
