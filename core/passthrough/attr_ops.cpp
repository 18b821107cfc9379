// SPDX-License-Identifier: Apache-2.0
// Requests about attributes of files and of the filesystem.
#include "core/passthrough/call_outcome.h"
#include "core/passthrough/passthrough_fs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

namespace vfskit::passthrough {

using fuse::AttrChanges;
using fuse::Context;
using fuse::Errno;
using fuse::Outcome;
using fuse::wire::Attr;

Outcome<Attr>
PassthroughFs::getattr(Context& /*ctx*/, NodeId node, std::optional<HandleId> /*handle*/) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    return stat_node(inode);
}

Outcome<fuse::wire::Statx> PassthroughFs::statx(Context& /*ctx*/,
                                                NodeId node,
                                                std::optional<HandleId> /*handle*/,
                                                std::uint32_t flags,
                                                std::uint32_t mask) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    const auto sync = static_cast<int>(flags) & AT_STATX_SYNC_TYPE;
    struct statx host;
    if (::statx(fd.get(), "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | sync, mask, &host) != 0) {
        return fuse::last_errno();
    }
    const auto time_of = [](const statx_timestamp& time) {
        return fuse::wire::SxTime{time.tv_sec, time.tv_nsec, 0};
    };
    fuse::wire::Statx answer{};
    answer.mask = host.stx_mask;
    answer.blksize = host.stx_blksize;
    answer.attributes = host.stx_attributes;
    answer.attributes_mask = host.stx_attributes_mask;
    answer.nlink = host.stx_nlink;
    answer.uid = static_cast<std::uint32_t>(options_.uid_map.to_guest(HostUid{host.stx_uid}));
    answer.gid = static_cast<std::uint32_t>(options_.gid_map.to_guest(HostGid{host.stx_gid}));
    answer.mode = host.stx_mode;
    answer.ino = host.stx_ino;
    answer.size = host.stx_size;
    answer.blocks = host.stx_blocks;
    answer.atime = time_of(host.stx_atime);
    answer.btime = time_of(host.stx_btime);
    answer.ctime = time_of(host.stx_ctime);
    answer.mtime = time_of(host.stx_mtime);
    answer.rdev_major = host.stx_rdev_major;
    answer.rdev_minor = host.stx_rdev_minor;
    answer.dev_major = host.stx_dev_major;
    answer.dev_minor = host.stx_dev_minor;
    return answer;
}

Outcome<void> PassthroughFs::set_owner(int fd, mode_t type, const AttrChanges& changes) {
    // -1 is "leave it" to chown(2), which is not what a guest that sends it as an id means.
    constexpr auto leave = static_cast<std::uint32_t>(-1);
    uid_t uid = leave;
    gid_t gid = leave;
    if (changes.uid) {
        VFSKIT_TRY_ASSIGN(uid, host_uid(*changes.uid));
    }
    if (changes.gid) {
        VFSKIT_TRY_ASSIGN(gid, host_gid(*changes.gid));
    }
    if ((changes.uid && uid == leave) || (changes.gid && gid == leave)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY(outcome_of(::fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)));
    return drop_file_capability(fd, type);
}

Outcome<void> PassthroughFs::set_size(const InodeRef& inode, const AttrChanges& changes) {
    if (const int error = credentials_.set_kills_privileges(changes.kill_suidgid); error != 0) {
        return Errno{error};
    }
    if (changes.handle) {
        VFSKIT_TRY_ASSIGN(const auto handle, get_handle(*changes.handle));
        VFSKIT_TRY(drop_file_capability(handle->fd.get(), handle->type));
        return outcome_of(::ftruncate(handle->fd.get(), *changes.size));
    }
    const int opened = inodes_->reopen(inode, O_RDWR | O_NONBLOCK);
    if (opened < 0) {
        return Errno{-opened};
    }
    const UniqueFd fd{opened};
    VFSKIT_TRY(drop_file_capability(fd.get(), inode->type));
    return outcome_of(::ftruncate(fd.get(), *changes.size));
}

