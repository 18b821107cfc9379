// SPDX-License-Identifier: Apache-2.0
// What it costs here to wake a thread on another CPU, which each interrupt and each kick does. In a
// virtual machine it is the host that decides: 1 us or 140, and the comparison of two daemons moves
// with it.
#pragma once

#include <chrono>
#include <string>

namespace vfskit::bench {

struct Percentiles {
    std::chrono::nanoseconds median{};
    std::chrono::nanoseconds ninetieth{};
};

struct WakeUp {
    Percentiles sending; ///< eventfd_write(3) to a thread that sleeps
    Percentiles arrival; ///< from before it until that thread is out of its read(2)
};

/// 400 wake-ups of a thread on another of the CPUs that this one may use, each after it has slept
/// for `asleep`. Takes `asleep` and the arrival 400 times. Throws std::system_error when there is
/// no second CPU, no eventfd or no thread.
WakeUp measure_wake_up(std::chrono::nanoseconds asleep);

/// "a thread asleep for 50 us on another CPU: 1.1 us to wake it (p90 1.8), awake after 4.9 (7.6)",
/// or why it cannot be said.
std::string describe_wake_up();

} // namespace vfskit::bench
