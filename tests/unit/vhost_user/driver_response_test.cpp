// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/driver_response.h"

#include <gtest/gtest.h>

namespace vfskit::vhost_user {
namespace {

const std::uint64_t microsecond = ticks_per_microsecond();

// The driver's index moves by one with each response.
class DriverResponses : public testing::Test {
protected:
    void answer_after(std::uint64_t ticks) {
        response.notified(index, now);
        now += ticks;
        response.observe(++index, now);
    }
    void answer_often_after(std::uint64_t ticks) {
        for (int i = 0; i < 100; ++i) {
            answer_after(ticks);
        }
    }
    [[nodiscard]] std::uint64_t expected_microseconds() const {
        return response.expected() / microsecond;
    }

    DriverResponse response;
    std::uint16_t index = 65500; // runs over
    std::uint64_t now = 1;
};

TEST_F(DriverResponses, AreLearnt) {
    answer_often_after(15 * microsecond);
    EXPECT_GE(expected_microseconds(), 15U + 9U);
    EXPECT_LE(expected_microseconds(), 15U + 12U);
    answer_often_after(120 * microsecond);
    EXPECT_GE(expected_microseconds(), 120U + 9U);
    EXPECT_LE(expected_microseconds(), 120U + 12U);
}

TEST_F(DriverResponses, ThatVaryAreExpectedLate) {
    for (int i = 0; i < 100; ++i) {
        answer_after((i % 2 == 0 ? 10 : 50) * microsecond);
    }
    EXPECT_GT(expected_microseconds(), 30U + 4 * 15U);
}

TEST_F(DriverResponses, OfAnIdleGuestDoNotCount) {
    answer_often_after(15 * microsecond);
    const auto before = expected_microseconds();
    answer_often_after(1'000'000 * microsecond);
    EXPECT_EQ(expected_microseconds(), before);
    for (int i = 0; i < 100; ++i) {
        answer_after(15 * microsecond);
        answer_after(300 * microsecond);
    }
    EXPECT_EQ(expected_microseconds(), before);
    answer_often_after(0);
    EXPECT_LE(expected_microseconds(), 11U);
}

TEST_F(DriverResponses, AreNeverExpectedLaterThanTheLongest) {
    for (int i = 0; i < 100; ++i) {
        answer_after((i % 2 == 0 ? 1 : 199) * microsecond);
    }
    EXPECT_EQ(expected_microseconds(), 200U);
}

TEST_F(DriverResponses, BeginWithTheFirstNotification) {
    answer_often_after(20 * microsecond);
    const auto before = expected_microseconds();
    response.notified(index, now);
    now += 100 * microsecond;
    response.observe(index, now);
    EXPECT_TRUE(response.is_awaited());
    answer_after(20 * microsecond);
    EXPECT_FALSE(response.is_awaited());
    EXPECT_GE(expected_microseconds(), before + 100 / 8);
}

TEST_F(DriverResponses, AreOverOnce) {
    answer_often_after(20 * microsecond);
    const auto before = expected_microseconds();
    response.observe(++index, now + 150 * microsecond); // nobody was notified
    EXPECT_EQ(expected_microseconds(), before);
}

// Ticks of two CPUs may differ a little.
TEST_F(DriverResponses, BeforeTheNotificationTookNoTime) {
    answer_often_after(0);
    response.notified(index, now);
    response.observe(++index, now - 1);
    EXPECT_LE(expected_microseconds(), 11U);
}

} // namespace
} // namespace vfskit::vhost_user
