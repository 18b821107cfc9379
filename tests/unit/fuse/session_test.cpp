// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/session.h"
#include "tests/support/fuse_guest.h"
#include "tests/support/memory_fs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <chrono>
#include <thread>

namespace vfskit::fuse {
namespace {

using namespace wire;
using enum wire::Opcode;

Options all_features() {
    Options options;
    options.xattr = true;
    options.posix_lock = true;
    options.flock = true;
    return options;
}

class SessionTest : public ::testing::Test {
protected:
    explicit SessionTest(const Options& options = all_features()) : session{fs, options} {
        guest.init();
    }

    EntryOut make_file(std::string_view name) {
        return guest
            .call(FUSE_MKNOD, 1, RequestBytes{}.add(MknodIn{S_IFREG | 0644, 0, 0, 0}).name(name))
            .as<EntryOut>();
    }
    EntryOut make_directory(std::string_view name) {
        return guest.call(FUSE_MKDIR, 1, RequestBytes{}.add(MkdirIn{0755, 0}).name(name))
            .as<EntryOut>();
    }
    std::uint64_t open(std::uint64_t node, Opcode opcode = FUSE_OPEN) {
        return guest.call(opcode, node, RequestBytes{}.add(OpenIn{O_RDWR, 0})).as<OpenOut>().fh;
    }
    Reply write(std::uint64_t node, std::uint64_t fh, std::uint64_t offset, std::string_view data) {
        const WriteIn in{fh, offset, static_cast<std::uint32_t>(data.size()), 0, 0, O_RDWR, 0};
        return guest.call(FUSE_WRITE, node, RequestBytes{}.add(in).raw(data));
    }
    Reply read(std::uint64_t node, std::uint64_t fh, std::uint64_t offset, std::uint32_t size) {
        const ReadIn in{fh, offset, size, 0, 0, O_RDWR, 0};
        return guest.call(FUSE_READ, node, RequestBytes{}.add(in), size);
    }
    RequestBytes lock(std::uint64_t fh, std::uint64_t owner, int type, std::uint32_t flags = 0) {
        return RequestBytes{}.add(
            LkIn{fh, owner, {0, INT64_MAX, static_cast<std::uint32_t>(type), 1}, flags, 0});
    }

    MemoryFs fs;
    Session session;
    FuseGuest guest{session};
};

// Happy paths, in the order of opcodes.

TEST_F(SessionTest, LookupAnswersEntryAndTimeouts) {
    const auto made = make_file("a");
    const auto reply = guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("a"));
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.header.len, reply.used);
    EXPECT_EQ(reply.header.unique, guest.last_unique());
    EXPECT_EQ(reply.as<EntryOut>().nodeid, made.nodeid);
    EXPECT_EQ(reply.as<EntryOut>().entry_valid, 1U);
    EXPECT_EQ(reply.as<EntryOut>().attr_valid, 1U);
}

TEST_F(SessionTest, LookupOfAMissingNameIsAnError) {
    EXPECT_EQ(guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("none")).error(), ENOENT);
}

TEST_F(SessionTest, ForgetDropsReferencesAndAnswersNothing) {
    const auto node = make_file("a").nodeid;
    const auto reply = guest.call(FUSE_FORGET, node, RequestBytes{}.add(ForgetIn{1}));
    EXPECT_EQ(reply.used, 0U);
    EXPECT_EQ(fs.lookup_count(NodeId{node}), 0U);
}

TEST_F(SessionTest, BatchForgetDropsAll) {
    const auto a = make_file("a").nodeid;
    const auto b = make_file("b").nodeid;
    const auto reply = guest.call(
        FUSE_BATCH_FORGET,
        0,
        RequestBytes{}.add(BatchForgetIn{2, 0}).add(ForgetOne{a, 1}).add(ForgetOne{b, 1}));
    EXPECT_EQ(reply.used, 0U);
    EXPECT_EQ(fs.lookup_count(NodeId{a}) + fs.lookup_count(NodeId{b}), 0U);
}

