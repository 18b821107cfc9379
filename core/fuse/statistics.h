// SPDX-License-Identifier: Apache-2.0
// Counters of a session, for the control socket. Each worker writes its own shard without locks or
// atomic read-modify-write; readers add the shards up.
#pragma once

#include "core/fuse/wire.h"

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace vfskit::fuse {

/// A request's latency is the time that we have it: from where it was taken up, or from the end of
/// the one before it in the same batch (SessionWorker::end_batch()), to its answer.
///
/// Bucket i of a latency histogram counts requests that took less than 2^i microseconds (of 1024
/// ns) and at least half of it; the last takes the rest (16 s and above).
inline constexpr std::size_t latency_bucket_count = 26;

[[nodiscard]] constexpr std::size_t latency_bucket(std::chrono::nanoseconds latency) {
    const auto units = static_cast<std::uint64_t>(latency.count() < 0 ? 0 : latency.count()) >> 10;
    const auto width = static_cast<std::size_t>(std::bit_width(units));
    return width < latency_bucket_count ? width : latency_bucket_count - 1;
}

/// Upper bound of a bucket; meaningless for the last.
[[nodiscard]] constexpr std::chrono::nanoseconds latency_bucket_limit(std::size_t bucket) {
    return std::chrono::nanoseconds{std::int64_t{1024} << bucket};
}

/// The specification's word without prefix, lower case ("lookup", "readdirplus"); "unknown" for 0
/// and numbers that we do not know.
[[nodiscard]] std::string_view opcode_name(std::uint32_t opcode);

struct OpcodeStatistics {
    std::uint32_t opcode = 0; ///< 0 collects unknown opcodes
    std::uint64_t count = 0;
    std::uint64_t errors = 0; ///< of count, answered with an errno
    std::chrono::nanoseconds total{};
    std::array<std::uint64_t, latency_bucket_count> latency{};
};

struct Statistics {
    std::vector<OpcodeStatistics> opcodes; ///< only those that were seen, by number
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    /// Requests without a readable header, or without room for a reply that they need.
    std::uint64_t unanswerable = 0;
};

/// One worker's counters: record…() on one thread, add_to() on any.
class StatisticsShard {
public:
    void record(std::uint32_t opcode, bool failed, std::chrono::nanoseconds latency) {
        auto& cell = cells_[opcode < wire::opcode_limit ? opcode : 0];
        bump(cell.count, 1);
        bump(cell.errors, failed ? 1 : 0);
        bump(cell.total_ns, static_cast<std::uint64_t>(latency.count()));
        bump(cell.latency[latency_bucket(latency)], 1);
    }
    void record_read(std::size_t bytes) { bump(bytes_read_, bytes); }
    void record_written(std::size_t bytes) { bump(bytes_written_, bytes); }
    void record_unanswerable() { bump(unanswerable_, 1); }

    /// `sum.opcodes` must have wire::opcode_limit elements, indexed by opcode.
    void add_to(Statistics& sum) const;

private:
    using Counter = std::atomic<std::uint64_t>;
    struct Cell {
        Counter count{0};
        Counter errors{0};
        Counter total_ns{0};
        std::array<Counter, latency_bucket_count> latency{};
    };

    // One writer: a plain add is enough, and costs no locked instruction.
    static void bump(Counter& counter, std::uint64_t by) {
        counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    std::array<Cell, wire::opcode_limit> cells_{};
    Counter bytes_read_{0};
    Counter bytes_written_{0};
    Counter unanswerable_{0};
};

/// For add_to(), and the way back to what readers want.
[[nodiscard]] Statistics make_statistics_table();
void drop_unseen_opcodes(Statistics& statistics);

} // namespace vfskit::fuse
