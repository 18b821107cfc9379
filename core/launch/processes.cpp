// SPDX-License-Identifier: Apache-2.0
#include "core/launch/processes.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace vfskit::launch {

namespace {

// proc_pid_stat(5): the command is in parentheses and may contain anything, so fields are counted
// from the last ')'. The first after it is the state, field 3; the start time is field 22.
std::optional<ProcessId> parse_stat(pid_t pid, const std::string& line) {
    const auto end_of_name = line.rfind(')');
    if (end_of_name == std::string::npos) {
        return std::nullopt;
    }
    std::istringstream fields{line.substr(end_of_name + 1)};
    std::string state;
    fields >> state;
    std::string field;
    for (int number = 4; number <= 22; ++number) {
        fields >> field;
    }
    const auto start = base::parse_unsigned(field, "start time");
    if (!fields || !start || state == "Z" || state == "X") {
        return std::nullopt;
    }
    return ProcessId{pid, *start};
}

Result<void> send_signal(const UniqueFd& process, pid_t pid, int signal) {
    if (::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) != 0 &&
        errno != ESRCH) {
        return Error::from_errno(errno, fmt::format("Cannot end process {}", pid));
    }
    return {};
}

bool ends_within(const UniqueFd& process, std::chrono::milliseconds time) {
    pollfd polled{process.get(), POLLIN, 0};
    return ::poll(&polled, 1, static_cast<int>(time.count())) > 0;
}

// unix(7) sockets of one network namespace: "Num RefCount Protocol Flags Type St Inode Path".
void add_use(const std::string& table, const std::string& path, SocketUse& use) {
    std::ifstream lines{table};
    std::string line;
    constexpr unsigned long accepts_connections = 0x10000; // __SO_ACCEPTCON
    while (std::getline(lines, line)) {
        if (!line.ends_with(path)) {
            continue;
        }
        std::istringstream fields{line};
        std::string number;
        std::string references;
        std::string protocol;
        std::string flags;
        std::string type;
        std::string state;
        std::string inode;
        std::string found;
        fields >> number >> references >> protocol >> flags >> type >> state >> inode;
        std::getline(fields >> std::ws, found);
        if (!fields || found != path) {
            continue;
        }
        if ((std::strtoul(flags.c_str(), nullptr, 16) & accepts_connections) != 0) {
            use.is_listening = true;
        } else if (state == "03") { // SS_CONNECTED
            use.is_connected = true;
        }
    }
}

} // namespace

std::optional<ProcessId> find_process(pid_t pid) {
    if (pid <= 0) {
        return std::nullopt;
    }
    std::ifstream file{fmt::format("/proc/{}/stat", pid)};
    std::string line;
    std::getline(file, line, '\0');
    return parse_stat(pid, line);
}

bool is_alive(const ProcessId& process) {
    return find_process(process.pid) == process;
}

Result<void> end_process(const ProcessId& process, std::chrono::milliseconds patience) {
    const UniqueFd handle{static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0))};
    // Only now is it sure that the handle's process is the one that was meant.
    if (!handle || !is_alive(process)) {
        return {};
    }
    VFSKIT_TRY(send_signal(handle, process.pid, SIGTERM));
    if (ends_within(handle, patience)) {
        return {};
    }
    VFSKIT_TRY(send_signal(handle, process.pid, SIGKILL));
    if (ends_within(handle, patience)) {
        return {};
    }
    return Error{ETIMEDOUT, fmt::format("Process {} did not end after SIGKILL", process.pid)}
        .with_remedy("It waits in the kernel, probably for its storage; see /proc/PID/stack");
}

SocketUse socket_use(const std::string& path, pid_t pid) {
    SocketUse use;
    add_use("/proc/self/net/unix", path, use);
    if (pid > 0) {
        add_use(fmt::format("/proc/{}/net/unix", pid), path, use);
    }
    return use;
}

bool is_locked(const std::string& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    return file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

} // namespace vfskit::launch
