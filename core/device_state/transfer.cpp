// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/transfer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace vfskit::device_state {

namespace {

/// Waits for `events` of `fd`, or its end, or the cancellation.
Result<void> wait(int fd, short events, int cancel_fd) {
    std::array<pollfd, 2> polled{{{fd, events, 0}, {cancel_fd, POLLIN, 0}}};
    while (::poll(polled.data(), polled.size(), -1) < 0) {
        if (errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for the device state's pipe");
        }
    }
    if (polled[1].revents != 0) {
        return Error{ECANCELED, "The transfer of the device state was given up"};
    }
    return {};
}

/// So that a full or empty pipe never keeps us from seeing the cancellation. This is the file
/// description's flag; the front-end has handed that end over.
Result<void> set_up(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return Error::from_errno(errno, "Cannot use the device state's pipe");
    }
    // Fewer turns of both ends; where that is not allowed, or it is a socket, it goes without.
    constexpr int largest_for_everyone = 1 << 20;
    (void)::fcntl(fd, F_SETPIPE_SZ, largest_for_everyone);
    return {};
}

} // namespace

Result<void> write_all(int fd, int cancel_fd, std::span<const std::byte> bytes) {
    VFSKIT_TRY(set_up(fd));
    while (!bytes.empty()) {
        VFSKIT_TRY(wait(fd, POLLOUT, cancel_fd));
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written >= 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        } else if (errno != EAGAIN && errno != EINTR) {
            return Error::from_errno(errno, "Cannot write the device state");
        }
    }
    return {};
}

Result<std::vector<std::byte>> read_to_end(int fd, int cancel_fd, std::size_t limit) {
    constexpr std::size_t step = std::size_t{1} << 20U;
    VFSKIT_TRY(set_up(fd));
    std::vector<std::byte> bytes;
    std::size_t size = 0;
    for (;;) {
        if (size > limit) {
            return Error{EFBIG, fmt::format("The device state has more than {} bytes", limit)};
        }
        bytes.resize(size + step);
        VFSKIT_TRY(wait(fd, POLLIN, cancel_fd));
        const auto got = ::read(fd, bytes.data() + size, step);
        if (got == 0) {
            bytes.resize(size);
            return bytes;
        }
        if (got > 0) {
            size += static_cast<std::size_t>(got);
        } else if (errno != EAGAIN && errno != EINTR) {
            return Error::from_errno(errno, "Cannot read the device state");
        }
    }
}

} // namespace vfskit::device_state
