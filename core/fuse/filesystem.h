// SPDX-License-Identifier: Apache-2.0
// What stands behind a FUSE session. The session has checked everything that can be checked without
// a filesystem: sizes, offsets (never negative, never above 2^63-1), names, extensions. Node ids
// and handles are only numbers that the guest sent: the Filesystem answers EBADF to those it never
// gave.
#pragma once

#include "core/fuse/dir_buffer.h"
#include "core/fuse/name.h"
#include "core/fuse/outcome.h"
#include "core/fuse/wire.h"

#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace vfskit::fuse {

using wire::Opcode;

enum class NodeId : std::uint64_t { root = wire::FUSE_ROOT_ID };
/// What OPEN, OPENDIR and CREATE returned ("fh").
enum class HandleId : std::uint64_t {};
/// Number of a request; the guest's kernel makes them unique among those in flight.
enum class Unique : std::uint64_t {};
/// Who holds a lock: opaque, comparable.
enum class LockOwner : std::uint64_t {};
/// Numbers of users and groups as the guest knows them.
enum class GuestUid : std::uint32_t {};
enum class GuestGid : std::uint32_t {};

/// Whatever a Filesystem keeps per serving thread: cached credentials, scratch buffers, counters.
/// Made by make_worker(), used by one thread at a time, destroyed before the Filesystem.
class Worker {
public:
    virtual ~Worker() = default;
};

/// A label for a node being created (FUSE_SECURITY_CTX).
struct SecurityContext {
    CString name; ///< of the xattr, as "security.selinux"
    std::span<const std::byte> value;
};

/// Who asks. Everything it refers to lives until the call returns.
struct Context {
    Worker& worker;
    Unique unique{};
    GuestUid uid{};
    GuestGid gid{};
    /// In the guest's own numbering; for lock queries only.
    std::uint32_t pid = 0;
    /// CREATE, MKDIR, MKNOD, TMPFILE: what the guest wants masked. 0 elsewhere. The mode has been
    /// masked by the guest already unless FUSE_DONT_MASK is negotiated.
    mode_t umask = 0;
    /// Create requests with FUSE_CREATE_SUPP_GROUP: groups the caller is in besides gid (Linux
    /// sends the one that matters for the directory). Empty: none were sent.
    std::span<const GuestGid> supplementary_groups{};
    /// Create requests with FUSE_SECURITY_CTX: nullopt when the guest sent none.
    std::optional<SecurityContext> security_context{};
};

/// What INIT agreed on. It outlives the connection: live migration carries it to the destination,
/// which must decode and create exactly as the source did.
struct NegotiatedState {
    /// 0 until INIT. The guest's minor, 27 or above.
    std::uint32_t minor = 0;
    /// wire::FUSE_… bits in effect.
    std::uint64_t flags = 0;
    std::uint32_t max_readahead = 0;
    std::uint32_t max_write = 0;
    std::uint16_t max_pages = 0;

    [[nodiscard]] bool is_initialized() const { return minor != 0; }
    [[nodiscard]] bool has(std::uint64_t flag) const { return (flags & flag) != 0; }
    bool operator==(const NegotiatedState&) const = default;
};

/// What LOOKUP and all creating requests answer. The guest holds one more reference to the node
/// (lookup count) for every Entry that reaches it.
struct Entry {
    NodeId node{};
    std::uint64_t generation = 0;
    wire::Attr attr{};
};

/// What OPEN and OPENDIR answer. `open_flags` are wire::FOPEN_… bits in addition to those that the
/// session sets for its cache policy.
struct Opened {
    HandleId handle{};
    std::uint32_t open_flags = 0;
};

struct Created {
    Entry entry;
    Opened opened;
};

/// One of the times of SETATTR. `now` overrides `value`.
struct TimeChange {
    timespec value{};
    bool is_now = false;
};

/// What SETATTR changes; what is nullopt stays.
struct AttrChanges {
    std::optional<mode_t> mode; ///< permission bits and set-id bits, maybe with the file type
    std::optional<GuestUid> uid;
    std::optional<GuestGid> gid;
    std::optional<off_t> size;
    std::optional<TimeChange> atime;
    std::optional<TimeChange> mtime;
    std::optional<timespec> ctime; ///< only with FUSE_WRITEBACK_CACHE; hosts cannot set it
    std::optional<HandleId> handle;
    std::optional<LockOwner> lock_owner;
    /// Clear set-id bits as a caller without CAP_FSETID would (FUSE_HANDLE_KILLPRIV_V2).
    bool kill_suidgid = false;
};

