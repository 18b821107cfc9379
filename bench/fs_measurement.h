// SPDX-License-Identifier: Apache-2.0
// One measurement: a daemon of its own, a guest, a workload.
#pragma once

#include "bench/fs_workloads.h"
#include "bench/fuse_guest.h"

#include <string>
#include <vector>

namespace vfskit::bench {

struct Measured {
    double rate = 0;             ///< operations per second
    double cpu_microseconds = 0; ///< the daemon's, or of the bare calls, per operation
};

/// A daemon that is measured: how to run it, but for the socket and the directory.
struct Contender {
    std::string program;
    std::vector<std::string> args;
};

/// A daemon for each measurement: what one workload left in its tables does not burden the next.
/// Its socket is made beside `dir`. Throws when the daemon does not do what it should.
Measured measure(const Contender& contender,
                 const Subject& subject,
                 const GuestOptions& guest_options,
                 const std::string& dir,
                 double seconds);
/// The system calls alone, on this thread.
Measured measure_floor(const Subject& subject, double seconds);

/// "1.08 M/s".
std::string human_rate(double rate);

} // namespace vfskit::bench
