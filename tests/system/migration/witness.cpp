// SPDX-License-Identifier: Apache-2.0
// Runs in a guest while it migrates and knows what its files must be like: content, size, mode,
// owner, times, links, extended attributes, locks, and what open files of each kind do.
//
//     witness DIR ASK ANSWER
//
// Makes files in DIR and keeps them open. Whenever the file ASK appears, examines all of them,
// writes "same" or what is different to ANSWER, and removes ASK. ASK may contain "copy" (inode
// numbers may differ from the last time) and "end".
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t data_size = 10 * page + 17;
constexpr std::size_t record_size = 8;
constexpr std::size_t map_size = 4 * page;
constexpr useconds_t between_looks = 10000;

std::string failures; // NOLINT: what this process is for

void differs(const std::string& what) {
    failures += what + "; ";
}
void require(bool condition, const std::string& what) {
    if (!condition) {
        differs(what + (errno != 0 ? std::string{" ("} + std::strerror(errno) + ")" : ""));
    }
    errno = 0;
}

char pattern(std::size_t at) {
    return static_cast<char>('a' + at * 7919 % 26);
}

int open_or_end(const char* name, int flags, mode_t mode = 0600) {
    const int fd = ::open(name, flags | O_CLOEXEC, mode);
    if (fd < 0) {
        std::printf("witness: cannot open %s: %m\n", name);
        std::exit(1);
    }
    return fd;
}

std::string record(unsigned number) {
    std::array<char, record_size + 1> text{};
    std::snprintf(text.data(), text.size(), "%07u\n", number % 10'000'000);
    return text.data();
}

/// Whether another process sees the lock; locks belong to this one.
bool is_locked_for_others(int fd, bool is_flock) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (is_flock) {
            // A file description of its own, or it would be the same lock.
            const int own = ::open("flock", O_RDWR);
            ::_exit(own >= 0 && ::flock(own, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK ? 0
                                                                                             : 1);
        }
        struct flock range {};
        range.l_type = F_WRLCK;
        range.l_start = 15;
        range.l_len = 1;
        ::_exit(::fcntl(fd, F_GETLK, &range) == 0 && range.l_type == F_WRLCK &&
                        range.l_start == 10 && range.l_len == 10
                    ? 0
                    : 1);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    return status == 0;
}

class Witness {
public:
    void make() {
        std::string content(data_size, ' ');
        for (std::size_t i = 0; i < content.size(); ++i) {
            content[i] = pattern(i);
        }
        const int fd = open_or_end("data", O_RDWR | O_CREAT | O_EXCL, 0640);
        require(::write(fd, content.data(), content.size()) == static_cast<ssize_t>(data_size),
                "cannot write data");
        require(::fsetxattr(fd, "user.witness", "attribute", 9, 0) == 0, "cannot set an attribute");
        const std::array<timespec, 2> times{{{1'000'000'000, 123}, {1'100'000'000, 456}}};
        require(::futimens(fd, times.data()) == 0, "cannot set times");
        require(::fchown(fd, 1000, 2000) == 0, "cannot give away");
        ::close(fd);
        require(::link("data", "link") == 0 && ::symlink("data", "symlink") == 0 &&
                    ::mkfifo("fifo", 0604) == 0 && ::mkdir("dir", 02751) == 0 &&
                    ::mkdir("dir/sub", 0700) == 0 && ::mkdir("cwd", 0700) == 0,
                "cannot make names");
        require(::setxattr("dir", "user.witness", "of a directory", 14, 0) == 0,
                "cannot set an attribute of a directory");
        reader_ = open_or_end("data", O_RDONLY);
        require(::lseek(reader_, 1000, SEEK_SET) == 1000, "cannot seek");
        appender_ = open_or_end("append", O_WRONLY | O_CREAT | O_APPEND);
        appended_ = open_or_end("append", O_RDONLY);
        writer_ = open_or_end("write-only", O_WRONLY | O_CREAT);
        direct_ = open_or_end("direct", O_RDWR | O_CREAT | O_DIRECT);
        directory_ = open_or_end("dir", O_RDONLY | O_DIRECTORY);
        path_ = open_or_end("dir/sub", O_PATH);
        flock_ = open_or_end("flock", O_RDWR | O_CREAT);
        require(::flock(flock_, LOCK_EX) == 0, "cannot flock");
        posix_ = open_or_end("posix", O_RDWR | O_CREAT);
        struct flock range {};
        range.l_type = F_WRLCK;
        range.l_start = 10;
        range.l_len = 10;
        require(::fcntl(posix_, F_SETLK, &range) == 0, "cannot lock");
        map_fd_ = open_or_end("map", O_RDWR | O_CREAT);
        require(::ftruncate(map_fd_, map_size) == 0, "cannot make the mapped file");
        void* mapped = ::mmap(nullptr, map_size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd_, 0);
        require(mapped != MAP_FAILED, "cannot map");
        map_ = static_cast<unsigned*>(mapped);
        remember_names();
    }

