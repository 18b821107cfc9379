// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>

namespace vfskit::base {
namespace {

TEST(ToLower, ChangesAsciiLettersOnly) {
    EXPECT_EQ(to_lower("CAP_Mknod-7"), "cap_mknod-7");
    EXPECT_EQ(to_lower("\xC3\x84[@`{"), "\xC3\x84[@`{");
    EXPECT_EQ(to_lower(""), "");
}

TEST(Split, KeepsEmptyParts) {
    EXPECT_EQ(split(",a,,b", ','), (std::vector<std::string_view>{"", "a", "", "b"}));
}

TEST(Trim, RemovesBlanksOnBothEnds) {
    EXPECT_EQ(trim(" \t a b\r\n"), "a b");
}

TEST(ParseUnsigned, ReadsTheLargest) {
    EXPECT_EQ(*parse_unsigned("255", "Size", 255), 255U);
}

TEST(ParseUnsigned, RefusesOneMore) {
    EXPECT_EQ(parse_unsigned("256", "Size", 255).error().code(), ERANGE);
}

TEST(ParseUnsigned, RefusesWhatDoesNotFit64Bits) {
    EXPECT_EQ(parse_unsigned("18446744073709551616", "Size").error().code(), ERANGE);
}

TEST(ParseUnsigned, RefusesSignsBlanksAndNothing) {
    EXPECT_EQ(parse_unsigned("-1", "Size").error().code(), EINVAL);
    EXPECT_EQ(parse_unsigned(" 1", "Size").error().code(), EINVAL);
    EXPECT_EQ(parse_unsigned("", "Size").error().code(), EINVAL);
}

TEST(Utf8, AcceptsEveryLength) {
    EXPECT_TRUE(is_valid_utf8("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"));
}

TEST(Utf8, RefusesLatin1) {
    EXPECT_FALSE(is_valid_utf8("\xE4"));
}

TEST(Utf8, RefusesOverlongSurrogateAndTooLarge) {
    EXPECT_FALSE(is_valid_utf8("\xC0\x80"));
    EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));
    EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));
}

TEST(ShellQuote, LeavesSafeWordsAlone) {
    EXPECT_EQ(shell_quote("--shared-dir=/srv/a"), "--shared-dir=/srv/a");
}

TEST(ShellQuote, QuotesBlanksQuotesAndNothing) {
    EXPECT_EQ(shell_quote("a b"), "'a b'");
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quote(""), "''");
}

constexpr std::array<std::string_view, 3> methods{"find-paths", "file-handles", "fd-passing"};

TEST(Nearest, FindsASwappedLetter) {
    EXPECT_EQ(nearest("file-hadnles", methods), "file-handles");
}

TEST(Nearest, FindsNothingFarAway) {
    EXPECT_EQ(nearest("zstd", methods), std::nullopt);
}

} // namespace
} // namespace vfskit::base
