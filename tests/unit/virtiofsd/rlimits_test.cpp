// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/rlimits.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>

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
              "Maximum number of file descriptors too small: Limit is 100, must be at least 610");
    EXPECT_EQ(*guest_descriptor_quota(610, 1), 1U);
    EXPECT_EQ(*guest_descriptor_quota(1'000'000, 8), 1'000'000U - 609 - 4 * 8);
}

TEST(DescriptorQuota, IsLeftOnALargeMachineToo) {
    EXPECT_GT(*guest_descriptor_quota(1024, 256), 300U);
}

/// From proc(5).
std::uint64_t descriptor_table_size() {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("FDSize:", 0) == 0) {
            return std::stoull(line.substr(line.find(':') + 1));
        }
    }
    return 0;
}

TEST(DescriptorTable, HasRoomBeforeItIsNeeded) {
    constexpr std::uint64_t usual_soft_limit = 1024;
    ASSERT_LT(descriptor_table_size(), usual_soft_limit);

    reserve_descriptor_table(usual_soft_limit);

    EXPECT_GE(descriptor_table_size(), usual_soft_limit);
}

} // namespace
} // namespace vfskit::virtiofsd
