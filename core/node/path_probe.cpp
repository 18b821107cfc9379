// SPDX-License-Identifier: Apache-2.0
#include "core/node/path_probe.h"

#include "core/base/text.h"
#include "core/base/unique_fd.h"
#include "core/node/facts_json.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

namespace vfskit::node {

namespace {

using base::UniqueFd;
using Clock = std::chrono::steady_clock;
using Look = std::function<PathFacts(const MappedPath&)>;

constexpr int answers_fd = 3;

/// Only `answers` stays open, as answers_fd: a child that hangs must not hold a pipe or a lock that
/// somebody waits for.
void drop_descriptors(int answers) {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < answers_fd; ++fd) {
        ::dup2(nothing, fd);
    }
    if (answers != answers_fd) {
        ::dup2(answers, answers_fd);
    }
    ::close_range(answers_fd + 1, ~0U, 0);
}

[[noreturn]] void answer_all(const std::deque<const MappedPath*>& paths, const Look& look) {
    for (const auto* path : paths) {
        const auto line = encode_path(look(*path)) + "\n";
        std::string_view left{line};
        while (!left.empty()) {
            const auto written = ::write(answers_fd, left.data(), left.size());
            if (written < 0) {
                ::_exit(1);
            }
            left.remove_prefix(static_cast<std::size_t>(written));
        }
    }
    ::_exit(0);
}

/// The child and what it has said so far.
class Prober {
public:
    static Result<Prober> start(const std::deque<const MappedPath*>& paths, const Look& look) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            return Error::from_errno(errno, "Cannot create a pipe");
        }
        UniqueFd read_end{ends[0]};
        UniqueFd write_end{ends[1]};
        const pid_t pid = ::fork();
        if (pid < 0) {
            return Error::from_errno(errno, "Cannot start a process");
        }
        if (pid == 0) {
            drop_descriptors(write_end.get());
            answer_all(paths, look);
        }
        return Prober{pid, std::move(read_end)};
    }
    Prober(Prober&& other) noexcept
        : pid_{std::exchange(other.pid_, -1)}, answers_{std::move(other.answers_)},
          text_{std::move(other.text_)} {}
    Prober& operator=(Prober&&) = delete;
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;
    ~Prober() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            // One that hangs in the kernel cannot be waited for; init will, after us.
            const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))};
            pollfd ended{process.get(), POLLIN, 0};
            ::poll(&ended, 1, 20);
            ::waitpid(pid_, nullptr, WNOHANG);
        }
    }

    /// One line; ETIMEDOUT, or EPIPE when the child ended.
    Result<std::string> next_answer(Clock::time_point deadline) {
        for (;;) {
            if (const auto end = text_.find('\n'); end != std::string::npos) {
                auto line = text_.substr(0, end);
                text_.erase(0, end + 1);
                return line;
            }
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
            pollfd polled{answers_.get(), POLLIN, 0};
            const int ready =
                left.count() <= 0 ? 0 : ::poll(&polled, 1, static_cast<int>(left.count()));
            if (ready == 0) {
                return Error{ETIMEDOUT, "It did not answer in time"};
            }
            std::array<char, 16384> buffer{};
            const auto got = ready < 0 ? -1 : ::read(answers_.get(), buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                return Error{EPIPE, "The process that looked at it ended early"};
            }
            text_.append(buffer.data(), static_cast<std::size_t>(got));
        }
    }

private:
    Prober(pid_t pid, UniqueFd answers) : pid_{pid}, answers_{std::move(answers)} {}

    pid_t pid_;
    UniqueFd answers_;
    std::string text_;
};

/// What the mount table alone tells, without touching the path.
PathFacts without_touching(const MappedPath& mapped,
                           const std::vector<Mount>& mounts,
                           ProbeState state,
                           std::string problem) {
    PathFacts facts;
    facts.dirid = mapped.dirid;
    facts.path = mapped.path;
    facts.state = state;
    facts.problem = std::move(problem);
    if (const auto* mount = find_mount(mounts, mapped.path)) {
        facts.mount_point = mount->point;
        facts.mount_source = mount->source;
        facts.fs_type = mount->fs_type;
        facts.mount_options = mount->options;
    }
    facts.submounts = find_submounts(mounts, mapped.path);
    return facts;
}

