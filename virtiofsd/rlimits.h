// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"

#include <cstdint>
#include <optional>

namespace vfskit::virtiofsd {

/// What the limits of this process and the wish of the operator come to.
struct FileLimits {
    std::uint64_t soft = 0;
    std::uint64_t hard = 0;
    std::uint64_t nr_open = 0; ///< /proc/sys/fs/nr_open: the most that anybody may set
};

/// The soft and hard limit to set, or nothing to leave them. `wish` is --rlimit-nofile: absent
/// raises to min(1 000 000, nr_open) unless it is that high already, 0 leaves it. EINVAL above
/// nr_open.
Result<std::optional<std::uint64_t>> choose_file_limit(const FileLimits& now,
                                                       std::optional<std::uint64_t> wish);

/// Reads the limits, sets what choose_file_limit() says, and gives the limit in force. Where
/// raising is refused (EPERM) the hard limit is used and the log told, unless the operator named a
/// number: then it is an Error.
Result<std::uint64_t> apply_file_limit(std::optional<std::uint64_t> wish, LogSink& log);

/// How many descriptors may be held for the guest (inodes and open files) under `limit`, when
/// `own_threads` serve: the rest is for memory regions (509), rings, sockets and what requests open
/// for a moment. EINVAL when nothing is left, with the smallest limit that works.
Result<std::uint64_t> guest_descriptor_quota(std::uint64_t limit, std::uint64_t own_threads);
/// Tells the operator when that is hardly enough to work with.
void warn_of_few_descriptors(std::uint64_t quota, LogSink& log);

/// Has the kernel make room for descriptors at once, as far as `limit` and 256 KiB go. Later it
/// doubles the table as it fills, and each time a process with threads waits for all CPUs to have
/// noticed. To be called while there is one thread; a failure only leaves it to later.
///
/// Measured (bench/switch_over, Linux 6.18, 2 CPUs): taking over 5000 open files spent half of its
/// time in these waits, about 10 ms each.
void reserve_descriptor_table(std::uint64_t limit);

} // namespace vfskit::virtiofsd
