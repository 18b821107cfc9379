// SPDX-License-Identifier: Apache-2.0
// What the guest knows: node id -> host file.
//
// A record holds on to its file by one of three means, in this order of cost:
//   descriptor   O_PATH, cached; no system call to use it
//   file handle  name_to_handle_at(2); one open_by_handle_at(2) to get a descriptor again. Needs
//                CAP_DAC_READ_SEARCH and a filesystem that has handles
//   place        directory and name where the guest found it last; openat2(2) and statx(2) from the
//                nearest ancestor that has a descriptor, and ESTALE if another file is there now
// Descriptors are a cache under a budget, which the guest's open files share: past it, a clock
// takes those of files that nobody used for longest and that have one of the other two means, so a
// guest that walks a million files sees no ENFILE. A file that has neither (unlinked, and no
// handle) keeps its descriptor.
//
// Places are remembered always: they are what a migration by paths sends, kept right at lookup,
// rename and unlink without a system call, by an index of (directory, name). A record holds the
// last place only; a file with several links has others. Directories are named by node id and not
// held: a guest that forgets a directory before the files in it (Linux does not) loses their
// places.
//
// Measured (bench/inode_memory, Linux 6.18, 200 000 files with names of 12 bytes): 176 bytes of
// heap per file: 128 for the record, 32 for the name, 12 to 24 for the buckets of three tables. The
// aim is 200. Descriptors cost the kernel more, and they are what the budget bounds.
//
// Threads: every method may be called at any time from any thread. Locks, in this order: one shard
// of the identity table -> one of the id table, or of the name table (two name shards never at
// once); FdRing's and MountTable's are leaves. No system call under a shard's lock.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/fuse/outcome.h"
#include "core/passthrough/arrivals.h"
#include "core/passthrough/fd_ring.h"
#include "core/passthrough/inode.h"
#include "core/passthrough/inode_changes.h"
#include "core/passthrough/inode_table.h"
#include "core/passthrough/mount_table.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::passthrough {

/// --inode-file-handles.
enum class FileHandleMode { never, prefer, mandatory };

class InodeStore;

/// One use of a record; the record and its descriptor stay as long as it lives. Empty: no such
/// node.
class [[nodiscard]] InodeRef {
public:
    InodeRef() = default;
    InodeRef(InodeRef&& other) noexcept
        : store_{other.store_}, inode_{std::exchange(other.inode_, nullptr)} {}
    InodeRef& operator=(InodeRef&& other) noexcept;
    InodeRef(const InodeRef&) = delete;
    InodeRef& operator=(const InodeRef&) = delete;
    ~InodeRef() { drop(); }

    explicit operator bool() const { return inode_ != nullptr; }
    const Inode& operator*() const { return *inode_; }
    const Inode* operator->() const { return inode_; }

private:
    friend class InodeStore;
    /// `inode` has been entered.
    InodeRef(InodeStore& store, Inode& inode) : store_{&store}, inode_{&inode} {}
    void drop();

    InodeStore* store_ = nullptr;
    Inode* inode_ = nullptr;
};

/// A descriptor for the time of a request: the cached one, or one opened for it.
class [[nodiscard]] InodeFd {
public:
    /// The descriptor; valid as long as this and the InodeRef it came from. Below 0: negated errno.
    [[nodiscard]] int get() const { return value_; }
    [[nodiscard]] bool is_valid() const { return value_ >= 0; }
    [[nodiscard]] fuse::Errno error() const { return fuse::Errno{-value_}; }

private:
    friend class InodeStore;
    explicit InodeFd(int value) : value_{value} {}
    explicit InodeFd(UniqueFd own) : value_{own.get()}, own_{std::move(own)} {}
    int value_;
    UniqueFd own_;
};

/// Where the guest found a file. Without a name: nowhere (O_TMPFILE).
struct FilePlace {
    NodeId parent{};
    std::string_view name;
};

/// One record as others may see it; valid during the visit.
struct InodeView {
    NodeId id{};
    std::uint64_t lookup_count = 0;
    FilePlace place;
    mode_t type = 0; ///< S_IFMT bits; 0: lost
    const HostIdentity& identity;
    const CompactHandle& handle;
};