TEST_F(SessionTest, GetattrAnswersTheAttributes) {
    const auto reply = guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{}));
    EXPECT_EQ(reply.payload.size(), sizeof(AttrOut));
    EXPECT_TRUE(S_ISDIR(reply.as<AttrOut>().attr.mode));
}

TEST_F(SessionTest, SetattrChangesWhatIsValid) {
    const auto node = make_file("a").nodeid;
    SetattrIn in{};
    in.valid = FATTR_MODE | FATTR_SIZE | FATTR_UID | FATTR_MTIME;
    in.mode = 0600;
    in.size = 10;
    in.uid = 5;
    in.gid = 6;
    in.mtime = 77;
    const auto attr = guest.call(FUSE_SETATTR, node, RequestBytes{}.add(in)).as<AttrOut>().attr;
    EXPECT_EQ(attr.mode & 07777, 0600U);
    EXPECT_EQ(attr.size, 10U);
    EXPECT_EQ(attr.uid, 5U);
    EXPECT_EQ(attr.gid, 1000U);
    EXPECT_EQ(attr.mtime, 77U);
}

TEST_F(SessionTest, SymlinkAndReadlinkKeepTheTarget) {
    const auto node = guest.call(FUSE_SYMLINK, 1, RequestBytes{}.name("l").name("../any/where"))
                          .as<EntryOut>()
                          .nodeid;
    EXPECT_EQ(guest.call(FUSE_READLINK, node).payload, "../any/where");
}

TEST_F(SessionTest, UnlinkAndRmdirRemove) {
    make_file("f");
    make_directory("d");
    EXPECT_EQ(guest.call(FUSE_UNLINK, 1, RequestBytes{}.name("f")).error(), 0);
    EXPECT_EQ(guest.call(FUSE_RMDIR, 1, RequestBytes{}.name("d")).error(), 0);
    EXPECT_EQ(guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("d")).error(), ENOENT);
}

TEST_F(SessionTest, RenameMovesBetweenDirectories) {
    make_file("f");
    const auto directory = make_directory("d").nodeid;
    const RequestBytes request = RequestBytes{}.add(RenameIn{directory}).name("f").name("g");
    EXPECT_EQ(guest.call(FUSE_RENAME, 1, request).error(), 0);
    EXPECT_EQ(guest.call(FUSE_LOOKUP, directory, RequestBytes{}.name("g")).error(), 0);
}

TEST_F(SessionTest, Rename2KeepsTheTargetWithNoreplace) {
    make_file("f");
    make_file("g");
    const RequestBytes request =
        RequestBytes{}.add(Rename2In{1, RENAME_NOREPLACE, 0}).name("f").name("g");
    EXPECT_EQ(guest.call(FUSE_RENAME2, 1, request).error(), EEXIST);
}

TEST_F(SessionTest, LinkAddsAName) {
    const auto node = make_file("f").nodeid;
    const auto reply = guest.call(FUSE_LINK, 1, RequestBytes{}.add(LinkIn{node}).name("g"));
    EXPECT_EQ(reply.as<EntryOut>().nodeid, node);
    EXPECT_EQ(reply.as<EntryOut>().attr.nlink, 2U);
}

TEST_F(SessionTest, WriteThenReadGivesTheBytesBack) {
    const auto node = make_file("f").nodeid;
    const auto fh = open(node);
    EXPECT_EQ(write(node, fh, 3, "hello").as<WriteOut>().size, 5U);
    EXPECT_EQ(read(node, fh, 0, 100).payload, std::string("\0\0\0hello", 8));
    EXPECT_EQ(session.statistics().bytes_written, 5U);
    EXPECT_EQ(session.statistics().bytes_read, 8U);
}

