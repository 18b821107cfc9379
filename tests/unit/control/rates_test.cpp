// SPDX-License-Identifier: Apache-2.0
#include "core/control/rates.h"

#include <gtest/gtest.h>

namespace vfskit::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

Status status_after(milliseconds uptime) {
    Status status;
    status.pid = 42;
    status.uptime = uptime;
    status.latency_limits = {nanoseconds{1000}, nanoseconds{2000}};
    return status;
}

TEST(Rates, CountWhatHappenedInBetween) {
    auto before = status_after(milliseconds{1000});
    before.bytes_read = 1000;
    before.bytes_written = 50;
    before.operations = {{"read", 100, 3, nanoseconds{50'000}, {100, 0, 0}}};
    auto after = status_after(milliseconds{3000});
    after.bytes_read = 9000;
    after.bytes_written = 150;
    after.operations = {{"read", 300, 7, nanoseconds{350'000}, {100, 198, 2}}};

    const auto rates = rates_between(before, after);

    EXPECT_EQ(rates.interval, milliseconds{2000});
    EXPECT_DOUBLE_EQ(rates.operations_per_second, 100);
    EXPECT_DOUBLE_EQ(rates.errors_per_second, 2);
    EXPECT_DOUBLE_EQ(rates.bytes_read_per_second, 4000);
    EXPECT_DOUBLE_EQ(rates.bytes_written_per_second, 50);
    EXPECT_EQ(rates.p50, nanoseconds{2000}); // the hundred of before would have made it 1000
    ASSERT_EQ(rates.operations.size(), 1U);
    EXPECT_EQ(rates.operations[0].mean, nanoseconds{1500});
    EXPECT_EQ(rates.operations[0].errors, 4U);
}

TEST(Rates, ListWhatWasServedBusiestFirst) {
    auto before = status_after(milliseconds{0});
    before.operations = {{"getattr", 5, 0, nanoseconds{5}, {5, 0, 0}},
                         {"lookup", 0, 0, nanoseconds{0}, {0, 0, 0}}};
    auto after = status_after(milliseconds{1000});
    after.operations = {{"getattr", 5, 0, nanoseconds{5}, {5, 0, 0}},
                        {"lookup", 1, 0, nanoseconds{9}, {1, 0, 0}},
                        {"read", 8, 0, nanoseconds{80}, {8, 0, 0}}};

    const auto rates = rates_between(before, after);

    ASSERT_EQ(rates.operations.size(), 2U);
    EXPECT_EQ(rates.operations[0].name, "read");
    EXPECT_EQ(rates.operations[1].name, "lookup");
    EXPECT_DOUBLE_EQ(rates.operations_per_second, 9);
}

TEST(Rates, OfAnIdleDaemonAreZero) {
    const auto rates =
        rates_between(status_after(milliseconds{1000}), status_after(milliseconds{2000}));
    EXPECT_EQ(rates.operations_per_second, 0);
    EXPECT_EQ(rates.p99, nanoseconds{0});
    EXPECT_TRUE(rates.operations.empty());
}

TEST(Rates, OfTwoLooksAtTheSameMomentAreZero) {
    auto after = status_after(milliseconds{1000});
    after.operations = {{"read", 8, 0, nanoseconds{80}, {8, 0, 0}}};
    EXPECT_EQ(rates_between(status_after(milliseconds{1000}), after).operations_per_second, 0);
}

TEST(Rates, OfARestartedDaemonCountFromItsStart) {
    auto before = status_after(milliseconds{60'000});
    before.bytes_read = 1'000'000;
    before.operations = {{"read", 1000, 0, nanoseconds{1}, {1000, 0, 0}}};
    auto after = status_after(milliseconds{500});
    after.pid = 43;
    after.bytes_read = 100;
    after.operations = {{"read", 1, 0, nanoseconds{1}, {1, 0, 0}}};

    const auto rates = rates_between(before, after);

    EXPECT_EQ(rates.interval, milliseconds{500});
    EXPECT_DOUBLE_EQ(rates.operations_per_second, 2);
    EXPECT_DOUBLE_EQ(rates.bytes_read_per_second, 200);
}

} // namespace
} // namespace vfskit::control
