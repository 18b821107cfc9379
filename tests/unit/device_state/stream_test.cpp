// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"
#include "core/device_state/postcard.h"
#include "core/device_state/stream.h"
#include "core/device_state/trailer.h"
#include "tests/unit/device_state/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <random>

namespace vfskit::device_state {
namespace {

using test::from_hex;
using ::testing::HasSubstr;

// ---- postcard
// ------------------------------------------------------------------------------------

std::vector<std::byte> written_unsigned(std::uint64_t value) {
    PostcardWriter writer;
    writer.write_unsigned(value);
    return std::move(writer).take();
}

std::vector<std::byte> written_signed(std::int32_t value) {
    PostcardWriter writer;
    writer.write_signed(value);
    return std::move(writer).take();
}

TEST(Postcard, WritesUnsignedNumbersSevenBitsAtATime) {
    EXPECT_EQ(written_unsigned(0), from_hex("00"));
    EXPECT_EQ(written_unsigned(127), from_hex("7f"));
    EXPECT_EQ(written_unsigned(128), from_hex("80 01"));
    EXPECT_EQ(written_unsigned(UINT64_MAX), from_hex("ffffffffffffffffff01"));
}

TEST(Postcard, WritesSignedNumbersZigzag) {
    EXPECT_EQ(written_signed(0), from_hex("00"));
    EXPECT_EQ(written_signed(-1), from_hex("01"));
    EXPECT_EQ(written_signed(0100002), from_hex("84 80 04"));
    EXPECT_EQ(written_signed(INT32_MAX), from_hex("feffffff0f"));
    EXPECT_EQ(written_signed(INT32_MIN), from_hex("ffffffff0f"));
}

TEST(Postcard, ReadsTheExtremesBack) {
    const auto largest = from_hex("ffffffffffffffffff01");
    const auto smallest = from_hex("ffffffff0f");
    EXPECT_EQ(*PostcardReader{largest}.read_u64("x"), UINT64_MAX);
    EXPECT_EQ(*PostcardReader{smallest}.read_i32("x"), INT32_MIN);
}

TEST(Postcard, RefusesANumberThatDoesNotFit) {
    const auto too_large = from_hex("ffffffffffffffffff02");
    const auto endless = from_hex("8080808080808080808080");
    const auto not_32_bits = from_hex("ffffffff1f");
    EXPECT_EQ(PostcardReader{too_large}.read_u64("size").error().code(), EBADMSG);
    EXPECT_EQ(PostcardReader{endless}.read_u64("size").error().code(), EBADMSG);
    EXPECT_THAT(PostcardReader{not_32_bits}.read_u32("size").error().message(), HasSubstr("size"));
}

TEST(Postcard, RefusesABoolThatIsNeither) {
    const auto two = from_hex("02");
    EXPECT_EQ(PostcardReader{two}.read_bool("flag").error().code(), EBADMSG);
}

TEST(Postcard, RefusesMoreElementsThanBytes) {
    const auto million = from_hex("c0843d 00");
    EXPECT_EQ(PostcardReader{million}.read_count(4, "count").error().code(), EBADMSG);
}

TEST(Postcard, RefusesTextThatIsNotUtf8) {
    const auto bytes = from_hex("02 61 ff");
    EXPECT_THAT(PostcardReader{bytes}.read_text(255, "name").error().message(), HasSubstr("UTF-8"));
}

// ---- golden streams
// ------------------------------------------------------------------------------

TEST(Stream, ReadsUpstreamsUnmountedState) {
    const auto state = decode(from_hex(test::unmounted_stream));
    ASSERT_TRUE(state) << state.error().describe();
    EXPECT_EQ(*state, State{});
}

TEST(Stream, ReadsUpstreamsPaths) {
    const auto state = decode(from_hex(test::paths_stream));
    ASSERT_TRUE(state) << state.error().describe();
    EXPECT_EQ(*state, test::paths_state());
}

TEST(Stream, ReadsVersionOne) {
    const auto state = decode(from_hex(test::v1_stream()));
    ASSERT_TRUE(state) << state.error().describe();
    EXPECT_EQ(*state, test::paths_state());
}

TEST(Stream, ReadsUpstreamsFileHandles) {
    const auto state = decode(from_hex(test::handles_stream));
    ASSERT_TRUE(state) << state.error().describe();
    const FileHandle handle{27, 1, from_hex("0102030405060708")};
    EXPECT_EQ(state->inodes.at(1).location, Location{FileHandleLocation{handle}});
    EXPECT_EQ(state->mounts, (std::vector<SavedMount>{{27, "."}}));
}

TEST(Stream, ReadsHandlesToVerify) {
    const auto state = decode(from_hex(test::verified_stream));
    ASSERT_TRUE(state) << state.error().describe();
    EXPECT_EQ(state->inodes.at(1).verify_handle, (FileHandle{27, 1, from_hex("0102030405060708")}));
}

TEST(Stream, WritesUpstreamsBytes) {
    EXPECT_EQ(encode(State{}), from_hex(test::unmounted_stream));
    EXPECT_EQ(encode(test::paths_state()), from_hex(test::paths_stream));
    EXPECT_EQ(encode(*decode(from_hex(test::handles_stream))), from_hex(test::handles_stream));
    EXPECT_EQ(encode(*decode(from_hex(test::verified_stream))), from_hex(test::verified_stream));
}

TEST(Stream, PutsTheTrailerBehindUpstreamsBytes) {
    auto state = test::paths_state();
    state.trailer = Trailer{};
    const auto bytes = encode(state);
    const auto plain = from_hex(test::paths_stream);
    ASSERT_GT(bytes.size(), plain.size());
    EXPECT_TRUE(std::equal(plain.begin(), plain.end(), bytes.begin()));
    EXPECT_EQ(base::as_text(std::span{bytes}.subspan(plain.size(), 8)), "VFSKITDS");
}

// ---- round trips
// ---------------------------------------------------------------------------------

TEST(Stream, BringsBackEverythingThatItCanHold) {
    const auto state = test::full_state();
    const auto again = decode(encode(state));
    ASSERT_TRUE(again) << again.error().describe();
    EXPECT_EQ(*again, state);
}

std::string random_name(std::mt19937_64& random, bool utf8) {
    std::string name(1 + random() % 255, 'x');
    for (auto& c : name) {
        c = static_cast<char>(utf8 ? 'a' + random() % 26 : 128 + random() % 128);
    }
    return name;
}

State random_state(std::mt19937_64& random) {
    State state;
    state.inodes.push_back({NodeId::root, random() >> (random() % 64), RootLocation{}, {}});
    for (std::uint64_t id = 2; id < 2 + random() % 50; ++id) {
        state.inodes.push_back({NodeId{id + (random() << (random() % 62)) % 1000 * 1000},
                                random() >> (random() % 64),
                                PathLocation{NodeId{random()}, random_name(random, true)},
                                {}});
    }
    state.next_inode = NodeId{random()};
    for (std::uint64_t id = 0; id < random() % 50; ++id) {
        state.handles.push_back(
            {HandleId{random()}, NodeId{random()}, static_cast<std::int32_t>(random())});
    }
    state.next_handle = HandleId{random()};
    state.options = {random() % 2 == 0, random() % 2 == 0, random() % 2 == 0, random() % 2 == 0};
    state.trailer = Trailer{};
    state.trailer->negotiated.flags = random();
    state.trailer->places.push_back(
        {NodeId{random()}, NodeId{random()}, random_name(random, false)});
    return state;
}

TEST(Stream, BringsBackRandomStates) {
    constexpr int states = 500;
    std::mt19937_64 random{20261121};
    for (int i = 0; i < states; ++i) {
        const auto state = random_state(random);
        const auto again = decode(encode(state));
        ASSERT_TRUE(again) << again.error().describe();
        ASSERT_EQ(*again, state);
    }
}

// ---- hostile input
// -------------------------------------------------------------------------------

TEST(Stream, RefusesEveryPrefix) {
    const auto whole = encode(test::paths_state());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(decode(std::span{whole}.first(size)).error().code(), EBADMSG) << size;
    }
}

TEST(Stream, RefusesACutTrailer) {
    const auto whole = encode(test::full_state());
    auto plain = test::full_state();
    plain.trailer.reset();
    const auto trailer_starts = encode(plain).size();
    for (std::size_t size = trailer_starts + trailer_magic.size(); size < whole.size(); ++size) {
        EXPECT_EQ(decode(std::span{whole}.first(size)).error().code(), EBADMSG) << size;
    }
}

TEST(Stream, RefusesAFlippedBitBeforeOrInItsTrailer) {
    const auto whole = encode(test::full_state());
    auto plain = test::full_state();
    plain.trailer.reset();
    const auto trailer_starts = encode(plain).size();
    for (std::size_t i = 0; i < whole.size(); ++i) {
        if (i >= trailer_starts && i < trailer_starts + trailer_magic.size()) {
            continue; // without its magic it is not our trailer
        }
        auto damaged = whole;
        damaged[i] ^= std::byte{0x10};
        const auto state = decode(damaged);
        // A damaged length in the first part may move the trailer out of sight; then nothing says
        // that it was ours.
        EXPECT_TRUE(!state || !state->trailer) << i;
    }
}

TEST(Stream, IgnoresForeignBytesBehindTheFirstPart) {
    auto bytes = from_hex(test::paths_stream);
    const auto foreign = from_hex("de ad be ef");
    bytes.insert(bytes.end(), foreign.begin(), foreign.end());
    const auto state = decode(bytes);
    ASSERT_TRUE(state) << state.error().describe();
    EXPECT_FALSE(state->trailer);
}

TEST(Stream, NamesTheVersionThatItCannotRead) {
    const auto error = decode(from_hex("02 00")).error();
    EXPECT_EQ(error.code(), EPROTONOSUPPORT);
    EXPECT_THAT(error.message(), HasSubstr("version 3"));
}

State with_name(const std::string& name) {
    auto state = test::paths_state();
    state.inodes[4].location = PathLocation{NodeId{4}, name};
    return state;
}

TEST(Stream, RefusesNamesThatLeaveTheDirectory) {
    for (const std::string name : {"..", ".", "", "a/b", "/etc", "../../etc/passwd"}) {
        EXPECT_EQ(decode(encode(with_name(name))).error().code(), EBADMSG) << name;
    }
    EXPECT_EQ(decode(encode(with_name(std::string{"a\0b", 3}))).error().code(), EBADMSG);
    EXPECT_EQ(decode(encode(with_name(std::string(256, 'x')))).error().code(), EBADMSG);
}

TEST(Stream, RefusesPathsThatLeaveTheShare) {
    for (const std::string path : {"/etc", "..", "a/../../b", "a//b", "", "a/", "./a", "a/."}) {
        auto state = test::paths_state();
        state.inodes[4].location = FullPathLocation{path};
        state.inodes[3].refcount = 1;
        EXPECT_EQ(decode(encode(state)).error().code(), EBADMSG) << path;
        auto mounts = test::paths_state();
        mounts.mounts = {{1, path}};
        EXPECT_EQ(decode(encode(mounts)).error().code(), EBADMSG) << path;
    }
}

TEST(Stream, RefusesPlacesThatLeaveTheDirectory) {
    auto state = test::full_state();
    state.trailer->places[0].name = "../x";
    EXPECT_EQ(decode(encode(state)).error().code(), EBADMSG);
}

TEST(Stream, RefusesHandlesLargerThanTheKernels) {
    auto state = test::full_state();
    state.inodes[0].verify_handle->bytes.resize(129);
    EXPECT_EQ(decode(encode(state)).error().code(), EBADMSG);
}

} // namespace
} // namespace vfskit::device_state