struct CreateArgs {
    mode_t mode = 0;
    /// The guest's open(2) flags, Linux generic values, as sent: nothing removed.
    std::uint32_t flags = 0;
    bool kill_suidgid = false;
};

struct OpenArgs {
    std::uint32_t flags = 0; ///< as in CreateArgs
    bool kill_suidgid = false;
};

struct ReadArgs {
    HandleId handle{};
    off_t offset = 0;
    std::uint32_t flags = 0; ///< of the guest's open file description, now
    std::optional<LockOwner> lock_owner;
};

struct WriteArgs {
    HandleId handle{};
    off_t offset = 0;
    std::uint32_t flags = 0; ///< of the guest's open file description, now: O_APPEND counts
    /// Written back from the guest's page cache: offset counts even with O_APPEND, and who asks is
    /// not who wrote.
    bool is_from_cache = false;
    bool kill_suidgid = false;
    std::optional<LockOwner> lock_owner;
};

struct ReleaseArgs {
    HandleId handle{};
    std::uint32_t flags = 0;
    LockOwner lock_owner{};
    bool flush = false;
    bool unlock_flock = false;
};

struct XattrChange {
    std::span<const std::byte> value;
    int flags = 0; ///< XATTR_CREATE, XATTR_REPLACE, 0
    /// Clear the set-group-id bit: an ACL change by someone not in the group.
    bool acl_kill_sgid = false;
};

/// `type` is F_RDLCK, F_WRLCK or F_UNLCK; `end` is the last byte, INT64_MAX for "to the end".
struct LockRange {
    off_t start = 0;
    off_t end = 0;
    int type = 0;
    std::uint32_t pid = 0;
};

struct LockArgs {
    HandleId handle{};
    LockOwner owner{};
    LockRange range;
    bool is_flock = false; ///< flock(2): the whole file, owned by the open file description
};

/// The reply to a request that waits. May be completed on any thread, exactly once, also before
/// setlkw() has returned; destroyed without it, the guest gets EIO.
class Deferred {
public:
    virtual ~Deferred() = default;
    virtual void complete(Outcome<void> outcome) = 0;
};

/// Turns the request being handled into a waiting one. Only valid during the call it was given to.
class Deferral {
public:
    /// At most once. The one place on a request's way that allocates.
    virtual std::unique_ptr<Deferred> park() = 0;
    /// Whether park() was called.
    [[nodiscard]] virtual bool is_parked() const = 0;

protected:
    ~Deferral() = default;
};

enum class LockState { granted, parked };

struct IoctlArgs {
    HandleId handle{};
    std::uint32_t command = 0;
    std::uint32_t flags = 0; ///< wire::FUSE_IOCTL_…; never FUSE_IOCTL_UNRESTRICTED
    std::span<const std::byte> in;
    std::span<std::byte> out; ///< host memory, zeroed
};

struct IoctlResult {
    std::int32_t result = 0;
    std::size_t out_size = 0;
};

struct FallocateArgs {
    HandleId handle{};
    off_t offset = 0;
    off_t length = 0;
    std::uint32_t mode = 0;
};

struct CopyFileRangeArgs {
    HandleId handle_in{};
    off_t offset_in = 0;
    NodeId node_out{};
    HandleId handle_out{};
    off_t offset_out = 0;
    std::size_t length = 0;
    std::uint64_t flags = 0;
};

/// Numbers for the control socket. Approximate while requests run.
struct Gauges {
    std::uint64_t inodes = 0;
    std::uint64_t handles = 0;
    std::uint64_t fds = 0;
    std::uint64_t fd_budget = 0;
};

/// A tree of files for one guest.
///
/// Threads: all request methods are called from any number of threads at once, each with its own
/// Worker; init() and destroy() only while no request runs. The methods may block on the host's
/// storage, except where they say otherwise.
///
/// Errors: any errno. It reaches the guest's program as it is, so it must be one that a caller of
/// the system call would understand. ENOSYS tells the guest's kernel never to send that opcode
/// again (and often to do without); the defaults below answer it. Methods do not throw.
///
/// Common errors, not repeated below: EBADF for a node or handle that does not exist, ENOTDIR for a
/// node that is not a directory, EROFS, EACCES, EPERM, ENOSPC, EDQUOT, EIO, ESTALE, ENFILE.
class Filesystem {
public:
    virtual ~Filesystem() = default;

