// SPDX-License-Identifier: Apache-2.0
#include "core/control/rates.h"

#include <algorithm>
#include <functional>

namespace vfskit::control {

namespace {

// A counter that fell is one of another life: it counts from zero.
std::uint64_t grown(std::uint64_t before, std::uint64_t after) {
    return after >= before ? after - before : after;
}

const OperationStatus* find_operation(const Status& status, std::string_view name) {
    const auto found = std::ranges::find(status.operations, name, &OperationStatus::name);
    return found == status.operations.end() ? nullptr : &*found;
}

OperationStatus grown(const OperationStatus& before, const OperationStatus& after) {
    OperationStatus delta = after;
    delta.count = grown(before.count, after.count);
    delta.errors = grown(before.errors, after.errors);
    delta.total = after.total >= before.total ? after.total - before.total : after.total;
    if (before.latency.size() == after.latency.size()) {
        std::ranges::transform(
            before.latency,
            after.latency,
            delta.latency.begin(),
            [](std::uint64_t from, std::uint64_t to) { return grown(from, to); });
    }
    return delta;
}

void add_latency(std::vector<std::uint64_t>& sum, const std::vector<std::uint64_t>& part) {
    sum.resize(std::max(sum.size(), part.size()));
    std::ranges::transform(part, sum, sum.begin(), std::plus{});
}

} // namespace

Rates rates_between(const Status& before, const Status& after) {
    const bool is_same_life = before.pid == after.pid && before.uptime <= after.uptime;
    const Status& from = is_same_life ? before : Status{};
    Rates rates;
    rates.interval = after.uptime - from.uptime;
    const double seconds = std::chrono::duration<double>(rates.interval).count();
    const auto per_second = [seconds](std::uint64_t count) {
        return seconds > 0 ? static_cast<double>(count) / seconds : 0.0;
    };
    OperationStatus all;
    for (const auto& operation : after.operations) {
        const auto* earlier = find_operation(from, operation.name);
        const auto delta = earlier == nullptr ? operation : grown(*earlier, operation);
        if (delta.count == 0) {
            continue;
        }
        all.count += delta.count;
        all.errors += delta.errors;
        add_latency(all.latency, delta.latency);
        rates.operations.push_back({.name = delta.name,
                                    .per_second = per_second(delta.count),
                                    .errors = delta.errors,
                                    .mean = delta.total / delta.count,
                                    .p50 = latency_quantile(after, delta, 0.50),
                                    .p99 = latency_quantile(after, delta, 0.99)});
    }
    std::ranges::stable_sort(rates.operations, std::greater{}, &OperationRate::per_second);
    rates.operations_per_second = per_second(all.count);
    rates.errors_per_second = per_second(all.errors);
    rates.bytes_read_per_second = per_second(grown(from.bytes_read, after.bytes_read));
    rates.bytes_written_per_second = per_second(grown(from.bytes_written, after.bytes_written));
    rates.p50 = latency_quantile(after, all, 0.50);
    rates.p99 = latency_quantile(after, all, 0.99);
    return rates;
}

} // namespace vfskit::control
