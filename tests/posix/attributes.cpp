// SPDX-License-Identifier: Apache-2.0
// chmod, chown, truncate, utimensat, access, statfs, extended attributes.
#include "tests/posix/suite.h"

#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <array>
#include <string>

namespace vfskit::posix {

// --- chmod

VFSKIT_POSIX_CASE(chmod, SetsEveryBit) {
    make_file("f");
    EXPECT_OK(::chmod("f", 07777));
    EXPECT_EQUAL(stat_of("f").st_mode, S_IFREG | 07777);
    EXPECT_OK(::chmod("f", 0));
    EXPECT_EQUAL(stat_of("f").st_mode, S_IFREG);
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::chmod("d", 01711));
    EXPECT_EQUAL(stat_of("d").st_mode, S_IFDIR | 01711);
}
VFSKIT_POSIX_CASE(chmod, IsTheOwnersAlone) {
    make_file("f");
    EXPECT_EQUAL(as_stranger([] { return result(::chmod("f", 0666)); }), EPERM);
    EXPECT_OK(::chown("f", 1000, 1000));
    EXPECT_EQUAL(as_stranger([] { return result(::chmod("f", 0600)); }), 0);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0600);
}
VFSKIT_POSIX_CASE(chmod, ClearsSetgidForAGroupThatIsNotOnes) {
    make_file("f");
    EXPECT_OK(::chown("f", 1000, 2000));
    EXPECT_EQUAL(as_stranger([] { return result(::chmod("f", 02755)); }), 0);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0755);
}
VFSKIT_POSIX_CASE(chmod, StampsTheChangeTime) {
    make_file("f");
    const auto before = stat_of("f");
    wait_for_next_tick();
    EXPECT_OK(::chmod("f", 0600));
    EXPECT(nanoseconds(stat_of("f").st_ctim) > nanoseconds(before.st_ctim));
    EXPECT_EQUAL(nanoseconds(stat_of("f").st_mtim), nanoseconds(before.st_mtim));
}
VFSKIT_POSIX_CASE(chmod, WorksOnAnOpenFile) {
    make_file("f");
    const int fd = ::open("f", O_RDONLY);
    EXPECT_OK(::fchmod(fd, 0711));
    ::close(fd);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0711);
    EXPECT_ERRNO(::chmod("missing", 0600), ENOENT);
    EXPECT_ERRNO(::chmod("f/x", 0600), ENOTDIR);
}

// --- chown

VFSKIT_POSIX_CASE(chown, GivesAFileAway) {
    make_file("f");
    EXPECT_OK(::chown("f", 1234, 5678));
    EXPECT_EQUAL(stat_of("f").st_uid, 1234);
    EXPECT_EQUAL(stat_of("f").st_gid, 5678);
    EXPECT_OK(::chown("f", static_cast<uid_t>(-1), 7));
    EXPECT_EQUAL(stat_of("f").st_uid, 1234);
    EXPECT_EQUAL(stat_of("f").st_gid, 7);
}
VFSKIT_POSIX_CASE(chown, IsRootsButForOnesOwnGroups) {
    make_file("f");
    EXPECT_OK(::chown("f", 1000, 1000));
    EXPECT_EQUAL(as_stranger([] { return result(::chown("f", 0, static_cast<gid_t>(-1))); }),
                 EPERM);
    EXPECT_EQUAL(as_stranger([] { return result(::chown("f", static_cast<uid_t>(-1), 2000)); }),
                 EPERM);
    EXPECT_EQUAL(
        as_user(
            1000, 1000, {2000}, [] { return result(::chown("f", static_cast<uid_t>(-1), 2000)); }),
        0);
    EXPECT_EQUAL(stat_of("f").st_gid, 2000);
}
VFSKIT_POSIX_CASE(chown, ClearsSetuidAndSetgid) {
    make_file("f", "", 0755);
    EXPECT_OK(::chown("f", 1000, 1000));
    EXPECT_OK(::chmod("f", 06755));
    EXPECT_EQUAL(as_user(1000, 1000, {2000}, [] { return result(::chown("f", 1000, 2000)); }), 0);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0755);
}

// --- truncate

VFSKIT_POSIX_CASE(truncate, ShrinksAndGrowsWithZeros) {
    make_file("f", "0123456789");
    EXPECT_OK(::truncate("f", 4));
    EXPECT(content_of("f") == "0123");
    EXPECT_OK(::truncate("f", 8));
    EXPECT(content_of("f") == std::string("0123\0\0\0\0", 8));
}
VFSKIT_POSIX_CASE(truncate, RefusesWhatItMust) {
    make_file("f");
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_ERRNO(::truncate("missing", 0), ENOENT);
    EXPECT_ERRNO(::truncate("d", 0), EISDIR);
    EXPECT_ERRNO(::truncate("f", -1), EINVAL);
    EXPECT_EQUAL(as_stranger([] { return result(::truncate("f", 0)); }), EACCES);
    const int fd = ::open("f", O_RDONLY);
    EXPECT_ERRNO(::ftruncate(fd, 0), EINVAL);
    ::close(fd);
}
VFSKIT_POSIX_CASE(truncate, StampsAndClearsSetuid) {
    make_file("f", "x", 0777);
    EXPECT_OK(::chown("f", 1000, 1000));
    EXPECT_OK(::chmod("f", 04777));
    const auto before = stat_of("f");
    wait_for_next_tick();
    EXPECT_EQUAL(as_user(1001, 1001, {}, [] { return result(::truncate("f", 0)); }), 0);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0777);
    EXPECT(nanoseconds(stat_of("f").st_mtim) > nanoseconds(before.st_mtim));
}
VFSKIT_POSIX_CASE(truncate, ReachesBeyondFourGigabytes) {
    make_file("f");
    constexpr off_t size = (off_t{1} << 32) + 7;
    EXPECT_OK(::truncate("f", size));
    EXPECT_EQUAL(stat_of("f").st_size, size);
    EXPECT(stat_of("f").st_blocks < 1000);
}

