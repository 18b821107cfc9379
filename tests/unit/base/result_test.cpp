// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace vfskit {
namespace {

Result<int> half(int value) {
    if (value % 2 != 0) {
        return Error{EINVAL, "Odd"};
    }
    return value / 2;
}

Result<int> quarter(int value) {
    VFSKIT_TRY_ASSIGN(const int first, half(value));
    VFSKIT_TRY_ASSIGN(const int second, half(first));
    return second;
}

TEST(Result, HoldsTheValue) {
    const auto result = half(4);
    ASSERT_TRUE(result);
    EXPECT_EQ(*result, 2);
}

TEST(Result, HoldsTheError) {
    const auto result = half(3);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), EINVAL);
}

TEST(Result, TryAssignPassesTheInnerErrorOn) {
    EXPECT_EQ(*quarter(8), 2);
    EXPECT_EQ(quarter(6).error().message(), "Odd");
}

TEST(Result, CarriesMoveOnlyValues) {
    Result<std::unique_ptr<int>> result{std::make_unique<int>(7)};
    const std::unique_ptr<int> taken = std::move(result).value();
    EXPECT_EQ(*taken, 7);
}

TEST(Result, ValueOrFallsBackOnError) {
    EXPECT_EQ(half(3).value_or(-1), -1);
}

TEST(Error, DescribesPlaceMessageAndRemedyInOneLine) {
    const Error error = Error{EINVAL, "Path 'x' is not absolute"}
                            .at({"/etc/m.yaml", 12, "path"})
                            .with_remedy("Begin it with '/'");
    EXPECT_EQ(error.describe(),
              "/etc/m.yaml:12: key 'path': Path 'x' is not absolute. Begin it with '/'");
}

TEST(Error, KeepsTheInnermostPlaceAndRemedy) {
    const Error error = Error{EINVAL, "Bad"}
                            .at({"", 3, ""})
                            .with_remedy("First")
                            .at({"f", 9, "k"})
                            .with_remedy("Second");
    EXPECT_EQ(error.place(), (Place{"f", 3, "k"}));
    EXPECT_EQ(error.remedy(), "First");
}

TEST(Error, FromErrnoAppendsTheSystemsWords) {
    EXPECT_EQ(Error::from_errno(ENOENT, "Cannot open").message(),
              "Cannot open: No such file or directory");
}

TEST(Error, UnderPutsTheActionInFront) {
    EXPECT_EQ((Error{EIO, "Short read"}.under("Loading state").message()),
              "Loading state: Short read");
}

} // namespace
} // namespace vfskit
