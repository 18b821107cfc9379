// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/device_state/identity.h"
#include "core/device_state/place_check.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/passthrough_fs.h"

#include <string>
#include <vector>

namespace vfskit::device_state {

/// --migration-mode: how the destination is told to find the files.
enum class SaveMode {
    find_paths,
    file_handles,
    /// As open descriptors, to a destination on this host. The stream holds what find_paths puts
    /// there too, for a destination that is upstream's.
    fd_passing,
};

struct SaveOptions {
    SaveMode mode = SaveMode::find_paths;
    /// Send the file handle beside each path, for the destination to compare.
    bool verify_handles = false;
    bool announce_submounts = true;
    HostId host;
};

/// The state of `filesystem`, on which no request may run. `suspects` are not where the guest found
/// them: they are searched for by what the kernel says (/proc/self/fd), as are those whose
/// directory the guest has forgotten. What cannot be found (deleted, moved out of the share) is
/// told to `log` in a sentence each and sent as InvalidLocation: the destination decides whether
/// the migration goes on without it. Under find_paths the trailer says the file handle of such a
/// file, where it has one. Under fd_passing it says the locks that the guest holds and every file's
/// number; the offer is the caller's to add. Nothing changes at the source.
Result<State> save(passthrough::PassthroughFs& filesystem,
                   const SaveOptions& options,
                   const Suspects& suspects,
                   LogSink& log);

/// A file that the guest knows and that the mode has no way to name to the destination.
struct UnreachableFile {
    NodeId id{};
    passthrough::HostIno ino{}; ///< 0: lost in an earlier migration
    std::string path;           ///< where it was last, below the shared directory; may be empty
    bool is_deleted = false;    ///< no name is left
    bool has_handle = false;    ///< the filesystem gives it a file handle
    std::string reason;         ///< a sentence
};

/// What save() would find without a place if it ran now, by id. May run while requests do; a file
/// that they rename or remove meanwhile may be judged either way. Compares every inode with the
/// host.
std::vector<UnreachableFile> find_unreachable(passthrough::PassthroughFs& filesystem,
                                              const SaveOptions& options);

} // namespace vfskit::device_state
