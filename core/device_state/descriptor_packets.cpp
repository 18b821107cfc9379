// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/descriptor_packets.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace vfskit::device_state {

namespace {

Error hung_up() {
    return Error{ECONNRESET, "The other daemon hung up"};
}

Result<void> wait(int socket, short events, Deadline deadline, int cancel_fd) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    std::array<pollfd, 2> polled{{{socket, events, 0}, {cancel_fd, POLLIN, 0}}};
    for (;;) {
        const auto left =
            duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0) {
            return Error{ETIMEDOUT, "The other daemon does not answer"};
        }
        const int ready =
            ::poll(polled.data(), polled.size(), static_cast<int>(std::min<long>(left, 60'000)));
        if (ready < 0 && errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for the other daemon");
        }
        if (ready > 0 && polled[1].revents != 0) {
            return Error{ECANCELED, "The migration was given up"};
        }
        if (ready > 0) {
            return {};
        }
    }
}

bool is_end(int error) {
    return error == EPIPE || error == ECONNRESET;
}

using Control = std::array<std::byte, CMSG_SPACE(max_descriptors * sizeof(int))>;

std::vector<UniqueFd> take_descriptors(msghdr& message) {
    std::vector<UniqueFd> fds;
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            fds.emplace_back(fd);
        }
    }
    return fds;
}

} // namespace

Result<void> send_packet(int socket,
                         std::span<const std::byte> bytes,
                         std::span<const int> fds,
                         Deadline deadline,
                         int cancel_fd) {
    alignas(cmsghdr) Control control{};
    std::vector<std::byte> copy{bytes.begin(), bytes.end()}; // sendmsg(2) takes no const
    iovec data{copy.data(), copy.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        auto* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) {
            return {};
        }
        if (is_end(errno)) {
            return hung_up();
        }
        if (errno != EAGAIN && errno != EINTR) {
            return Error::from_errno(errno, "Cannot send to the other daemon");
        }
        VFSKIT_TRY(wait(socket, POLLOUT, deadline, cancel_fd));
    }
}

Result<Packet> receive_packet(int socket, Deadline deadline, int cancel_fd) {
    alignas(cmsghdr) Control control{};
    Packet packet;
    packet.bytes.resize(max_packet_size);
    iovec data{packet.bytes.data(), packet.bytes.size()};
    for (;;) {
        VFSKIT_TRY(wait(socket, POLLIN, deadline, cancel_fd));
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const auto got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            continue;
        }
        if (got == 0 || (got < 0 && is_end(errno))) {
            return hung_up();
        }
        if (got < 0) {
            return Error::from_errno(errno, "Cannot hear the other daemon");
        }
        packet.fds = take_descriptors(message);
        if ((message.msg_flags & MSG_CTRUNC) != 0) {
            return Error{EMFILE, "Descriptors of the source did not fit into this process"}
                .with_remedy("Raise --rlimit-nofile to what the source's daemon has");
        }
        if ((message.msg_flags & MSG_TRUNC) != 0) {
            return Error{EMSGSIZE, "The other daemon says more than it may at once"};
        }
        packet.bytes.resize(static_cast<std::size_t>(got));
        return packet;
    }
}

} // namespace vfskit::device_state
