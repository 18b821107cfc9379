// SPDX-License-Identifier: Apache-2.0
#include "core/base/process.h"

#include "core/base/text.h"
#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vfskit::base {

std::string ProcessSpec::shell_line() const {
    std::vector<std::string> words{program};
    words.insert(words.end(), args.begin(), args.end());
    return shell_join(words);
}

namespace {

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

Result<Pipe> open_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return Error::from_errno(errno, "Cannot create a pipe");
    }
    return Pipe{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

class SpawnActions {
public:
    SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
    posix_spawn_file_actions_t* get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

// Owns a child until it is waited for; kills it if that never happened.
class Child {
public:
    explicit Child(pid_t pid) : pid_{pid} {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            wait();
        }
    }
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

private:
    pid_t pid_;
};

// Moves what is readable into `text`; true while the stream is open.
Result<bool> drain(int fd, std::string& text, std::size_t max_output, const std::string& program) {
    std::array<char, 16384> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) {
        if (errno == EINTR || errno == EAGAIN) {
            return true;
        }
        return Error::from_errno(errno, fmt::format("Cannot read the output of '{}'", program));
    }
    if (text.size() + static_cast<std::size_t>(got) > max_output) {
        return Error{EMSGSIZE, fmt::format("'{}' printed more than {} bytes", program, max_output)};
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
    return got > 0;
}

} // namespace

Result<ProcessOutput> run_and_capture(const ProcessSpec& spec,
                                      std::chrono::milliseconds timeout,
                                      std::size_t max_output) {
    VFSKIT_TRY_ASSIGN(auto out, open_pipe());
    VFSKIT_TRY_ASSIGN(auto err, open_pipe());
    SpawnActions actions;
    ::posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(actions.get(), out.write_end.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(actions.get(), err.write_end.get(), STDERR_FILENO);

    std::vector<std::string> words{spec.program};
    words.insert(words.end(), spec.args.begin(), spec.args.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (auto& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);

    pid_t pid = -1;
    if (const int failed = ::posix_spawnp(
            &pid, spec.program.c_str(), actions.get(), nullptr, argv.data(), environ);
        failed != 0) {
        return Error::from_errno(failed, fmt::format("Cannot execute '{}'", spec.program));
    }
    Child child{pid};
    out.write_end.reset();
    err.write_end.reset();

    ProcessOutput output;
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    bool out_open = true;
    bool err_open = true;
    while (out_open || err_open) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            return Error{
                ETIMEDOUT,
                fmt::format("'{}' did not finish within {} ms", spec.program, timeout.count())};
        }
        std::array<pollfd, 2> polled{{{out_open ? out.read_end.get() : -1, POLLIN, 0},
                                      {err_open ? err.read_end.get() : -1, POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), static_cast<int>(left.count())) < 0 &&
            errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for a child process");
        }
        if (polled[0].revents != 0) {
            VFSKIT_TRY_ASSIGN(out_open,
                              drain(out.read_end.get(), output.out, max_output, spec.program));
        }
        if (polled[1].revents != 0) {
            VFSKIT_TRY_ASSIGN(err_open,
                              drain(err.read_end.get(), output.err, max_output, spec.program));
        }
    }
    output.exit_status = child.wait();
    return output;
}

} // namespace vfskit::base