class InodeStore {
public:
    struct Options {
        FileHandleMode file_handles = FileHandleMode::prefer;
        /// Descriptors for inodes and open handles together.
        std::size_t fd_limit = 100'000;
        /// Of these, for inodes.
        std::size_t inode_fd_limit = SIZE_MAX;
        /// /proc/self/fd, borrowed for the store's life.
        int proc_self_fd = -1;
    };

    /// `root`: the shared directory or file, any kind of descriptor. With `prefer`, handles are
    /// tried once on it and not used where that fails (file_handles() then says never); with
    /// `mandatory`, ENOTSUP or EPERM.
    static Result<std::unique_ptr<InodeStore>> open(UniqueFd root, const Options& options);
    ~InodeStore();
    InodeStore(const InodeStore&) = delete;
    InodeStore& operator=(const InodeStore&) = delete;

    [[nodiscard]] FileHandleMode file_handles() const { return mode_; }
    [[nodiscard]] int proc_self_fd() const { return proc_self_fd_; }

    // What requests do.
    InodeRef find(NodeId id);
    InodeFd fd_of(const InodeRef& inode);
    /// Opens the file for I/O: the descriptor or a negated errno. EBADF for what is neither a
    /// regular file nor a directory: opening a FIFO or a device would block or act.
    [[nodiscard]] int reopen(const InodeRef& inode, int flags);
    /// True when that was its last reference: the record is gone.
    bool forget(NodeId id, std::uint64_t count);

    // LOOKUP: one more reference of the guest.
    /// The record whose descriptor is open on the file that `status` describes, so that its number
    /// cannot be another file's; else empty.
    InodeRef reference_open(const struct statx& status, const FilePlace& place);
    /// The record of the file behind `fd` (O_PATH), made if need be. `status` is fd's.
    fuse::Outcome<InodeRef>
    reference(UniqueFd fd, const struct statx& status, const FilePlace& place);
    /// The same for a borrowed descriptor that is open for I/O.
    fuse::Outcome<InodeRef>
    reference_io(int fd, const struct statx& status, const FilePlace& place);
    /// Whether LOOKUP of that entry will find a record with its descriptor open. May be wrong;
    /// saves a system call when right.
    [[nodiscard]] bool is_probably_at(const FilePlace& place, HostIno ino);

    // Places.
    /// The record that was last found there.
    InodeRef find_by_place(const FilePlace& place);
    /// The name is about to go away: makes sure that the file is not lost with it.
    void hold(const InodeRef& inode);
    /// The record is not there any more, or is somewhere else now. Nothing, when meanwhile it was
    /// found elsewhere.
    void leave_place(const InodeRef& inode, const FilePlace& place);
    void move_place(const InodeRef& inode, const FilePlace& from, const FilePlace& to);

    // The budget, for open handles.
    /// ENFILE when it is used up by open handles (and files that must be held).
    [[nodiscard]] bool reserve_handle_fd();
    void release_handle_fd() { ring_.release_handle(); }

