// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/paths.h"

#include "core/base/text.h"
#include "core/passthrough/host_calls.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <vector>

namespace vfskit::device_state {

using passthrough::FdName;
using passthrough::HostIdentity;
using passthrough::InodeRef;
using passthrough::InodeStore;

namespace {

/// What /proc/self/fd says about a descriptor.
Result<std::string> path_of_fd(int proc_self_fd, int fd) {
    std::string path(PATH_MAX, '\0');
    const auto size = ::readlinkat(proc_self_fd, FdName{fd}.c_str(), path.data(), path.size());
    if (size < 0) {
        return Error::from_errno(errno, "Cannot ask the kernel for the path of a file");
    }
    path.resize(static_cast<std::size_t>(size));
    return path;
}

Result<std::string> strip_root(const std::string& path, std::string root) {
    if (root == "/") {
        root.clear();
    }
    if (path == root) {
        return std::string{"."};
    }
    if (path.size() <= root.size() + 1 || path.compare(0, root.size(), root) != 0 ||
        path[root.size()] != '/') {
        return Error{EXDEV, "It is outside the shared directory now"};
    }
    return path.substr(root.size() + 1);
}

Result<void> check_same(InodeStore& inodes, const InodeRef& inode, const std::string& path) {
    const auto root = inodes.find(fuse::NodeId::root);
    const auto root_fd = inodes.fd_of(root);
    const int opened = root_fd.is_valid() ? open_below(root_fd.get(), path) : root_fd.get();
    const UniqueFd fd{std::max(opened, -1)};
    struct statx status {};
    if (!fd || passthrough::stat_fd(fd.get(), status) != 0 ||
        HostIdentity::of(status) != inode->identity) {
        return Error{ESTALE, fmt::format("'{}' is another file by now", path)};
    }
    return {};
}

} // namespace

int open_below(int root_fd, std::string_view path) {
    if (path == ".") {
        const int fd = ::fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
    }
    UniqueFd own;
    int directory = root_fd;
    for (const auto part : base::split(path, '/')) {
        const int opened = passthrough::open_entry(directory, std::string{part}.c_str());
        if (opened < 0) {
            return opened;
        }
        own.reset(opened);
        directory = opened;
    }
    return own.release();
}

Result<std::string> find_path(InodeStore& inodes, const InodeRef& inode) {
    const auto root = inodes.find(fuse::NodeId::root);
    const auto root_fd = inodes.fd_of(root);
    const auto fd = inodes.fd_of(inode);
    if (!fd.is_valid() || !root_fd.is_valid()) {
        return Error::from_errno(-std::min(fd.get(), root_fd.get()), "It cannot be opened");
    }
    struct statx status {};
    if (passthrough::stat_fd(fd.get(), status) == 0 && status.stx_nlink == 0) {
        return Error{ENOENT, "It was deleted and has no name any more"};
    }
    VFSKIT_TRY_ASSIGN(const auto root_path, path_of_fd(inodes.proc_self_fd(), root_fd.get()));
    VFSKIT_TRY_ASSIGN(const auto full_path, path_of_fd(inodes.proc_self_fd(), fd.get()));
    VFSKIT_TRY_ASSIGN(auto path, strip_root(full_path, root_path));
    VFSKIT_TRY(check_same(inodes, inode, path));
    return path;
}

std::string last_known_path(InodeStore& inodes, const InodeRef& inode) {
    constexpr std::string_view mark = " (deleted)";
    const auto root = inodes.find(fuse::NodeId::root);
    const auto root_fd = inodes.fd_of(root);
    const auto fd = inodes.fd_of(inode);
    if (!fd.is_valid() || !root_fd.is_valid()) {
        return {};
    }
    auto root_path = path_of_fd(inodes.proc_self_fd(), root_fd.get());
    auto path = path_of_fd(inodes.proc_self_fd(), fd.get());
    if (!root_path || !path) {
        return {};
    }
    if (path->ends_with(mark)) {
        path->resize(path->size() - mark.size());
    }
    auto below = strip_root(*path, std::move(*root_path));
    return below && *below != "." ? std::move(*below) : std::string{};
}

void for_each_entry(InodeStore& inodes,
                    const InodeRef& directory,
                    const std::function<void(std::uint64_t, const char*)>& visit) {
    UniqueFd fd{directory ? std::max(inodes.reopen(directory, O_RDONLY | O_DIRECTORY), -1) : -1};
    if (!fd) {
        return;
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> listing{::fdopendir(fd.get()), ::closedir};
    if (!listing) {
        return;
    }
    (void)fd.release(); // the listing's
    while (const auto* entry = ::readdir(listing.get())) {
        visit(entry->d_ino, entry->d_name);
    }
}

bool is_at_place(InodeStore& inodes,
                 const InodeRef& inode,
                 fuse::NodeId parent_id,
                 const std::string& name) {
    const auto parent = inodes.find(parent_id);
    if (!parent) {
        return false;
    }
    const auto parent_fd = inodes.fd_of(parent);
    struct statx status {};
    return parent_fd.is_valid() &&
           passthrough::stat_entry(parent_fd.get(), name.c_str(), status) == 0 &&
           HostIdentity::of(status) == inode->identity;
}

} // namespace vfskit::device_state
