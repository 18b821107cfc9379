// SPDX-License-Identifier: Apache-2.0
// The daemon as an operator has it: a process started from a command line, seen through its exit
// status, its log and /proc.
#pragma once

#include "core/base/unique_fd.h"
#include "tests/support/temp_dir.h"

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::test {

/// The binary under test: VFSKIT_VIRTIOFSD, or the one that was built.
std::string daemon_binary();

/// Generous: a loaded machine is no failure. What is waited for usually takes milliseconds.
inline constexpr std::chrono::seconds patience{60};

/// Asks every few milliseconds until it holds or `patience` is over.
bool wait_until(const std::function<bool()>& holds, std::chrono::milliseconds timeout = patience);

/// A share and a runtime directory for one daemon. Below /var/tmp: a real filesystem, not tmpfs.
class Place {
public:
    Place();
    [[nodiscard]] std::string share(std::string_view name = {}) const;
    [[nodiscard]] std::string socket() const { return directory_.path("fs.sock"); }
    [[nodiscard]] std::string pid_file() const { return socket() + ".pid"; }
    [[nodiscard]] std::string control() const { return directory_.path("control"); }
    [[nodiscard]] std::string path(std::string_view name) const { return directory_.path(name); }
    void write(std::string_view name_in_share, std::string_view content) const;
    [[nodiscard]] std::string read(std::string_view name_in_share) const;
    /// --socket-path and --shared-dir.
    [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> more = {}) const;

private:
    TempDir directory_;
};

struct Start {
    std::vector<std::string> arguments;
    /// Run in the child just before the exec: other identity, namespaces, descriptors, setenv().
    std::function<void()> prepare = [] {};
};

class DaemonProcess {
public:
    explicit DaemonProcess(const Start& start);
    DaemonProcess(const DaemonProcess&) = delete;
    DaemonProcess& operator=(const DaemonProcess&) = delete;
    /// Kills what is left.
    ~DaemonProcess();

    /// What was started; with a sandbox of namespaces, the process that stays outside.
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// The process that serves.
    [[nodiscard]] pid_t serving_pid() const;
    [[nodiscard]] bool is_alive();
    /// The exit status as a shell sees it: 128+N for a death by signal N.
    [[nodiscard]] std::optional<int> wait_exit(std::chrono::milliseconds timeout = patience);
    void signal(int number) const;
    [[nodiscard]] std::string log() const;
    [[nodiscard]] std::string output() const;
    [[nodiscard]] bool wait_for_log(const std::string& text) const;
    /// Until it takes connections. False when it ended instead.
    [[nodiscard]] bool wait_ready();
    /// A field of /proc/PID/status of the serving process.
    [[nodiscard]] std::string status_field(const std::string& name) const;
    [[nodiscard]] std::size_t fd_count() const;

private:
    TempDir directory_;
    pid_t pid_ = -1;
    std::optional<int> exit_;
};

/// A field of any status file below /proc.
std::string proc_field(const std::string& path, const std::string& name);
/// Runs the daemon to its end.
struct Ended {
    int status = -1;
    std::string out;
    std::string err;
};
Ended run_daemon(const std::vector<std::string>& arguments);

/// A listening UNIX stream socket.
UniqueFd listen_at(const std::string& path);

} // namespace vfskit::test
