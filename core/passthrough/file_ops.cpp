// SPDX-License-Identifier: Apache-2.0
// Requests about open files.
#include "core/base/request_path.h"
#include "core/passthrough/call_outcome.h"
#include "core/passthrough/data_calls.h"
#include "core/passthrough/passthrough_fs.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::Errno;
using fuse::Opened;
using fuse::Outcome;

// ---- opening and closing
// -------------------------------------------------------------------------

OpenFlagRules PassthroughFs::open_rules() const {
    return {options_.allow_direct_io,
            options_.preserve_noatime,
            negotiated_.has(fuse::wire::FUSE_WRITEBACK_CACHE)};
}

/// Where the xattr map renames security.capability the kernel does not drop it when the file
/// changes; on regular files only, for only they have any use of it.
VFSKIT_OUT_OF_LINE Outcome<void> PassthroughFs::drop_file_capability(int fd, mode_t type) {
    if (!mapped_capability_ || !S_ISREG(type)) {
        return {};
    }
    const int error = xattrs_.remove(fd, mapped_capability_->c_str());
    if (error != 0 && error != -ENODATA && error != -ENOTSUP) {
        return Errno{-error};
    }
    return {};
}

/// A descriptor that only reads may stay open behind the guest's back; one that writes keeps
/// programs from being executed and filesystems from being remounted read-only.
bool PassthroughFs::may_stay_open(int host_flags) {
    return (host_flags & ~(O_LARGEFILE | O_NONBLOCK | O_NOATIME | O_DIRECT)) == O_RDONLY;
}

/// flock(2) belongs to the open file: only close(2) frees it for sure. On a remote filesystem
/// open(2) is what makes other clients' changes seen.
bool PassthroughFs::keep_idle(Handle& handle) {
    const int flags = host_open_flags(handle.guest_flags, open_rules());
    if (!S_ISREG(handle.type) || handle.is_remote || handle.is_foreign || handle.has_flock ||
        !may_stay_open(flags)) {
        return false;
    }
    if (idle_.put(handle.node, flags, std::move(handle.fd))) {
        inodes_->release_handle_fd();
    }
    return true;
}

void PassthroughFs::drop_idle(NodeId node) {
    for (auto count = idle_.drop(node); count > 0; --count) {
        inodes_->release_handle_fd();
    }
}

/// Files that the guest has closed make room for those that it opens.
bool PassthroughFs::reserve_handle_fd() {
    if (inodes_->reserve_handle_fd()) {
        return true;
    }
    const auto idle = idle_.clear();
    for (auto count = idle; count > 0; --count) {
        inodes_->release_handle_fd();
    }
    return idle > 0 && inodes_->reserve_handle_fd();
}

Outcome<HandleId> PassthroughFs::open_handle(const InodeRef& inode,
                                             std::uint32_t guest_flags,
                                             int host_flags,
                                             bool kill_suidgid) {
    const bool truncates = (host_flags & O_TRUNC) != 0;
    if (truncates) {
        if (const int error = credentials_.set_kills_privileges(kill_suidgid); error != 0) {
            return Errno{error};
        }
    }
    if (may_stay_open(host_flags)) {
        if (auto fd = idle_.take(inode->id, host_flags)) {
            return handles_.add({inode->id, std::move(fd), guest_flags, inode->type, false});
        }
    }
    if (!reserve_handle_fd()) {
        return Errno{ENFILE};
    }
    const int opened = inodes_->reopen(inode, host_flags);
    if (opened < 0) {
        inodes_->release_handle_fd();
        return Errno{-opened};
    }
    UniqueFd fd{opened};
    if (truncates) {
        if (const auto dropped = drop_file_capability(fd.get(), inode->type); !dropped) {
            inodes_->release_handle_fd();
            return dropped.error();
        }
    }
    const bool remote = remote_.is_remote(fd.get(), inode->identity.device);
    return handles_.add({inode->id, std::move(fd), guest_flags, inode->type, remote});
}

