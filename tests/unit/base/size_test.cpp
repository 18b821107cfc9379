// SPDX-License-Identifier: Apache-2.0
#include "core/base/size.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::base {
namespace {

TEST(ParseSize, CountsABareNumberInTheUnit) {
    EXPECT_EQ(*parse_size("4096"), 4096U);
    EXPECT_EQ(*parse_size("512", 1 << 20), std::uint64_t{512} << 20);
}

TEST(ParseSize, ReadsPowersOf1024) {
    EXPECT_EQ(*parse_size("7b", 1024), 7U);
    EXPECT_EQ(*parse_size("4g"), std::uint64_t{4} << 30);
    EXPECT_EQ(*parse_size("1G"), std::uint64_t{1} << 30);
    EXPECT_EQ(*parse_size("2048KiB"), std::uint64_t{2} << 20);
    EXPECT_EQ(*parse_size("1T"), std::uint64_t{1} << 40);
}

TEST(ParseSize, ReadsTheLargestAndRefusesOneMore) {
    EXPECT_EQ(*parse_size("15E"), std::uint64_t{15} << 60);
    EXPECT_EQ(parse_size("16E").error().code(), ERANGE);
}

TEST(ParseSize, RefusesWhatIsNone) {
    for (const auto* const text :
         {"", "M", "2X", "-1", "1.5G", "2MB", "2Mi", "1BiB", "2iB", "2 M"}) {
        EXPECT_EQ(parse_size(text).error().code(), EINVAL) << text;
    }
}

} // namespace
} // namespace vfskit::base
