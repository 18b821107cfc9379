// SPDX-License-Identifier: Apache-2.0
#include "core/store/file_watch.h"

#include "core/base/unique_fd.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

namespace vfskit::store {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Without a descriptor, or with a watch that could not be set, the polls go on alone.
UniqueFd watch_directories(const std::vector<std::string>& paths) {
    UniqueFd fd{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    if (!fd) {
        return fd;
    }
    constexpr std::uint32_t events =
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE;
    for (const auto& path : paths) {
        auto directory = std::filesystem::path{path}.parent_path().string();
        if (directory.empty()) {
            directory = ".";
        }
        ::inotify_add_watch(fd.get(), directory.c_str(), events);
    }
    return fd;
}

// Events say only that it is time to look again: which file they name does not matter.
void drain(const UniqueFd& fd) {
    std::array<char, 4096> events{};
    while (fd && ::read(fd.get(), events.data(), events.size()) > 0) {
    }
}

} // namespace

Result<bool> wait_until_changed(const std::vector<std::string>& paths,
                                const std::function<Result<bool>()>& has_changed,
                                milliseconds timeout,
                                milliseconds poll_interval) {
    const auto deadline = Clock::now() + timeout;
    // The watch comes first: a change between the look and the wait wakes the wait.
    const UniqueFd fd = watch_directories(paths);
    for (;;) {
        drain(fd);
        VFSKIT_TRY_ASSIGN(const bool changed, has_changed());
        const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
        if (changed || left <= milliseconds::zero()) {
            return changed;
        }
        pollfd event{fd.get(), POLLIN, 0};
        const auto wait = std::min(left, poll_interval);
        if (::poll(&event, 1, static_cast<int>(wait.count())) < 0 && errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for a change");
        }
    }
}

} // namespace vfskit::store