TEST_F(SessionTest, ReadIsClampedToTheRoomForTheReply) {
    const auto node = make_file("f").nodeid;
    const auto fh = open(node);
    write(node, fh, 0, "0123456789");
    const ReadIn in{fh, 0, 1U << 30, 0, 0, 0, 0};
    EXPECT_EQ(guest.call(FUSE_READ, node, RequestBytes{}.add(in), 4).payload, "0123");
}

TEST_F(SessionTest, ReadGoesOnBehindIovMaxBuffers) {
    const auto node = make_file("f").nodeid;
    const auto fh = open(node);
    const std::string content(3000, 'x');
    write(node, fh, 0, content);
    const auto request = RequestBytes{}.add(ReadIn{fh, 0, 3000, 0, 0, 0, 0});
    auto header = guest.make_header(FUSE_READ, node, request);
    auto body = request.bytes();
    std::vector<iovec> readable{{&header, sizeof(header)}, {body.data(), body.size()}};
    std::string memory(16 + 3000, '\0');
    std::vector<iovec> writable{{memory.data(), 16}};
    for (std::size_t i = 0; i < 3000; ++i) {
        writable.push_back({memory.data() + 16 + i, 1});
    }
    EXPECT_EQ(guest.handle({readable, writable}, 1).payload, content);
}

TEST_F(SessionTest, StatfsAnswers) {
    EXPECT_EQ(guest.call(FUSE_STATFS, 1).as<Kstatfs>().bsize, 4096U);
}

TEST_F(SessionTest, FlushFsyncReleaseFollowTheHandle) {
    const auto node = make_file("f").nodeid;
    const auto fh = open(node);
    EXPECT_EQ(guest.call(FUSE_FLUSH, node, RequestBytes{}.add(FlushIn{fh, 0, 0, 1})).error(), 0);
    EXPECT_EQ(guest.call(FUSE_FSYNC, node, RequestBytes{}.add(FsyncIn{fh, 1, 0})).error(), 0);
    const auto release = RequestBytes{}.add(ReleaseIn{fh, 0, 0, 0});
    EXPECT_EQ(guest.call(FUSE_RELEASE, node, release).error(), 0);
    EXPECT_EQ(guest.call(FUSE_RELEASE, node, release).error(), EBADF);
}

TEST_F(SessionTest, XattrRoundTrip) {
    const auto set =
        RequestBytes{}.add(SetxattrIn{3, XATTR_CREATE, 0, 0}).name("user.a").raw("xyz");
    // An 8-byte header unless SETXATTR_EXT is negotiated, which needs ACLs.
    const auto set_compat =
        RequestBytes{}.add(GetxattrIn{3, XATTR_CREATE}).name("user.a").raw("xyz");
    EXPECT_NE(guest.call(FUSE_SETXATTR, 1, set).error(), 0);
    EXPECT_EQ(guest.call(FUSE_SETXATTR, 1, set_compat).error(), 0);
    const auto get = [&](std::uint32_t size) {
        return guest.call(FUSE_GETXATTR, 1, RequestBytes{}.add(GetxattrIn{size, 0}).name("user.a"));
    };
    EXPECT_EQ(get(0).as<GetxattrOut>().size, 3U);
    EXPECT_EQ(get(3).payload, "xyz");
    EXPECT_EQ(get(2).error(), ERANGE);
    const auto list = guest.call(FUSE_LISTXATTR, 1, RequestBytes{}.add(GetxattrIn{100, 0}));
    EXPECT_EQ(list.payload, std::string("user.a\0", 7));
    EXPECT_EQ(guest.call(FUSE_REMOVEXATTR, 1, RequestBytes{}.name("user.a")).error(), 0);
    EXPECT_EQ(get(0).error(), ENODATA);
}

