// SPDX-License-Identifier: Apache-2.0
// Runs in a guest while it migrates: keeps a file open, appends a numbered record every few
// milliseconds and reads earlier ones back, until the stop file exists. Then it reads everything
// again. Prints "kept N records", or what was lost.
//
//     keeper FILE STOP
//
// With a third argument it does something else until STOP exists: "mmap" writes numbers through a
// shared mapping of FILE, syncs it now and then, and reads them back, at last after the guest's
// cache was emptied; "flock" or "posix" (fcntl) only holds a lock on FILE.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
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

// ---- a shared mapping
// -----------------------------------------------------------------------------

constexpr std::size_t mapped_count = 128 * 1024; // of 8 bytes each: 256 pages

/// The number that was written last into `slot` when `count` have been written.
std::uint64_t expected_in(std::size_t slot, std::uint64_t count) {
    if (slot >= count) {
        return 0;
    }
    return (count - 1 - slot) / mapped_count * mapped_count + slot + 1;
}

void check_file(int fd, std::uint64_t count) {
    static std::uint64_t found[mapped_count];
    if (::pread(fd, found, sizeof(found), 0) != static_cast<ssize_t>(sizeof(found))) {
        fail("cannot read the mapped file", count);
    }
    for (std::size_t slot = 0; slot < mapped_count; ++slot) {
        if (found[slot] != expected_in(slot, count)) {
            fail("another number is in the mapped file", slot);
        }
    }
}

void drop_caches() {
    ::sync();
    const int fd = ::open("/proc/sys/vm/drop_caches", O_WRONLY);
    if (fd < 0 || ::write(fd, "3", 1) != 1) {
        fail("cannot empty the cache", 0);
    }
}

int keep_mapped(const char* path, const char* stop) {
    constexpr std::size_t size = mapped_count * sizeof(std::uint64_t);
    constexpr std::uint64_t step = 4099; // some pages, and not the same ones each time
    const int fd = ::open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ::ftruncate(fd, size) != 0) {
        fail("cannot make the mapped file", 0);
    }
    void* mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        fail("cannot map", 0);
    }
    auto* numbers = static_cast<volatile std::uint64_t*>(mapped);
    std::uint64_t count = 0;
    std::uint64_t rounds = 0;
    for (; ::access(stop, F_OK) != 0; ++rounds) {
        for (const auto end = count + step; count < end; ++count) {
            numbers[count % mapped_count] = count + 1;
        }
        if (rounds % 8 == 0 && ::msync(mapped, size, MS_SYNC) != 0) {
            fail("cannot sync the mapping", count);
        }
        check_file(fd, count);
        ::usleep(between_records);
    }
    if (::munmap(mapped, size) != 0) {
        fail("cannot unmap", count);
    }
    drop_caches();
    check_file(fd, count);
    std::printf("kept %lu mapped numbers\n", static_cast<unsigned long>(count));
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 4 && std::strcmp(argv[3], "mmap") == 0) {
        return keep_mapped(argv[1], argv[2]);
    }
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