    /// Called by every thread that is going to serve requests, on that thread.
    virtual std::unique_ptr<Worker> make_worker() = 0;
    /// A guest mounted, or state was loaded by a migration: what it agreed on.
    virtual void init(const NegotiatedState& negotiated) = 0;
    /// The guest unmounted, was reset, or mounts anew: drop all nodes but the root, all handles,
    /// all locks; complete parked requests with ENOLCK.
    virtual void destroy() = 0;
    [[nodiscard]] virtual Gauges gauges() const = 0;

    // Nodes.
    /// ENOENT for a missing name: the session turns it into a negative entry where it may.
    virtual Outcome<Entry> lookup(Context& ctx, NodeId parent, Name name) = 0;
    /// Drops `count` references. Never blocks on storage for long, never fails: unknown nodes and
    /// counts that are too high are ignored as far as they go.
    virtual void forget(Context& ctx, NodeId node, std::uint64_t count) = 0;
    virtual Outcome<wire::Attr>
    getattr(Context& ctx, NodeId node, std::optional<HandleId> handle) = 0;
    /// `mask` and `flags` as in statx(2). `mask` of the answer tells what is valid.
    virtual Outcome<wire::Statx> statx(Context&,
                                       NodeId,
                                       std::optional<HandleId>,
                                       std::uint32_t /*flags*/,
                                       std::uint32_t /*mask*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<wire::Attr> setattr(Context&, NodeId, const AttrChanges&) {
        return Errno{ENOSYS};
    }
    /// Writes the target (no NUL) to `out`, which has room for PATH_MAX bytes; its size.
    virtual Outcome<std::size_t> readlink(Context&, NodeId, std::span<char> /*out*/) {
        return Errno{ENOSYS};
    }
    /// Permission check as access(2); Linux guests on virtiofs check by themselves.
    virtual Outcome<void> access(Context&, NodeId, std::uint32_t /*mask*/) { return Errno{ENOSYS}; }
    virtual Outcome<wire::Kstatfs> statfs(Context&, NodeId) { return Errno{ENOSYS}; }

    // Names. All act as the caller in ctx where they create; EEXIST, ENOENT, ENOTEMPTY, EXDEV …
    virtual Outcome<Entry> symlink(Context&, NodeId /*parent*/, Name, CString /*target*/) {
        return Errno{ENOSYS};
    }
    /// `rdev` is the guest's 32-bit encoding, which equals Linux's new_encode_dev().
    virtual Outcome<Entry>
    mknod(Context&, NodeId /*parent*/, Name, mode_t /*mode*/, std::uint32_t /*rdev*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<Entry> mkdir(Context&, NodeId /*parent*/, Name, mode_t /*mode*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<void> unlink(Context&, NodeId /*parent*/, Name) { return Errno{ENOSYS}; }
    virtual Outcome<void> rmdir(Context&, NodeId /*parent*/, Name) { return Errno{ENOSYS}; }
    /// `flags` are RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT and nothing else; 0 for
    /// RENAME.
    virtual Outcome<void> rename(Context&,
                                 NodeId /*old_parent*/,
                                 Name /*old_name*/,
                                 NodeId /*new_parent*/,
                                 Name /*new_name*/,
                                 std::uint32_t /*flags*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<Entry>
    link(Context&, NodeId /*target*/, NodeId /*new_parent*/, Name /*new_name*/) {
        return Errno{ENOSYS};
    }

