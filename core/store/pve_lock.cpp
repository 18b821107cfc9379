// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_lock.h"

#include "core/base/unique_fd.h"
#include "core/store/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>
#include <utility>

namespace vfskit::store {

namespace {

using std::chrono::milliseconds;

class SteadyClock final : public PveClock {
public:
    milliseconds now() override {
        return std::chrono::duration_cast<milliseconds>(
            std::chrono::steady_clock::now().time_since_epoch());
    }
    void sleep(milliseconds duration) override { std::this_thread::sleep_for(duration); }
};

Error no_quorum(const std::string& root) {
    return Error{EACCES, "The cluster has no quorum, so nothing can be changed"}
        .at({root, 0, {}})
        .with_remedy("Bring back enough nodes ('pvecm status' shows which are missing)");
}

// While its members are changing, pmxcfs answers what it cannot pass on with one of these; soon
// after, it either takes changes again or has lost its quorum.
bool is_passing(int failure) {
    return failure == EBUSY || failure == EPERM;
}

Error not_taken(int failure, const std::string& path, const PveLockOptions& options) {
    if (failure == EEXIST) {
        return Error{
            ETIMEDOUT,
            fmt::format("Another writer has held the lock for {} s", options.wait.count() / 1000)}
            .at({path, 0, {}})
            .with_remedy("Try again; the lock of a writer that died is dropped after two "
                         "minutes");
    }
    return Error::from_errno(failure, "Cannot take the lock").at({path, 0, {}});
}

std::string parent_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

Result<void> make_lock_directory(const std::string& root) {
    for (const char* name : {"/priv", "/priv/lock"}) {
        const auto path = root + name;
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
            if (errno == EACCES && is_pmxcfs(root)) {
                return no_quorum(root);
            }
            return Error::from_errno(errno, "Cannot create the directory for locks")
                .at({path, 0, {}});
        }
    }
    return {};
}

// pmxcfs measures a lock's age itself and deletes it on this request once it is too old. It answers
// EACCES while the lock is fresh; either way the next mkdir tells.
void request_unlock(const std::string& path) {
    const std::array<timeval, 2> zero{};
    [[maybe_unused]] const int ignored = ::utimes(path.c_str(), zero.data());
}

// What pmxcfs does, for a plain directory, where nobody else does it: the time of the lock
// directory is when it was taken. The flock keeps two waiters from removing one stale lock and then
// the next, fresh one.
void remove_if_expired(const std::string& path, milliseconds expires_after) {
    const base::UniqueFd parent{
        ::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!parent || ::flock(parent.get(), LOCK_EX) != 0) {
        return;
    }
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        return;
    }
    const auto age = std::chrono::system_clock::now() -
                     std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
    if (age > expires_after) {
        ::rmdir(path.c_str());
    }
}

} // namespace

PveClock& steady_pve_clock() {
    static SteadyClock clock;
    return clock;
}

bool has_quorum(const std::string& root) {
    struct stat info {};
    if (::lstat((root + "/local").c_str(), &info) != 0) {
        return true;
    }
    return (info.st_mode & S_IWUSR) != 0;
}

Result<PveLock> PveLock::acquire(const std::string& root,
                                 const std::string& name,
                                 const PveLockOptions& options,
                                 PveClock& clock) {
    if (!has_quorum(root)) {
        return no_quorum(root);
    }
    VFSKIT_TRY(make_lock_directory(root));
    const auto path = fmt::format("{}/priv/lock/{}", root, name);
    const bool is_cluster = is_pmxcfs(root);
    const auto deadline = clock.now() + options.wait;
    for (;;) {
        if (::mkdir(path.c_str(), 0700) == 0) {
            return PveLock{path, options, clock};
        }
        const int failure = errno;
        if (is_cluster && (failure == EACCES || !has_quorum(root))) {
            return no_quorum(root);
        }
        const bool is_held = failure == EEXIST;
        const auto remaining = deadline - clock.now();
        if (remaining <= milliseconds::zero() ||
            !(is_held || (is_cluster && is_passing(failure)))) {
            return not_taken(failure, path, options);
        }
        if (is_held && is_cluster) {
            request_unlock(path);
        } else if (is_held) {
            remove_if_expired(path, options.expires_after);
        }
        // Proxmox VE sleeps a tenth of what remains, at most a second: each request is a message to
        // the whole cluster. A plain directory costs nobody anything.
        const milliseconds pause =
            is_cluster ? std::clamp(remaining / 10, milliseconds{100}, milliseconds{1000})
                       : milliseconds{10};
        clock.sleep(std::min(pause, remaining));
    }
}

PveLock::PveLock(std::string path, const PveLockOptions& options, PveClock& clock)
    : path_{std::move(path)}, options_{options}, clock_{&clock}, taken_at_{clock.now()} {}

PveLock::PveLock(PveLock&& other) noexcept
    : path_{std::exchange(other.path_, {})}, options_{other.options_}, clock_{other.clock_},
      taken_at_{other.taken_at_} {}

PveLock::~PveLock() {
    if (!path_.empty() && clock_->now() - taken_at_ < options_.expires_after) {
        ::rmdir(path_.c_str());
    }
}

Result<void> PveLock::check_time() const {
    if (clock_->now() - taken_at_ < options_.work_limit) {
        return {};
    }
    return Error{ETIMEDOUT,
                 fmt::format("Gave up after holding the lock for {} s, before another writer may "
                             "take it",
                             options_.work_limit.count() / 1000)}
        .at({path_, 0, {}})
        .with_remedy("Try again when the cluster filesystem answers faster");
}

} // namespace vfskit::store