/// One run of probe_paths().
class Probing {
public:
    Probing(const ProbeLimits& limits, Look look, std::vector<Mount> mounts)
        : limits_{limits}, look_{std::move(look)}, mounts_{std::move(mounts)},
          deadline_{Clock::now() + limits.together} {}

    std::vector<PathFacts> run(const std::vector<MappedPath>& paths) {
        std::deque<const MappedPath*> left;
        for (const auto& path : paths) {
            left.push_back(&path);
        }
        while (!left.empty()) {
            skip_hung(left);
            ask(left);
        }
        return std::move(results_);
    }

private:
    /// Asks one child until it has answered everything or one path ends it.
    void ask(std::deque<const MappedPath*>& left) {
        if (left.empty()) {
            return;
        }
        auto prober = Prober::start(left, look_);
        while (!left.empty()) {
            auto answer =
                prober ? prober->next_answer(std::min(deadline_, Clock::now() + limits_.per_path))
                       : Result<std::string>{prober.error()};
            if (!answer) {
                give_up(*left.front(), answer.error());
                left.pop_front();
                return;
            }
            take(*left.front(), *answer);
            left.pop_front();
        }
    }

    void take(const MappedPath& mapped, const std::string& answer) {
        auto facts = decode_path(answer);
        if (!facts) {
            return give_up(mapped, facts.error());
        }
        facts->dirid = mapped.dirid;
        facts->path = mapped.path;
        results_.push_back(*std::move(facts));
    }

    void give_up(const MappedPath& mapped, const Error& error) {
        const bool hung = error.code() == ETIMEDOUT;
        const auto* mount = find_mount(mounts_, mapped.path);
        if (hung && mount != nullptr && mount->point != "/") {
            hung_.push_back(mount->point);
        }
        results_.push_back(without_touching(
            mapped, mounts_, hung ? ProbeState::timed_out : ProbeState::failed, error.message()));
    }

    void skip_hung(std::deque<const MappedPath*>& left) {
        const bool is_late = Clock::now() >= deadline_;
        std::erase_if(left, [&](const MappedPath* mapped) {
            const auto* mount = find_mount(mounts_, mapped->path);
            const bool hangs =
                mount != nullptr && std::ranges::find(hung_, mount->point) != hung_.end();
            if (hangs || is_late) {
                results_.push_back(without_touching(
                    *mapped,
                    mounts_,
                    ProbeState::timed_out,
                    hangs ? fmt::format("The filesystem at '{}' did not answer", mount->point)
                          : "There was no time left to look at it"));
            }
            return hangs || is_late;
        });
    }

    ProbeLimits limits_;
    Look look_;
    std::vector<Mount> mounts_;
    Clock::time_point deadline_;
    std::vector<std::string> hung_; ///< mount points
    std::vector<PathFacts> results_;
};

} // namespace

std::vector<PathFacts> probe_paths(const std::vector<MappedPath>& paths,
                                   const std::vector<std::string>& expected_mount_points,
                                   const ProbeLimits& limits,
                                   const std::function<PathFacts(const MappedPath&)>& look) {
    const Look chosen = look ? look : [](const MappedPath& mapped) { return look_at(mapped); };
    auto results =
        Probing{limits, chosen, read_mounts("/proc").value_or(std::vector<Mount>{})}.run(paths);
    // An automount may have mounted something meanwhile.
    const auto mounts = read_mounts("/proc").value_or(std::vector<Mount>{});
    for (auto& facts : results) {
        facts.expected_mount_point = find_expected(expected_mount_points, facts.path);
        if (facts.expected_mount_point && !mounts.empty()) {
            facts.is_expected_mount = find_mount_at(mounts, *facts.expected_mount_point) != nullptr;
        }
    }
    std::ranges::sort(results, {}, &PathFacts::dirid);
    return results;
}

} // namespace vfskit::node