TEST_F(SessionTest, ReaddirListsNamesFromAnOffset) {
    make_file("a");
    make_file("bb");
    const auto fh = open(1, FUSE_OPENDIR);
    const auto list = [&](std::uint64_t offset) {
        return guest.call(
            FUSE_READDIR, 1, RequestBytes{}.add(ReadIn{fh, offset, 4096, 0, 0, 0, 0}));
    };
    const auto all = list(0);
    EXPECT_EQ(all.payload.size(), 2 * 32U);
    EXPECT_EQ(all.as<Dirent>().namelen, 1U);
    EXPECT_EQ(all.payload.substr(24, 8), std::string("a\0\0\0\0\0\0\0", 8));
    EXPECT_EQ(list(all.as<Dirent>().off).as<Dirent>().namelen, 2U);
    EXPECT_EQ(list(all.as<Dirent>(32).off).payload, "");
    const auto release = RequestBytes{}.add(ReleaseIn{fh, 0, 0, 0});
    EXPECT_EQ(guest.call(FUSE_FSYNCDIR, 1, RequestBytes{}.add(FsyncIn{fh, 0, 0})).error(), 0);
    EXPECT_EQ(guest.call(FUSE_RELEASEDIR, 1, release).error(), 0);
}

TEST_F(SessionTest, ReaddirplusCountsALookupPerEntryThatFits) {
    const auto a = make_file("a").nodeid;
    const auto b = make_file("b").nodeid;
    const auto fh = open(1, FUSE_OPENDIR);
    const ReadIn in{fh, 0, sizeof(Direntplus) + 8, 0, 0, 0, 0};
    const auto reply = guest.call(FUSE_READDIRPLUS, 1, RequestBytes{}.add(in));
    EXPECT_EQ(reply.payload.size(), sizeof(Direntplus) + 8);
    EXPECT_EQ(reply.as<Direntplus>().entry_out.nodeid, a);
    EXPECT_EQ(fs.lookup_count(NodeId{a}), 2U);
    EXPECT_EQ(fs.lookup_count(NodeId{b}), 1U);
}

TEST_F(SessionTest, CreateAnswersEntryAndHandle) {
    const auto request = RequestBytes{}.add(CreateIn{O_RDWR, 0640, 022, 0}).name("c");
    const auto reply = guest.call(FUSE_CREATE, 1, request);
    const auto entry = reply.as<EntryOut>();
    const auto opened = reply.as<OpenOut>(sizeof(EntryOut));
    EXPECT_EQ(reply.payload.size(), sizeof(EntryOut) + sizeof(OpenOut));
    EXPECT_EQ(write(entry.nodeid, opened.fh, 0, "x").error(), 0);
    EXPECT_EQ(fs.last_creation().umask, 022U);
    EXPECT_EQ(fs.last_creation().uid, 1000U);
}

TEST_F(SessionTest, TmpfileIgnoresTheNameThatLinuxSends) {
    const auto request = RequestBytes{}.add(CreateIn{O_RDWR, 0600, 0, 0}).name("/");
    const auto reply = guest.call(FUSE_TMPFILE, 1, request);
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.as<EntryOut>().attr.nlink, 0U);
}

TEST_F(SessionTest, FallocateLseekAndCopyFileRangeWork) {
    const auto a = make_file("a").nodeid;
    const auto b = make_file("b").nodeid;
    const auto fa = open(a);
    const auto fb = open(b);
    EXPECT_EQ(
        guest.call(FUSE_FALLOCATE, a, RequestBytes{}.add(FallocateIn{fa, 0, 100, 0, 0})).error(),
        0);
    const auto hole = guest.call(FUSE_LSEEK, a, RequestBytes{}.add(LseekIn{fa, 10, SEEK_HOLE, 0}));
    EXPECT_EQ(hole.as<LseekOut>().offset, 100U);
    const auto copy = RequestBytes{}.add(CopyFileRangeIn{fa, 0, b, fb, 5, UINT64_MAX, 0});
    EXPECT_EQ(guest.call(FUSE_COPY_FILE_RANGE, a, copy).as<WriteOut>().size, 100U);
    EXPECT_EQ(guest.call(FUSE_COPY_FILE_RANGE_64, a, copy).as<CopyFileRangeOut>().bytes_copied,
              100U);
}

