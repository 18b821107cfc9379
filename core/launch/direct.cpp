// SPDX-License-Identifier: Apache-2.0
#include "core/launch/direct.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/launch/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vfskit::launch {

namespace {

// What the new process tells before it becomes the program; `failed` comes a second time if it
// cannot.
struct Report {
    pid_t pid = 0;
    int failed = 0;
};

Result<UniqueFd> open_pid_file(const std::string& path) {
    UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)};
    if (!file) {
        return Error::from_errno(errno, fmt::format("Cannot make the pid file '{}'", path));
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return Error{EADDRINUSE, fmt::format("A live daemon holds the pid file '{}'", path)}
            .with_remedy("Stop it with 'vfsctl daemon stop'");
    }
    return file;
}

// Async-signal-safe: the caller may have threads.
[[noreturn]] void become(const std::vector<char*>& argv, int log, int pid_file, int report) {
    ::setsid();
    if (::fork() != 0) {
        ::_exit(0);
    }
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    constexpr unsigned closes_on_exec = 4; // CLOSE_RANGE_CLOEXEC
    ::syscall(SYS_close_range, 3U, ~0U, closes_on_exec);
    ::fcntl(pid_file, F_SETFD, 0);
    for (int signal = 1; signal < NSIG; ++signal) {
        ::signal(signal, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::umask(0022);
    Report told{::getpid(), 0};
    if (::chdir("/") == 0 && ::write(report, &told, sizeof(told)) == sizeof(told)) {
        ::execvp(argv[0], argv.data());
    }
    told.failed = errno;
    if (::write(report, &told, sizeof(told)) < 0) {
        ::_exit(126);
    }
    ::_exit(127);
}

Result<pid_t> read_reports(const UniqueFd& report, const std::string& program) {
    Report told;
    pid_t pid = 0;
    while (true) {
        const ssize_t got = ::read(report.get(), &told, sizeof(told));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != sizeof(told)) {
            break;
        }
        if (told.failed != 0) {
            return Error::from_errno(told.failed, fmt::format("Cannot execute '{}'", program));
        }
        pid = told.pid;
    }
    if (pid == 0) {
        return Error{ECHILD, fmt::format("No process could be made for '{}'", program)};
    }
    return pid;
}

Result<void> write_pid(const UniqueFd& file, const std::string& path, pid_t pid) {
    const auto text = fmt::format("{}\n", pid);
    if (::ftruncate(file.get(), 0) != 0 ||
        ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return Error::from_errno(errno, fmt::format("Cannot write the pid file '{}'", path));
    }
    return {};
}

} // namespace

Result<ProcessId> start_directly(const ProcessSpec& spec, const SharePaths& paths) {
    VFSKIT_TRY_ASSIGN(const auto pid_file, open_pid_file(paths.pid_file));
    const UniqueFd log{::open(
        paths.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640)};
    if (!log) {
        return Error::from_errno(errno, fmt::format("Cannot make the log '{}'", paths.log));
    }
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return Error::from_errno(errno, "Cannot create a pipe");
    }
    const UniqueFd report{ends[0]};
    UniqueFd reporter{ends[1]};

    std::vector<std::string> words{spec.program};
    words.insert(words.end(), spec.args.begin(), spec.args.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (auto& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);

    const pid_t child = ::fork();
    if (child < 0) {
        return Error::from_errno(errno, "Cannot create a process");
    }
    if (child == 0) {
        become(argv, log.get(), pid_file.get(), reporter.get());
    }
    reporter.reset();
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    VFSKIT_TRY_ASSIGN(const auto pid, read_reports(report, spec.program));
    VFSKIT_TRY(write_pid(pid_file, paths.pid_file, pid));
    // One that has ended already has no start time any more; the caller sees that it is not alive.
    return find_process(pid).value_or(ProcessId{pid, 0});
}

std::string last_lines(const std::string& path, int lines) {
    constexpr std::size_t max_log_bytes = std::size_t{64} << 20;
    const auto content = base::read_file(path, max_log_bytes);
    if (!content) {
        return {};
    }
    const auto text = base::trim(*content);
    auto begin = text.size();
    for (int i = 0; i < lines && begin != std::string_view::npos; ++i) {
        begin = begin == 0 ? std::string_view::npos : text.rfind('\n', begin - 1);
    }
    return std::string{begin == std::string_view::npos ? text : text.substr(begin + 1)};
}

} // namespace vfskit::launch
