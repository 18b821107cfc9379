// SPDX-License-Identifier: Apache-2.0
// open, read, write, append, sparse files, directories, locks, memory maps, and several processes
// at once.
#include "tests/posix/suite.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace vfskit::posix {

namespace {

// Owns a descriptor for the length of a case.
class Fd {
public:
    explicit Fd(int fd) : fd_{fd} {}
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { ::close(fd_); }
    operator int() const { return fd_; } // NOLINT: the cases read like system calls

private:
    int fd_;
};

std::multiset<std::string> entries_of(const char* path) {
    std::multiset<std::string> names;
    DIR* directory = ::opendir(path);
    while (const dirent* entry = directory == nullptr ? nullptr : ::readdir(directory)) {
        names.insert(entry->d_name);
    }
    if (directory != nullptr) {
        ::closedir(directory);
    }
    return names;
}

} // namespace

// --- open

VFSKIT_POSIX_CASE(open, AppliesModeAndUmaskOnCreation) {
    ::umask(0137);
    const Fd fd{::open("f", O_CREAT | O_WRONLY, 0777)};
    EXPECT(fd >= 0);
    EXPECT_EQUAL(stat_of("f").st_mode & 07777, 0640);
}
VFSKIT_POSIX_CASE(open, CreatesForItsCaller) {
    EXPECT_OK(::chmod(".", 0777));
    EXPECT_EQUAL(
        as_user(1000, 1001, {}, [] { return result(::open("f", O_CREAT | O_WRONLY, 0600)); }), 0);
    EXPECT_EQUAL(stat_of("f").st_uid, 1000);
    EXPECT_EQUAL(stat_of("f").st_gid, 1001);
}
VFSKIT_POSIX_CASE(open, ExclusiveCreationRefusesAnyName) {
    make_file("f");
    EXPECT_OK(::symlink("nowhere", "l"));
    EXPECT_ERRNO(::open("f", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
    EXPECT_ERRNO(::open("l", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
}
VFSKIT_POSIX_CASE(open, TruncatesWhenAsked) {
    make_file("f", "long content");
    { const Fd fd{::open("f", O_WRONLY | O_TRUNC)}; }
    EXPECT_EQUAL(stat_of("f").st_size, 0);
}
VFSKIT_POSIX_CASE(open, KnowsWhatADirectoryIs) {
    make_file("f");
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::symlink("f", "l"));
    EXPECT_ERRNO(::open("d", O_WRONLY), EISDIR);
    EXPECT_ERRNO(::open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(::open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT_ERRNO(::open("missing", O_RDONLY), ENOENT);
    EXPECT_ERRNO(::open("f/x", O_RDONLY), ENOTDIR);
}
VFSKIT_POSIX_CASE(open, ObeysEveryPermissionTriple) {
    constexpr std::array accesses{O_RDONLY, O_WRONLY, O_RDWR};
    for (unsigned bits = 0; bits < 8; ++bits) {
        make_file("f", "x", 0);
        EXPECT_OK(::chown("f", 1000, 1000));
        EXPECT_OK(::chmod("f", bits << 6U));
        for (const int access : accesses) {
            const bool reads = access != O_WRONLY;
            const bool writes = access != O_RDONLY;
            const bool allowed = (!reads || (bits & 4U) != 0) && (!writes || (bits & 2U) != 0);
            EXPECT_EQUAL(as_stranger([access] { return result(::open("f", access)); }),
                         allowed ? 0 : EACCES);
        }
        EXPECT_OK(::unlink("f"));
    }
}
VFSKIT_POSIX_CASE(open, AFileMadeReadOnlyIsStillWritableForItsMaker) {
    EXPECT_OK(::chmod(".", 0777));
    EXPECT_EQUAL(as_stranger([] {
                     const int fd = ::open("f", O_CREAT | O_RDWR, 0444);
                     return fd < 0 ? errno : result(::write(fd, "x", 1));
                 }),
                 0);
    EXPECT(content_of("f") == "x");
}
VFSKIT_POSIX_CASE(open, UnnamedFilesHaveNoLink) {
    const Fd fd{::open(".", O_TMPFILE | O_RDWR, 0600)};
    EXPECT(fd >= 0);
    struct stat info {};
    EXPECT_OK(::fstat(fd, &info));
    EXPECT_EQUAL(info.st_nlink, 0);
    EXPECT_EQUAL(::write(fd, "abc", 3), 3);
    EXPECT_EQUAL(entries_of(".").size(), 2);
}

// --- read and write

VFSKIT_POSIX_CASE(io, ReadsBackWhatWasWritten) {
    std::string data(300'000, '\0');
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] = static_cast<char>(i * 31 + i / 251);
    }
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    EXPECT_EQUAL(::write(fd, data.data(), data.size()), data.size());
    std::string back(data.size() + 10, '\0');
    EXPECT_EQUAL(::pread(fd, back.data(), back.size(), 0), data.size());
    back.resize(data.size());
    EXPECT(back == data);
    EXPECT_EQUAL(::pread(fd, back.data(), 10, static_cast<off_t>(data.size())), 0);
    EXPECT_EQUAL(::pread(fd, back.data(), 10, static_cast<off_t>(data.size()) - 3), 3);
}
VFSKIT_POSIX_CASE(io, GathersAndScatters) {
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    std::string a = "one";
    std::string b = "twofour";
    const std::array<iovec, 2> out{{{a.data(), a.size()}, {b.data(), b.size()}}};
    EXPECT_EQUAL(::pwritev(fd, out.data(), 2, 5), 10);
    std::string first(4, '\0');
    std::string second(11, '\0');
    const std::array<iovec, 2> in{{{first.data(), first.size()}, {second.data(), second.size()}}};
    EXPECT_EQUAL(::preadv(fd, in.data(), 2, 0), 15);
    EXPECT(first + second == std::string("\0\0\0\0\0onetwofour", 15));
}
VFSKIT_POSIX_CASE(io, AppendsAtTheEndWhateverTheOffset) {
    make_file("f", "0123");
    const Fd a{::open("f", O_WRONLY | O_APPEND)};
    const Fd b{::open("f", O_WRONLY | O_APPEND)};
    EXPECT_EQUAL(::write(a, "A", 1), 1);
    EXPECT_EQUAL(::write(b, "B", 1), 1);
    EXPECT_EQUAL(::lseek(a, 0, SEEK_SET), 0);
    EXPECT_EQUAL(::write(a, "C", 1), 1);
    EXPECT(content_of("f") == "0123ABC");
}
VFSKIT_POSIX_CASE(io, RefusesTheWrongDirection) {
    make_file("f", "x");
    const Fd reader{::open("f", O_RDONLY)};
    const Fd writer{::open("f", O_WRONLY)};
    char byte = 0;
    EXPECT_ERRNO(::write(reader, "y", 1), EBADF);
    EXPECT_ERRNO(::read(writer, &byte, 1), EBADF);
    const Fd directory{::open(".", O_RDONLY)};
    EXPECT_ERRNO(::read(directory, &byte, 1), EISDIR);
}
VFSKIT_POSIX_CASE(io, WritesFarOut) {
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    constexpr off_t far = (off_t{5} << 30) + 1;
    EXPECT_EQUAL(::pwrite(fd, "end", 3, far), 3);
    std::array<char, 4> buffer{};
    EXPECT_EQUAL(::pread(fd, buffer.data(), 4, far), 3);
    EXPECT_EQUAL(::pread(fd, buffer.data(), 4, far / 2), 4);
    EXPECT_EQUAL(buffer[0], 0);
}
VFSKIT_POSIX_CASE(io, SecondDescriptorSeesTheWrite) {
    const Fd writer{::open("f", O_CREAT | O_WRONLY, 0644)};
    const Fd reader{::open("f", O_RDONLY)};
    EXPECT_EQUAL(::write(writer, "now", 3), 3);
    std::array<char, 4> buffer{};
    EXPECT_EQUAL(::read(reader, buffer.data(), 4), 3);
    struct stat info {};
    EXPECT_OK(::fstat(reader, &info));
    EXPECT_EQUAL(info.st_size, 3);
}
VFSKIT_POSIX_CASE(io, SyncsInEveryForm) {
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    EXPECT_EQUAL(::write(fd, "x", 1), 1);
    EXPECT_OK(::fsync(fd));
    EXPECT_OK(::fdatasync(fd));
    EXPECT_OK(::syncfs(fd));
    const Fd directory{::open(".", O_RDONLY)};
    EXPECT_OK(::fsync(directory));
}
VFSKIT_POSIX_CASE(io, AllocatesAndPunchesHoles) {
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    EXPECT_OK(::fallocate(fd, 0, 0, 1 << 20));
    EXPECT_EQUAL(stat_of("f").st_size, 1 << 20);
    EXPECT_OK(::fallocate(fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 1 << 20));
    EXPECT_EQUAL(stat_of("f").st_size, 1 << 20);
    EXPECT_EQUAL(::pwrite(fd, "data", 4, 8192), 4);
    EXPECT_OK(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
    std::array<char, 4> buffer{'x', 'x', 'x', 'x'};
    EXPECT_EQUAL(::pread(fd, buffer.data(), 4, 8192), 4);
    EXPECT_EQUAL(buffer[0], 0);
}
VFSKIT_POSIX_CASE(io, SeeksDataAndHoles) {
    const Fd fd{::open("f", O_CREAT | O_RDWR, 0644)};
    EXPECT_OK(::ftruncate(fd, 1 << 20));
    EXPECT_EQUAL(::pwrite(fd, "x", 1, 512 << 10), 1);
    EXPECT_OK(::fsync(fd));
    EXPECT_EQUAL(::lseek(fd, 0, SEEK_DATA), 512 << 10);
    EXPECT_EQUAL(::lseek(fd, 0, SEEK_HOLE), 0);
    EXPECT_ERRNO(::lseek(fd, 2 << 20, SEEK_DATA), ENXIO);
}
VFSKIT_POSIX_CASE(io, CopiesARange) {
    make_file("from", "0123456789");
    const Fd from{::open("from", O_RDONLY)};
    const Fd to{::open("to", O_CREAT | O_WRONLY, 0644)};
    off64_t from_offset = 2;
    off64_t to_offset = 1;
    EXPECT_EQUAL(::copy_file_range(from, &from_offset, to, &to_offset, 5, 0), 5);
    EXPECT(content_of("to") == std::string("\00023456", 6));
    off_t offset = 0;
    EXPECT_EQUAL(::sendfile(to, from, &offset, 3), 3);
}

// --- memory maps

VFSKIT_POSIX_CASE(mmap, SharesWritesWithTheFile) {
    make_file("f", std::string(8192, 'a'));
    const Fd fd{::open("f", O_RDWR)};
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    EXPECT(memory != MAP_FAILED);
    if (memory == MAP_FAILED) {
        return;
    }
    memory[5000] = 'b';
    EXPECT_OK(::msync(memory, 8192, MS_SYNC));
    char byte = 0;
    EXPECT_EQUAL(::pread(fd, &byte, 1, 5000), 1);
    EXPECT_EQUAL(byte, 'b');
    EXPECT_EQUAL(::pwrite(fd, "c", 1, 100), 1);
    EXPECT_EQUAL(memory[100], 'c');
    ::munmap(memory, 8192);
}
VFSKIT_POSIX_CASE(mmap, KeepsPrivateWritesPrivate) {
    make_file("f", "abcd");
    const Fd fd{::open("f", O_RDONLY)};
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    EXPECT(memory != MAP_FAILED);
    if (memory != MAP_FAILED) {
        memory[0] = 'X';
        ::munmap(memory, 4);
    }
    EXPECT(content_of("f") == "abcd");
}

// --- directories

VFSKIT_POSIX_CASE(readdir, GivesEveryNameOnce) {
    std::multiset<std::string> wanted{".", ".."};
    for (int i = 0; i < 1500; ++i) {
        const std::string name = "entry-with-a-longer-name-" + std::to_string(i);
        make_file(name.c_str());
        wanted.insert(name);
    }
    EXPECT(entries_of(".") == wanted);
}
VFSKIT_POSIX_CASE(readdir, TellsTypesAndInodes) {
    make_file("f");
    EXPECT_OK(::mkdir("d", 0755));
    EXPECT_OK(::symlink("x", "l"));
    EXPECT_OK(::mkfifo("p", 0600));
    const std::map<std::string, unsigned char> types{
        {"f", DT_REG}, {"d", DT_DIR}, {"l", DT_LNK}, {"p", DT_FIFO}};
    DIR* directory = ::opendir(".");
    std::size_t seen = 0;
    while (const dirent* entry = ::readdir(directory)) {
        const auto type = types.find(entry->d_name);
        if (type != types.end()) {
            ++seen;
            EXPECT(entry->d_type == type->second || entry->d_type == DT_UNKNOWN);
            EXPECT_EQUAL(entry->d_ino, stat_of(entry->d_name).st_ino);
        }
    }
    ::closedir(directory);
    EXPECT_EQUAL(seen, types.size());
}
VFSKIT_POSIX_CASE(readdir, GoesBackToAPosition) {
    for (int i = 0; i < 300; ++i) {
        make_file(("f" + std::to_string(i)).c_str());
    }
    DIR* directory = ::opendir(".");
    for (int i = 0; i < 150; ++i) {
        ::readdir(directory);
    }
    const long place = ::telldir(directory);
    const dirent* next = ::readdir(directory);
    const std::string name = next != nullptr ? next->d_name : "";
    while (::readdir(directory) != nullptr) {
    }
    ::seekdir(directory, place);
    next = ::readdir(directory);
    EXPECT(next != nullptr && name == next->d_name);
    ::rewinddir(directory);
    int count = 0;
    while (::readdir(directory) != nullptr) {
        ++count;
    }
    EXPECT_EQUAL(count, 302);
    ::closedir(directory);
}
VFSKIT_POSIX_CASE(readdir, LetsEntriesBeRemovedOnTheWay) {
    for (int i = 0; i < 500; ++i) {
        make_file(("f" + std::to_string(i)).c_str());
    }
    DIR* directory = ::opendir(".");
    while (const dirent* entry = ::readdir(directory)) {
        if (entry->d_name[0] == 'f') {
            EXPECT_OK(::unlink(entry->d_name));
        }
    }
    ::closedir(directory);
    EXPECT_EQUAL(entries_of(".").size(), 2);
}

// --- locks

VFSKIT_POSIX_CASE(locks, FcntlExcludesAnotherProcess) {
    make_file("f", "0123456789");
    const Fd fd{::open("f", O_RDWR)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_start = 2;
    lock.l_len = 3;
    EXPECT_OK(::fcntl(fd, F_SETLK, &lock));
    const auto try_lock = [](off_t start) {
        return as_user(0, 0, {}, [start] {
            const int other = ::open("f", O_RDWR);
            struct flock wanted {};
            wanted.l_type = F_WRLCK;
            wanted.l_start = start;
            wanted.l_len = 1;
            return result(::fcntl(other, F_SETLK, &wanted));
        });
    };
    EXPECT_EQUAL(try_lock(2), EAGAIN);
    EXPECT_EQUAL(try_lock(5), 0);
    lock.l_type = F_UNLCK;
    EXPECT_OK(::fcntl(fd, F_SETLK, &lock));
    EXPECT_EQUAL(try_lock(2), 0);
}
VFSKIT_POSIX_CASE(locks, GetlkNamesTheHolder) {
    make_file("f", "x");
    const Fd fd{::open("f", O_RDWR)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    EXPECT_OK(::fcntl(fd, F_SETLK, &lock));
    const pid_t holder = ::getpid();
    EXPECT_EQUAL(as_user(0,
                         0,
                         {},
                         [holder] {
                             const int other = ::open("f", O_RDWR);
                             struct flock asked {};
                             asked.l_type = F_RDLCK;
                             if (::fcntl(other, F_GETLK, &asked) != 0) {
                                 return errno;
                             }
                             return asked.l_type == F_WRLCK && asked.l_pid == holder ? 0 : 200;
                         }),
                 0);
}
VFSKIT_POSIX_CASE(locks, FlockIsExclusiveAndShared) {
    make_file("f");
    const Fd a{::open("f", O_RDWR)};
    const Fd b{::open("f", O_RDWR)};
    EXPECT_OK(::flock(a, LOCK_SH));
    EXPECT_OK(::flock(b, LOCK_SH | LOCK_NB));
    EXPECT_ERRNO(::flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    EXPECT_OK(::flock(a, LOCK_UN));
    EXPECT_OK(::flock(b, LOCK_EX | LOCK_NB));
}
VFSKIT_POSIX_CASE(locks, WaitUntilTheHolderIsGone) {
    make_file("f");
    int ready[2];
    EXPECT_OK(::pipe(ready));
    const pid_t holder = ::fork();
    if (holder == 0) {
        const int fd = ::open("f", O_RDWR);
        struct flock lock {};
        lock.l_type = F_WRLCK;
        ::fcntl(fd, F_SETLK, &lock);
        [[maybe_unused]] const ssize_t told = ::write(ready[1], "x", 1);
        wait_for_next_tick();
        ::_exit(0);
    }
    char byte = 0;
    EXPECT_EQUAL(::read(ready[0], &byte, 1), 1);
    const Fd fd{::open("f", O_RDWR)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    EXPECT_OK(::fcntl(fd, F_SETLKW, &lock));
    ::waitpid(holder, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
}

// --- several at once

VFSKIT_POSIX_CASE(race, OneOfManyCreatesExclusively) {
    constexpr int rounds = 40;
    std::array<int, 4> wins{};
    for (int round = 0; round < rounds; ++round) {
        const std::string name = "f" + std::to_string(round);
        std::vector<std::thread> threads;
        for (auto& won : wins) {
            threads.emplace_back([&won, &name] {
                const int fd = ::open(name.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
                if (fd >= 0) {
                    ++won;
                    ::close(fd);
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
    }
    EXPECT_EQUAL(wins[0] + wins[1] + wins[2] + wins[3], rounds);
}
VFSKIT_POSIX_CASE(race, AppendersLoseNothing) {
    make_file("f");
    std::vector<std::thread> threads;
    for (int writer = 0; writer < 4; ++writer) {
        threads.emplace_back([writer] {
            const int fd = ::open("f", O_WRONLY | O_APPEND);
            const std::string line(16, static_cast<char>('a' + writer));
            for (int i = 0; i < 50; ++i) {
                [[maybe_unused]] const ssize_t written = ::write(fd, line.data(), line.size());
            }
            ::close(fd);
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    const std::string content = content_of("f");
    EXPECT_EQUAL(content.size(), 4 * 50 * 16);
    EXPECT_EQUAL(std::count(content.begin(), content.end(), 'c'), 50 * 16);
}
VFSKIT_POSIX_CASE(race, RenamesNeverLoseTheName) {
    make_file("target", "x");
    std::thread renamer{[] {
        for (int i = 0; i < 200; ++i) {
            make_file("new", "x");
            ::rename("new", "target");
        }
    }};
    int missing = 0;
    for (int i = 0; i < 400; ++i) {
        const int fd = ::open("target", O_RDONLY);
        missing += fd < 0 ? 1 : 0;
        ::close(fd);
    }
    renamer.join();
    EXPECT_EQUAL(missing, 0);
}

} // namespace vfskit::posix
