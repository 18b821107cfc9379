// SPDX-License-Identifier: Apache-2.0
// Requests about extended attributes: mapped names, POSIX ACLs, labels.
#include "core/passthrough/passthrough_fs.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::CString;
using fuse::Errno;
using fuse::Outcome;

namespace {

constexpr std::string_view access_acl = "system.posix_acl_access";
constexpr std::string_view default_acl = "system.posix_acl_default";

} // namespace

/// Without FUSE_POSIX_ACL the guest's kernel does not apply ACLs, so a guest that could set one
/// would believe in a protection that nobody enforces.
bool PassthroughFs::is_hidden_acl(std::string_view guest_name) const {
    return !negotiated_.has(fuse::wire::FUSE_POSIX_ACL) &&
           (guest_name == access_acl || guest_name == default_acl);
}

Outcome<void> PassthroughFs::host_xattr_name(std::string_view guest_name, XattrName& name) const {
    if (guest_name.empty() || guest_name.find('\0') != std::string_view::npos) {
        return Errno{EINVAL};
    }
    if (is_hidden_acl(guest_name)) {
        return Errno{ENOTSUP};
    }
    if (!options_.xattr_map) {
        return name.assign("", guest_name) ? Outcome<void>{} : Errno{ERANGE};
    }
    const int error = options_.xattr_map->to_host(guest_name, name);
    return error == 0 ? Outcome<void>{} : Errno{error};
}

Outcome<std::size_t>
PassthroughFs::getxattr(Context& /*ctx*/, NodeId node, CString name, std::span<std::byte> out) {
    if (!options_.xattr) {
        return Errno{ENOSYS};
    }
    XattrName host_name;
    if (const auto mapped = host_xattr_name(name.view(), host_name); !mapped) {
        // What must not be touched is, for a reader, not there.
        return mapped.error() == Errno{EPERM} ? Errno{ENODATA} : mapped.error();
    }
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    const auto size = xattrs_.get(fd.get(), host_name.c_str(), out);
    if (size < 0) {
        return Errno{static_cast<int>(-size)};
    }
    return static_cast<std::size_t>(size);
}

Outcome<std::size_t> PassthroughFs::listxattr(Context& ctx, NodeId node, std::span<std::byte> out) {
    if (!options_.xattr) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    auto& buffer = static_cast<PassthroughWorker&>(ctx.worker).buffer;
    const auto listed = xattrs_.list(fd.get(), buffer);
    if (listed < 0) {
        return Errno{static_cast<int>(-listed)};
    }
    std::string_view rest{reinterpret_cast<const char*>(buffer.data()),
                          static_cast<std::size_t>(listed)};
    std::size_t size = 0;
    while (!rest.empty()) {
        const auto host_name = rest.substr(0, rest.find('\0'));
        rest.remove_prefix(std::min(host_name.size() + 1, rest.size()));
        const auto name = options_.xattr_map ? options_.xattr_map->to_guest(host_name) : host_name;
        if (name.empty() || is_hidden_acl(name)) {
            continue;
        }
        if (!out.empty()) {
            if (size + name.size() + 1 > out.size()) {
                return Errno{ERANGE};
            }
            std::memcpy(out.data() + size, name.data(), name.size());
            out[size + name.size()] = std::byte{0};
        }
        size += name.size() + 1;
    }
    return size;
}

/// The guest says that who changes the ACL is not in the file's group: chmod(2) would clear the
/// bit.
Outcome<void> PassthroughFs::kill_sgid_for_acl(int fd) {
    struct statx status;
    int error = stat_fd(fd, status);
    if (error == 0 && (status.stx_mode & S_ISGID) != 0) {
        error = change_mode(fd, proc_self_fd_.get(), status.stx_mode & 07777U & ~unsigned{S_ISGID});
    }
    return error == 0 ? Outcome<void>{} : Errno{-error};
}

Outcome<void> PassthroughFs::setxattr(Context& /*ctx*/,
                                      NodeId node,
                                      CString name,
                                      const fuse::XattrChange& change) {
    if (!options_.xattr) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY(check_writable());
    XattrName host_name;
    VFSKIT_TRY(host_xattr_name(name.view(), host_name));
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    if (const int error = credentials_.set_kills_privileges(false); error != 0) {
        return Errno{error};
    }
    if (change.acl_kill_sgid && name.view() == access_acl) {
        VFSKIT_TRY(kill_sgid_for_acl(fd.get()));
    }
    const int error = xattrs_.set(fd.get(), host_name.c_str(), change.value, change.flags);
    return error == 0 ? Outcome<void>{} : Errno{-error};
}

Outcome<void> PassthroughFs::removexattr(Context& /*ctx*/, NodeId node, CString name) {
    if (!options_.xattr) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY(check_writable());
    XattrName host_name;
    VFSKIT_TRY(host_xattr_name(name.view(), host_name));
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    const int error = xattrs_.remove(fd.get(), host_name.c_str());
    return error == 0 ? Outcome<void>{} : Errno{-error};
}

} // namespace vfskit::passthrough
