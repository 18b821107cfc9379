// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/scatter.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace vfskit::fuse {
namespace {

// "abc" "" "defg" "h", as a driver may cut what it sends.
class Pieces : public testing::Test {
protected:
    std::string text{"abcdefgh"};
    std::vector<iovec> parts{
        {text.data(), 3}, {nullptr, 0}, {text.data() + 3, 4}, {text.data() + 7, 1}};
    std::vector<iovec> storage;

    std::string gathered(std::size_t offset, std::size_t size) {
        std::string to(size, '-');
        const auto got = gather(parts, offset, std::as_writable_bytes(std::span{to}));
        EXPECT_LE(got, size);
        return to.substr(0, got);
    }
    std::string scattered(std::size_t offset, std::string_view from) {
        scatter(parts, offset, std::as_bytes(std::span{from}));
        return text;
    }
    std::string sliced(std::size_t offset, std::size_t size) {
        std::string all;
        for (const iovec& piece : slice(parts, offset, size, storage)) {
            all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
            all += '|';
        }
        return all;
    }
};

TEST_F(Pieces, AreGathered) {
    EXPECT_EQ(gathered(0, 3), "abc"); // one piece, whole
    EXPECT_EQ(gathered(1, 1), "b");
    EXPECT_EQ(gathered(3, 4), "defg");
    EXPECT_EQ(gathered(4, 3), "efg");
    EXPECT_EQ(gathered(2, 2), "cd"); // over borders
    EXPECT_EQ(gathered(0, 8), "abcdefgh");
    EXPECT_EQ(gathered(6, 100), "gh"); // no more there
    EXPECT_EQ(gathered(8, 1), "");
    EXPECT_EQ(gathered(~std::size_t{0}, 1), "");
}

TEST_F(Pieces, AreScatteredInto) {
    EXPECT_EQ(scattered(0, "ABC"), "ABCdefgh");
    EXPECT_EQ(scattered(4, "EF"), "ABCdEFgh");
    EXPECT_EQ(scattered(2, "cDefGH"), "ABcDefGH");
}

// What is empty may be nowhere: memcpy() must not see it.
TEST_F(Pieces, OfNothing) {
    EXPECT_EQ(gather(parts, 1, {}), 0U);
    EXPECT_EQ(gather({}, 0, {}), 0U);
    scatter(parts, 1, {});
    scatter({}, 0, {});
    EXPECT_EQ(text, "abcdefgh");
    EXPECT_EQ(sliced(1, 0), "");
    EXPECT_TRUE(slice({}, 0, 5, storage).empty());
}

TEST_F(Pieces, AreSliced) {
    EXPECT_EQ(slice(parts, 0, 8, storage).data(), parts.data());
    EXPECT_EQ(slice(parts, 3, 100, storage).data(), &parts[2]);
    EXPECT_EQ(sliced(0, 3), "abc|");
    EXPECT_EQ(sliced(1, 1), "b|");
    EXPECT_EQ(sliced(2, 4), "c|def|");
    EXPECT_EQ(sliced(4, 100), "efg|h|");
}

} // namespace
} // namespace vfskit::fuse