Outcome<Opened> PassthroughFs::open(Context& /*ctx*/, NodeId node, const fuse::OpenArgs& args) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const int flags = host_open_flags(args.flags, open_rules());
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0) {
        VFSKIT_TRY(check_writable());
    }
    Opened opened;
    VFSKIT_TRY_ASSIGN(opened.handle, open_handle(inode, args.flags, flags, args.kill_suidgid));
    return opened;
}

int PassthroughFs::restored_flags(const Inode& inode, std::uint32_t guest_flags) const {
    const int type_flag = S_ISDIR(inode.type) ? O_DIRECTORY : 0;
    return (host_open_flags(guest_flags, open_rules()) & ~O_TRUNC) | type_flag;
}

Outcome<void> PassthroughFs::restore_handle(HandleId id, NodeId node, std::uint32_t guest_flags) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    if (!reserve_handle_fd()) {
        return Errno{ENFILE};
    }
    const int opened = inodes_->reopen(inode, restored_flags(*inode, guest_flags));
    if (opened < 0) {
        inodes_->release_handle_fd();
        return Errno{-opened};
    }
    UniqueFd fd{opened};
    const bool remote = remote_.is_remote(fd.get(), inode->identity.device);
    if (!handles_.restore(id, {node, std::move(fd), guest_flags, inode->type, remote})) {
        inodes_->release_handle_fd();
        return Errno{EEXIST};
    }
    handles_.raise_next_id(HandleId{static_cast<std::uint64_t>(id) + 1});
    return {};
}

Outcome<void> PassthroughFs::adopt_handle(
    HandleId id, NodeId node, std::uint32_t guest_flags, UniqueFd fd, bool has_flock) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    struct statx status;
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    const auto identity = HostIdentity::of(status);
    if (identity.ino != inode->identity.ino || identity.device != inode->identity.device) {
        return Errno{ESTALE};
    }
    // A directory has nothing but its own mount to lose, and it is listed through that.
    if (S_ISDIR(inode->type) && !has_flock && restore_handle(id, node, guest_flags)) {
        return {};
    }
    constexpr int lasting = O_ACCMODE | O_DIRECT | O_NOATIME | O_APPEND | O_SYNC | O_PATH;
    const int wanted = restored_flags(*inode, guest_flags);
    const int present = ::fcntl(fd.get(), F_GETFL);
    if (present < 0 || ((present ^ wanted) & lasting) != 0) {
        if (has_flock) {
            return Errno{EBUSY};
        }
        fd.reset(
            ::openat(proc_self_fd_.get(), FdName{fd.get()}.c_str(), wanted | O_CLOEXEC | O_NOCTTY));
        if (!fd) {
            return fuse::last_errno();
        }
    }
    if (!reserve_handle_fd()) {
        return Errno{ENFILE};
    }
    const bool remote = remote_.is_remote(fd.get(), inode->identity.device);
    if (!handles_.restore(
            id, {node, std::move(fd), guest_flags, inode->type, remote, true, has_flock})) {
        inodes_->release_handle_fd();
        return Errno{EEXIST};
    }
    handles_.raise_next_id(HandleId{static_cast<std::uint64_t>(id) + 1});
    return {};
}

Outcome<void>
PassthroughFs::restore_lost_handle(HandleId id, NodeId node, std::uint32_t guest_flags) {
    if (!handles_.restore(id, {node, UniqueFd{}, guest_flags})) {
        return Errno{EEXIST};
    }
    handles_.raise_next_id(HandleId{static_cast<std::uint64_t>(id) + 1});
    return {};
}

