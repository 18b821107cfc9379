// SPDX-License-Identifier: Apache-2.0
// What fs_load measures: each workload as requests to a daemon, and as the bare system calls that a
// daemon cannot do without.
#pragma once

#include "bench/fuse_guest.h"

#include <functional>
#include <string>
#include <vector>

namespace vfskit::bench {

/// The files in the shared directory that the workloads use.
struct Tree {
    std::string root;
    unsigned files = 1000; ///< root/files/f0 …
    /// Size of root/data-4k: as much as stays in the CPU's caches, or the bare system calls wait
    /// for memory most of the time and the daemons with them.
    std::uint64_t small_bytes = 4U << 20;
    std::uint64_t large_bytes = 64U << 20; ///< of root/data-1M
};
/// Makes the files, each data file in pieces of its name's size. They decide how large the kernel
/// makes the folios of its page cache, and ext4 takes 2.5 times as long to write 4 KiB into a large
/// one (measured, Linux 6.18): a file is read and written as it was made. What was written is on
/// the disk when it returns. Throws on an error.
void make_tree(const Tree& tree);

struct Subject {
    std::string name;
    const char* unit;
    /// Prepares the guest and gives the workload.
    std::function<Workload(FuseGuest&)> make;
    /// One round of bare system calls; answers how many operations it was.
    std::function<std::uint64_t()> floor;
};
std::vector<Subject> make_subjects(const Tree& tree);

/// Rounds of `floor` for `seconds` on this thread. Operations per second.
double run_floor(const Subject& subject, double seconds);

} // namespace vfskit::bench
