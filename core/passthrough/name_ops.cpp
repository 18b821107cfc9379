// SPDX-License-Identifier: Apache-2.0
// Requests about names: lookup, creation, removal, renaming.
#include "core/passthrough/call_outcome.h"
#include "core/passthrough/passthrough_fs.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::Created;
using fuse::CString;
using fuse::Entry;
using fuse::Errno;
using fuse::Name;
using fuse::Outcome;

namespace {

constexpr auto rename_flags =
    static_cast<std::uint32_t>(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT);

/// Whoever calls us has checked it, and this room does not rely on that.
bool is_bad(const Name& name) {
    return !is_entry_name(name.view());
}

} // namespace

// ---- lookup
// --------------------------------------------------------------------------------------

/// A file that is known and has its descriptor costs one statx(). A new one is opened first, so
/// that its attributes and its handle are surely of one file.
Outcome<Entry>
PassthroughFs::look_up(const InodeRef& parent, int parent_fd, const char* name, Guess guess) {
    const FilePlace place{parent->id, name};
    struct statx status;
    if (guess == Guess::known) {
        if (const int error = stat_entry(parent_fd, name, status); error != 0) {
            return Errno{-error};
        }
        if (const auto known = inodes_->reference_open(status, place)) {
            return entry_of(*parent, *known, status);
        }
    }
    const int opened = open_entry(parent_fd, name);
    if (opened < 0) {
        return Errno{-opened};
    }
    UniqueFd fd{opened};
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    VFSKIT_TRY_ASSIGN(const auto inode, inodes_->reference(std::move(fd), status, place));
    return entry_of(*parent, *inode, status);
}

Outcome<Entry> PassthroughFs::lookup(Context& /*ctx*/, NodeId parent_id, Name name) {
    if (is_bad(name)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto parent, get(parent_id));
    const auto parent_fd = inodes_->fd_of(parent);
    if (!parent_fd.is_valid()) {
        return parent_fd.error();
    }
    return look_up(parent, parent_fd.get(), name.c_str(), Guess::known);
}

// ---- creation
// ------------------------------------------------------------------------------------

Outcome<Caller> PassthroughFs::caller_of(Context& ctx) const {
    auto& groups = static_cast<PassthroughWorker&>(ctx.worker).groups;
    groups.clear();
    for (const auto guest : ctx.supplementary_groups) {
        VFSKIT_TRY_ASSIGN(const auto group, host_gid(guest));
        groups.push_back(group);
    }
    VFSKIT_TRY_ASSIGN(const auto uid, host_uid(ctx.uid));
    VFSKIT_TRY_ASSIGN(const auto gid, host_gid(ctx.gid));
    return Caller{
        HostUid{uid}, HostGid{gid}, groups, !negotiated_.has(fuse::wire::FUSE_CREATE_SUPP_GROUP)};
}

Outcome<std::optional<PassthroughFs::Label>> PassthroughFs::label_of(const Context& ctx) const {
    if (!ctx.security_context) {
        return std::optional<Label>{};
    }
    Label label;
    VFSKIT_TRY(host_xattr_name(ctx.security_context->name.view(), label.name));
    label.value = ctx.security_context->value;
    return std::optional{label};
}

int PassthroughFs::use_umask(const Context& ctx) const {
    // Without FUSE_DONT_MASK the guest has masked the mode itself.
    return set_thread_umask(negotiated_.has(fuse::wire::FUSE_DONT_MASK) ? ctx.umask : 0);
}

/// `make(parent_fd, name)` runs as the caller and answers 0 or -1 with errno. A node that cannot
/// get its label is removed again.
template <class Make>
Outcome<Entry> PassthroughFs::create_node(
    Context& ctx, NodeId parent_id, Name name, int unlink_flags, Make&& make) {
    VFSKIT_TRY(check_writable());
    if (is_bad(name)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto parent, get(parent_id));
    VFSKIT_TRY_ASSIGN(const auto caller, caller_of(ctx));
    VFSKIT_TRY_ASSIGN(const auto label, label_of(ctx));
    const auto parent_fd = inodes_->fd_of(parent);
    if (!parent_fd.is_valid()) {
        return parent_fd.error();
    }
    if (const int error = use_umask(ctx); error != 0) {
        return Errno{error};
    }
    {
        const auto scope = credentials_.act_as(caller);
        if (scope.error() != 0) {
            return Errno{scope.error()};
        }
        if (make(parent_fd.get(), name.c_str()) != 0) {
            return fuse::last_errno();
        }
    }
    if (!label) {
        return look_up(parent, parent_fd.get(), name.c_str(), Guess::unknown);
    }
    const int opened = open_entry(parent_fd.get(), name.c_str());
    const UniqueFd fd{std::max(opened, -1)};
    const int error =
        opened < 0 ? opened : xattrs_.set(fd.get(), label->name.c_str(), label->value, 0);
    if (error != 0) {
        (void)::unlinkat(parent_fd.get(), name.c_str(), unlink_flags);
        return Errno{-error};
    }
    return look_up(parent, parent_fd.get(), name.c_str(), Guess::unknown);
}

