// SPDX-License-Identifier: Apache-2.0
// Whether two paths on two nodes are one directory, proved by what the kernels say and never by
// name.
#pragma once

#include "core/node/facts.h"

#include <string>

namespace vfskit::check {

enum class Sameness { same, different, unproved };

struct IdentityProof {
    Sameness sameness = Sameness::unproved;
    const char* why = ""; ///< what decided it: "their inode numbers differ"
};

/// On one kernel (equal boot ids): device and inode. On two: filesystem type, file handle,
/// filesystem id, inode and time of birth must agree, and the filesystem must be one that several
/// hosts can mount at once; a local filesystem on two hosts is two filesystems, however alike (a
/// cloned disk agrees in everything).
IdentityProof compare(const node::NodeFacts& a_node,
                      const node::PathFacts& a,
                      const node::NodeFacts& b_node,
                      const node::PathFacts& b);

/// True for filesystems that several hosts mount at once (nfs4, ceph …), false for those that one
/// host has for itself (ext4, tmpfs …); nothing for others.
std::optional<bool> is_shared_filesystem(std::string_view fs_type);

} // namespace vfskit::check
