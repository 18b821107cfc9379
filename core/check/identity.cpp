// SPDX-License-Identifier: Apache-2.0
#include "core/check/identity.h"

#include <algorithm>
#include <array>

namespace vfskit::check {
namespace {

using node::NodeFacts;
using node::PathFacts;

/// Nothing while both are known and equal, or one of them is not known.
template <class T>
bool differ(const std::optional<T>& a, const std::optional<T>& b) {
    return a && b && *a != *b;
}

IdentityProof compare_on_one_kernel(const PathFacts& a, const PathFacts& b) {
    if (differ(a.device_major, b.device_major) || differ(a.device_minor, b.device_minor)) {
        return {Sameness::different, "they are on different filesystems"};
    }
    if (differ(a.inode, b.inode)) {
        return {Sameness::different, "their inode numbers differ"};
    }
    if (a.device_major && b.device_major && a.device_minor && b.device_minor && a.inode &&
        b.inode) {
        return {Sameness::same, "device and inode are the same"};
    }
    return {Sameness::unproved, "device or inode is not known"};
}

/// What differs although one directory of one filesystem has only one of it.
const char* difference(const PathFacts& a, const PathFacts& b) {
    if (differ(a.fs_magic, b.fs_magic)) {
        return "their filesystems are of different types";
    }
    if (differ(a.root_handle, b.root_handle)) {
        return "their file handles differ";
    }
    // NFS gives 0, which says nothing.
    if (differ(a.fs_id, b.fs_id) && *a.fs_id != 0 && *b.fs_id != 0) {
        return "their filesystem ids differ";
    }
    if (differ(a.inode, b.inode)) {
        return "their inode numbers differ";
    }
    if (differ(a.birth_ns, b.birth_ns)) {
        return "they were created at different times";
    }
    return nullptr;
}

} // namespace

std::optional<bool> is_shared_filesystem(std::string_view fs_type) {
    static constexpr std::array<std::string_view, 15> shared{"nfs",
                                                             "nfs4",
                                                             "ceph",
                                                             "fuse.ceph",
                                                             "gfs2",
                                                             "ocfs2",
                                                             "lustre",
                                                             "glusterfs",
                                                             "fuse.glusterfs",
                                                             "gpfs",
                                                             "beegfs",
                                                             "orangefs",
                                                             "afs",
                                                             "pvfs2",
                                                             "wekafs"};
    static constexpr std::array<std::string_view, 16> local{"ext2",
                                                            "ext3",
                                                            "ext4",
                                                            "xfs",
                                                            "btrfs",
                                                            "zfs",
                                                            "f2fs",
                                                            "tmpfs",
                                                            "overlay",
                                                            "bcachefs",
                                                            "jfs",
                                                            "reiserfs",
                                                            "vfat",
                                                            "exfat",
                                                            "erofs",
                                                            "squashfs"};
    if (std::ranges::find(shared, fs_type) != shared.end()) {
        return true;
    }
    if (std::ranges::find(local, fs_type) != local.end()) {
        return false;
    }
    return std::nullopt;
}

IdentityProof
compare(const NodeFacts& a_node, const PathFacts& a, const NodeFacts& b_node, const PathFacts& b) {
    if (a_node.boot_id.empty() || b_node.boot_id.empty()) {
        return {Sameness::unproved, "it is not known which kernels they are on"};
    }
    if (a_node.boot_id == b_node.boot_id) {
        return compare_on_one_kernel(a, b);
    }
    if (const char* const why = difference(a, b)) {
        return {Sameness::different, why};
    }
    const auto is_shared = a.fs_type ? is_shared_filesystem(*a.fs_type) : std::nullopt;
    if (is_shared == false) {
        return {Sameness::different, "each host has a filesystem of its own"};
    }
    if (!is_shared) {
        return {Sameness::unproved, "it is not known whether the filesystem is a shared one"};
    }
    if (!a.root_handle || !b.root_handle || !a.fs_id || !b.fs_id || !a.inode || !b.inode ||
        !b.fs_type) {
        return {Sameness::unproved, "file handle, filesystem id or inode is not known"};
    }
    if ((*a.fs_id == 0 || *b.fs_id == 0) &&
        (!a.mount_source || !b.mount_source || *a.mount_source != *b.mount_source)) {
        return {Sameness::unproved, "the filesystem has no id and another mount source"};
    }
    return {Sameness::same, "file handle, filesystem id and inode are the same"};
}

} // namespace vfskit::check