/// Where close(2) reports what write-back found (NFS, CIFS …), a duplicate is closed for its
/// answer. Local filesystems have nothing to say then.
Outcome<void> PassthroughFs::flush(Context& /*ctx*/, NodeId node, HandleId id, LockOwner owner) {
    if (locks_.has_posix_locks()) {
        locks_.release_owner(node, owner);
    }
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(id));
    if (!handle->is_remote) {
        return {};
    }
    const int duplicate = ::fcntl(handle->fd.get(), F_DUPFD_CLOEXEC, 0);
    if (duplicate < 0) {
        return fuse::last_errno();
    }
    return outcome_of(::close(duplicate));
}

Outcome<void> PassthroughFs::close_handle(const fuse::ReleaseArgs& args) {
    const auto node = [&] {
        const auto handle = handles_.find(args.handle);
        if (handle && handle->fd && handle->has_flock) {
            // Not left to close(2): another daemon may hold the same description (fd passing).
            (void)::flock(handle->fd.get(), LOCK_UN);
        }
        return handle ? handle->node : NodeId{};
    }();
    if (!handles_.remove(args.handle)) {
        return Errno{EBADF};
    }
    if (args.flush && locks_.has_posix_locks()) {
        locks_.release_owner(node, args.lock_owner);
    }
    if (negotiated_.has(fuse::wire::FUSE_FLOCK_LOCKS)) {
        locks_.wake(node);
    }
    return {};
}

Outcome<void>
PassthroughFs::release(Context& /*ctx*/, NodeId /*node*/, const fuse::ReleaseArgs& args) {
    return close_handle(args);
}

// ---- data
// ----------------------------------------------------------------------------------------

namespace {

/// What is left of `data` after `done` bytes, in `rest`.
std::span<const iovec>
remaining(std::span<const iovec> data, std::size_t done, std::array<iovec, 1024>& rest) {
    std::size_t count = 0;
    for (const auto& part : data) {
        const auto skipped = std::min(done, part.iov_len);
        done -= skipped;
        if (skipped < part.iov_len && count < rest.size()) {
            rest.at(count++) = {static_cast<std::byte*>(part.iov_base) + skipped,
                                part.iov_len - skipped};
        }
    }
    return {rest.data(), count};
}

// The calls with a single buffer spare the kernel the list of them.
ssize_t read_once(int fd, std::span<const iovec> data, off_t offset) {
    ssize_t got = 0;
    do {
        got = data.size() == 1 ? read_at(fd, data[0].iov_base, data[0].iov_len, offset)
                               : ::preadv(fd, data.data(), static_cast<int>(data.size()), offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

ssize_t write_once(int fd, std::span<const iovec> data, off_t offset, int flags) {
    ssize_t written = 0;
    do {
        written = data.size() == 1 && flags == 0
                      ? write_at(fd, data[0].iov_base, data[0].iov_len, offset)
                      : ::pwritev2(fd, data.data(), static_cast<int>(data.size()), offset, flags);
    } while (written < 0 && errno == EINTR);
    return written;
}

} // namespace

/// A regular file on a local filesystem reads short at its end only, so one call is enough there.
VFSKIT_REQUEST_PATH Outcome<std::size_t> PassthroughFs::read(Context& /*ctx*/,
                                                             NodeId /*node*/,
                                                             const fuse::ReadArgs& args,
                                                             std::span<const iovec> data) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    auto got = read_once(handle->fd.get(), data, args.offset);
    if (got < 0) {
        return fuse::last_errno();
    }
    auto total = static_cast<std::size_t>(got);
    std::array<iovec, 1024> rest; // NOLINT: uninitialised on purpose, the common read leaves it so
    while (handle->is_remote && got > 0) {
        const auto left = remaining(data, total, rest);
        if (left.empty()) {
            break;
        }
        got = read_once(handle->fd.get(), left, args.offset + static_cast<off_t>(total));
        if (got > 0) {
            total += static_cast<std::size_t>(got);
        }
    }
    return total; // an error after some bytes shows at the next read
}

VFSKIT_REQUEST_PATH Outcome<std::size_t> PassthroughFs::write(Context& /*ctx*/,
                                                              NodeId /*node*/,
                                                              const fuse::WriteArgs& args,
                                                              std::span<const iovec> data) {
    VFSKIT_TRY(check_writable());
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    if (const int error = credentials_.set_kills_privileges(args.kill_suidgid); error != 0) {
        return Errno{error};
    }
    if (mapped_capability_) {
        VFSKIT_TRY(drop_file_capability(handle->fd.get(), handle->type));
    }
    // Pages that the guest writes back have their place; only a program's own write appends.
    const bool appends = (args.flags & O_APPEND) != 0 && !args.is_from_cache;
    const auto written = write_once(handle->fd.get(), data, args.offset, appends ? RWF_APPEND : 0);
    if (written < 0) {
        return fuse::last_errno();
    }
    return static_cast<std::size_t>(written);
}

Outcome<void> PassthroughFs::sync_handle(HandleId id, bool data_only) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(id));
    return outcome_of(data_only ? ::fdatasync(handle->fd.get()) : ::fsync(handle->fd.get()));
}

