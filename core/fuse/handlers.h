// SPDX-License-Identifier: Apache-2.0
// Every opcode's handler: decodes the arguments, calls the Filesystem, answers. Private to the
// room.
#pragma once

#include "core/fuse/dispatch.h"

namespace vfskit::fuse {

using Size = Outcome<std::size_t>;

// Nodes: node_handlers.cpp
Size handle_lookup(Call& call);
Size handle_forget(Call& call);
Size handle_batch_forget(Call& call);
Size handle_getattr(Call& call);
Size handle_statx(Call& call);
Size handle_setattr(Call& call);
Size handle_readlink(Call& call);
Size handle_access(Call& call);
Size handle_statfs(Call& call);

// Names: name_handlers.cpp
Size handle_symlink(Call& call);
Size handle_mknod(Call& call);
Size handle_mkdir(Call& call);
Size handle_unlink(Call& call);
Size handle_rmdir(Call& call);
Size handle_rename(Call& call);
Size handle_rename2(Call& call);
Size handle_link(Call& call);
Size handle_create(Call& call);
Size handle_tmpfile(Call& call);

// Files: file_handlers.cpp
Size handle_open(Call& call);
Size handle_flush(Call& call);
Size handle_release(Call& call);
Size handle_fsync(Call& call);
Size handle_fallocate(Call& call);
Size handle_lseek(Call& call);
Size handle_ioctl(Call& call);
Size handle_syncfs(Call& call);

// Data: data_handlers.cpp
Size handle_read(Call& call);
Size handle_write(Call& call);
Size handle_copy_file_range(Call& call);
Size handle_copy_file_range_64(Call& call);

// Directories: directory_handlers.cpp
Size handle_opendir(Call& call);
Size handle_readdir(Call& call);
Size handle_readdirplus(Call& call);
Size handle_releasedir(Call& call);
Size handle_fsyncdir(Call& call);

// Extended attributes: xattr_handlers.cpp
Size handle_getxattr(Call& call);
Size handle_listxattr(Call& call);
Size handle_setxattr(Call& call);
Size handle_removexattr(Call& call);

// Locks: lock_handlers.cpp
Size handle_getlk(Call& call);
Size handle_setlk(Call& call);
Size handle_setlkw(Call& call);
Size handle_interrupt(Call& call);

/// The common arguments of RELEASE and RELEASEDIR.
Outcome<ReleaseArgs> read_release(Call& call);

} // namespace vfskit::fuse