TEST_F(SessionTest, IoctlCarriesBytesBothWays) {
    const IoctlIn in{0, 0, MemoryFs::echo_command, 0, 2, 100};
    const auto reply = guest.call(FUSE_IOCTL, 1, RequestBytes{}.add(in).raw("\x0f\xf0"));
    EXPECT_EQ(reply.as<IoctlOut>().result, 7);
    EXPECT_EQ(reply.payload.substr(sizeof(IoctlOut)), "\xf0\x0f");
}

TEST_F(SessionTest, IoctlMayHaveNothingToSay) {
    const IoctlIn in{0, 0, MemoryFs::echo_command, 0, 2, 0};
    const auto reply = guest.call(FUSE_IOCTL, 1, RequestBytes{}.add(in).raw("\x0f\xf0"));
    EXPECT_EQ(reply.payload.size(), sizeof(IoctlOut));
}

TEST_F(SessionTest, StatxAccessAndSyncfsAnswer) {
    const auto reply = guest.call(FUSE_STATX, 1, RequestBytes{}.add(StatxIn{0, 0, 0, 0, 0x7ff}));
    EXPECT_EQ(reply.as<StatxOut>().stat.mask, 0x7ffU);
    EXPECT_EQ(guest.call(FUSE_ACCESS, 1, RequestBytes{}.add(AccessIn{4, 0})).error(), 0);
    EXPECT_EQ(guest.call(FUSE_SYNCFS, 1, RequestBytes{}.add(SyncfsIn{0})).error(), 0);
}

// Locks.

TEST_F(SessionTest, LockThatWaitsIsAnsweredWhenTheHolderLetsGo) {
    const auto node = make_file("f").nodeid;
    EXPECT_EQ(guest.call(FUSE_SETLK, node, lock(0, 1, F_WRLCK)).error(), 0);
    EXPECT_EQ(guest.call(FUSE_SETLK, node, lock(0, 2, F_WRLCK)).error(), EAGAIN);
    EXPECT_EQ(guest.call(FUSE_GETLK, node, lock(0, 2, F_WRLCK)).as<LkOut>().lk.type,
              static_cast<std::uint32_t>(F_WRLCK));
    EXPECT_TRUE(guest.call(FUSE_SETLKW, node, lock(0, 2, F_WRLCK)).is_parked);
    const auto waiting = guest.last_unique();
    EXPECT_FALSE(guest.late_reply(waiting));
    EXPECT_EQ(guest.call(FUSE_SETLK, node, lock(0, 1, F_UNLCK)).error(), 0);
    ASSERT_TRUE(guest.late_reply(waiting));
    EXPECT_EQ(guest.late_reply(waiting)->error(), 0);
    EXPECT_EQ(guest.late_reply(waiting)->header.unique, waiting);
}

TEST_F(SessionTest, InterruptEndsAWaitingLock) {
    const auto node = make_file("f").nodeid;
    guest.call(FUSE_SETLK, node, lock(0, 1, F_WRLCK));
    guest.call(FUSE_SETLKW, node, lock(0, 2, F_WRLCK));
    const auto waiting = guest.last_unique();
    const auto reply = guest.call(FUSE_INTERRUPT, 0, RequestBytes{}.add(InterruptIn{waiting}));
    EXPECT_EQ(reply.used, 0U);
    EXPECT_EQ(guest.late_reply(waiting)->error(), EINTR);
}

TEST_F(SessionTest, CancelParkedAnswersWithTheReason) {
    const auto node = make_file("f").nodeid;
    guest.call(FUSE_SETLK, node, lock(0, 1, F_WRLCK, FUSE_LK_FLOCK));
    guest.call(FUSE_SETLKW, node, lock(0, 2, F_WRLCK, FUSE_LK_FLOCK));
    session.cancel_parked(Errno{ENOLCK});
    EXPECT_EQ(guest.late_reply(guest.last_unique())->error(), ENOLCK);
}

