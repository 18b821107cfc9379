// SPDX-License-Identifier: Apache-2.0
// What a daemon tells about itself. The JSON form is schemas/daemon-status.schema.json.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::control {

/// One kind of request ("lookup", "read" …), since the daemon started.
struct OperationStatus {
    std::string name;
    std::uint64_t count = 0;
    std::uint64_t errors = 0; ///< of count
    std::chrono::nanoseconds total{};
    /// Requests per latency class; as long as Status::latency_limits plus one (the rest).
    std::vector<std::uint64_t> latency;
    bool operator==(const OperationStatus&) const = default;
};

/// One virtqueue.
struct QueueStatus {
    std::uint32_t index = 0;
    std::uint64_t depth = 0;     ///< requests taken and not yet answered
    std::uint64_t processed = 0; ///< requests answered
    bool operator==(const QueueStatus&) const = default;
};

struct Status {
    std::string version;
    std::uint32_t pid = 0;
    std::chrono::milliseconds uptime{};
    std::string shared_dir;
    std::string tag;           ///< empty: the daemon was given none
    bool is_connected = false; ///< a virtual machine is attached
    std::string log_level;
    std::uint64_t inodes = 0;
    std::uint64_t handles = 0;
    std::uint64_t fds = 0;
    std::uint64_t fd_budget = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t unanswerable = 0; ///< requests too broken to be answered
    std::vector<QueueStatus> queues;
    /// Upper bounds of the latency classes, ascending.
    std::vector<std::chrono::nanoseconds> latency_limits;
    std::vector<OperationStatus> operations;
    bool operator==(const Status&) const = default;
};

/// One line of JSON. Bytes that are not UTF-8 are replaced (U+FFFD).
[[nodiscard]] std::string to_json(const Status& status);
/// EBADMSG names what is missing or of the wrong type; members that we do not know are ignored.
Result<Status> parse_status(std::string_view json);

/// The highest latency that `share` (0 to 1) of the requests stayed below, as an upper bound; zero
/// if there were none. The last class has no bound: its lower one is given.
[[nodiscard]] std::chrono::nanoseconds
latency_quantile(const Status& status, const OperationStatus& operation, double share);

} // namespace vfskit::control
