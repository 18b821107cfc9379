// SPDX-License-Identifier: Apache-2.0
// Paths below the shared directory: from path to file, and from file to path.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/passthrough/inode_store.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace vfskit::device_state {

/// Opens (O_PATH) what `path`, which is_relative_path(), names below `root_fd`. Component by
/// component and through no symbolic link, so it cannot leave the share. A negated errno on
/// failure.
[[nodiscard]] int open_below(int root_fd, std::string_view path);

/// Where the host's kernel says the file is now, relative to the shared directory; opened again and
/// compared before it is believed. ENOENT: deleted. EXDEV: outside. ESTALE: the name is another
/// file's by now.
Result<std::string> find_path(passthrough::InodeStore& inodes, const passthrough::InodeRef& inode);

/// Where the file was when it last had a name, as far as the kernel remembers; empty when it does
/// not, or when that is outside the shared directory.
std::string last_known_path(passthrough::InodeStore& inodes, const passthrough::InodeRef& inode);

/// Calls `visit` with inode number and name of every entry of a directory, "." and ".." too. A
/// directory that cannot be listed has none.
void for_each_entry(passthrough::InodeStore& inodes,
                    const passthrough::InodeRef& directory,
                    const std::function<void(std::uint64_t, const char*)>& visit);

/// Whether the file is still where the guest found it.
[[nodiscard]] bool is_at_place(passthrough::InodeStore& inodes,
                               const passthrough::InodeRef& inode,
                               fuse::NodeId parent,
                               const std::string& name);

} // namespace vfskit::device_state
