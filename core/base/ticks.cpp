// SPDX-License-Identifier: Apache-2.0
#include "core/base/ticks.h"

#include <algorithm>

namespace vfskit {
namespace {

std::uint64_t measure() {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const std::uint64_t start_ticks = ticks_now();
    auto elapsed = Clock::duration::zero();
    while (elapsed < std::chrono::milliseconds{1}) {
        elapsed = Clock::now() - start;
    }
    const auto microseconds =
        std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count();
    const std::uint64_t ticks = ticks_now() - start_ticks;
    return std::max<std::uint64_t>(ticks / static_cast<std::uint64_t>(microseconds), 1);
}

} // namespace

std::uint64_t ticks_per_microsecond() {
    static const std::uint64_t measured = measure();
    return measured;
}

} // namespace vfskit
