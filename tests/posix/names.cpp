// SPDX-License-Identifier: Apache-2.0
// mkdir, rmdir, link, unlink, symlink, rename, mknod, and what a name may be.
#include "tests/posix/suite.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <string>

namespace vfskit::posix {

namespace {
const std::string longest_name(255, 'n');
const std::string too_long_name(256, 'n');

ino_t inode_of(const char* path) {
    return stat_of(path).st_ino;
}
bool is_missing(const char* path) {
    struct stat info {};
    return ::lstat(path, &info) != 0 && errno == ENOENT;
}
} // namespace

// --- mkdir

VFSKIT_POSIX_CASE(mkdir, AppliesTheUmask) {
    ::umask(027);
    EXPECT_OK(::mkdir("d", 0777));
    EXPECT_EQUAL(stat_of("d").st_mode & 07777, 0750);
}
VFSKIT_POSIX_CASE(mkdir, RefusesAnExistingName) {
    make_file("f");
    EXPECT_OK(::symlink("nowhere", "l"));
    EXPECT_ERRNO(::mkdir("f", 0755), EEXIST);
    EXPECT_ERRNO(::mkdir("l", 0755), EEXIST);
    EXPECT_ERRNO(::mkdir(".", 0755), EEXIST);
}
VFSKIT_POSIX_CASE(mkdir, NeedsAParentThatIsADirectory) {
    make_file("f");
    EXPECT_ERRNO(::mkdir("missing/d", 0755), ENOENT);
    EXPECT_ERRNO(::mkdir("f/d", 0755), ENOTDIR);
}
VFSKIT_POSIX_CASE(mkdir, BoundsTheLengthOfAName) {
    EXPECT_OK(::mkdir(longest_name.c_str(), 0755));
    EXPECT_ERRNO(::mkdir(too_long_name.c_str(), 0755), ENAMETOOLONG);
}
VFSKIT_POSIX_CASE(mkdir, NeedsWritePermissionOnTheParent) {
    EXPECT_OK(::mkdir("p", 0755));
    EXPECT_EQUAL(as_stranger([] { return result(::mkdir("p/d", 0755)); }), EACCES);
}
VFSKIT_POSIX_CASE(mkdir, CountsLinksOfTheParent) {
    EXPECT_OK(::mkdir("p", 0755));
    EXPECT_EQUAL(stat_of("p").st_nlink, 2);
    EXPECT_OK(::mkdir("p/d", 0755));
    EXPECT_EQUAL(stat_of("p").st_nlink, 3);
    EXPECT_OK(::rmdir("p/d"));
    EXPECT_EQUAL(stat_of("p").st_nlink, 2);
}
VFSKIT_POSIX_CASE(mkdir, InheritsGroupAndSetgidOfASetgidParent) {
    EXPECT_OK(::mkdir("p", 0777));
    EXPECT_OK(::chown("p", 0, 2000));
    EXPECT_OK(::chmod("p", 02777));
    EXPECT_EQUAL(as_stranger([] { return result(::mkdir("p/d", 0755)); }), 0);
    EXPECT_EQUAL(stat_of("p/d").st_gid, 2000);
    EXPECT_EQUAL(stat_of("p/d").st_mode & 07777, 02755);
    EXPECT_EQUAL(stat_of("p/d").st_uid, 1000);
}
VFSKIT_POSIX_CASE(mkdir, BelongsToItsMaker) {
    EXPECT_OK(::chmod(".", 0777));
    EXPECT_EQUAL(as_user(1000, 1001, {}, [] { return result(::mkdir("d", 0755)); }), 0);
    EXPECT_EQUAL(stat_of("d").st_uid, 1000);
    EXPECT_EQUAL(stat_of("d").st_gid, 1001);
}
VFSKIT_POSIX_CASE(mkdir, StampsTheParent) {
    EXPECT_OK(::mkdir("p", 0755));
    const auto before = stat_of("p");
    wait_for_next_tick();
    EXPECT_OK(::mkdir("p/d", 0755));
    EXPECT(nanoseconds(stat_of("p").st_mtim) > nanoseconds(before.st_mtim));
    EXPECT(nanoseconds(stat_of("p").st_ctim) > nanoseconds(before.st_ctim));
}

// --- rmdir

VFSKIT_POSIX_CASE(rmdir, RemovesAnEmptyDirectory) {
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::rmdir("d"));
    EXPECT(is_missing("d"));
    EXPECT_ERRNO(::rmdir("d"), ENOENT);
}
VFSKIT_POSIX_CASE(rmdir, RefusesAFullOneAndAFile) {
    EXPECT_OK(::mkdir("d", 0755));
    make_file("d/f");
    EXPECT_ERRNO(::rmdir("d"), ENOTEMPTY);
    EXPECT_ERRNO(::rmdir("d/f"), ENOTDIR);
    EXPECT_ERRNO(::rmdir("d/."), EINVAL);
}
VFSKIT_POSIX_CASE(rmdir, ObeysTheStickyBit) {
    EXPECT_OK(::mkdir("p", 0777));
    EXPECT_OK(::chmod("p", 01777));
    EXPECT_OK(::mkdir("p/d", 0777));
    EXPECT_EQUAL(as_stranger([] { return result(::rmdir("p/d")); }), EPERM);
    EXPECT_EQUAL(as_stranger([] { return result(::mkdir("p/own", 0755)); }), 0);
    EXPECT_EQUAL(as_stranger([] { return result(::rmdir("p/own")); }), 0);
}
VFSKIT_POSIX_CASE(rmdir, LeavesAnOpenDirectoryUsable) {
    EXPECT_OK(::mkdir("d", 0755));
    const int fd = ::open("d", O_RDONLY | O_DIRECTORY);
    EXPECT_OK(::rmdir("d"));
    struct stat info {};
    EXPECT_OK(::fstat(fd, &info));
    EXPECT_EQUAL(info.st_nlink, 0);
    EXPECT_ERRNO(::openat(fd, "f", O_CREAT | O_WRONLY, 0644), ENOENT);
    ::close(fd);
}

