// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

namespace vfskit::test {

/// A child that stops at both ends of each of its system calls. These are all the points that
/// matter: between two system calls a process changes nothing that outlives it.
class TracedWriter {
public:
    /// Forks; the child runs `writer` and exits with what it returns. The caller has one thread.
    static Result<TracedWriter> start(const std::function<int()>& writer) {
        const pid_t pid = ::fork();
        if (pid < 0) {
            return Error::from_errno(errno, "Cannot fork");
        }
        if (pid == 0) {
            if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
                ::_exit(cannot_be_traced);
            }
            ::raise(SIGSTOP);
            ::_exit(writer());
        }
        TracedWriter traced{pid};
        if (!traced.wait() || !WIFSTOPPED(traced.status_)) {
            return Error{ENOTSUP, "The child cannot be traced: ptrace(2) is not allowed here"};
        }
        if (::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) !=
            0) {
            return Error::from_errno(errno, "Cannot trace the child");
        }
        return traced;
    }

    TracedWriter(TracedWriter&& other) noexcept : pid_{other.pid_}, status_{other.status_} {
        other.pid_ = -1;
    }
    TracedWriter& operator=(TracedWriter&&) = delete;
    ~TracedWriter() { kill(); }

    /// Lets it run to the next end of a system call; false when it has exited instead.
    bool step() {
        int signal_to_deliver = 0;
        for (;;) {
            ::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal_to_deliver);
            if (!wait() || WIFEXITED(status_) || WIFSIGNALED(status_)) {
                pid_ = -1;
                return false;
            }
            if (WSTOPSIG(status_) == (SIGTRAP | 0x80)) {
                return true;
            }
            signal_to_deliver = WSTOPSIG(status_);
        }
    }

    /// Ends it where it stands; a system call that it was about to enter is not made.
    void kill() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            wait();
            pid_ = -1;
        }
    }

    /// After step() gave false: whether it exited by itself with status 0.
    [[nodiscard]] bool has_succeeded() const {
        return WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
    }

private:
    static constexpr int cannot_be_traced = 99;

    explicit TracedWriter(pid_t pid) : pid_{pid} {}

    bool wait() {
        pid_t got = 0;
        do {
            got = ::waitpid(pid_, &status_, 0);
        } while (got < 0 && errno == EINTR);
        return got == pid_;
    }

    pid_t pid_;
    int status_ = 0;
};

/// Runs `writer` again and again in a child, killing it one step later each time, until it ends by
/// itself. `prepare` sets up what it works on before each run; `check` judges what it left behind
/// and is told the step it died at, 0 for the run that ended by itself. Gives the number of runs
/// that were killed. Errors: ENOTSUP where ptrace(2) is not allowed; ECHILD if the writer failed
/// when left alone. The calling process has one thread.
///
///     const auto kills = test::kill_at_every_step(
///         [&] { dir.write("file", old_text); },
///         [&] { return store.commit(...) ? 0 : 1; },
///         [&](int step) { EXPECT_TRUE(dir.read("file") == old_text || …) << step; });
inline Result<int> kill_at_every_step(const std::function<void()>& prepare,
                                      const std::function<int()>& writer,
                                      const std::function<void(int)>& check) {
    for (int kill_at = 1;; ++kill_at) {
        prepare();
        VFSKIT_TRY_ASSIGN(auto traced, TracedWriter::start(writer));
        int step = 0;
        while (step < kill_at && traced.step()) {
            ++step;
        }
        if (step < kill_at) {
            if (!traced.has_succeeded()) {
                return Error{ECHILD, fmt::format("The writer failed by itself at step {}", step)};
            }
            check(0);
            return kill_at - 1;
        }
        traced.kill();
        check(kill_at);
    }
}

} // namespace vfskit::test
