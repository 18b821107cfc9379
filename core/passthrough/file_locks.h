// SPDX-License-Identifier: Apache-2.0
// The guest's file locks as locks on the host, so that other guests and the host's own programs see
// them.
//
// POSIX locks: an open file description per (file, guest's lock owner) carries its open file
// description locks (F_OFD_SETLK), which conflict with everybody else's and vanish with it. What
// each owner holds is remembered too: for closing that description when nothing is left, for
// finding deadlocks, and for a migration.
// flock(2): on the descriptor of the guest's handle, which lives exactly as long as the guest's
// open file description does.
//
// A request that has to wait is parked: one thread tries again, at once when a lock of this guest
// goes away, else after 1, 2, 4 … 50 ms, because the host's kernel tells nobody that somebody else
// unlocked. Nobody blocks in fcntl(), so every wait can be ended at any time. A circle of waiting
// owners of this guest is refused with EDEADLK; a circle through another guest is not seen.
#pragma once

#include "core/base/unique_fd.h"
#include "core/fuse/filesystem.h"
#include "core/passthrough/handle_store.h"
#include "core/passthrough/inode_store.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace vfskit::passthrough {

using fuse::LockOwner;
using fuse::LockRange;

/// The ranges that one owner holds on one file: sorted, apart, neighbours of one type joined.
class HeldRanges {
public:
    /// As fcntl(2): the range gets this type (F_UNLCK: none) whatever it had.
    void set(const LockRange& range);
    [[nodiscard]] bool is_empty() const { return ranges_.empty(); }
    [[nodiscard]] const LockRange* find_conflict(const LockRange& wanted) const;
    [[nodiscard]] const std::vector<LockRange>& ranges() const { return ranges_; }

private:
    std::vector<LockRange> ranges_;
};

/// Thread-safe. One mutex for all: who locks files pays two system calls anyway, and who does not
/// never comes here (has_posix_locks() is an atomic). Only calls that do not wait are made under
/// it.
class FileLocks {
public:
    FileLocks(InodeStore& inodes, HandleStore& handles) : inodes_{inodes}, handles_{handles} {}
    ~FileLocks();
    FileLocks(const FileLocks&) = delete;
    FileLocks& operator=(const FileLocks&) = delete;

    fuse::Outcome<LockRange> get(NodeId node, const fuse::LockArgs& args);
    fuse::Outcome<void> set(NodeId node, const fuse::LockArgs& args);
    fuse::Outcome<fuse::LockState>
    set_or_park(NodeId node, const fuse::LockArgs& args, fuse::Unique unique, fuse::Deferral& wait);

    void interrupt(fuse::Unique unique);
    void cancel_parked(fuse::Errno reason);
    /// A handle of the node was closed: its flock is gone.
    void wake(NodeId node);
    [[nodiscard]] bool has_posix_locks() const { return owners_count_.load() != 0; }
    /// close(2) in the guest: POSIX drops all locks of that owner on the file.
    void release_owner(NodeId node, LockOwner owner);
    /// Everything, waiting or held. Locks that another daemon has a descriptor of stay.
    void clear();

    // Fd passing.
    /// A duplicate of the description that carries an owner's locks; empty where there is none.
    [[nodiscard]] UniqueFd duplicate(NodeId node, LockOwner owner);
    /// Takes over such a description with what it holds. Each range is asked for once more, which
    /// an owner is granted at once; EAGAIN: it is not the owner. ESTALE: the descriptor is not
    /// open on that inode. EEXIST: the owner is known here. ENOLCK: no descriptor left.
    fuse::Outcome<void>
    adopt(NodeId node, LockOwner owner, UniqueFd fd, const std::vector<LockRange>& ranges);

    using Visit = std::function<void(NodeId, LockOwner, const LockRange&)>;
    /// Every POSIX lock held. `visit` must not call back.
    void for_each(const Visit& visit);

private:
    using Key = std::pair<NodeId, LockOwner>;
    struct Owner {
        UniqueFd fd;
        HeldRanges held;
    };
    struct Waiter {
        NodeId node{};
        fuse::LockArgs args;
        fuse::Unique unique{};
        std::unique_ptr<fuse::Deferred> deferred;
        std::chrono::steady_clock::time_point next_try;
        std::chrono::milliseconds delay{1};
    };
    using Waiters = std::list<Waiter>;
    static constexpr std::chrono::milliseconds longest_delay{50};

    // All with mutex_ held.
    fuse::Outcome<void> set_locked(NodeId node, const fuse::LockArgs& args);
    fuse::Outcome<void> set_posix(NodeId node, const fuse::LockArgs& args);
    fuse::Outcome<void> set_flock(const fuse::LockArgs& args);
    fuse::Outcome<Owner*> find_or_open_owner(NodeId node, LockOwner owner);
    void drop_owner(const Key& key);
    void wake_locked(NodeId node);
    [[nodiscard]] bool would_deadlock(NodeId node, const fuse::LockArgs& args) const;

    [[nodiscard]] int open_for_locks(NodeId node);
    void take_matching(Waiters& taken, const std::function<bool(const Waiter&)>& matches);
    void run();
    void try_due_waiters(Waiters& done, std::vector<fuse::Outcome<void>>& outcomes);

    InodeStore& inodes_;
    HandleStore& handles_;
    std::mutex mutex_; // protects everything below
    std::condition_variable changed_;
    std::map<Key, Owner> owners_;
    std::atomic<std::size_t> owners_count_{0};
    Waiters waiters_;
    bool stops_ = false;
    std::thread thread_;
};

} // namespace vfskit::passthrough
