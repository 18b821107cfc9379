// SPDX-License-Identifier: Apache-2.0
// What a daemon did between two looks at it.
#pragma once

#include "core/control/status.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace vfskit::control {

/// One kind of request during an interval.
struct OperationRate {
    std::string name;
    double per_second = 0;
    std::uint64_t errors = 0;        ///< during the interval
    std::chrono::nanoseconds mean{}; ///< of a request; zero without requests
    std::chrono::nanoseconds p50{};  ///< as latency_quantile(); zero without requests
    std::chrono::nanoseconds p99{};
};

struct Rates {
    std::chrono::milliseconds interval{}; ///< by the daemon's clock
    double operations_per_second = 0;
    double errors_per_second = 0;
    double bytes_read_per_second = 0;
    double bytes_written_per_second = 0;
    std::chrono::nanoseconds p50{}; ///< of requests of every kind; zero without requests
    std::chrono::nanoseconds p99{};
    std::vector<OperationRate> operations; ///< those that were served, busiest first
};

/// From `before` to `after`, two looks at the daemon of one socket. When `after` is of another
/// process (the daemon was restarted), from that one's start.
[[nodiscard]] Rates rates_between(const Status& before, const Status& after);

} // namespace vfskit::control