    void examine(bool is_copy) {
        ++round_;
        check_names(is_copy);
        check_reader();
        check_append();
        check_direct();
        check_write_only();
        check_map();
        check_directory();
        check_locks();
    }

private:
    static constexpr std::array names{
        "data", "link", "symlink", "fifo", "dir", "dir/sub", "cwd", "flock", "posix"};

    void remember_names() {
        for (const char* name : names) {
            require(::lstat(name, &known_[name]) == 0, std::string{"cannot stat "} + name);
        }
    }
    void check_names(bool is_copy) {
        for (const char* name : names) {
            struct stat now {};
            auto& before = known_[name];
            const std::string what{name};
            require(::lstat(name, &now) == 0, what + " is gone");
            require(now.st_mode == before.st_mode, what + " has another mode");
            require(now.st_size == before.st_size || S_ISDIR(now.st_mode),
                    what + " has another size");
            require(now.st_nlink == before.st_nlink, what + " has another number of links");
            require(now.st_uid == before.st_uid && now.st_gid == before.st_gid,
                    what + " has another owner");
            require(now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
                        now.st_mtim.tv_nsec == before.st_mtim.tv_nsec,
                    what + " has another time");
            require(is_copy || now.st_ino == before.st_ino, what + " is another inode");
            before = now;
        }
        std::array<char, 32> text{};
        require(::readlink("symlink", text.data(), text.size()) == 4 && text[0] == 'd',
                "the symbolic link points elsewhere");
        text = {};
        require(::getxattr("link", "user.witness", text.data(), text.size()) == 9 &&
                    std::string{text.data()} == "attribute",
                "the attribute is another");
        text = {};
        require(::getxattr("dir", "user.witness", text.data(), text.size()) == 14,
                "the directory's attribute is another");
    }

    void check_reader() {
        std::string content(data_size + 1, ' ');
        require(::pread(reader_, content.data(), content.size(), 0) ==
                    static_cast<ssize_t>(data_size),
                "data cannot be read");
        for (std::size_t i = 0; i < data_size; ++i) {
            if (content[i] != pattern(i)) {
                differs("data has another content at " + std::to_string(i));
                break;
            }
        }
        require(::lseek(reader_, 0, SEEK_CUR) == 1000, "the position is another");
        require(::write(reader_, "x", 1) < 0 && errno == EBADF, "a read-only file can be written");
        errno = 0;
    }

    void check_append() {
        require(::pwrite(appender_, record(round_ - 1).data(), record_size, 0) ==
                    static_cast<ssize_t>(record_size),
                "cannot append");
        std::string found(record_size * round_ + 1, ' ');
        require(::pread(appended_, found.data(), found.size(), 0) ==
                    static_cast<ssize_t>(record_size * round_),
                "the appended file has another size");
        for (unsigned i = 0; i < round_; ++i) {
            require(found.compare(record_size * i, record_size, record(i)) == 0,
                    "appended record " + std::to_string(i) + " is another");
        }
    }

    void check_direct() {
        alignas(page) std::array<char, page> block{};
        block.fill(static_cast<char>('A' + round_ % 26));
        require(::pwrite(direct_, block.data(), page, static_cast<off_t>((round_ - 1) * page)) ==
                    static_cast<ssize_t>(page),
                "cannot write directly");
        for (unsigned i = 0; i < round_; ++i) {
            require(::pread(direct_, block.data(), page, static_cast<off_t>(i * page)) ==
                            static_cast<ssize_t>(page) &&
                        block[17] == static_cast<char>('A' + (i + 1) % 26),
                    "direct block " + std::to_string(i) + " is another");
        }
        require((::fcntl(direct_, F_GETFL) & O_DIRECT) != 0, "O_DIRECT is gone");
    }