    // Files.
    virtual Outcome<Opened> open(Context&, NodeId, const OpenArgs&) { return Errno{ENOSYS}; }
    /// Opens an existing file too, unless O_EXCL.
    virtual Outcome<Created> create(Context&, NodeId /*parent*/, Name, const CreateArgs&) {
        return Errno{ENOSYS};
    }
    /// A file without a name in that directory.
    virtual Outcome<Created> tmpfile(Context&, NodeId /*parent*/, const CreateArgs&) {
        return Errno{ENOSYS};
    }
    /// Straight into the guest's memory: at most IOV_MAX buffers, which another processor may
    /// change meanwhile. The bytes read; fewer than wanted only at the end of the file.
    virtual Outcome<std::size_t>
    read(Context&, NodeId, const ReadArgs&, std::span<const iovec> /*data*/) {
        return Errno{ENOSYS};
    }
    /// Straight from the guest's memory, as read().
    virtual Outcome<std::size_t>
    write(Context&, NodeId, const WriteArgs&, std::span<const iovec> /*data*/) {
        return Errno{ENOSYS};
    }
    /// Every close(2) of the guest; drops the POSIX locks of `owner`.
    virtual Outcome<void> flush(Context&, NodeId, HandleId, LockOwner) { return Errno{ENOSYS}; }
    /// The last close. Its errors reach nobody.
    virtual Outcome<void> release(Context&, NodeId, const ReleaseArgs&) { return Errno{ENOSYS}; }
    virtual Outcome<void> fsync(Context&, NodeId, HandleId, bool /*data_only*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<void> fallocate(Context&, NodeId, const FallocateArgs&) {
        return Errno{ENOSYS};
    }
    /// SEEK_DATA and SEEK_HOLE (the guest does the others by itself); ENXIO.
    virtual Outcome<off_t> lseek(Context&, NodeId, HandleId, off_t, std::uint32_t /*whence*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<std::size_t> copy_file_range(Context&, NodeId, const CopyFileRangeArgs&) {
        return Errno{ENOSYS};
    }
    /// ENOTTY for a command that is not allowed.
    virtual Outcome<IoctlResult> ioctl(Context&, NodeId, const IoctlArgs&) { return Errno{ENOSYS}; }
    virtual Outcome<void> syncfs(Context&, NodeId) { return Errno{ENOSYS}; }

    // Directories.
    virtual Outcome<Opened> opendir(Context&, NodeId, const OpenArgs&) { return Errno{ENOSYS}; }
    /// Adds entries from `offset` (0, or a next_offset given before) until `out` is full or the
    /// directory ends. With out.is_plus(), each entry is looked up too; an entry whose lookup fails
    /// is added without it, it does not fail the listing.
    virtual Outcome<void>
    readdir(Context&, NodeId, HandleId, std::uint64_t /*offset*/, DirBuffer& /*out*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<void> releasedir(Context&, NodeId, const ReleaseArgs&) { return Errno{ENOSYS}; }
    virtual Outcome<void> fsyncdir(Context&, NodeId, HandleId, bool /*data_only*/) {
        return Errno{ENOSYS};
    }

    // Extended attributes. Names are not empty and at most XATTR_NAME_MAX bytes; any bytes.
    /// Size of the value, written to `out`. An empty `out` asks for the size only; ERANGE when it
    /// does not fit, ENODATA when there is none. `out` is host memory.
    virtual Outcome<std::size_t>
    getxattr(Context&, NodeId, CString /*name*/, std::span<std::byte> /*out*/) {
        return Errno{ENOSYS};
    }
    /// NUL-terminated names one behind the other; sizes as getxattr().
    virtual Outcome<std::size_t> listxattr(Context&, NodeId, std::span<std::byte> /*out*/) {
        return Errno{ENOSYS};
    }
    virtual Outcome<void> setxattr(Context&, NodeId, CString /*name*/, const XattrChange&) {
        return Errno{ENOSYS};
    }
    virtual Outcome<void> removexattr(Context&, NodeId, CString /*name*/) { return Errno{ENOSYS}; }

    // Locks; asked only where INIT agreed on FUSE_POSIX_LOCKS or FUSE_FLOCK_LOCKS.
    /// The first lock that conflicts, or the range with type F_UNLCK.
    virtual Outcome<LockRange> getlk(Context&, NodeId, const LockArgs&) { return Errno{ENOSYS}; }
    /// EAGAIN when another holds it. Never waits.
    virtual Outcome<void> setlk(Context&, NodeId, const LockArgs&) { return Errno{ENOSYS}; }
    /// Grants now, or parks the request and answers `parked`. Never waits in the call; EDEADLK.
    virtual Outcome<LockState> setlkw(Context&, NodeId, const LockArgs&, Deferral&) {
        return Errno{ENOSYS};
    }
    /// The guest gives up on a request: if it is parked, complete it with EINTR. Unknown ones are
    /// ignored.
    virtual void interrupt(Context&, Unique) {}
    /// Completes every parked request with `reason`. Called from any thread, when the queue that
    /// they came from stops.
    virtual void cancel_parked(Errno /*reason*/) {}
};

} // namespace vfskit::fuse
