// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/file_locks.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <set>

namespace vfskit::passthrough {

using fuse::Errno;
using fuse::LockArgs;
using fuse::LockState;
using fuse::Outcome;

// ---- ranges
// --------------------------------------------------------------------------------------

void HeldRanges::set(const LockRange& range) {
    std::vector<LockRange> result;
    for (const auto& held : ranges_) {
        if (held.end < range.start || held.start > range.end) {
            result.push_back(held);
            continue;
        }
        if (held.start < range.start) {
            result.push_back({held.start, range.start - 1, held.type, held.pid});
        }
        if (held.end > range.end) {
            result.push_back({range.end + 1, held.end, held.type, held.pid});
        }
    }
    if (range.type != F_UNLCK) {
        result.push_back(range);
    }
    std::sort(result.begin(), result.end(), [](const LockRange& a, const LockRange& b) {
        return a.start < b.start;
    });
    ranges_.clear();
    for (const auto& next : result) {
        const bool joins = !ranges_.empty() && ranges_.back().type == next.type &&
                           ranges_.back().end + 1 == next.start;
        if (joins) {
            ranges_.back().end = next.end;
        } else {
            ranges_.push_back(next);
        }
    }
}

const LockRange* HeldRanges::find_conflict(const LockRange& wanted) const {
    const auto conflict =
        std::find_if(ranges_.begin(), ranges_.end(), [&wanted](const LockRange& held) {
            return held.end >= wanted.start && held.start <= wanted.end &&
                   (held.type == F_WRLCK || wanted.type == F_WRLCK);
        });
    return conflict == ranges_.end() ? nullptr : &*conflict;
}

// ---- the host's side
// -----------------------------------------------------------------------------

namespace {

constexpr off_t no_end = std::numeric_limits<off_t>::max();

struct flock host_lock(const LockRange& range) {
    struct flock lock {};
    lock.l_type = static_cast<short>(range.type);
    lock.l_whence = SEEK_SET;
    lock.l_start = range.start;
    // fcntl(2): a length of 0 is "to the end, however far that grows".
    lock.l_len = range.end == no_end ? 0 : range.end - range.start + 1;
    return lock;
}

bool is_valid(const LockRange& range) {
    const bool is_type = range.type == F_RDLCK || range.type == F_WRLCK || range.type == F_UNLCK;
    return is_type && range.start >= 0 && range.end >= range.start;
}

Errno conflict_errno(int error) {
    return Errno{error == EACCES ? EAGAIN : error};
}

} // namespace

FileLocks::~FileLocks() {
    clear();
    {
        const std::lock_guard lock{mutex_};
        stops_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

int FileLocks::open_for_locks(NodeId node) {
    const auto inode = inodes_.find(node);
    if (!inode) {
        return -EBADF;
    }
    // A write lock needs a descriptor that may write, a read lock one that may read.
    const int fd = inodes_.reopen(inode, O_RDWR | O_NONBLOCK);
    const bool may_read_only =
        fd == -EACCES || fd == -EROFS || fd == -EISDIR || fd == -ETXTBSY || fd == -EPERM;
    return may_read_only ? inodes_.reopen(inode, O_RDONLY | O_NONBLOCK) : fd;
}

Outcome<FileLocks::Owner*> FileLocks::find_or_open_owner(NodeId node, LockOwner owner) {
    const Key key{node, owner};
    if (const auto known = owners_.find(key); known != owners_.end()) {
        return &known->second;
    }
    if (!inodes_.reserve_handle_fd()) {
        return Errno{ENOLCK};
    }
    const int fd = open_for_locks(node);
    if (fd < 0) {
        inodes_.release_handle_fd();
        return Errno{-fd};
    }
    owners_count_.fetch_add(1);
    auto& made = owners_[key];
    made.fd.reset(fd);
    return &made;
}

void FileLocks::drop_owner(const Key& key) {
    if (owners_.erase(key) != 0) {
        owners_count_.fetch_sub(1);
        inodes_.release_handle_fd();
    }
}

Outcome<void> FileLocks::set_posix(NodeId node, const LockArgs& args) {
    const Key key{node, args.owner};
    if (args.range.type == F_UNLCK && owners_.find(key) == owners_.end()) {
        return {};
    }
    VFSKIT_TRY_ASSIGN(auto* const owner, find_or_open_owner(node, args.owner));
    auto lock = host_lock(args.range);
    const int error = ::fcntl(owner->fd.get(), F_OFD_SETLK, &lock) == 0 ? 0 : errno;
    if (error == 0) {
        owner->held.set(args.range);
    }
    if (owner->held.is_empty()) {
        drop_owner(key);
    }
    if (error != 0) {
        return conflict_errno(error);
    }
    if (args.range.type != F_WRLCK) {
        wake_locked(node);
    }
    return {};
}

Outcome<void> FileLocks::set_flock(const LockArgs& args) {
    const auto handle = handles_.find(args.handle);
    if (!handle) {
        return Errno{EBADF};
    }
    const int operation = args.range.type == F_UNLCK   ? LOCK_UN
                          : args.range.type == F_RDLCK ? LOCK_SH
                                                       : LOCK_EX;
    if (::flock(handle->fd.get(), operation | LOCK_NB) != 0) {
        return Errno{errno == EWOULDBLOCK ? EAGAIN : errno};
    }
    handle->has_flock = operation != LOCK_UN;
    if (operation != LOCK_EX) {
        wake_locked(handle->node);
    }
    return {};
}

Outcome<void> FileLocks::set_locked(NodeId node, const LockArgs& args) {
    if (!args.is_flock && !is_valid(args.range)) {
        return Errno{EINVAL};
    }
    return args.is_flock ? set_flock(args) : set_posix(node, args);
}

// ---- requests
// ------------------------------------------------------------------------------------

Outcome<void> FileLocks::set(NodeId node, const LockArgs& args) {
    const std::lock_guard lock{mutex_};
    return set_locked(node, args);
}

Outcome<LockRange> FileLocks::get(NodeId node, const LockArgs& args) {
    if (!is_valid(args.range) || args.range.type == F_UNLCK) {
        return Errno{EINVAL};
    }
    const std::lock_guard lock{mutex_};
    for (const auto& [key, owner] : owners_) {
        const auto* held = key.first == node && key.second != args.owner
                               ? owner.held.find_conflict(args.range)
                               : nullptr;
        if (held != nullptr) {
            return *held; // one of this guest's own, whose pid we know
        }
    }
    const auto own = owners_.find({node, args.owner});
    const int fd = own == owners_.end() ? open_for_locks(node) : own->second.fd.get();
    const UniqueFd opened{own == owners_.end() ? fd : -1};
    if (fd < 0) {
        return Errno{-fd};
    }
    auto host = host_lock(args.range);
    if (::fcntl(fd, F_OFD_GETLK, &host) != 0) {
        return fuse::last_errno();
    }
    LockRange answer = args.range;
    answer.type = host.l_type;
    answer.pid = 0; // the holder is a process of the host, or of another guest
    if (host.l_type != F_UNLCK) {
        answer.start = host.l_start;
        answer.end = host.l_len == 0 ? no_end : host.l_start + host.l_len - 1;
    }
    return answer;
}

Outcome<LockState> FileLocks::set_or_park(NodeId node,
                                          const LockArgs& args,
                                          fuse::Unique unique,
                                          fuse::Deferral& wait) {
    const std::lock_guard lock{mutex_};
    const auto outcome = set_locked(node, args);
    if (outcome) {
        return LockState::granted;
    }
    if (outcome.error() != Errno{EAGAIN}) {
        return outcome.error();
    }
    if (!args.is_flock && would_deadlock(node, args)) {
        return Errno{EDEADLK};
    }
    Waiter waiter;
    waiter.node = node;
    waiter.args = args;
    waiter.unique = unique;
    waiter.deferred = wait.park();
    waiter.next_try = std::chrono::steady_clock::now() + waiter.delay;
    waiters_.push_back(std::move(waiter));
    if (!thread_.joinable()) {
        thread_ = std::thread{[this] { run(); }};
    }
    changed_.notify_all();
    return LockState::parked;
}

/// Follows who waits for whom from the asking owner on; a way back to it is a deadlock.
bool FileLocks::would_deadlock(NodeId node, const LockArgs& args) const {
    std::set<LockOwner> seen;
    std::vector<std::pair<NodeId, LockArgs>> open_ends{{node, args}};
    while (!open_ends.empty()) {
        const auto [wanted_node, wanted] = open_ends.back();
        open_ends.pop_back();
        for (const auto& [key, owner] : owners_) {
            const bool blocks = key.first == wanted_node && key.second != wanted.owner &&
                                owner.held.find_conflict(wanted.range) != nullptr;
            if (!blocks) {
                continue;
            }
            if (key.second == args.owner) {
                return true;
            }
            if (!seen.insert(key.second).second) {
                continue;
            }
            for (const auto& waiter : waiters_) {
                if (!waiter.args.is_flock && waiter.args.owner == key.second) {
                    open_ends.emplace_back(waiter.node, waiter.args);
                }
            }
        }
    }
    return false;
}

void FileLocks::release_owner(NodeId node, LockOwner owner) {
    const std::lock_guard lock{mutex_};
    // Closing the description is not enough where a child of the daemon may have inherited it.
    if (const auto known = owners_.find({node, owner}); known != owners_.end()) {
        auto all = host_lock({0, no_end, F_UNLCK, 0});
        (void)::fcntl(known->second.fd.get(), F_OFD_SETLK, &all);
        drop_owner({node, owner});
        wake_locked(node);
    }
}

// ---- waiting
// -------------------------------------------------------------------------------------

void FileLocks::wake_locked(NodeId node) {
    const auto now = std::chrono::steady_clock::now();
    bool is_any = false;
    for (auto& waiter : waiters_) {
        if (waiter.node == node) {
            waiter.next_try = now;
            is_any = true;
        }
    }
    if (is_any) {
        changed_.notify_all();
    }
}

void FileLocks::wake(NodeId node) {
    const std::lock_guard lock{mutex_};
    wake_locked(node);
}

void FileLocks::take_matching(Waiters& taken, const std::function<bool(const Waiter&)>& matches) {
    const std::lock_guard lock{mutex_};
    for (auto at = waiters_.begin(); at != waiters_.end();) {
        const auto next = std::next(at);
        if (matches(*at)) {
            taken.splice(taken.end(), waiters_, at);
        }
        at = next;
    }
}

void FileLocks::interrupt(fuse::Unique unique) {
    Waiters taken;
    take_matching(taken, [unique](const Waiter& waiter) { return waiter.unique == unique; });
    for (auto& waiter : taken) {
        waiter.deferred->complete(Errno{EINTR});
    }
}

void FileLocks::cancel_parked(Errno reason) {
    Waiters taken;
    take_matching(taken, [](const Waiter&) { return true; });
    for (auto& waiter : taken) {
        waiter.deferred->complete(reason);
    }
}

void FileLocks::clear() {
    // Nobody sent a signal, and Linux makes ERESTARTSYS of EINTR: errno 512 without one.
    cancel_parked(Errno{ENOLCK});
    const std::lock_guard lock{mutex_};
    while (!owners_.empty()) {
        drop_owner(owners_.begin()->first);
    }
}

UniqueFd FileLocks::duplicate(NodeId node, LockOwner owner) {
    const std::lock_guard lock{mutex_};
    const auto known = owners_.find({node, owner});
    return UniqueFd{known == owners_.end() ? -1
                                           : ::fcntl(known->second.fd.get(), F_DUPFD_CLOEXEC, 0)};
}

Outcome<void>
FileLocks::adopt(NodeId node, LockOwner owner, UniqueFd fd, const std::vector<LockRange>& ranges) {
    const auto inode = inodes_.find(node);
    struct statx status {};
    if (!inode || stat_fd(fd.get(), status) != 0 ||
        HostIdentity::of(status).ino != inode->identity.ino ||
        HostIdentity::of(status).device != inode->identity.device) {
        return Errno{ESTALE};
    }
    const std::lock_guard lock{mutex_};
    if (owners_.count({node, owner}) != 0) {
        return Errno{EEXIST};
    }
    Owner adopted;
    for (const auto& range : ranges) {
        auto wanted = host_lock(range);
        if (::fcntl(fd.get(), F_OFD_SETLK, &wanted) != 0) {
            return conflict_errno(errno);
        }
        adopted.held.set(range);
    }
    if (!inodes_.reserve_handle_fd()) {
        return Errno{ENOLCK};
    }
    adopted.fd = std::move(fd);
    owners_.emplace(Key{node, owner}, std::move(adopted));
    owners_count_.fetch_add(1);
    return {};
}

void FileLocks::for_each(const Visit& visit) {
    const std::lock_guard lock{mutex_};
    for (const auto& [key, owner] : owners_) {
        for (const auto& range : owner.held.ranges()) {
            visit(key.first, key.second, range);
        }
    }
}

void FileLocks::try_due_waiters(Waiters& done, std::vector<Outcome<void>>& outcomes) {
    const auto now = std::chrono::steady_clock::now();
    for (auto at = waiters_.begin(); at != waiters_.end();) {
        const auto next = std::next(at);
        if (at->next_try <= now) {
            at->delay = std::min(2 * at->delay, longest_delay);
            at->next_try = now + at->delay;
            const auto outcome = set_locked(at->node, at->args);
            if (outcome || outcome.error() != Errno{EAGAIN}) {
                outcomes.push_back(outcome);
                done.splice(done.end(), waiters_, at);
            }
        }
        at = next;
    }
}

void FileLocks::run() {
    std::unique_lock lock{mutex_};
    while (!stops_) {
        if (waiters_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto earliest =
            std::min_element(waiters_.begin(), waiters_.end(), [](const auto& a, const auto& b) {
                return a.next_try < b.next_try;
            })->next_try;
        if (std::chrono::steady_clock::now() < earliest) {
            changed_.wait_until(lock, earliest);
            continue;
        }
        Waiters done;
        std::vector<Outcome<void>> outcomes;
        try_due_waiters(done, outcomes);
        lock.unlock(); // the reply is not sent under the lock
        auto outcome = outcomes.begin();
        for (auto& waiter : done) {
            waiter.deferred->complete(*outcome++);
        }
        lock.lock();
    }
}

} // namespace vfskit::passthrough
