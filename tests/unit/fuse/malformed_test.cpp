// SPDX-License-Identifier: Apache-2.0
// Whatever a guest sends, it gets an errno or nothing; the session goes on.
#include "core/fuse/session.h"
#include "tests/support/fuse_guest.h"
#include "tests/support/memory_fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace vfskit::fuse {
namespace {

using namespace wire;
using enum wire::Opcode;

Options all_options() {
    Options options;
    options.xattr = true;
    options.posix_lock = true;
    options.flock = true;
    return options;
}

struct Malformed {
    const char* name;
    Opcode opcode;
    RequestBytes request;
    int error;
    std::size_t reply_room = 4096;
};

std::ostream& operator<<(std::ostream& out, const Malformed& value) {
    return out << value.name;
}

class MalformedTest : public ::testing::TestWithParam<Malformed> {
protected:
    MalformedTest() { guest.init(); }
    MemoryFs fs;
    Session session{fs, all_options()};
    FuseGuest guest{session};
};

TEST_P(MalformedTest, IsAnsweredWithItsErrno) {
    const auto& malformed = GetParam();
    const auto reply = guest.call(malformed.opcode, 1, malformed.request, malformed.reply_room);
    EXPECT_EQ(reply.error(), malformed.error);
    EXPECT_EQ(reply.used, sizeof(OutHeader));
    EXPECT_EQ(reply.header.len, sizeof(OutHeader));
    EXPECT_EQ(guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{})).error(), 0);
}

RequestBytes none() {
    return {};
}
RequestBytes name(const std::string& text) {
    return none().name(text);
}
template <class T>
RequestBytes args(const T& value) {
    return none().add(value);
}
RequestBytes text(const std::string& bytes) {
    return none().raw(bytes);
}
RequestBytes mkdir_with(std::uint32_t type, const std::string& body) {
    return args(MkdirIn{0755, 0}).name("d").extension(type, body);
}
LkIn lock(std::uint64_t start, std::uint64_t end, std::uint32_t type) {
    return {0, 1, {start, end, type, 1}, 0, 0};
}
SetattrIn huge_size() {
    SetattrIn in{};
    in.valid = FATTR_SIZE;
    in.size = std::uint64_t{1} << 63;
    return in;
}
SetattrIn huge_nanoseconds() {
    SetattrIn in{};
    in.valid = FATTR_ATIME;
    in.atimensec = 1'000'000'000;
    return in;
}
std::string test_name(const ::testing::TestParamInfo<Malformed>& info) {
    return info.param.name;
}

constexpr auto past_end = std::uint64_t{1} << 63;
const std::string empty_label("\0\0\0\0\0\0\0\0a\0", 10);

