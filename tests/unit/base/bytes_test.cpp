// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::base {
namespace {

TEST(ByteReader, ReadsLittleEndianIntegersInOrder) {
    ByteReader reader{as_bytes(std::string_view{"\x01\x02\x00\x00\x00", 5})};
    EXPECT_EQ(*reader.read<std::uint8_t>("first"), 1U);
    EXPECT_EQ(*reader.read<std::uint32_t>("second"), 2U);
    EXPECT_TRUE(reader.is_at_end());
}

TEST(ByteReader, RefusesToReadPastTheEndAndConsumesNothing) {
    ByteReader reader{as_bytes("abc")};
    const auto result = reader.read<std::uint32_t>("length");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), EBADMSG);
    EXPECT_EQ(result.error().message(), "Too short for length: 4 bytes needed, 3 left");
    EXPECT_EQ(reader.remaining(), 3U);
}

TEST(ByteReader, ReadsACStringWithoutItsNul) {
    ByteReader reader{as_bytes(std::string_view{"ab\0c", 4})};
    EXPECT_EQ(*reader.read_c_string("name"), "ab");
    EXPECT_EQ(reader.remaining(), 1U);
}

TEST(ByteReader, RefusesACStringWithoutNul) {
    ByteReader reader{as_bytes("ab")};
    EXPECT_EQ(reader.read_c_string("name").error().code(), EBADMSG);
}

TEST(ByteWriter, WritesWhatTheReaderReads) {
    ByteWriter writer;
    writer.write(std::uint16_t{0x0102});
    writer.write_text("x");
    EXPECT_EQ(as_text(writer.bytes()), (std::string_view{"\x02\x01x", 3}));
}

} // namespace
} // namespace vfskit::base
