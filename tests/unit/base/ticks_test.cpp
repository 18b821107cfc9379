// SPDX-License-Identifier: Apache-2.0
#include "core/base/ticks.h"

#include <gtest/gtest.h>

#include <thread>

namespace vfskit {
namespace {

using namespace std::chrono_literals;

TEST(Ticks, LastAsLongAsTheSteadyClockSays) {
    const auto before = std::chrono::steady_clock::now();
    const std::uint64_t start = ticks_now();
    std::this_thread::sleep_for(50ms);
    const std::uint64_t ticks = ticks_now() - start;
    const auto elapsed = std::chrono::steady_clock::now() - before;

    const auto measured = time_of_ticks(ticks);

    EXPECT_GE(measured, 49ms);
    EXPECT_LE(measured, elapsed + elapsed / 50);
}

TEST(Ticks, AreCountedPerMicrosecond) {
    EXPECT_GE(ticks_per_microsecond(), 1U);
    const auto microsecond = time_of_ticks(ticks_per_microsecond());
    EXPECT_GT(microsecond, 900ns);
    EXPECT_LE(microsecond, 1001ns);
}

} // namespace
} // namespace vfskit