Outcome<void>
PassthroughFs::fsync(Context& /*ctx*/, NodeId /*node*/, HandleId handle, bool data_only) {
    return sync_handle(handle, data_only);
}

Outcome<void>
PassthroughFs::fallocate(Context& /*ctx*/, NodeId /*node*/, const fuse::FallocateArgs& args) {
    VFSKIT_TRY(check_writable());
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    if (const int error = credentials_.set_kills_privileges(false); error != 0) {
        return Errno{error};
    }
    VFSKIT_TRY(drop_file_capability(handle->fd.get(), handle->type));
    return outcome_of(
        ::fallocate(handle->fd.get(), static_cast<int>(args.mode), args.offset, args.length));
}

Outcome<off_t> PassthroughFs::lseek(
    Context& /*ctx*/, NodeId /*node*/, HandleId id, off_t offset, std::uint32_t whence) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(id));
    if (!S_ISREG(handle->type)) {
        return Errno{EINVAL}; // a directory's offset belongs to its listing
    }
    const auto found = ::lseek(handle->fd.get(), offset, static_cast<int>(whence));
    if (found < 0) {
        return fuse::last_errno();
    }
    return off_t{found};
}

Outcome<std::size_t> PassthroughFs::copy_file_range(Context& /*ctx*/,
                                                    NodeId /*node*/,
                                                    const fuse::CopyFileRangeArgs& args) {
    VFSKIT_TRY(check_writable());
    VFSKIT_TRY_ASSIGN(const auto source, get_handle(args.handle_in));
    VFSKIT_TRY_ASSIGN(const auto target, get_handle(args.handle_out));
    if (const int error = credentials_.set_kills_privileges(false); error != 0) {
        return Errno{error};
    }
    VFSKIT_TRY(drop_file_capability(target->fd.get(), target->type));
    off_t offset_in = args.offset_in;
    off_t offset_out = args.offset_out;
    // The kernel caps one call itself; the largest count keeps the result representable.
    const auto length =
        std::min<std::size_t>(args.length, std::numeric_limits<std::int32_t>::max() & ~0xfff);
    const auto copied = ::copy_file_range(source->fd.get(),
                                          &offset_in,
                                          target->fd.get(),
                                          &offset_out,
                                          length,
                                          static_cast<unsigned>(args.flags));
    if (copied < 0) {
        return fuse::last_errno();
    }
    return static_cast<std::size_t>(copied);
}

Outcome<void> PassthroughFs::syncfs(Context& /*ctx*/, NodeId node) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const UniqueFd fd{std::max(inodes_->reopen(inode, O_RDONLY | O_NONBLOCK), -1)};
    if (!fd) {
        return Errno{EIO};
    }
    return outcome_of(::syncfs(fd.get()));
}

} // namespace vfskit::passthrough
