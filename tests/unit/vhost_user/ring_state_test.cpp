// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/ring_state.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::vhost_user {
namespace {

RingLife life_in(RingState state) {
    RingLife life;
    if (state != RingState::stopped) {
        EXPECT_TRUE(life.apply(RingEvent::start));
    }
    if (state == RingState::started_enabled) {
        EXPECT_TRUE(life.apply(RingEvent::enable));
    }
    EXPECT_EQ(life.state(), state);
    return life;
}

RingState after(RingState state, RingEvent event) {
    auto life = life_in(state);
    auto next = life.apply(event);
    EXPECT_TRUE(next);
    EXPECT_EQ(*next, life.state());
    return life.state();
}

TEST(RingLife, BeginsStopped) {
    EXPECT_EQ(RingLife{}.state(), RingState::stopped);
}

TEST(RingLife, StartsDisabled) {
    EXPECT_EQ(after(RingState::stopped, RingEvent::start), RingState::started_disabled);
}

TEST(RingLife, StartsEnabledWhenItWasEnabledBefore) {
    RingLife life;
    ASSERT_TRUE(life.apply(RingEvent::enable));
    EXPECT_EQ(life.state(), RingState::stopped);
    ASSERT_TRUE(life.apply(RingEvent::start));
    EXPECT_EQ(life.state(), RingState::started_enabled);
}

TEST(RingLife, EnablesAndDisablesWhileStarted) {
    EXPECT_EQ(after(RingState::started_disabled, RingEvent::enable), RingState::started_enabled);
    EXPECT_EQ(after(RingState::started_enabled, RingEvent::enable), RingState::started_enabled);
    EXPECT_EQ(after(RingState::started_enabled, RingEvent::disable), RingState::started_disabled);
    EXPECT_EQ(after(RingState::started_disabled, RingEvent::disable), RingState::started_disabled);
}

TEST(RingLife, StopsFromEveryState) {
    EXPECT_EQ(after(RingState::stopped, RingEvent::stop), RingState::stopped);
    EXPECT_EQ(after(RingState::started_disabled, RingEvent::stop), RingState::stopped);
    EXPECT_EQ(after(RingState::started_enabled, RingEvent::stop), RingState::stopped);
}

TEST(RingLife, StaysStoppedWhenDisabled) {
    EXPECT_EQ(after(RingState::stopped, RingEvent::disable), RingState::stopped);
}

TEST(RingLife, RefusesASecondStart) {
    auto disabled = life_in(RingState::started_disabled);
    auto enabled = life_in(RingState::started_enabled);
    EXPECT_EQ(disabled.apply(RingEvent::start).error().code(), EPROTO);
    EXPECT_EQ(enabled.apply(RingEvent::start).error().code(), EPROTO);
    EXPECT_EQ(enabled.state(), RingState::started_enabled);
}

} // namespace
} // namespace vfskit::vhost_user
