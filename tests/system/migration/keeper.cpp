// SPDX-License-Identifier: Apache-2.0
// Runs in a guest while it migrates: keeps a file open, appends a numbered record every few
// milliseconds and reads earlier ones back, until the stop file exists. Then it reads everything
// again. Prints "kept N records", or what was lost.
//
//     keeper FILE STOP
//
// With a third argument it only holds a lock on FILE (flock, or posix: fcntl) until STOP exists.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace {

constexpr std::size_t record_size = 16;
constexpr useconds_t between_records = 3000;

struct Record {
    char text[record_size + 1];
    explicit Record(unsigned long number) { std::snprintf(text, sizeof(text), "%015lu\n", number); }
};

[[noreturn]] void fail(const char* what, unsigned long number) {
    std::printf("FAILED: %s, record %lu: %m\n", what, number);
    std::fflush(stdout);
    _exit(1);
}

void check(int fd, unsigned long number) {
    char found[record_size];
    const Record expected{number};
    const auto offset = static_cast<off_t>(number * record_size);
    if (::pread(fd, found, record_size, offset) != static_cast<ssize_t>(record_size)) {
        fail("cannot read back", number);
    }
    if (std::memcmp(found, expected.text, record_size) != 0) {
        fail("another record is there", number);
    }
}

void append(int fd, unsigned long number) {
    const Record record{number};
    if (::write(fd, record.text, record_size) != static_cast<ssize_t>(record_size)) {
        fail("cannot write", number);
    }
    struct stat status {};
    if (::fstat(fd, &status) != 0 ||
        status.st_size != static_cast<off_t>((number + 1) * record_size)) {
        fail("the file has another size", number);
    }
}

/// Where the share has extended attributes, each 50th number is kept as one too.
void check_attribute(int fd, unsigned long number) {
    constexpr const char* name = "user.kept";
    static bool has_any = false;
    char found[record_size];
    const Record last{number - 50};
    if (has_any &&
        (::fgetxattr(fd, name, found, record_size) != static_cast<ssize_t>(record_size) ||
         std::memcmp(found, last.text, record_size) != 0)) {
        fail("another attribute is there", number);
    }
    const Record now{number};
    has_any = ::fsetxattr(fd, name, now.text, record_size, 0) == 0;
    if (!has_any && errno != EOPNOTSUPP) {
        fail("cannot set an attribute", number);
    }
}

void wait_for(const char* path) {
    while (::access(path, F_OK) != 0) {
        ::usleep(between_records);
    }
}

int hold_lock(const char* path, const char* stop, bool is_flock) {
    const int fd = ::open(path, O_RDWR | O_CREAT, 0644);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    if (fd < 0 || (is_flock ? ::flock(fd, LOCK_EX) : ::fcntl(fd, F_SETLK, &whole)) != 0) {
        fail("cannot lock", 0);
    }
    std::puts("locked");
    std::fflush(stdout);
    wait_for(stop);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 4) {
        return hold_lock(argv[1], argv[2], std::strcmp(argv[3], "flock") == 0);
    }
    if (argc != 3) {
        return 2;
    }
    const int writer = ::open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0644);
    const int reader = ::open(argv[1], O_RDONLY);
    if (writer < 0 || reader < 0) {
        fail("cannot open", 0);
    }
    unsigned long count = 0;
    while (::access(argv[2], F_OK) != 0) {
        append(writer, count);
        check(reader, count * 7919 % (count + 1));
        if (count % 50 == 0) {
            check_attribute(writer, count);
        }
        ++count;
        ::usleep(between_records);
    }
    for (unsigned long number = 0; number < count; ++number) {
        check(reader, number);
    }
    std::printf("kept %lu records\n", count);
    return 0;
}
