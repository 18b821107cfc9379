// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/arrivals.h"

#include <gtest/gtest.h>

namespace vfskit::passthrough {
namespace {

TEST(Arrivals, AreWaitedForByWhoMissesOne) {
    Arrivals arrivals;
    EXPECT_FALSE(arrivals.wait());
    bool is_made = false;
    arrivals.start([&] { is_made = true; });
    EXPECT_TRUE(arrivals.wait());
    EXPECT_TRUE(is_made);
}

// Looked, missed it, and then the last record came: he has to look again.
TEST(Arrivals, MayHaveComeBetweenTheLookAndTheQuestion) {
    Arrivals arrivals;
    arrivals.start([] {});
    EXPECT_TRUE(arrivals.wait());
    EXPECT_TRUE(arrivals.wait());
}

} // namespace
} // namespace vfskit::passthrough
