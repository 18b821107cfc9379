// SPDX-License-Identifier: Apache-2.0
// Whole files: read with a bound, replace atomically, lock between processes.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace vfskit::base {

/// Reads a whole regular file. ENOENT when it is missing, EFBIG above `max_size` bytes, EISDIR,
/// EACCES …
Result<std::string> read_file(const std::string& path, std::size_t max_size);

struct ReplaceOptions {
    /// Permission bits of a new file; a file that exists keeps its own, and its owner.
    mode_t mode = 0644;
    /// The temporary file is `<path><temp_suffix>`. Callers that cannot exclude a second writer by
    /// a lock make it unique.
    std::string temp_suffix = ".tmp";
    /// fsync() of file and directory, so that the new content survives a power cut. pmxcfs syncs by
    /// itself and ignores it.
    bool sync = true;
};

/// Makes `content` the whole content of `path`, or changes nothing: writes a temporary file beside
/// it, syncs, renames over it, syncs the directory. A process killed at any instruction leaves the
/// old or the new content, at worst with a temporary file that the next call removes. A symbolic
/// link is followed: the file it names is replaced, the link stays. ENOSPC, EDQUOT, EROFS, EACCES …
/// leave the old content. Two calls at once for one path need the caller's lock.
Result<void>
replace_file(const std::string& path, std::string_view content, const ReplaceOptions& options = {});

/// An exclusive flock(2) on a file of its own, held until destruction; the kernel drops it when the
/// process dies, so it is never stale. For local filesystems only: pmxcfs does not share it between
/// nodes.
class FileLock {
public:
    /// Creates `path` (mode 0600) if missing and waits up to `timeout` for it; ETIMEDOUT names the
    /// holder's pid where the file tells it.
    static Result<FileLock> acquire(const std::string& path, std::chrono::milliseconds timeout);

private:
    explicit FileLock(UniqueFd fd) : fd_{std::move(fd)} {}

    UniqueFd fd_;
};

} // namespace vfskit::base
