// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/notice_rule.h"

#include <gtest/gtest.h>

namespace vfskit::vhost_user {
namespace {

const std::uint64_t microsecond = ticks_per_microsecond();

bool is_due(std::uint32_t replies,
            std::uint64_t after_microseconds,
            std::uint16_t left,
            std::uint64_t expected_microseconds) {
    return is_notice_due(
        {.replies = replies, .since = after_microseconds * microsecond, .left = left},
        expected_microseconds * microsecond);
}

TEST(NoticeRule, LetsAFewRepliesGoAlong) {
    EXPECT_FALSE(is_due(2, 2, 0, 200));
    EXPECT_TRUE(is_due(2, 3, 0, 0));
}

TEST(NoticeRule, NotifiesWhenWhatIsLeftLastsAsLongAsTheAnswer) {
    // 2 us for each request; 20 us until the driver works.
    EXPECT_FALSE(is_due(10, 20, 11, 20));
    EXPECT_TRUE(is_due(10, 20, 10, 20));
    // A driver that is slower to answer is notified sooner.
    EXPECT_FALSE(is_due(4, 8, 26, 50));
    EXPECT_TRUE(is_due(4, 8, 26, 52));
}

TEST(NoticeRule, NotifiesOfADozenRepliesAfterAWhile) {
    EXPECT_FALSE(is_due(11, 31, 1000, 20));
    EXPECT_FALSE(is_due(12, 30, 1000, 20));
    EXPECT_TRUE(is_due(12, 31, 1000, 20));
}

TEST(NoticeRule, LetsNoReplyWaitForLong) {
    EXPECT_FALSE(is_due(2, 100, 1000, 20));
    EXPECT_TRUE(is_due(2, 101, 1000, 20));
}

// A driver may lie about how much it has offered.
TEST(NoticeRule, DoesNotOverflow) {
    EXPECT_TRUE(is_due(~0U, 1U << 30U, 65535, 200));
    EXPECT_FALSE(is_due(1, 100, 65535, 200));
}

} // namespace
} // namespace vfskit::vhost_user
