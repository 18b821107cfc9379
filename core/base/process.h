// SPDX-License-Identifier: Apache-2.0
// A command is a value before it is a process: rooms build a ProcessSpec, tests compare it as data,
// and the functions here are the only place that spawns.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace vfskit::base {

/// What to run. `program` is a path or, without '/', looked up in PATH; `args` excludes argv[0].
struct ProcessSpec {
    std::string program;
    std::vector<std::string> args;

    bool operator==(const ProcessSpec&) const = default;
    /// The shell-quoted command line, for people and for scripts.
    [[nodiscard]] std::string shell_line() const;
};

/// How a finished process ended and what it printed.
struct ProcessOutput {
    int exit_status = 0; ///< as a shell sees it: 128+N for a death by signal N
    std::string out;
    std::string err;
};

/// Runs `spec` to its end with standard input closed and gives what it printed. ETIMEDOUT kills it;
/// EMSGSIZE when it printed more than `max_output` bytes on either stream; ENOENT or EACCES when it
/// cannot be executed. A non-zero exit status is not an Error. Blocks the calling thread.
Result<ProcessOutput> run_and_capture(const ProcessSpec& spec,
                                      std::chrono::milliseconds timeout,
                                      std::size_t max_output = 1 << 20);

} // namespace vfskit::base

namespace vfskit {
using base::ProcessSpec;
} // namespace vfskit