// clang-format off: a table is read by rows
INSTANTIATE_TEST_SUITE_P(
    Names,
    MalformedTest,
    ::testing::Values(
        Malformed{"LookupWithoutNul", FUSE_LOOKUP, text("abc"), EINVAL},
        Malformed{"LookupNothing", FUSE_LOOKUP, none(), EINVAL},
        Malformed{"LookupEmpty", FUSE_LOOKUP, name(""), EINVAL},
        Malformed{"LookupDot", FUSE_LOOKUP, name("."), EINVAL},
        Malformed{"LookupDotDot", FUSE_LOOKUP, name(".."), EINVAL},
        Malformed{"LookupSlash", FUSE_LOOKUP, name("a/b"), EINVAL},
        Malformed{"LookupAbsolute", FUSE_LOOKUP, name("/etc"), EINVAL},
        Malformed{"LookupTooLong", FUSE_LOOKUP, name(std::string(256, 'a')), ENAMETOOLONG},
        Malformed{"LookupLongest", FUSE_LOOKUP, name(std::string(255, 'a')), ENOENT},
        Malformed{"UnlinkDotDot", FUSE_UNLINK, name(".."), EINVAL},
        Malformed{"UnlinkAbove", FUSE_UNLINK, name("../x"), EINVAL},
        Malformed{"RmdirDot", FUSE_RMDIR, name("."), EINVAL},
        Malformed{"MkdirDotDot", FUSE_MKDIR, args(MkdirIn{}).name(".."), EINVAL},
        Malformed{"MknodAbove", FUSE_MKNOD, args(MknodIn{}).name("../x"), EINVAL},
        Malformed{"CreateAbove", FUSE_CREATE, args(CreateIn{}).name("../x"), EINVAL},
        Malformed{"LinkAbove", FUSE_LINK, args(LinkIn{1}).name("../x"), EINVAL},
        Malformed{"SymlinkAbove", FUSE_SYMLINK, name("../x").name("t"), EINVAL},
        Malformed{"SymlinkNoTarget", FUSE_SYMLINK, name("x"), EINVAL},
        Malformed{"SymlinkEmptyTarget", FUSE_SYMLINK, name("x").name(""), ENOENT},
        Malformed{"SymlinkLongTarget",
                  FUSE_SYMLINK,
                  name("x").name(std::string(4096, 't')),
                  ENAMETOOLONG},
        Malformed{"RenameFromAbove", FUSE_RENAME, args(RenameIn{1}).name("../x").name("y"), EINVAL},
        Malformed{"RenameToAbove", FUSE_RENAME, args(RenameIn{1}).name("x").name("../y"), EINVAL},
        Malformed{"RenameOneName", FUSE_RENAME, args(RenameIn{1}).name("x"), EINVAL},
        Malformed{"TmpfileWithoutNul", FUSE_TMPFILE, args(CreateIn{}), EINVAL}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Arguments,
    MalformedTest,
    ::testing::Values(
        Malformed{"GetattrShort", FUSE_GETATTR, text("1234567"), EINVAL},
        Malformed{"StatxShort", FUSE_STATX, none(), EINVAL},
        Malformed{"SetattrShort", FUSE_SETATTR, text(std::string(87, '\0')), EINVAL},
        Malformed{"SetattrHugeSize", FUSE_SETATTR, args(huge_size()), EINVAL},
        Malformed{"SetattrHugeNanoseconds", FUSE_SETATTR, args(huge_nanoseconds()), EINVAL},
        Malformed{"OpenShort", FUSE_OPEN, none(), EINVAL},
        Malformed{"OpendirShort", FUSE_OPENDIR, text("abc"), EINVAL},
        Malformed{"ReadShort", FUSE_READ, none(), EINVAL},
        Malformed{"ReadPastEnd", FUSE_READ, args(ReadIn{0, past_end, 1, 0, 0, 0, 0}), EINVAL},
        Malformed{"ReadOverEnd", FUSE_READ, args(ReadIn{0, past_end - 1, 1, 0, 0, 0, 0}), EINVAL},
        Malformed{"ReadBadHandle", FUSE_READ, args(ReadIn{99, 0, 1, 0, 0, 0, 0}), EBADF},
        Malformed{"WriteShort", FUSE_WRITE, text(std::string(39, '\0')), EINVAL},
        Malformed{
            "WritePastEnd", FUSE_WRITE, args(WriteIn{0, past_end, 1, 0, 0, 0, 0}).raw("x"), EINVAL},
        Malformed{
            "WriteMoreThanSent", FUSE_WRITE, args(WriteIn{0, 0, 2, 0, 0, 0, 0}).raw("x"), EINVAL},
        Malformed{"WriteHugeSize", FUSE_WRITE, args(WriteIn{0, 0, UINT32_MAX, 0, 0, 0, 0}), EINVAL},
        Malformed{
            "FallocateNegative", FUSE_FALLOCATE, args(FallocateIn{0, past_end, 1, 0, 0}), EINVAL},
        Malformed{"FallocateNegativeLength",
                  FUSE_FALLOCATE,
                  args(FallocateIn{0, 0, past_end, 0, 0}),
                  EINVAL},
        Malformed{"LseekNegative", FUSE_LSEEK, args(LseekIn{0, past_end, 3, 0}), EINVAL},
        Malformed{"LseekOddWhence", FUSE_LSEEK, args(LseekIn{0, 0, 9, 0}), EINVAL},
        Malformed{"LseekSet", FUSE_LSEEK, args(LseekIn{0, 0, 0, 0}), EINVAL},
        Malformed{"CopyNegative",
                  FUSE_COPY_FILE_RANGE,
                  args(CopyFileRangeIn{0, past_end, 1, 0, 0, 1, 0}),
                  EINVAL},
        Malformed{
            "RenameFlags", FUSE_RENAME2, args(Rename2In{1, 0x80, 0}).name("a").name("b"), EINVAL},
        Malformed{"LockBackwards", FUSE_SETLK, args(lock(2, 1, F_WRLCK)), EINVAL},
        Malformed{"LockPastEnd", FUSE_SETLKW, args(lock(0, past_end, F_WRLCK)), EINVAL},
        Malformed{"LockOddType", FUSE_GETLK, args(lock(0, 1, 17)), EINVAL},
        Malformed{"IoctlUnrestricted",
                  FUSE_IOCTL,
                  args(IoctlIn{0, FUSE_IOCTL_UNRESTRICTED, 1, 0, 0, 0}),
                  ENOTTY},
        Malformed{
            "IoctlInputMissing", FUSE_IOCTL, args(IoctlIn{0, 0, 1, 0, 4, 0}).raw("123"), EINVAL},
        Malformed{"IoctlUnknown", FUSE_IOCTL, args(IoctlIn{0, 0, 1, 0, 0, UINT32_MAX}), ENOTTY}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Xattrs,
    MalformedTest,
    ::testing::Values(
        Malformed{"SizeTooSmall",
                  FUSE_SETXATTR,
                  args(GetxattrIn{2, 0}).name("user.a").raw("xyz"),
                  EINVAL},
        Malformed{"SizeTooLarge",
                  FUSE_SETXATTR,
                  args(GetxattrIn{4, 0}).name("user.a").raw("xyz"),
                  EINVAL},
        Malformed{
            "OddFlags", FUSE_SETXATTR, args(GetxattrIn{3, 4}).name("user.a").raw("xyz"), EINVAL},
        Malformed{"ValueTooLarge",
                  FUSE_SETXATTR,
                  args(GetxattrIn{65537, 0}).name("user.a").raw(std::string(65537, 'x')),
                  E2BIG},
        Malformed{"NoName", FUSE_SETXATTR, args(GetxattrIn{0, 0}), EINVAL},
        Malformed{"EmptyName", FUSE_GETXATTR, args(GetxattrIn{0, 0}).name(""), ERANGE},
        Malformed{
            "LongName", FUSE_GETXATTR, args(GetxattrIn{0, 0}).name(std::string(256, 'n')), ERANGE},
        Malformed{"NameNotUtf8", FUSE_GETXATTR, args(GetxattrIn{0, 0}).name("user.\xff"), ENODATA},
        Malformed{"NoRoomForSize", FUSE_GETXATTR, args(GetxattrIn{0, 0}).name("user.a"), EINVAL, 7},
        Malformed{
            "NoRoomForValue", FUSE_GETXATTR, args(GetxattrIn{9, 0}).name("user.a"), ERANGE, 0},
        Malformed{"RemoveWithoutNul", FUSE_REMOVEXATTR, text("user.a"), EINVAL}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    Extensions,
    MalformedTest,
    ::testing::Values(
        Malformed{"TwoLabels", FUSE_MKDIR, mkdir_with(2, std::string(64, '\0')), EINVAL},
        Malformed{"LabelCutOff", FUSE_MKDIR, mkdir_with(1, "1234"), EINVAL},
        Malformed{"LabelNameWithoutNul",
                  FUSE_MKDIR,
                  mkdir_with(1, std::string(8, '\0') + "abcdefgh"),
                  EINVAL},
        Malformed{"LabelValueCutOff",
                  FUSE_MKDIR,
                  mkdir_with(1, "\x09" + std::string(7, '\0') + std::string("a\0xyz", 5)),
                  EINVAL},
        Malformed{"GroupsCutOff",
                  FUSE_MKDIR,
                  mkdir_with(FUSE_EXT_GROUPS, std::string("\x02\0\0\0\x01\0\0\0", 8)),
                  EINVAL},
        Malformed{
            "GroupsTooMany", FUSE_MKDIR, mkdir_with(FUSE_EXT_GROUPS, "\xff\xff\xff\xff"), EINVAL},
        Malformed{"UnknownType", FUSE_MKDIR, mkdir_with(33, ""), EINVAL},
        Malformed{"TwoLabelRecords",
                  FUSE_MKDIR,
                  mkdir_with(1, empty_label).extension(1, empty_label),
                  EINVAL}),
    test_name);

INSTANTIATE_TEST_SUITE_P(
    ReplyRoom,
    MalformedTest,
    ::testing::Values(
        Malformed{"Lookup", FUSE_LOOKUP, name("a"), EINVAL, sizeof(EntryOut) - 1},
        Malformed{"Getattr", FUSE_GETATTR, args(GetattrIn{}), EINVAL, sizeof(AttrOut) - 1},
        Malformed{"Mkdir", FUSE_MKDIR, args(MkdirIn{0755, 0}).name("d"), EINVAL, 0},
        Malformed{"Create", FUSE_CREATE, args(CreateIn{}).name("c"), EINVAL, sizeof(EntryOut)},
        Malformed{"Statfs", FUSE_STATFS, none(), EINVAL, 10},
        Malformed{"Ioctl", FUSE_IOCTL, args(IoctlIn{}), EINVAL, 15}),
    test_name);
// clang-format on

class LyingHeaderTest : public ::testing::Test {
protected:
    LyingHeaderTest() { guest.init(); }

    Reply send_with_length(std::uint32_t length, std::size_t body_size) {
        auto header = guest.make_header(FUSE_STATFS, 1, {});
        header.len = length;
        return guest.send(header, std::string(body_size, '\0'), 4096);
    }

    MemoryFs fs;
    Session session{fs, all_options()};
    FuseGuest guest{session};
};

TEST_F(LyingHeaderTest, LengthBelowAHeaderIsInvalid) {
    EXPECT_EQ(send_with_length(39, 0).error(), EINVAL);
    EXPECT_EQ(send_with_length(0, 0).error(), EINVAL);
}

TEST_F(LyingHeaderTest, LengthAboveWhatWasSentIsInvalid) {
    EXPECT_EQ(send_with_length(41, 0).error(), EINVAL);
    EXPECT_EQ(send_with_length(UINT32_MAX, 4096).error(), EINVAL);
}

TEST_F(LyingHeaderTest, LengthOverTheBoundIsRefused) {
    constexpr std::uint32_t too_long = (1U << 20) + 4096 + 1;
    EXPECT_EQ(send_with_length(too_long, too_long).error(), ENOMEM);
}

TEST_F(LyingHeaderTest, ExtensionsLongerThanTheRequestAreInvalid) {
    auto header = guest.make_header(FUSE_STATFS, 1, {});
    header.total_extlen = 1;
    EXPECT_EQ(guest.send(header, "", 4096).error(), EINVAL);
}

TEST_F(LyingHeaderTest, HeaderThatIsCutOffCompletesWithNothing) {
    std::string bytes(39, '\1');
    const iovec readable{bytes.data(), bytes.size()};
    std::string memory(100, '\0');
    const iovec writable{memory.data(), memory.size()};
    EXPECT_EQ(guest.handle({{&readable, 1}, {&writable, 1}}, 1).used, 0U);
    EXPECT_EQ(guest.handle({{}, {}}, 1).used, 0U);
    EXPECT_EQ(session.statistics().unanswerable, 2U);
}

TEST_F(LyingHeaderTest, RequestWithoutRoomForAnAnswerHasNoEffect) {
    const auto request = args(MkdirIn{0755, 0}).name("d");
    auto header = guest.make_header(FUSE_MKDIR, 1, request);
    auto body = request.bytes();
    iovec readable[] = {{&header, sizeof(header)}, {body.data(), body.size()}};
    std::string memory(15, '\0');
    const iovec writable{memory.data(), memory.size()};
    EXPECT_EQ(guest.handle({readable, {&writable, 1}}, 1).used, 0U);
    EXPECT_EQ(guest.call(FUSE_LOOKUP, 1, name("d")).error(), ENOENT);
}

TEST_F(LyingHeaderTest, BatchForgetThatPromisesTooMuchForgetsNothing) {
    const auto request = args(BatchForgetIn{1000, 0}).add(ForgetOne{1, 1});
    EXPECT_EQ(guest.call(FUSE_BATCH_FORGET, 0, request).used, 0U);
    EXPECT_EQ(fs.lookup_count(NodeId::root), 1U);
    EXPECT_EQ(session.statistics().opcodes.back().errors, 1U);
}

TEST_F(LyingHeaderTest, RequestMayLieInPiecesOfOneByte) {
    const auto request = args(MkdirIn{0755, 0}).name("d");
    auto header = guest.make_header(FUSE_MKDIR, 1, request);
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
    bytes += request.bytes();
    std::vector<iovec> readable;
    for (auto& byte : bytes) {
        readable.push_back({&byte, 1});
        readable.push_back({&byte, 0});
    }
    std::string memory(sizeof(OutHeader) + sizeof(EntryOut), '\0');
    std::vector<iovec> writable;
    for (auto& byte : memory) {
        writable.push_back({&byte, 1});
    }
    const auto reply = guest.handle({readable, writable}, 1);
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.as<EntryOut>().nodeid, 2U);
}

TEST_F(LyingHeaderTest, ShortInitIsInvalid) {
    EXPECT_EQ(guest.call(FUSE_INIT, 0, text("123")).error(), EINVAL);
    EXPECT_EQ(guest.call(FUSE_INIT, 0, args(InitIn{}), 10).error(), EINVAL);
}

TEST_F(LyingHeaderTest, OldInitOfSixteenBytesIsServed) {
    const auto request = args(std::uint32_t{7}).add(31U).add(0U).add(~0U);
    const auto reply = guest.call(FUSE_INIT, 0, request);
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.as<InitOut>().flags2, 0U);
}

} // namespace
} // namespace vfskit::fuse
