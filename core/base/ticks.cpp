// SPDX-License-Identifier: Apache-2.0
#include "core/base/ticks.h"

#include <algorithm>

namespace vfskit {
namespace {

using Clock = std::chrono::steady_clock;

// Both clocks at one moment: of some readings the one that was interrupted least.
struct Moment {
    Clock::time_point time;
    std::uint64_t ticks = 0;
};

Moment read_both() {
    Moment best;
    auto best_took = Clock::duration::max();
    constexpr int readings = 8;
    for (int i = 0; i < readings; ++i) {
        const auto before = Clock::now();
        const std::uint64_t ticks = ticks_now();
        const auto took = Clock::now() - before;
        if (took < best_took) {
            best = {before + took / 2, ticks};
            best_took = took;
        }
    }
    return best;
}

double measure_nanoseconds_per_tick() {
    const Moment start = read_both();
    while (Clock::now() - start.time < std::chrono::milliseconds{1}) {
        relax_cpu();
    }
    const Moment end = read_both();
    const std::chrono::duration<double, std::nano> elapsed = end.time - start.time;
    return elapsed.count() /
           static_cast<double>(std::max<std::uint64_t>(end.ticks - start.ticks, 1));
}

double nanoseconds_per_tick() {
    static const double measured = measure_nanoseconds_per_tick();
    return measured;
}

} // namespace

std::uint64_t ticks_per_microsecond() {
    static const auto rounded = static_cast<std::uint64_t>(1000 / nanoseconds_per_tick());
    return std::max<std::uint64_t>(rounded, 1);
}

std::chrono::nanoseconds time_of_ticks(std::uint64_t ticks) {
    return std::chrono::nanoseconds{
        static_cast<std::int64_t>(static_cast<double>(ticks) * nanoseconds_per_tick())};
}

} // namespace vfskit
