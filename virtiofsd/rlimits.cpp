// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/rlimits.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::virtiofsd {

namespace {

constexpr std::uint64_t wanted_limit = 1'000'000;
// Mapped guest memory: one descriptor per memory slot that we offer, at most.
constexpr std::uint64_t memory_slots = 509;
// Sockets, epoll and event descriptors of rings in use, log, control socket; generous.
constexpr std::uint64_t own_descriptors = 100;
// What one request may have open at once: two parents, a new file, an inode reopened. All threads
// at once hardly ever do, so a small limit is not used up by the threads of a large machine.
constexpr std::uint64_t per_thread = 4;
constexpr std::uint64_t threads_share = 4; // a quarter of what is left, at most

Result<FileLimits> read_limits() {
    FileLimits limits;
    rlimit current{};
    if (::getrlimit(RLIMIT_NOFILE, &current) != 0) {
        return Error::from_errno(errno, "Cannot read the limit of open files");
    }
    limits.soft = current.rlim_cur;
    limits.hard = current.rlim_max;
    VFSKIT_TRY_ASSIGN(const auto text, base::read_file("/proc/sys/fs/nr_open", 64));
    VFSKIT_TRY_ASSIGN(limits.nr_open, base::parse_unsigned(base::trim(text), "nr_open"));
    return limits;
}

} // namespace

Result<std::optional<std::uint64_t>> choose_file_limit(const FileLimits& now,
                                                       std::optional<std::uint64_t> wish) {
    if (!wish) {
        if (now.soft >= wanted_limit) {
            return std::optional<std::uint64_t>{};
        }
        return std::optional{std::min(wanted_limit, now.nr_open)};
    }
    if (*wish == 0) {
        return std::optional<std::uint64_t>{};
    }
    if (*wish > now.nr_open) {
        return Error{
            EINVAL,
            fmt::format("--rlimit-nofile {} is above the system's limit of {}", *wish, now.nr_open)}
            .with_remedy("Use a smaller number, or raise the sysctl fs.nr_open");
    }
    return std::optional{*wish};
}

Result<std::uint64_t> apply_file_limit(std::optional<std::uint64_t> wish, LogSink& log) {
    VFSKIT_TRY_ASSIGN(const auto now, read_limits());
    VFSKIT_TRY_ASSIGN(const auto target, choose_file_limit(now, wish));
    if (!target) {
        return now.soft;
    }
    const rlimit raised{*target, *target};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        return *target;
    }
    if (errno != EPERM || wish) {
        return Error::from_errno(errno,
                                 fmt::format("Cannot set the limit of open files to {}", *target));
    }
    const rlimit allowed{now.hard, now.hard};
    if (::setrlimit(RLIMIT_NOFILE, &allowed) != 0) {
        return Error::from_errno(errno,
                                 fmt::format("Cannot set the limit of open files to {}", now.hard));
    }
    log.write(
        LogLevel::warn,
        fmt::format("Failure when trying to set the limit to {}, the hard limit ({}) of open file "
                    "descriptors is used instead; consider --rlimit-nofile",
                    *target,
                    now.hard));
    return static_cast<std::uint64_t>(now.hard);
}

Result<std::uint64_t> guest_descriptor_quota(std::uint64_t limit, std::uint64_t own_threads) {
    constexpr std::uint64_t reserved = memory_slots + own_descriptors;
    if (limit <= reserved) {
        return Error{
            EINVAL,
            fmt::format("Maximum number of file descriptors too small: Limit is {}, must be at "
                        "least {}",
                        limit,
                        reserved + 1)}
            .with_remedy("Raise --rlimit-nofile or the limit of whatever starts the daemon");
    }
    const std::uint64_t left = limit - reserved;
    return left - std::min(per_thread * own_threads, left / threads_share);
}

void warn_of_few_descriptors(std::uint64_t quota, LogSink& log) {
    constexpr std::uint64_t few = 128;
    if (quota < few) {
        log.write(LogLevel::warn,
                  fmt::format("File descriptor count limit is very small, leaving only {} file "
                              "descriptors for the guest; consider --rlimit-nofile",
                              quota));
    }
}

void reserve_descriptor_table(std::uint64_t limit) {
    constexpr std::uint64_t most = 32768; // eight bytes each
    const auto highest = static_cast<int>(std::min(limit, most)) - 1;
    const UniqueFd nothing{::open("/", O_PATH | O_CLOEXEC)};
    const UniqueFd last{::fcntl(nothing.get(), F_DUPFD_CLOEXEC, highest)};
}

} // namespace vfskit::virtiofsd