// --- times

VFSKIT_POSIX_CASE(times, AreSetToTheNanosecond) {
    make_file("f");
    const std::array<timespec, 2> times{{{1000000000, 123456789}, {1500000000, 987654321}}};
    EXPECT_OK(::utimensat(AT_FDCWD, "f", times.data(), 0));
    EXPECT_EQUAL(nanoseconds(stat_of("f").st_atim), 1000000000123456789);
    EXPECT_EQUAL(nanoseconds(stat_of("f").st_mtim), 1500000000987654321);
}
VFSKIT_POSIX_CASE(times, KnowOmitAndNow) {
    make_file("f");
    const std::array<timespec, 2> old{{{1000, 0}, {2000, 0}}};
    EXPECT_OK(::utimensat(AT_FDCWD, "f", old.data(), 0));
    const std::array<timespec, 2> omit_and_now{{{0, UTIME_OMIT}, {0, UTIME_NOW}}};
    EXPECT_OK(::utimensat(AT_FDCWD, "f", omit_and_now.data(), 0));
    EXPECT_EQUAL(stat_of("f").st_atim.tv_sec, 1000);
    EXPECT(stat_of("f").st_mtim.tv_sec > 1000000000);
}
VFSKIT_POSIX_CASE(times, OfASymlinkAreItsOwn) {
    make_file("f");
    EXPECT_OK(::symlink("f", "l"));
    const std::array<timespec, 2> times{{{1000, 0}, {2000, 0}}};
    EXPECT_OK(::utimensat(AT_FDCWD, "l", times.data(), AT_SYMLINK_NOFOLLOW));
    EXPECT_EQUAL(stat_of("l").st_mtim.tv_sec, 2000);
    EXPECT(stat_of("f").st_mtim.tv_sec > 2000);
}
VFSKIT_POSIX_CASE(times, AreTheOwnersOrTheWriters) {
    make_file("f", "", 0644);
    const std::array<timespec, 2> times{{{1000, 0}, {2000, 0}}};
    EXPECT_EQUAL(as_stranger([&] { return result(::utimensat(AT_FDCWD, "f", times.data(), 0)); }),
                 EPERM);
    EXPECT_EQUAL(as_stranger([] { return result(::utimensat(AT_FDCWD, "f", nullptr, 0)); }),
                 EACCES);
    EXPECT_OK(::chmod("f", 0666));
    EXPECT_EQUAL(as_stranger([] { return result(::utimensat(AT_FDCWD, "f", nullptr, 0)); }), 0);
    EXPECT_EQUAL(as_stranger([&] { return result(::utimensat(AT_FDCWD, "f", times.data(), 0)); }),
                 EPERM);
}
VFSKIT_POSIX_CASE(times, BeforeTheEpochWork) {
    make_file("f");
    const std::array<timespec, 2> times{{{-86400, 0}, {-1, 500}}};
    EXPECT_OK(::utimensat(AT_FDCWD, "f", times.data(), 0));
    EXPECT_EQUAL(stat_of("f").st_atim.tv_sec, -86400);
    EXPECT_EQUAL(stat_of("f").st_mtim.tv_sec, -1);
}
VFSKIT_POSIX_CASE(times, WriteStampsModification) {
    make_file("f", "x");
    const auto before = stat_of("f");
    wait_for_next_tick();
    const int fd = ::open("f", O_WRONLY);
    EXPECT_EQUAL(::write(fd, "y", 1), 1);
    ::fsync(fd);
    ::close(fd);
    EXPECT(nanoseconds(stat_of("f").st_mtim) > nanoseconds(before.st_mtim));
}

// --- access

