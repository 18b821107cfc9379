// SPDX-License-Identifier: Apache-2.0
// Processes and the sockets that they hold, as /proc tells.
#pragma once

#include "core/base/result.h"
#include "core/launch/record.h"

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

namespace vfskit::launch {

/// The process that has this number now; nothing when there is none, or only a zombie.
std::optional<ProcessId> find_process(pid_t pid);
/// It is still the same process, and no zombie.
bool is_alive(const ProcessId& process);

/// SIGTERM, then SIGKILL after `patience`; waits for the end. No error when it is gone. EPERM;
/// ETIMEDOUT when even SIGKILL did not end it (it sleeps in the kernel).
Result<void> end_process(const ProcessId& process, std::chrono::milliseconds patience);

/// What unix(7) sockets are bound to a path, in our network namespace and in `pid`'s. Nobody is
/// connected to: a virtiofsd ends when its first client goes.
struct SocketUse {
    bool is_listening = false;
    bool is_connected = false; ///< a front-end holds a connection
};
SocketUse socket_use(const std::string& path, pid_t pid = 0);

/// True while some process holds a flock(2) on the file: a virtiofsd on its pid file.
bool is_locked(const std::string& path);

} // namespace vfskit::launch
