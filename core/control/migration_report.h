// SPDX-License-Identifier: Apache-2.0
// What would not be found again if the guest migrated now. The JSON form is
// schemas/daemon-migration-report.schema.json.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::control {

/// How a file without a path travels between two of our daemons, whatever the destination's
/// --migration-on-error. Upstream's daemons take none of them.
enum class Passage {
    none,           ///< it does not: the destination aborts, or the guest gets EIO for it
    same_directory, ///< by file handle, to a destination that serves the same directory
    same_host,      ///< as an open descriptor, to a destination on this host
};

/// A file that the guest knows and that has no path in the shared directory.
struct UnreachableFile {
    std::uint64_t node = 0; ///< the guest's number for it
    std::uint64_t ino = 0;  ///< the host's inode number; 0: lost in an earlier migration
    /// Relative to the shared directory, where it was last; empty: not known.
    std::string path;
    bool is_deleted = false; ///< it has no name at all; else only none that can be found
    std::uint64_t open_handles = 0;
    Passage passage = Passage::none;
    std::string reason; ///< a sentence
    bool operator==(const UnreachableFile&) const = default;
};

struct MigrationReport {
    /// At most this many files are listed; `unreachable` and `deleted` count all.
    static constexpr std::size_t max_files = 1000;

    std::string mode; ///< --migration-mode of the daemon
    std::uint64_t inodes = 0;
    std::uint64_t handles = 0;
    std::uint64_t posix_locks = 0; ///< ranges that the guest holds on the host
    std::uint64_t flocks = 0;      ///< open files that the guest holds a flock(2) lock by
    bool locks_move = false;       ///< else a guest that holds locks is refused at the source
    std::uint64_t unreachable = 0; ///< files without a path
    std::uint64_t deleted = 0;     ///< of these
    bool is_truncated = false;
    std::vector<UnreachableFile> files;
    bool operator==(const MigrationReport&) const = default;
};

/// One line of JSON. Bytes that are not UTF-8 are replaced (U+FFFD).
[[nodiscard]] std::string to_json(const MigrationReport& report);
/// EBADMSG names what is missing or of the wrong type; members that we do not know are ignored.
Result<MigrationReport> parse_migration_report(std::string_view json);

} // namespace vfskit::control