class SessionWithoutLocksTest : public SessionTest {
protected:
    SessionWithoutLocksTest() : SessionTest{Options{}} {}
};

TEST_F(SessionWithoutLocksTest, LocksAreNotSupported) {
    EXPECT_EQ(guest.call(FUSE_SETLK, 1, lock(0, 1, F_WRLCK)).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_SETLKW, 1, lock(0, 1, F_WRLCK, FUSE_LK_FLOCK)).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_GETLK, 1, lock(0, 1, F_WRLCK)).error(), ENOSYS);
}

TEST_F(SessionWithoutLocksTest, XattrsAreNotSupported) {
    EXPECT_EQ(guest.call(FUSE_LISTXATTR, 1, RequestBytes{}.add(GetxattrIn{})).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_GETXATTR, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_SETXATTR, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_REMOVEXATTR, 1).error(), ENOSYS);
}

// The session's life.

TEST_F(SessionTest, UnknownOpcodesAreNotSupported) {
    EXPECT_EQ(guest.call(FUSE_BMAP, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_POLL, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_SETUPMAPPING, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_REMOVEMAPPING, 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(static_cast<Opcode>(7), 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(static_cast<Opcode>(4096), 1).error(), ENOSYS);
    EXPECT_EQ(guest.call(FUSE_NOTIFY_REPLY, 1).used, 0U);
}

TEST_F(SessionTest, DestroyForgetsEverythingUntilTheNextInit) {
    make_file("f");
    EXPECT_EQ(guest.call(FUSE_DESTROY, 0).error(), 0);
    EXPECT_EQ(guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{})).error(), EBADF);
    guest.init();
    EXPECT_EQ(guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("f")).error(), ENOENT);
}

TEST_F(SessionTest, InitAgainStartsAfresh) {
    make_file("f");
    guest.init();
    EXPECT_EQ(guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("f")).error(), ENOENT);
}

TEST_F(SessionTest, ImportedStateReplacesInit) {
    const auto state = session.export_state();
    MemoryFs other_fs;
    Session other{other_fs, all_features()};
    FuseGuest other_guest{other};
    other.import_state(state);
    EXPECT_EQ(other_guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{})).error(), 0);
    EXPECT_EQ(other_fs.negotiated(), state);
}

TEST(Session, FirstSetxattrAfterImportReadsTheExtendedHeader) {
    Options options;
    options.posix_acl = FeatureMode::always;
    MemoryFs source_fs;
    Session source{source_fs, options};
    FuseGuest source_guest{source};
    source_guest.init();
    MemoryFs fs;
    Session destination{fs, options};
    FuseGuest guest{destination};

    destination.import_state(source.export_state());
    const SetxattrIn in{3, 0, FUSE_SETXATTR_ACL_KILL_SGID, 0};
    const auto reply =
        guest.call(FUSE_SETXATTR, 1, RequestBytes{}.add(in).name("user.a").raw("xyz"));

    EXPECT_EQ(reply.error(), 0);
    EXPECT_TRUE(fs.last_setxattr_kills_sgid());
}

TEST(Session, RequestsBeforeInitAreRefused) {
    MemoryFs fs;
    Session session{fs, Options{}};
    FuseGuest guest{session};
    EXPECT_EQ(guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{})).error(), EBADF);
}

TEST(Session, NegativeEntriesAreCacheableWhenAskedFor) {
    Options options;
    options.negative_timeout = {5, 250};
    MemoryFs fs;
    Session session{fs, options};
    FuseGuest guest{session};
    guest.init();
    const auto reply = guest.call(FUSE_LOOKUP, 1, RequestBytes{}.name("none"));
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.as<EntryOut>().nodeid, 0U);
    EXPECT_EQ(reply.as<EntryOut>().entry_valid, 5U);
    EXPECT_EQ(reply.as<EntryOut>().entry_valid_nsec, 250U);
}

