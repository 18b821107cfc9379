// SPDX-License-Identifier: Apache-2.0
// Processes as procfs shows them.
#pragma once

#include "core/node/facts.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::node {

struct Process {
    std::uint32_t pid = 0;
    std::uint32_t parent = 0;
    std::string name;              ///< comm
    std::vector<std::string> argv; ///< with argv[0]; empty for a kernel thread
    std::string binary;            ///< what /proc/PID/exe names, without " (deleted)"; "" if hidden
    bool is_binary_deleted = false;
    std::uint64_t start_ticks = 0; ///< clock ticks since boot, proc_pid_stat(5) field 22
    Time started_at{};
};

/// The processes whose name is one of `names`, by pid. A process that ends meanwhile is left out.
/// `boot` is the moment that start_ticks count from.
std::vector<Process>
find_processes(const std::string& proc, const std::vector<std::string_view>& names, Time boot);

/// When this kernel's boot clock was zero, as the wall clock says now.
Time boot_time();

/// Paths that UNIX sockets of a network namespace are bound to, by inode: /proc/PID/net/unix.
std::map<std::uint64_t, std::string> parse_unix_sockets(std::string_view table);
/// The paths among them that the process has open.
std::vector<std::string> find_socket_paths(const std::string& proc, std::uint32_t pid);

/// The last part of a path.
std::string_view file_name(std::string_view path);

} // namespace vfskit::node