// --- link and unlink

VFSKIT_POSIX_CASE(link, GivesAFileASecondName) {
    make_file("a", "content");
    EXPECT_OK(::link("a", "b"));
    EXPECT_EQUAL(stat_of("a").st_nlink, 2);
    EXPECT_EQUAL(inode_of("a"), inode_of("b"));
    EXPECT_OK(::unlink("a"));
    EXPECT_EQUAL(stat_of("b").st_nlink, 1);
    EXPECT(content_of("b") == "content");
}
VFSKIT_POSIX_CASE(link, RefusesWhatItMust) {
    make_file("f");
    make_file("g");
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_ERRNO(::link("f", "g"), EEXIST);
    EXPECT_ERRNO(::link("missing", "x"), ENOENT);
    EXPECT_ERRNO(::link("d", "x"), EPERM);
    EXPECT_ERRNO(::link("f/x", "y"), ENOTDIR);
    EXPECT_ERRNO(::link("f", too_long_name.c_str()), ENAMETOOLONG);
}
VFSKIT_POSIX_CASE(link, LinksASymlinkItself) {
    make_file("f");
    EXPECT_OK(::symlink("f", "l"));
    EXPECT_OK(::link("l", "m"));
    EXPECT(S_ISLNK(stat_of("m").st_mode));
    EXPECT_EQUAL(stat_of("l").st_nlink, 2);
}
VFSKIT_POSIX_CASE(link, StampsTheFilesChangeTime) {
    make_file("f");
    const auto before = stat_of("f");
    wait_for_next_tick();
    EXPECT_OK(::link("f", "g"));
    EXPECT(nanoseconds(stat_of("g").st_ctim) > nanoseconds(before.st_ctim));
}
VFSKIT_POSIX_CASE(link, GivesAnUnnamedFileAName) {
    const int fd = ::open(".", O_TMPFILE | O_RDWR, 0640);
    EXPECT(fd >= 0);
    EXPECT_EQUAL(::write(fd, "x", 1), 1);
    const std::string self = "/proc/self/fd/" + std::to_string(fd);
    EXPECT_OK(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    ::close(fd);
    EXPECT(content_of("named") == "x");
    EXPECT_EQUAL(stat_of("named").st_nlink, 1);
}
VFSKIT_POSIX_CASE(unlink, KeepsAnOpenFileAlive) {
    make_file("f", "kept");
    const int fd = ::open("f", O_RDWR);
    EXPECT_OK(::unlink("f"));
    char buffer[8] = {};
    EXPECT_EQUAL(::pread(fd, buffer, sizeof(buffer), 0), 4);
    EXPECT_EQUAL(::pwrite(fd, "more", 4, 4), 4);
    struct stat info {};
    EXPECT_OK(::fstat(fd, &info));
    EXPECT_EQUAL(info.st_nlink, 0);
    EXPECT_EQUAL(info.st_size, 8);
    EXPECT_OK(::fchmod(fd, 0600));
    EXPECT_OK(::ftruncate(fd, 2));
    ::close(fd);
    EXPECT(is_missing("f"));
}
VFSKIT_POSIX_CASE(unlink, RefusesWhatItMust) {
    EXPECT_OK(::mkdir("d", 0755));
    make_file("f");
    EXPECT_ERRNO(::unlink("missing"), ENOENT);
    EXPECT_ERRNO(::unlink("d"), EISDIR);
    EXPECT_ERRNO(::unlink("f/x"), ENOTDIR);
    EXPECT_EQUAL(as_stranger([] { return result(::unlink("f")); }), EACCES);
}
VFSKIT_POSIX_CASE(unlink, ObeysTheStickyBit) {
    EXPECT_OK(::mkdir("p", 0777));
    EXPECT_OK(::chmod("p", 01777));
    make_file("p/f", "", 0666);
    EXPECT_EQUAL(as_stranger([] { return result(::unlink("p/f")); }), EPERM);
}
VFSKIT_POSIX_CASE(unlink, LetsTheNameBeUsedAgain) {
    make_file("f", "old");
    const ino_t old = inode_of("f");
    const int keep = ::open("f", O_RDONLY);
    EXPECT_OK(::unlink("f"));
    make_file("f", "new");
    EXPECT(inode_of("f") != old);
    EXPECT(content_of("f") == "new");
    char buffer[4] = {};
    EXPECT_EQUAL(::read(keep, buffer, 3), 3);
    EXPECT(std::string_view(buffer, 3) == "old");
    ::close(keep);
}

// --- symlink

VFSKIT_POSIX_CASE(symlink, HoldsAnyText) {
    const std::string target(1000, 't');
    EXPECT_OK(::symlink(target.c_str(), "l"));
    char buffer[2000];
    EXPECT_EQUAL(::readlink("l", buffer, sizeof(buffer)), 1000);
    EXPECT_EQUAL(stat_of("l").st_size, 1000);
    EXPECT_EQUAL(::readlink("l", buffer, 10), 10);
}
VFSKIT_POSIX_CASE(symlink, RefusesWhatItMust) {
    make_file("f");
    EXPECT_ERRNO(::symlink("x", "f"), EEXIST);
    EXPECT_ERRNO(::symlink("", "l"), ENOENT);
    EXPECT_ERRNO(::symlink("x", "missing/l"), ENOENT);
    char buffer[8];
    EXPECT_ERRNO(::readlink("f", buffer, sizeof(buffer)), EINVAL);
}
VFSKIT_POSIX_CASE(symlink, LoopsAreFound) {
    EXPECT_OK(::symlink("b", "a"));
    EXPECT_OK(::symlink("a", "b"));
    EXPECT_ERRNO(::open("a", O_RDONLY), ELOOP);
}
VFSKIT_POSIX_CASE(symlink, HasItsOwnOwner) {
    EXPECT_OK(::symlink("x", "l"));
    EXPECT_OK(::lchown("l", 1000, 1001));
    EXPECT_EQUAL(stat_of("l").st_uid, 1000);
    EXPECT_EQUAL(stat_of("l").st_gid, 1001);
}

// --- rename

VFSKIT_POSIX_CASE(rename, ReplacesAFileAndKeepsTheInode) {
    make_file("a", "from");
    make_file("b", "to");
    const ino_t moved = inode_of("a");
    EXPECT_OK(::rename("a", "b"));
    EXPECT(is_missing("a"));
    EXPECT(content_of("b") == "from");
    EXPECT_EQUAL(inode_of("b"), moved);
}
VFSKIT_POSIX_CASE(rename, MovesADirectoryWithItsContent) {
    EXPECT_OK(::mkdir("a", 0755));
    EXPECT_OK(::mkdir("b", 0755));
    EXPECT_OK(::mkdir("a/d", 0755));
    make_file("a/d/f", "x");
    EXPECT_OK(::rename("a/d", "b/e"));
    EXPECT(content_of("b/e/f") == "x");
    EXPECT_EQUAL(stat_of("a").st_nlink, 2);
    EXPECT_EQUAL(stat_of("b").st_nlink, 3);
    EXPECT_EQUAL(stat_of("b/e/..").st_ino, inode_of("b"));
}
VFSKIT_POSIX_CASE(rename, RefusesWhatItMust) {
    make_file("f");
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::mkdir("full", 0755));
    make_file("full/x");
    EXPECT_ERRNO(::rename("missing", "x"), ENOENT);
    EXPECT_ERRNO(::rename("f", "d"), EISDIR);
    EXPECT_ERRNO(::rename("d", "f"), ENOTDIR);
    EXPECT_ERRNO(::rename("d", "full"), ENOTEMPTY);
    EXPECT_ERRNO(::rename("d", "d/sub"), EINVAL);
    EXPECT_ERRNO(::rename("f", too_long_name.c_str()), ENAMETOOLONG);
}
VFSKIT_POSIX_CASE(rename, ReplacesAnEmptyDirectory) {
    EXPECT_OK(::mkdir("a", 0755));
    EXPECT_OK(::mkdir("b", 0755));
    const ino_t moved = inode_of("a");
    EXPECT_OK(::rename("a", "b"));
    EXPECT_EQUAL(inode_of("b"), moved);
}
VFSKIT_POSIX_CASE(rename, OfOneFileOntoItselfDoesNothing) {
    make_file("a");
    EXPECT_OK(::link("a", "b"));
    EXPECT_OK(::rename("a", "b"));
    EXPECT_EQUAL(stat_of("a").st_nlink, 2);
    EXPECT(!is_missing("b"));
}
VFSKIT_POSIX_CASE(rename, KeepsOpenFilesOpen) {
    make_file("a", "1");
    const int fd = ::open("a", O_RDWR | O_APPEND);
    EXPECT_OK(::rename("a", "b"));
    EXPECT_EQUAL(::write(fd, "2", 1), 1);
    ::close(fd);
    EXPECT(content_of("b") == "12");
}
VFSKIT_POSIX_CASE(rename, KnowsNoreplaceAndExchange) {
    make_file("a", "A");
    make_file("b", "B");
    EXPECT_ERRNO(::renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
    EXPECT_OK(::renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
    EXPECT(content_of("a") == "B");
    EXPECT(content_of("b") == "A");
    EXPECT_ERRNO(::renameat2(AT_FDCWD, "a", AT_FDCWD, "missing", RENAME_EXCHANGE), ENOENT);
    EXPECT_OK(::renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
}
VFSKIT_POSIX_CASE(rename, ObeysTheStickyBit) {
    EXPECT_OK(::mkdir("p", 0777));
    EXPECT_OK(::chmod("p", 01777));
    make_file("p/f", "", 0666);
    EXPECT_EQUAL(as_stranger([] { return result(::rename("p/f", "p/g")); }), EPERM);
}
VFSKIT_POSIX_CASE(rename, NeedsWritePermissionOnBothParents) {
    EXPECT_OK(::mkdir("mine", 0777));
    EXPECT_OK(::chmod("mine", 0777));
    EXPECT_OK(::mkdir("yours", 0755));
    EXPECT_EQUAL(as_stranger([] {
                     make_file("mine/f");
                     return result(::rename("mine/f", "yours/f"));
                 }),
                 EACCES);
}

// --- mknod, mkfifo, sockets

VFSKIT_POSIX_CASE(mknod, MakesDevicesForRootOnly) {
    EXPECT_OK(::mknod("null", S_IFCHR | 0666, ::makedev(1, 3)));
    EXPECT(S_ISCHR(stat_of("null").st_mode));
    EXPECT_EQUAL(::major(stat_of("null").st_rdev), 1);
    EXPECT_EQUAL(::minor(stat_of("null").st_rdev), 3);
    EXPECT_OK(::chmod(".", 0777));
    EXPECT_EQUAL(
        as_stranger([] { return result(::mknod("mine", S_IFCHR | 0666, ::makedev(1, 3))); }),
        EPERM);
}
VFSKIT_POSIX_CASE(mknod, MakesAFifoThatCarriesData) {
    ::umask(0);
    EXPECT_OK(::mkfifo("p", 0620));
    EXPECT_EQUAL(stat_of("p").st_mode, S_IFIFO | 0620);
    EXPECT_ERRNO(::mkfifo("p", 0600), EEXIST);
    EXPECT_ERRNO(::open("p", O_WRONLY | O_NONBLOCK), ENXIO);
    const int reader = ::open("p", O_RDONLY | O_NONBLOCK);
    const int writer = ::open("p", O_WRONLY | O_NONBLOCK);
    EXPECT_EQUAL(::write(writer, "abc", 3), 3);
    char buffer[4];
    EXPECT_EQUAL(::read(reader, buffer, 4), 3);
    ::close(writer);
    ::close(reader);
}
VFSKIT_POSIX_CASE(mknod, LetsASocketBeBound) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    address.sun_path[0] = 's';
    const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_OK(::bind(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    EXPECT(S_ISSOCK(stat_of("s").st_mode));
    EXPECT_OK(::listen(server, 1));
    const int client = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_OK(::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)));
    ::close(client);
    ::close(server);
}

// --- names

VFSKIT_POSIX_CASE(names, MayHoldAnyByteButSlashAndNul) {
    std::string strange;
    for (int byte = 1; byte < 256; ++byte) {
        if (byte != '/') {
            strange += static_cast<char>(byte);
        }
    }
    strange.resize(254);
    make_file(strange.c_str(), "x");
    EXPECT(content_of(strange.c_str()) == "x");
    EXPECT_OK(::rename(strange.c_str(), "\xff\xfe"));
    EXPECT_OK(::unlink("\xff\xfe"));
}
VFSKIT_POSIX_CASE(names, BoundTheirLengthAt255Bytes) {
    make_file(longest_name.c_str(), "x");
    EXPECT(content_of(longest_name.c_str()) == "x");
    EXPECT_ERRNO(::open(too_long_name.c_str(), O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
    struct stat info {};
    EXPECT_ERRNO(::stat(too_long_name.c_str(), &info), ENAMETOOLONG);
}
VFSKIT_POSIX_CASE(names, AreReachedInDeepTrees) {
    constexpr int depth = 60;
    for (int level = 0; level < depth; ++level) {
        EXPECT_OK(::mkdir("deep", 0755));
        EXPECT_OK(::chdir("deep"));
    }
    make_file("bottom", "x");
    std::string up;
    for (int level = 0; level < depth; ++level) {
        up += "../";
    }
    EXPECT_OK(::chdir(up.c_str()));
    std::string down;
    for (int level = 0; level < depth; ++level) {
        down += "deep/";
    }
    EXPECT(content_of((down + "bottom").c_str()) == "x");
}
VFSKIT_POSIX_CASE(names, AreCaseSensitive) {
    make_file("name", "lower");
    make_file("NAME", "upper");
    EXPECT(content_of("name") == "lower");
    EXPECT(content_of("NAME") == "upper");
}

} // namespace vfskit::posix
