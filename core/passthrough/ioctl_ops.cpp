// SPDX-License-Identifier: Apache-2.0
// The ioctl(2) commands that act on files and mean the same on every host: inode flags, project
// ids, sharing of extents. Nothing else passes.
#include "core/passthrough/passthrough_fs.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::Errno;
using fuse::IoctlArgs;
using fuse::IoctlResult;
using fuse::Outcome;

namespace {

/// struct file_clone_range, whose src_fd is a handle here.
struct CloneRange {
    std::int64_t source;
    std::uint64_t source_offset;
    std::uint64_t length;
    std::uint64_t target_offset;
};
static_assert(sizeof(CloneRange) == sizeof(file_clone_range));

template <class T>
Outcome<T> read_argument(std::span<const std::byte> in) {
    if (in.size() < sizeof(T)) {
        return Errno{EINVAL};
    }
    T value;
    std::memcpy(&value, in.data(), sizeof(T));
    return value;
}

} // namespace

/// FICLONE and FICLONERANGE name the source by a descriptor of the caller, which has no meaning
/// here: the handle of the source stands in its place. Linux's own client does not send them (its
/// VFS answers EOPNOTSUPP), others may; a Linux guest shares extents by copy_file_range(2).
Outcome<void> PassthroughFs::clone_range(const Handle& target, const IoctlArgs& args) {
    CloneRange range{};
    if (args.command == FICLONERANGE) {
        VFSKIT_TRY_ASSIGN(range, read_argument<CloneRange>(args.in));
    } else {
        VFSKIT_TRY_ASSIGN(const auto source, read_argument<std::int32_t>(args.in));
        range.source = source;
    }
    if (range.source < 0) {
        return Errno{EBADF};
    }
    VFSKIT_TRY_ASSIGN(const auto source,
                      get_handle(HandleId{static_cast<std::uint64_t>(range.source)}));
    file_clone_range host{};
    host.src_fd = source->fd.get();
    host.src_offset = range.source_offset;
    host.src_length = range.length;
    host.dest_offset = range.target_offset;
    VFSKIT_TRY(drop_file_capability(target.fd.get(), target.type));
    if (::ioctl(target.fd.get(), FICLONERANGE, &host) != 0) {
        return fuse::last_errno();
    }
    return {};
}

/// As the caller, so that the host's kernel asks for what it would ask a local program for: the
/// owner may set most flags, some need capabilities that only the guest's root can stand for.
Outcome<IoctlResult>
PassthroughFs::flags_ioctl(Context& ctx, const Handle& handle, const IoctlArgs& args) {
    std::array<std::byte, sizeof(fsxattr)> value{};
    const bool is_extended = args.command == FS_IOC_FSGETXATTR || args.command == FS_IOC_FSSETXATTR;
    const bool sets = args.command == FS_IOC_SETFLAGS || args.command == FS_IOC32_SETFLAGS ||
                      args.command == FS_IOC_FSSETXATTR;
    const std::size_t size = is_extended ? sizeof(fsxattr) : sizeof(std::uint32_t);
    if (sets) {
        VFSKIT_TRY(check_writable());
    }
    if (sets ? args.in.size() < size : args.out.size() < size) {
        return Errno{EINVAL};
    }
    if (sets) {
        std::memcpy(value.data(), args.in.data(), size);
    }
    // Commands of both word sizes take 32 bits; only their numbers differ.
    const unsigned long command = args.command == FS_IOC32_GETFLAGS   ? FS_IOC_GETFLAGS
                                  : args.command == FS_IOC32_SETFLAGS ? FS_IOC_SETFLAGS
                                                                      : args.command;
    VFSKIT_TRY_ASSIGN(const auto caller, caller_of(ctx));
    const auto scope = credentials_.act_as(caller);
    if (scope.error() != 0) {
        return Errno{scope.error()};
    }
    if (::ioctl(handle.fd.get(), command, value.data()) != 0) {
        return fuse::last_errno();
    }
    if (sets) {
        return IoctlResult{};
    }
    std::memcpy(args.out.data(), value.data(), size);
    return IoctlResult{0, size};
}

Outcome<IoctlResult> PassthroughFs::ioctl(Context& ctx, NodeId /*node*/, const IoctlArgs& args) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    switch (args.command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
    case FS_IOC_SETFLAGS:
    case FS_IOC32_SETFLAGS:
    case FS_IOC_FSGETXATTR:
    case FS_IOC_FSSETXATTR:
        return flags_ioctl(ctx, *handle, args);
    case FICLONE:
    case FICLONERANGE:
        VFSKIT_TRY(check_writable());
        VFSKIT_TRY(clone_range(*handle, args));
        return IoctlResult{};
    default:
        return Errno{ENOTTY};
    }
}

} // namespace vfskit::passthrough