    // Migration.
    /// Visits every record with lookups, the root too, each as it is at its moment; holds one
    /// shard's lock during a call, so `visit` must not call back into the store.
    void for_each(const std::function<void(const InodeView&)>& visit);
    /// The same for one record; false when the guest does not know it.
    bool visit(NodeId id, const std::function<void(const InodeView&)>& visit);
    /// From now on, which records are made, forgotten, referenced or placed anew is noted. Records
    /// that are read after that and not among take_changes() are as they were read.
    void begin_changes();
    void end_changes();
    /// Those since begin_changes(), or since the last call, in any order; nothing when there are
    /// too many to say.
    std::optional<std::vector<NodeId>> take_changes();
    [[nodiscard]] NodeId next_id() const { return NodeId{next_id_.load()}; }
    /// Later ids are at least this.
    void raise_next_id(NodeId id);
    /// Before that many are restored.
    void reserve(std::size_t count);
    /// Makes a record of a given id (not the root's). EEXIST when the id is taken.
    fuse::Outcome<InodeRef> restore(NodeId id,
                                    std::uint64_t lookup_count,
                                    UniqueFd fd,
                                    const struct statx& status,
                                    const FilePlace& place);
    /// Whether file handles of that mount, of which a record is known, can be opened.
    [[nodiscard]] bool opens_handles_of(MountId mount);
    /// The same as restore() for a file that is opened when it is first used, by its handle or its
    /// place, and is another one (ESTALE) if it has not `identity` then. With a handle: EOPNOTSUPP
    /// unless opens_handles_of() its mount. That the id is free is the caller's to know: the look
    /// at another record would cost as much as all the rest.
    fuse::Outcome<void> restore_unopened(NodeId id,
                                         std::uint64_t lookup_count,
                                         const HostIdentity& identity,
                                         mode_t type,
                                         const HostFileHandle& handle,
                                         const FilePlace& place);
    /// A record that answers EIO.
    fuse::Outcome<void> restore_lost(NodeId id, std::uint64_t lookup_count);
    /// The last part of a restoration: runs `make`, which calls restore_unopened() and nothing
    /// else, on a thread of its own. Requests may run; one that misses a record waits for its end,
    /// as does everything that is about all records.
    void restore_later(std::function<void()> make) { arrivals_.start(std::move(make)); }
    void set_root_lookup_count(std::uint64_t count);

    /// Drops all records but the root. Requests that still run keep theirs until they end.
    void clear();
    [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }
    [[nodiscard]] const FdRing& fds() const { return ring_; }
    [[nodiscard]] MountTable& mounts() { return mounts_; }

private:
    friend class InodeRef;
    struct Way;

    InodeStore(const Options& options, FileHandleMode mode);
    static Result<FileHandleMode> try_file_handles(int root_fd, const Options& options);

    bool take_reference(Inode& inode);
    static InodeView view_of(const Inode& inode, std::uint64_t references);
    InodeRef reference_locked(Inode& inode, nlink_t links, const FilePlace& place);
    [[nodiscard]] int find_handle(int fd, const struct statx& status, HostFileHandle& handle);
    InodeRef insert(std::unique_ptr<Inode> fresh, const FilePlace& place, nlink_t links);
    void add_to_id_table(Inode& inode);
    InodeRef find_now(NodeId id);
    InodeRef find_now(const FilePlace& place);
    [[nodiscard]] bool add_with_id(Inode& inode);
    InodeRef add_restored_locked(std::unique_ptr<Inode> record, const FilePlace& place);
    fuse::Outcome<InodeRef>
    find_or_make(int fd, const struct statx& status, const FilePlace& place);
    void keep_fd(const InodeRef& inode, UniqueFd fd, const FilePlace& place);
    fuse::Outcome<InodeRef> add_restored(std::unique_ptr<Inode> record, const FilePlace& place);
    void unlink_record(Inode& inode);
    void delete_record(Inode& inode);

    void place_locked(Inode& inode, const FilePlace& place);
    void unplace_locked(Inode& inode);

    [[nodiscard]] UniqueFd cache(Inode& inode, UniqueFd fd, bool even_if_full);
    bool evict_one();
    [[nodiscard]] bool can_open_again(Inode& inode);
    [[nodiscard]] int open_again(Inode& inode, bool caches_ancestors);
    [[nodiscard]] int open_by_place(Inode& inode, bool caches_ancestors);
    [[nodiscard]] NodeId copy_place(const Inode& inode, std::span<char> name);
    [[nodiscard]] int climb(Inode& start, Way& way);
    [[nodiscard]] int descend(Way& way, bool caches_ancestors);

    const FileHandleMode mode_;
    const int proc_self_fd_;
    MountTable mounts_;
    FdRing ring_;
    InodeChanges changes_;
    std::unique_ptr<IdTable> ids_ = std::make_unique<IdTable>();
    std::unique_ptr<IdentityTable> identities_ = std::make_unique<IdentityTable>();
    std::unique_ptr<NameTable> names_ = std::make_unique<NameTable>();
    std::atomic<std::uint64_t> next_id_{2};
    std::atomic<std::size_t> size_{0};
    Inode* root_ = nullptr;
    Arrivals arrivals_; // last: its thread uses all of the above
};

} // namespace vfskit::passthrough