Outcome<Entry> PassthroughFs::mkdir(Context& ctx, NodeId parent, Name name, mode_t mode) {
    return create_node(ctx, parent, name, AT_REMOVEDIR, [mode](int fd, const char* entry) {
        return ::mkdirat(fd, entry, mode & 07777);
    });
}

Outcome<Entry> PassthroughFs::symlink(Context& ctx, NodeId parent, Name name, CString target) {
    return create_node(ctx, parent, name, 0, [&target](int fd, const char* entry) {
        return ::symlinkat(target.c_str(), fd, entry);
    });
}

Outcome<Entry>
PassthroughFs::mknod(Context& ctx, NodeId parent, Name name, mode_t mode, std::uint32_t rdev) {
    // new_decode_dev()
    const auto device =
        ::makedev((rdev & 0xfff00U) >> 8U, (rdev & 0xffU) | ((rdev >> 12U) & 0xfff00U));
    return create_node(ctx, parent, name, 0, [mode, device](int fd, const char* entry) {
        return ::mknodat(fd, entry, mode & (S_IFMT | 07777), device);
    });
}

Outcome<int> PassthroughFs::create_as_caller(
    Context& ctx, int parent_fd, const char* name, int flags, mode_t mode) {
    VFSKIT_TRY_ASSIGN(const auto caller, caller_of(ctx));
    VFSKIT_TRY_ASSIGN(const auto label, label_of(ctx));
    if (const int error = use_umask(ctx); error != 0) {
        return Errno{error};
    }
    UniqueFd fd;
    {
        const auto scope = credentials_.act_as(caller);
        if (scope.error() != 0) {
            return Errno{scope.error()};
        }
        const int created = open_entry_for_io(parent_fd, name, flags, mode);
        if (created < 0) {
            return Errno{-created};
        }
        fd.reset(created);
    }
    if (label) {
        const int error = xattrs_.set(fd.get(), label->name.c_str(), label->value, 0);
        if (error != 0) {
            if ((flags & O_CREAT) != 0) {
                (void)::unlinkat(parent_fd, name, 0);
            }
            return Errno{-error};
        }
    }
    return fd.release();
}

/// The record and the handle of a file just created, from its own descriptor: the file is not
/// opened or looked up again.
Outcome<Created> PassthroughFs::finish_create(const InodeRef& parent,
                                              const FilePlace& place,
                                              UniqueFd fd,
                                              std::uint32_t flags) {
    struct statx status;
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    VFSKIT_TRY_ASSIGN(const auto inode, inodes_->reference_io(fd.get(), status, place));
    const bool remote = remote_.is_remote(fd.get(), inode->identity.device);
    Created created;
    created.entry = entry_of(*parent, *inode, status);
    created.opened.handle = handles_.add({inode->id, std::move(fd), flags, inode->type, remote});
    return created;
}

Outcome<Created> PassthroughFs::open_existing(
    Context& ctx, const InodeRef& parent, int parent_fd, Name name, const fuse::CreateArgs& args) {
    Created created;
    VFSKIT_TRY_ASSIGN(created.entry, look_up(parent, parent_fd, name.c_str(), Guess::known));
    const auto opened = open(ctx, created.entry.node, {args.flags, args.kill_suidgid});
    if (!opened) {
        inodes_->forget(created.entry.node, 1); // the guest does not learn of this reference
        return opened.error();
    }
    created.opened = *opened;
    return created;
}

Outcome<Created>
PassthroughFs::create(Context& ctx, NodeId parent_id, Name name, const fuse::CreateArgs& args) {
    VFSKIT_TRY(check_writable());
    if (is_bad(name)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto parent, get(parent_id));
    const auto parent_fd = inodes_->fd_of(parent);
    if (!parent_fd.is_valid()) {
        return parent_fd.error();
    }
    if (!reserve_handle_fd()) {
        return Errno{ENFILE};
    }
    // O_TRUNC means nothing for a file that is new.
    const int flags = (host_open_flags(args.flags, open_rules()) & ~O_TRUNC) | O_CREAT | O_EXCL;
    const auto fd = create_as_caller(ctx, parent_fd.get(), name.c_str(), flags, args.mode);
    if (fd) {
        auto created = finish_create(parent, {parent->id, name.view()}, UniqueFd{*fd}, args.flags);
        if (!created) {
            inodes_->release_handle_fd();
        }
        return created;
    }
    inodes_->release_handle_fd();
    if (fd.error() != Errno{EEXIST} || (args.flags & O_EXCL) != 0) {
        return fd.error();
    }
    return open_existing(ctx, parent, parent_fd.get(), name, args);
}

