// SPDX-License-Identifier: Apache-2.0
// The daemons that a benchmark compares, and what it says about where it ran.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace vfskit::bench {

/// A daemon on a socket of its own, ended with this object; its output is in `<socket>.log`.
class Daemon {
public:
    Daemon(const std::string& program,
           const std::vector<std::string>& args,
           const std::string& socket_path,
           const std::string& shared_dir);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    // The front-end has left by now: a daemon ends by itself. One that does not is told to.
    ~Daemon();

    [[nodiscard]] const std::string& socket_path() const { return socket_path_; }
    /// How long its threads, and those of the processes it made (a sandbox is one), were on a CPU.
    [[nodiscard]] std::chrono::nanoseconds cpu_time() const;

private:
    std::string socket_path_;
    pid_t pid_ = -1;
};

/// "2 CPUs, <model>, Linux <release>".
std::string describe_machine();
/// What `program --version` says.
std::string version_of(const std::string& program);

} // namespace vfskit::bench