Outcome<void> PassthroughFs::set_times(int fd, const AttrChanges& changes) const {
    const auto time_of = [](const std::optional<fuse::TimeChange>& change) {
        if (!change) {
            return timespec{0, UTIME_OMIT};
        }
        return change->is_now ? timespec{0, UTIME_NOW} : change->value;
    };
    const std::array<timespec, 2> times{time_of(changes.atime), time_of(changes.mtime)};
    if (::utimensat(fd, "", times.data(), AT_EMPTY_PATH) == 0) {
        return {};
    }
    if (errno != EINVAL && errno != ENOENT) {
        return fuse::last_errno();
    }
    // Linux before 5.8 does not know AT_EMPTY_PATH here.
    return outcome_of(::utimensat(proc_self_fd_.get(), FdName{fd}.c_str(), times.data(), 0));
}

Outcome<Attr> PassthroughFs::setattr(Context& /*ctx*/, NodeId node, const AttrChanges& changes) {
    VFSKIT_TRY(check_writable());
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    if (const int error = credentials_.set_kills_privileges(false); error != 0) {
        return Errno{error};
    }
    // The order of upstream: a new owner clears set-id bits that the same request may have set, as
    // chown(2) does.
    if (changes.mode) {
        const int error = change_mode(fd.get(), proc_self_fd_.get(), *changes.mode & 07777);
        if (error != 0) {
            return Errno{-error};
        }
    }
    if (changes.uid || changes.gid) {
        VFSKIT_TRY(set_owner(fd.get(), inode->type, changes));
    }
    if (changes.size) {
        VFSKIT_TRY(set_size(inode, changes));
    }
    if (changes.atime || changes.mtime) {
        VFSKIT_TRY(set_times(fd.get(), changes));
    }
    struct statx status;
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    return attr_of(status);
}

Outcome<std::size_t> PassthroughFs::readlink(Context& /*ctx*/, NodeId node, std::span<char> out) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    if (!S_ISLNK(inode->type)) {
        return Errno{inode->is_lost() ? EIO : EINVAL};
    }
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    const auto size = ::readlinkat(fd.get(), "", out.data(), out.size());
    if (size < 0) {
        return fuse::last_errno();
    }
    return static_cast<std::size_t>(size);
}

/// For clients that do not check by themselves. Only uid and gid are known of the caller, not the
/// groups.
Outcome<void> PassthroughFs::access(Context& ctx, NodeId node, std::uint32_t mask) {
    if ((mask & W_OK) != 0) {
        VFSKIT_TRY(check_writable());
    }
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    VFSKIT_TRY_ASSIGN(const auto uid, host_uid(ctx.uid));
    VFSKIT_TRY_ASSIGN(const auto gid, host_gid(ctx.gid));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    struct statx status;
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    const auto wanted = mask & (R_OK | W_OK | X_OK);
    if (uid == 0) {
        const bool may_execute = S_ISDIR(status.stx_mode) || (status.stx_mode & 0111) != 0;
        return (wanted & X_OK) == 0 || may_execute ? Outcome<void>{} : Errno{EACCES};
    }
    const unsigned shift = uid == status.stx_uid ? 6 : gid == status.stx_gid ? 3 : 0;
    const auto granted = (static_cast<unsigned>(status.stx_mode) >> shift) & 7U;
    return (wanted & ~granted) == 0 ? Outcome<void>{} : Errno{EACCES};
}

Outcome<fuse::wire::Kstatfs> PassthroughFs::statfs(Context& /*ctx*/, NodeId node) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    struct statfs host {};
    if (::fstatfs(fd.get(), &host) != 0) {
        return fuse::last_errno();
    }
    fuse::wire::Kstatfs answer{};
    answer.blocks = host.f_blocks;
    answer.bfree = host.f_bfree;
    answer.bavail = host.f_bavail;
    answer.files = host.f_files;
    answer.ffree = host.f_ffree;
    answer.bsize = static_cast<std::uint32_t>(host.f_bsize);
    answer.namelen = static_cast<std::uint32_t>(host.f_namelen);
    answer.frsize = static_cast<std::uint32_t>(host.f_frsize != 0 ? host.f_frsize : host.f_bsize);
    return answer;
}

} // namespace vfskit::passthrough
