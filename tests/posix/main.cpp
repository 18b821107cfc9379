// SPDX-License-Identifier: Apache-2.0
// posix_suite DIRECTORY [PREFIX]: runs every case (whose name begins with PREFIX) in a fresh
// directory below DIRECTORY. One line a case, "ok NAME" or "FAIL NAME: …", then a line that counts.
// Exit status 1 on failure.
#include "tests/posix/suite.h"

#include <ftw.h>
#include <grp.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>

namespace vfskit::posix {

namespace {

std::vector<const Case*>& registry() {
    static std::vector<const Case*> cases;
    return cases;
}

int remove_entry(const char* path, const struct stat* /*info*/, int /*type*/, FTW* /*place*/) {
    return ::remove(path);
}

} // namespace

Case::Case(std::string_view case_name, CaseFunction case_function)
    : name{case_name}, function{case_function} {
    registry().push_back(this);
}

const std::vector<const Case*>& all_cases() {
    return registry();
}

void Checks::expect(bool held, std::string_view text, const char* file, int line) {
    if (!held) {
        const char* base = std::strrchr(file, '/');
        failures_.push_back(std::string{base == nullptr ? file : base + 1} + ":" +
                            std::to_string(line) + " " + std::string{text});
    }
}

void Checks::expect_equal(
    long long got, long long want, std::string_view text, const char* file, int line) {
    expect(got == want,
           std::string{text} + " is " + std::to_string(got) + ", wanted " + std::to_string(want),
           file,
           line);
}

int as_user(uid_t uid,
            gid_t gid,
            const std::vector<gid_t>& groups,
            const std::function<int()>& action) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgroups(groups.size(), groups.data()) != 0 || ::setresgid(gid, gid, gid) != 0 ||
            ::setresuid(uid, uid, uid) != 0) {
            ::_exit(255);
        }
        ::_exit(action());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int as_stranger(const std::function<int()>& action) {
    return as_user(1000, 1000, {}, action);
}

void make_file(const char* path, std::string_view content, mode_t mode) {
    const int fd = ::open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    [[maybe_unused]] const ssize_t written = ::write(fd, content.data(), content.size());
    ::fchmod(fd, mode);
    ::close(fd);
}

std::string content_of(const char* path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

struct stat stat_of(const char* path) {
    struct stat info {};
    ::lstat(path, &info);
    return info;
}

long long nanoseconds(const struct timespec& time) {
    return static_cast<long long>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

void wait_for_next_tick() {
    const timespec pause{0, 20'000'000}; // ext4 stamps with the kernel's tick: at most 10 ms
    ::nanosleep(&pause, nullptr);
}

} // namespace vfskit::posix

int main(int argc, char** argv) {
    using namespace vfskit::posix;
    if (argc < 2 || ::chdir(argv[1]) != 0) {
        std::fprintf(stderr, "usage: posix_suite DIRECTORY [PREFIX]\n");
        return 2;
    }
    const std::string_view prefix = argc > 2 ? argv[2] : "";
    auto cases = all_cases();
    std::sort(
        cases.begin(), cases.end(), [](const Case* a, const Case* b) { return a->name < b->name; });
    int ran = 0;
    int failed = 0;
    ::umask(022);
    for (const Case* test : cases) {
        if (!test->name.starts_with(prefix)) {
            continue;
        }
        const std::string directory{test->name};
        Checks checks;
        if (::mkdir(directory.c_str(), 0755) != 0 || ::chdir(directory.c_str()) != 0) {
            checks.expect(false, "no directory for the case", __FILE__, __LINE__);
        } else {
            test->function(checks);
        }
        ::umask(022);
        if (::chdir(argv[1]) != 0) {
            return 2;
        }
        ::nftw(directory.c_str(), remove_entry, 32, FTW_DEPTH | FTW_PHYS);
        ++ran;
        if (checks.failures().empty()) {
            std::printf("ok %s\n", directory.c_str());
            continue;
        }
        ++failed;
        std::printf("FAIL %s:", directory.c_str());
        for (const auto& failure : checks.failures()) {
            std::printf(" [%s]", failure.c_str());
        }
        std::printf("\n");
    }
    std::printf("%d cases, %d failed\n", ran, failed);
    return failed == 0 ? 0 : 1;
}
