// SPDX-License-Identifier: Apache-2.0
// Where the daemons of one host meet for fd passing: a directory with one socket per daemon that
// may be a source. It is made, and each daemon's socket in it, before the walls close.
#pragma once

#include "core/base/result.h"
#include "virtiofsd/runtime_files.h"

#include <optional>
#include <string>

namespace vfskit::virtiofsd {

struct MigrationSocket {
    Listener listener;
    std::string name;      ///< of the socket in the directory: random, so that none stands there
    std::string directory; ///< absolute
};

/// /run/vfskit-migration for root, else vfskit-migration below `runtime_dir` ($XDG_RUNTIME_DIR);
/// ENOENT where that is not set.
Result<std::string> default_migration_directory(bool is_root, const char* runtime_dir);

/// Makes the directory (0700) if need be, removes sockets of daemons that were killed, and listens
/// on a new one (0600). ENAMETOOLONG for a directory whose sockets would have paths over 107 bytes.
Result<MigrationSocket> listen_for_migration(const std::string& directory);

} // namespace vfskit::virtiofsd
