// SPDX-License-Identifier: Apache-2.0
#include "bench/daemon_under_test.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

namespace vfskit::bench {

Daemon::Daemon(const std::string& program,
               const std::vector<std::string>& args,
               const std::string& socket_path,
               const std::string& shared_dir)
    : socket_path_{socket_path} {
    ::unlink(socket_path.c_str());
    std::vector<std::string> all{
        program, "--socket-path=" + socket_path, "--shared-dir=" + shared_dir};
    all.insert(all.end(), args.begin(), args.end());
    std::vector<char*> argv;
    argv.reserve(all.size() + 1);
    for (std::string& arg : all) {
        argv.push_back(arg.data());
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        const int log = ::open((socket_path + ".log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
}
Daemon::~Daemon() {
    for (int i = 0; i < 200; ++i) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
}

namespace {

std::chrono::nanoseconds cpu_time_of(pid_t pid) {
    // The process's own clock goes on counting threads that have ended, as those of a migration do.
    std::chrono::nanoseconds sum{0};
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(pid, &clock) == 0 && ::clock_gettime(clock, &time) == 0) {
        sum = std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }
    std::error_code gone;
    const auto tasks = fmt::format("/proc/{}/task", pid);
    for (const auto& task : std::filesystem::directory_iterator{tasks, gone}) {
        std::ifstream children{task.path() / "children"};
        for (pid_t child = 0; children >> child;) {
            sum += cpu_time_of(child);
        }
    }
    return sum;
}

} // namespace

std::chrono::nanoseconds Daemon::cpu_time() const {
    return cpu_time_of(pid_);
}

namespace {

std::string cpu_model() {
    std::ifstream info{"/proc/cpuinfo"};
    std::string line;
    while (std::getline(info, line)) {
        if (line.rfind("model name", 0) == 0) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown CPU";
}

} // namespace

std::string describe_machine() {
    utsname system{};
    ::uname(&system);
    return fmt::format(
        "{} CPUs, {}, Linux {}", std::thread::hardware_concurrency(), cpu_model(), system.release);
}

std::string version_of(const std::string& program) {
    std::string version = "unknown version";
    FILE* pipe = ::popen(fmt::format("'{}' --version 2>&1", program).c_str(), "r");
    if (pipe != nullptr) {
        std::array<char, 128> line{};
        if (std::fgets(line.data(), line.size(), pipe) != nullptr) {
            version = line.data();
            version.erase(version.find_last_not_of('\n') + 1);
        }
        ::pclose(pipe);
    }
    return version;
}

} // namespace vfskit::bench