VFSKIT_POSIX_CASE(access, FollowsOwnerGroupAndOther) {
    make_file("f", "x", 0640);
    EXPECT_OK(::chown("f", 1001, 2000));
    const auto readable = [] { return result(::access("f", R_OK)); };
    const auto writable = [] { return result(::access("f", W_OK)); };
    EXPECT_EQUAL(as_user(1001, 1, {}, readable), 0);
    EXPECT_EQUAL(as_user(1001, 1, {}, writable), 0);
    EXPECT_EQUAL(as_user(1002, 2000, {}, readable), 0);
    EXPECT_EQUAL(as_user(1002, 2000, {}, writable), EACCES);
    EXPECT_EQUAL(as_user(1002, 1, {2000}, readable), 0);
    EXPECT_EQUAL(as_user(1002, 1, {}, readable), EACCES);
}
VFSKIT_POSIX_CASE(access, NeedsSearchPermissionOnTheWay) {
    EXPECT_OK(::mkdir("d", 0700));
    make_file("d/f", "x", 0666);
    EXPECT_EQUAL(as_stranger([] { return result(::open("d/f", O_RDONLY)); }), EACCES);
    EXPECT_OK(::chmod("d", 0711));
    EXPECT_EQUAL(as_stranger([] { return result(::open("d/f", O_RDONLY)); }), 0);
    EXPECT_EQUAL(as_stranger([] { return result(::open("d", O_RDONLY)); }), EACCES);
}
VFSKIT_POSIX_CASE(access, OfASupplementaryGroupLetsOneCreate) {
    EXPECT_OK(::mkdir("d", 0775));
    EXPECT_OK(::chmod("d", 0775));
    EXPECT_OK(::chown("d", 0, 2000));
    const auto create = [] { return result(::open("d/f", O_CREAT | O_WRONLY, 0644)); };
    EXPECT_EQUAL(as_stranger(create), EACCES);
    EXPECT_EQUAL(as_user(1000, 1000, {2000}, create), 0);
    EXPECT_EQUAL(stat_of("d/f").st_uid, 1000);
    EXPECT_EQUAL(stat_of("d/f").st_gid, 1000);
    EXPECT_EQUAL(as_user(1000, 1000, {2000}, [] { return result(::mkdir("d/sub", 0755)); }), 0);
}

// --- statfs

VFSKIT_POSIX_CASE(statfs, TellsSpaceAndNameLength) {
    struct statvfs info {};
    EXPECT_OK(::statvfs(".", &info));
    EXPECT(info.f_blocks > 0);
    EXPECT(info.f_bfree <= info.f_blocks);
    EXPECT_EQUAL(info.f_namemax, 255);
}

// --- extended attributes (the share must have --xattr)

VFSKIT_POSIX_CASE(xattr, HoldsBytes) {
    make_file("f");
    const std::string value("a\0b", 3);
    EXPECT_OK(::setxattr("f", "user.key", value.data(), value.size(), 0));
    std::array<char, 16> buffer{};
    EXPECT_EQUAL(::getxattr("f", "user.key", buffer.data(), buffer.size()), 3);
    EXPECT(std::string(buffer.data(), 3) == value);
    EXPECT_EQUAL(::getxattr("f", "user.key", nullptr, 0), 3);
    EXPECT_ERRNO(::getxattr("f", "user.key", buffer.data(), 2), ERANGE);
}
VFSKIT_POSIX_CASE(xattr, KnowsCreateReplaceAndRemove) {
    make_file("f");
    EXPECT_ERRNO(::setxattr("f", "user.k", "1", 1, XATTR_REPLACE), ENODATA);
    EXPECT_OK(::setxattr("f", "user.k", "1", 1, XATTR_CREATE));
    EXPECT_ERRNO(::setxattr("f", "user.k", "2", 1, XATTR_CREATE), EEXIST);
    EXPECT_OK(::removexattr("f", "user.k"));
    EXPECT_ERRNO(::removexattr("f", "user.k"), ENODATA);
    EXPECT_ERRNO(::getxattr("f", "user.k", nullptr, 0), ENODATA);
}
VFSKIT_POSIX_CASE(xattr, ListsNames) {
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::setxattr("d", "user.one", "1", 1, 0));
    EXPECT_OK(::setxattr("d", "user.two", "2", 1, 0));
    std::array<char, 256> buffer{};
    const ssize_t size = ::listxattr("d", buffer.data(), buffer.size());
    const std::string names(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    EXPECT(names.find(std::string("user.one\0", 9)) != std::string::npos);
    EXPECT(names.find(std::string("user.two\0", 9)) != std::string::npos);
    EXPECT_EQUAL(::listxattr("d", nullptr, 0), size);
    EXPECT_ERRNO(::listxattr("d", buffer.data(), 3), ERANGE);
}
VFSKIT_POSIX_CASE(xattr, OfUsersAreForFilesAndDirectories) {
    EXPECT_OK(::symlink("x", "l"));
    EXPECT_ERRNO(::lsetxattr("l", "user.k", "1", 1, 0), EPERM);
    EXPECT_OK(::lsetxattr("l", "trusted.k", "1", 1, 0));
}
VFSKIT_POSIX_CASE(xattr, NeedsWritePermission) {
    make_file("f", "", 0644);
    EXPECT_EQUAL(as_stranger([] { return result(::setxattr("f", "user.k", "1", 1, 0)); }), EACCES);
    EXPECT_EQUAL(as_stranger([] { return result(::setxattr("f", "trusted.k", "1", 1, 0)); }),
                 EPERM);
}

} // namespace vfskit::posix
