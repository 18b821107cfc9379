// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/identity.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/device_state/paths.h"
#include "core/passthrough/host_calls.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

namespace vfskit::device_state {

using passthrough::HostFileHandle;
using passthrough::HostIdentity;
using passthrough::InodeStore;

namespace {

// f_type of linux/magic.h and of filesystems that do not list theirs there.
constexpr std::uint32_t nfs_magic = 0x6969;
constexpr std::uint32_t ceph_magic = 0x00c36400;
constexpr std::uint32_t gfs2_magic = 0x01161970;
constexpr std::uint32_t ocfs2_magic = 0x7461636f;
constexpr std::uint32_t xfs_magic = 0x58465342;
constexpr std::uint32_t f2fs_magic = 0xf2f52010;

template <std::size_t N>
bool contains(const std::array<std::uint32_t, N>& all, std::uint32_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

bool has_own_id(const ShareIdentity& identity) {
    constexpr std::array from_device{gfs2_magic, ocfs2_magic, xfs_magic, f2fs_magic};
    return identity.filesystem_id != 0 && !contains(from_device, identity.filesystem_type);
}

bool is_shared_by_nature(const ShareIdentity& identity) {
    constexpr std::array shared{nfs_magic, ceph_magic, gfs2_magic, ocfs2_magic};
    return contains(shared, identity.filesystem_type);
}

bool has_birth(const ShareIdentity& identity) {
    return identity.birth_seconds != 0;
}

Error not_same(std::string_view why) {
    return Error{EXDEV,
                 fmt::format("The shared directory here is not proved to be the source's: {}", why)}
        .with_remedy(
            "Use --migration-mode=find-paths on the source, or share the same directory of "
            "the same filesystem on both hosts");
}

std::string read_id(const std::string& path) {
    constexpr std::size_t longest = 128;
    const auto text = base::read_file(path, longest);
    return text ? std::string{base::trim(*text)} : std::string{};
}

using FileNumber = std::pair<std::uint64_t, std::uint32_t>;

FileNumber number_of(const HostIdentity& identity) {
    return {static_cast<std::uint64_t>(identity.ino), identity.device};
}

Result<void> check_parent(InodeStore& inodes,
                          const passthrough::InodeRef& directory,
                          const std::set<FileNumber>& known) {
    const auto fd = inodes.fd_of(directory);
    struct statx status {};
    if (!fd.is_valid() || passthrough::stat_fd(fd.get(), status) != 0) {
        return not_same("a directory loaded from it cannot be opened again");
    }
    if (status.stx_nlink == 0) {
        return {};
    }
    const UniqueFd parent{::openat(fd.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!parent || passthrough::stat_fd(parent.get(), status) != 0 ||
        known.count(number_of(HostIdentity::of(status))) == 0) {
        return not_same(fmt::format("directory {} of the guest is not below it",
                                    static_cast<std::uint64_t>(directory->id)));
    }
    return {};
}

/// Whether the root has an entry that is one of `files`.
bool root_contains(InodeStore& inodes, const std::set<FileNumber>& files) {
    const auto root = inodes.find(NodeId::root);
    const auto root_fd = inodes.fd_of(root);
    bool found = false;
    for_each_entry(inodes, root, [&](std::uint64_t ino, const char* name) {
        const auto likely = files.lower_bound({ino, 0});
        struct statx status {};
        if (!found && likely != files.end() && likely->first == ino &&
            passthrough::stat_entry(root_fd.get(), name, status) == 0) {
            found = files.count(number_of(HostIdentity::of(status))) != 0;
        }
    });
    return found;
}

} // namespace

HostId read_host_id() {
    return {read_id("/proc/sys/kernel/random/boot_id"), read_id("/etc/machine-id")};
}

Result<ShareIdentity> identify_share(InodeStore& inodes, const HostId& host) {
    const auto root = inodes.find(NodeId::root);
    const auto fd = inodes.fd_of(root);
    struct statfs filesystem {};
    struct statx status {};
    if (::fstatfs(fd.get(), &filesystem) != 0) {
        return Error::from_errno(errno, "Cannot ask for the filesystem of the shared directory");
    }
    if (const int error = passthrough::stat_fd(fd.get(), status); error != 0) {
        return Error::from_errno(-error, "Cannot stat the shared directory");
    }
    ShareIdentity identity;
    identity.boot_id = host.boot_id;
    identity.machine_id = host.machine_id;
    identity.filesystem_type = static_cast<std::uint32_t>(filesystem.f_type);
    static_assert(sizeof(filesystem.f_fsid) == sizeof(identity.filesystem_id));
    std::memcpy(&identity.filesystem_id, &filesystem.f_fsid, sizeof(identity.filesystem_id));
    identity.device = root->identity.device;
    identity.ino = status.stx_ino;
    if ((status.stx_mask & STATX_BTIME) != 0) {
        identity.birth_seconds = status.stx_btime.tv_sec;
        identity.birth_nanoseconds = status.stx_btime.tv_nsec;
    }
    HostFileHandle handle;
    std::uint32_t mount = 0;
    if (passthrough::get_file_handle(fd.get(), handle, mount) == 0) {
        const auto bytes = handle.view();
        identity.root_handle = FileHandle{mount, handle.type, {bytes.begin(), bytes.end()}};
    }
    return identity;
}

Result<void> prove_same_share(const ShareIdentity& source, const ShareIdentity& here) {
    if (!source.root_handle || !here.root_handle) {
        return not_same("its filesystem gives the directory no file handle");
    }
    if (source.filesystem_type != here.filesystem_type) {
        return not_same("it is on another kind of filesystem");
    }
    if (!source.root_handle->names_same_file(*here.root_handle)) {
        return not_same("its file handle is another");
    }
    if (!source.boot_id.empty() && source.boot_id == here.boot_id) {
        if (source.device == here.device && source.ino == here.ino) {
            return {};
        }
        return not_same("it is another directory of this host");
    }
    const bool both_have_birth = has_birth(source) && has_birth(here);
    if (both_have_birth && (source.birth_seconds != here.birth_seconds ||
                            source.birth_nanoseconds != here.birth_nanoseconds)) {
        return not_same("it was made at another time");
    }
    if (has_own_id(source) && has_own_id(here)) {
        if (source.filesystem_id == here.filesystem_id) {
            return {};
        }
        return not_same("it is on another filesystem");
    }
    if (both_have_birth || is_shared_by_nature(here)) {
        return {};
    }
    return not_same("its filesystem has no identity that other hosts see too");
}

Result<void> prove_same_host_and_share(const ShareIdentity& source, const ShareIdentity& here) {
    if (source.boot_id.empty() || source.boot_id != here.boot_id) {
        return Error{EXDEV,
                     source.boot_id.empty() || here.boot_id.empty()
                         ? "Nothing tells whether the source is on this host"
                         : "The source is on another host, or this one was booted since"}
            .with_remedy("Use --migration-mode=find-paths or file-handles on the source");
    }
    if (source.device != here.device || source.ino != here.ino) {
        return Error{EXDEV, "The shared directory here is another than the source's"}.with_remedy(
            "Share the same directory on both ends, or use --migration-mode=find-paths on the "
            "source");
    }
    return {};
}

Result<void> prove_loaded_below_root(InodeStore& inodes, const std::vector<NodeId>& loaded) {
    std::set<FileNumber> directories{number_of(inodes.find(NodeId::root)->identity)};
    std::set<FileNumber> files;
    for (const auto id : loaded) {
        const auto inode = inodes.find(id);
        if (inode && !inode->is_lost()) {
            (S_ISDIR(inode->type) ? directories : files).insert(number_of(inode->identity));
        }
    }
    for (const auto id : loaded) {
        const auto inode = inodes.find(id);
        if (inode && S_ISDIR(inode->type)) {
            VFSKIT_TRY(check_parent(inodes, inode, directories));
        }
    }
    if (directories.size() == 1 && !files.empty() && !root_contains(inodes, files)) {
        return not_same("it contains none of the files that the guest knows");
    }
    return {};
}

} // namespace vfskit::device_state