Outcome<Created>
PassthroughFs::tmpfile(Context& ctx, NodeId parent_id, const fuse::CreateArgs& args) {
    VFSKIT_TRY(check_writable());
    VFSKIT_TRY_ASSIGN(const auto parent, get(parent_id));
    const auto parent_fd = inodes_->fd_of(parent);
    if (!parent_fd.is_valid()) {
        return parent_fd.error();
    }
    if (!reserve_handle_fd()) {
        return Errno{ENFILE};
    }
    // O_EXCL stays: it says that the file will never get a name.
    const int flags = (host_open_flags(args.flags, open_rules()) & ~O_TRUNC) | O_TMPFILE |
                      (static_cast<int>(args.flags) & O_EXCL);
    const auto fd = create_as_caller(ctx, parent_fd.get(), ".", flags, args.mode);
    auto created =
        fd ? finish_create(parent, {}, UniqueFd{*fd}, args.flags) : Outcome<Created>{fd.error()};
    if (!created) {
        inodes_->release_handle_fd();
    }
    return created;
}

Outcome<Entry>
PassthroughFs::link(Context& /*ctx*/, NodeId target, NodeId new_parent, Name new_name) {
    VFSKIT_TRY(check_writable());
    if (is_bad(new_name)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto inode, get(target));
    VFSKIT_TRY_ASSIGN(const auto parent, get(new_parent));
    const auto fd = inodes_->fd_of(inode);
    const auto parent_fd = inodes_->fd_of(parent);
    if (!fd.is_valid() || !parent_fd.is_valid()) {
        return fd.is_valid() ? parent_fd.error() : fd.error();
    }
    // AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH; following the magic link does not.
    VFSKIT_TRY(outcome_of(::linkat(proc_self_fd_.get(),
                                   FdName{fd.get()}.c_str(),
                                   parent_fd.get(),
                                   new_name.c_str(),
                                   AT_SYMLINK_FOLLOW)));
    return look_up(parent, parent_fd.get(), new_name.c_str(), Guess::known);
}

// ---- removal and renaming
// ------------------------------------------------------------------------

Outcome<void> PassthroughFs::remove_name(NodeId parent_id, Name name, int flags) {
    VFSKIT_TRY(check_writable());
    if (is_bad(name)) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto parent, get(parent_id));
    const auto parent_fd = inodes_->fd_of(parent);
    if (!parent_fd.is_valid()) {
        return parent_fd.error();
    }
    const FilePlace place{parent_id, name.view()};
    const auto victim = inodes_->find_by_place(place);
    if (victim) {
        inodes_->hold(victim);
    }
    VFSKIT_TRY(outcome_of(::unlinkat(parent_fd.get(), name.c_str(), flags)));
    if (victim) {
        drop_idle(victim->id);
        inodes_->leave_place(victim, place);
    }
    return {};
}

Outcome<void> PassthroughFs::unlink(Context& /*ctx*/, NodeId parent, Name name) {
    return remove_name(parent, name, 0);
}

Outcome<void> PassthroughFs::rmdir(Context& /*ctx*/, NodeId parent, Name name) {
    return remove_name(parent, name, AT_REMOVEDIR);
}

Outcome<void> PassthroughFs::rename(Context& /*ctx*/,
                                    NodeId old_parent_id,
                                    Name old_name,
                                    NodeId new_parent_id,
                                    Name new_name,
                                    std::uint32_t flags) {
    VFSKIT_TRY(check_writable());
    if (is_bad(old_name) || is_bad(new_name) || (flags & ~rename_flags) != 0) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto old_parent, get(old_parent_id));
    VFSKIT_TRY_ASSIGN(const auto new_parent, get(new_parent_id));
    const auto old_fd = inodes_->fd_of(old_parent);
    const auto new_fd = inodes_->fd_of(new_parent);
    if (!old_fd.is_valid() || !new_fd.is_valid()) {
        return old_fd.is_valid() ? new_fd.error() : old_fd.error();
    }
    const FilePlace from{old_parent_id, old_name.view()};
    const FilePlace to{new_parent_id, new_name.view()};
    const auto source = inodes_->find_by_place(from);
    const auto target = inodes_->find_by_place(to);
    if (target && (flags & RENAME_EXCHANGE) == 0) {
        inodes_->hold(target);
    }
    VFSKIT_TRY(outcome_of(::syscall(
        SYS_renameat2, old_fd.get(), old_name.c_str(), new_fd.get(), new_name.c_str(), flags)));
    if (target && (flags & RENAME_EXCHANGE) != 0) {
        inodes_->move_place(target, to, from);
    } else if (target) {
        drop_idle(target->id);
        inodes_->leave_place(target, to);
    }
    if (source) {
        inodes_->move_place(source, from, to);
    }
    return {};
}

} // namespace vfskit::passthrough
