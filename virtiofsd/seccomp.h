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

/// Loads the filter for all threads of the process: a call that is not on the list does what
/// `action` says (none: no filter is loaded). `uses_syslog` adds what syslog(3) needs after a
/// restart of its daemon.
Result<void> load_seccomp(SeccompAction action, bool uses_syslog);

} // namespace vfskit::virtiofsd
