// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/rlimits.h"

#include <gtest/gtest.h>

namespace vfskit::virtiofsd {
namespace {

constexpr FileLimits usual{1024, 1048576, 1048576};

TEST(FileLimit, IsRaisedToAMillionUnlessToldOtherwise) {
    EXPECT_EQ(**choose_file_limit(usual, std::nullopt), 1'000'000U);
}

TEST(FileLimit, StaysWhereItIsHighEnoughAlready) {
    EXPECT_FALSE(*choose_file_limit({1'000'000, 2'000'000, 2'000'000}, std::nullopt));
}

TEST(FileLimit, ZeroLeavesItAlone) {
    EXPECT_FALSE(*choose_file_limit(usual, 0));
}

TEST(FileLimit, RefusesMoreThanTheSystemAllows) {
    EXPECT_TRUE(choose_file_limit(usual, usual.nr_open));
    EXPECT_FALSE(choose_file_limit(usual, usual.nr_open + 1));
}

TEST(DescriptorQuota, SaysHowMuchIsNeeded) {
    const auto too_small = guest_descriptor_quota(100, 1);
    ASSERT_FALSE(too_small);
    EXPECT_EQ(too_small.error().message(),
              "Maximum number of file descriptors too small: Limit is 100, must be at least 614");
    EXPECT_EQ(*guest_descriptor_quota(614, 1), 1U);
}

} // namespace
} // namespace vfskit::virtiofsd