    void check_write_only() {
        const auto text = record(round_);
        require(::pwrite(writer_, text.data(), 3, static_cast<off_t>(3 * round_)) == 3,
                "cannot write a part of a page");
        char one = 0;
        require(::read(writer_, &one, 1) < 0 && errno == EBADF, "a write-only file can be read");
        errno = 0;
        struct stat now {};
        require(::fstat(writer_, &now) == 0 && now.st_size == static_cast<off_t>(3 * round_ + 3),
                "the write-only file has another size");
    }

    void check_map() {
        for (unsigned i = 1; i < round_; ++i) {
            require(map_[i] == i, "a mapped number is another");
        }
        map_[round_] = round_;
        require(::msync(map_, map_size, MS_SYNC) == 0, "cannot sync the mapping");
        unsigned found = 0;
        require(::pread(map_fd_, &found, sizeof found, static_cast<off_t>(round_ * sizeof found)) ==
                        sizeof found &&
                    found == round_,
                "what was mapped is not in the file");
    }

    void check_directory() {
        struct stat by_fd {};
        struct stat by_name {};
        require(::fstat(path_, &by_fd) == 0 && ::stat("dir/sub", &by_name) == 0 &&
                    by_fd.st_ino == by_name.st_ino,
                "a directory held by O_PATH is another");
        const int copy = ::openat(directory_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR* listing = copy < 0 ? nullptr : ::fdopendir(copy);
        require(listing != nullptr, "cannot open the directory again");
        bool has_sub = false;
        while (const dirent* entry = listing == nullptr ? nullptr : ::readdir(listing)) {
            has_sub = has_sub || std::strcmp(entry->d_name, "sub") == 0;
        }
        if (listing != nullptr) {
            ::closedir(listing);
        }
        require(has_sub, "the directory lists something else");
        require(::lseek(directory_, 0, SEEK_SET) == 0, "the open directory cannot be rewound");
        alignas(dirent64) std::array<char, 4096> entries{};
        require(::getdents64(directory_, entries.data(), entries.size()) > 0,
                "the open directory cannot be read");
    }

    void check_locks() {
        require(is_locked_for_others(flock_, true), "the flock lock is gone");
        require(is_locked_for_others(posix_, false), "the fcntl lock is gone");
        errno = 0;
    }

    unsigned round_ = 0;
    std::map<std::string, struct stat> known_;
    int reader_ = -1, appender_ = -1, appended_ = -1, writer_ = -1, direct_ = -1, directory_ = -1;
    int path_ = -1, flock_ = -1, posix_ = -1, map_fd_ = -1;
    unsigned* map_ = nullptr;
};

void drop_caches() {
    const int fd = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    (void)!::write(fd, "3", 1);
    ::close(fd);
}

std::string read_all(const char* path) {
    std::array<char, 64> text{};
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    const auto size = ::read(fd, text.data(), text.size());
    ::close(fd);
    return {text.data(), static_cast<std::size_t>(size > 0 ? size : 0)};
}

void answer(const char* path) {
    const auto text = (failures.empty() ? "same" : failures) + "\n";
    const int fd = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    (void)!::write(fd, text.data(), text.size());
    ::close(fd);
    failures.clear();
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4 || (::mkdir(argv[1], 0755) != 0 && errno != EEXIST) || ::chdir(argv[1]) != 0) {
        return 2;
    }
    ::umask(0);
    errno = 0;
    Witness witness;
    witness.make();
    answer(argv[3]);
    for (;;) {
        while (::access(argv[2], F_OK) != 0) {
            ::usleep(between_looks);
        }
        errno = 0;
        const auto asked = read_all(argv[2]);
        ::sync();
        drop_caches();
        witness.examine(asked.find("copy") != std::string::npos);
        answer(argv[3]);
        ::unlink(argv[2]);
        if (asked.find("end") != std::string::npos) {
            return 0;
        }
    }
}