TEST(Session, InitBesideRunningRequestsWaitsForThem) {
    MemoryFs fs;
    Session session{fs, Options{}};
    FuseGuest{session}.init();
    const auto hammer = [&] {
        FuseGuest guest{session};
        for (int i = 0; i < 500; ++i) {
            guest.call(FUSE_GETATTR, 1, RequestBytes{}.add(GetattrIn{}));
            guest.call(FUSE_MKDIR, 1, RequestBytes{}.add(MkdirIn{0755, 0}).name("d"));
        }
    };
    std::thread first{hammer};
    std::thread second{hammer};
    {
        FuseGuest guest{session};
        for (int i = 0; i < 50; ++i) {
            EXPECT_EQ(guest.init().error(), 0);
        }
    }
    first.join();
    second.join();
    const auto statistics = session.statistics();
    EXPECT_EQ(statistics.opcodes.front().opcode, static_cast<std::uint32_t>(FUSE_GETATTR));
    EXPECT_EQ(statistics.opcodes.front().count, 1000U);
}

// Extensions.

TEST_F(SessionTest, CreateCarriesGroupsAndLabel) {
    const std::string groups("\x02\0\0\0\x64\0\0\0\xc8\0\0\0", 12);
    const std::string label =
        std::string("\x03\0\0\0\0\0\0\0", 8) + std::string("security.x\0", 11) + "abc";
    const auto request = RequestBytes{}
                             .add(MkdirIn{0755, 0})
                             .name("d")
                             .extension(1, label)
                             .extension(FUSE_EXT_GROUPS, groups);
    EXPECT_EQ(guest.call(FUSE_MKDIR, 1, request).error(), 0);
    EXPECT_EQ(fs.last_creation().groups, (std::vector<std::uint32_t>{100, 200}));
    EXPECT_EQ(fs.last_creation().label_name, "security.x");
    EXPECT_EQ(fs.last_creation().label_value, "abc");
}

TEST_F(SessionTest, GroupsDoNotReachTheNextRequest) {
    const std::string groups("\x01\0\0\0\x64\0\0\0", 8);
    guest.call(FUSE_MKDIR,
               1,
               RequestBytes{}.add(MkdirIn{0755, 0}).name("d").extension(FUSE_EXT_GROUPS, groups));
    make_directory("e");
    EXPECT_TRUE(fs.last_creation().groups.empty());
}

TEST_F(SessionTest, EmptyLabelRecordMeansNoLabel) {
    const auto request = RequestBytes{}.add(MkdirIn{0755, 0}).name("d").extension(0, "");
    EXPECT_EQ(guest.call(FUSE_MKDIR, 1, request).error(), 0);
    EXPECT_EQ(fs.last_creation().label_name, "");
}

TEST(RequestClock, BeginsWhereTheLastRequestEndedWithinABatch) {
    using namespace std::chrono_literals;
    RequestClock clock;
    clock.end_batch();
    clock.start();
    static_cast<void>(clock.stop());
    std::this_thread::sleep_for(2ms);

    clock.start();

    EXPECT_GE(clock.stop(), 2ms);
}

TEST(RequestClock, LeavesOutTheWaitBehindABatch) {
    using namespace std::chrono_literals;
    RequestClock clock;
    clock.end_batch();
    clock.start();
    static_cast<void>(clock.stop());
    clock.end_batch();
    const auto before = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(2ms);

    clock.start();
    const auto latency = clock.stop();

    EXPECT_LE(latency, std::chrono::steady_clock::now() - before - 2ms);
}

TEST(RequestClock, LeavesOutTheTimeBetweenRequestsWhereNobodyTellsOfBatches) {
    using namespace std::chrono_literals;
    RequestClock clock;
    clock.start();
    static_cast<void>(clock.stop());
    const auto before = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(2ms);

    clock.start();
    const auto latency = clock.stop();

    EXPECT_LE(latency, std::chrono::steady_clock::now() - before - 2ms);
}

} // namespace
} // namespace vfskit::fuse
