// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha1.h"
#include "core/base/sha1_blocks.h"

#include <gtest/gtest.h>

namespace vfskit::base {
namespace {

// The first three and the million are the examples of FIPS 180.
TEST(Sha1, GivesTheDigestOfTheEmptyText) {
    EXPECT_EQ(sha1_hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(Sha1, GivesTheDigestOfOneBlock) {
    EXPECT_EQ(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Sha1, GivesTheDigestWhenThePaddingNeedsASecondBlock) {
    EXPECT_EQ(sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

TEST(Sha1, GivesTheDigestOfManyBlocks) {
    EXPECT_EQ(sha1_hex(std::string(1000000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

// From sha1sum(1): 55 bytes are the longest with one padding block, 64 fill a block exactly.
TEST(Sha1, AgreesWithSha1sumAroundTheBlockSize) {
    EXPECT_EQ(sha1_hex(std::string(55, 'x')), "cef734ba81a024479e09eb5a75b6ddae62e6abf1");
    EXPECT_EQ(sha1_hex(std::string(56, 'x')), "901305367c259952f4e7af8323f480d59f81335b");
    EXPECT_EQ(sha1_hex(std::string(63, 'x')), "0ddc4e0cccd9a12850deb5abb0853a4425559fec");
    EXPECT_EQ(sha1_hex(std::string(64, 'x')), "bb2fa3ee7afb9f54c6dfb5d021f14b1ffe40c163");
}

TEST(Sha1, IsTheSameByInstructionsAndWithoutThem) {
    if (!has_sha1_instructions()) {
        GTEST_SKIP() << "needs a CPU with the SHA extensions";
    }
    std::string blocks;
    for (std::size_t i = 0; i < 3 * sha1_block_size; ++i) {
        blocks += static_cast<char>(i * 37 + 11);
    }
    Sha1State portable{1, 2, 3, 4, 0xfffffff5U};
    Sha1State by_instructions = portable;
    add_sha1_blocks_portably(portable, blocks.data(), 3);
    add_sha1_blocks_by_instructions(by_instructions, blocks.data(), 3);
    EXPECT_EQ(portable, by_instructions);
}

} // namespace
} // namespace vfskit::base
