// SPDX-License-Identifier: Apache-2.0
// A suite of POSIX file system behaviours that runs as one static program: in a guest on a share,
// and on the host on the same filesystem. Every case gets an empty directory of its own and says
// what it expects; a difference between the two runs is the share's doing.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::posix {

/// What a case works with: its directory is the working directory, so names are relative.
class Checks {
public:
    /// Records a failure; the case goes on.
    void expect(bool held, std::string_view text, const char* file, int line);
    void
    expect_equal(long long got, long long want, std::string_view text, const char* file, int line);
    [[nodiscard]] const std::vector<std::string>& failures() const { return failures_; }

private:
    std::vector<std::string> failures_;
};

using CaseFunction = void (*)(Checks&);

/// Registers a case at program start. Names are "area.Behaviour".
struct Case {
    Case(std::string_view name, CaseFunction function);
    std::string_view name;
    CaseFunction function;
};

const std::vector<const Case*>& all_cases();

/// 0, or the errno of a call that failed: `EXPECT_ERRNO(result(mkdir("a", 0755)), EEXIST)`.
inline int result(long long returned) {
    return returned < 0 ? errno : 0;
}
inline int result(const void* returned) {
    return returned == nullptr ? errno : 0;
}

/// Runs `action` in a child as `uid` with `gid` and supplementary `groups`; gives what it returned
/// (0 to 254). 255: the child died or could not change its identity.
int as_user(uid_t uid,
            gid_t gid,
            const std::vector<gid_t>& groups,
            const std::function<int()>& action);
/// The usual stranger: uid and gid 1000, no other group.
int as_stranger(const std::function<int()>& action);

/// Makes a file with this content and mode, without regard to the umask.
void make_file(const char* path, std::string_view content = {}, mode_t mode = 0644);
std::string content_of(const char* path);
struct stat stat_of(const char* path);
/// The nanoseconds since 1970 of a timestamp.
long long nanoseconds(const struct timespec& time);
/// Waits until the filesystem's clock has moved on, so that a changed timestamp differs.
void wait_for_next_tick();

} // namespace vfskit::posix

#define VFSKIT_POSIX_CASE(area, behaviour)                                                         \
    static void area##_##behaviour(Checks& checks);                                                \
    static const Case case_##area##_##behaviour{#area "." #behaviour, area##_##behaviour};         \
    static void area##_##behaviour([[maybe_unused]] Checks& checks)
#define EXPECT(condition) checks.expect((condition), #condition, __FILE__, __LINE__)
#define EXPECT_EQUAL(got, want)                                                                    \
    checks.expect_equal(                                                                           \
        static_cast<long long>(got), static_cast<long long>(want), #got, __FILE__, __LINE__)
#define EXPECT_ERRNO(call, want) EXPECT_EQUAL(result(call), want)
#define EXPECT_OK(call) EXPECT_EQUAL(result(call), 0)
