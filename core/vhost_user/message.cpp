// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/message.h"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace vfskit::vhost_user {
namespace {

// The kernel's limit (SCM_MAX_FD): a smaller buffer would make it drop descriptors and tell us only
// by MSG_CTRUNC. What is more than a message may carry is closed on arrival.
constexpr std::size_t kernel_max_fds = 253;

void take_descriptors(const msghdr& header, std::vector<UniqueFd>& fds) {
    for (const cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(const_cast<msghdr*>(&header), const_cast<cmsghdr*>(part))) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int raw = -1;
            std::memcpy(&raw, CMSG_DATA(part) + i * sizeof(int), sizeof raw);
            UniqueFd fd{raw};
            if (fds.size() < MessageSocket::max_fds) {
                fds.push_back(std::move(fd));
            }
        }
    }
}

ssize_t receive(int fd, std::span<std::byte> bytes, std::vector<UniqueFd>& fds) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kernel_max_fds * sizeof(int))> control;
    iovec target{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &target;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t got = -1;
    do {
        got = ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got >= 0) {
        take_descriptors(header, fds);
    }
    return got;
}

Error closed_within() {
    return {EBADMSG, "The front-end closed the connection within a message"};
}

void attach(msghdr& header, std::span<std::byte> control, std::span<const int> fds) {
    if (fds.empty()) {
        return;
    }
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
}

Result<std::size_t> send_some(int fd, msghdr& header) {
    ssize_t sent = -1;
    do {
        sent = ::sendmsg(fd, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return Error::from_errno(errno, "Cannot answer the front-end");
    }
    return static_cast<std::size_t>(sent);
}

} // namespace

std::string describe_request(std::uint32_t request) {
    static constexpr std::array names{
        "NONE",
        "GET_FEATURES",
        "SET_FEATURES",
        "SET_OWNER",
        "RESET_OWNER",
        "SET_MEM_TABLE",
        "SET_LOG_BASE",
        "SET_LOG_FD",
        "SET_VRING_NUM",
        "SET_VRING_ADDR",
        "SET_VRING_BASE",
        "GET_VRING_BASE",
        "SET_VRING_KICK",
        "SET_VRING_CALL",
        "SET_VRING_ERR",
        "GET_PROTOCOL_FEATURES",
        "SET_PROTOCOL_FEATURES",
        "GET_QUEUE_NUM",
        "SET_VRING_ENABLE",
        "SEND_RARP",
        "NET_SET_MTU",
        "SET_BACKEND_REQ_FD",
        "IOTLB_MSG",
        "SET_VRING_ENDIAN",
        "GET_CONFIG",
        "SET_CONFIG",
        "CREATE_CRYPTO_SESSION",
        "CLOSE_CRYPTO_SESSION",
        "POSTCOPY_ADVISE",
        "POSTCOPY_LISTEN",
        "POSTCOPY_END",
        "GET_INFLIGHT_FD",
        "SET_INFLIGHT_FD",
        "GPU_SET_SOCKET",
        "RESET_DEVICE",
        "VRING_KICK",
        "GET_MAX_MEM_SLOTS",
        "ADD_MEM_REG",
        "REM_MEM_REG",
        "SET_STATUS",
        "GET_STATUS",
        "GET_SHARED_OBJECT",
        "SET_DEVICE_STATE_FD",
        "CHECK_DEVICE_STATE",
    };
    if (request == 0 || request >= names.size()) {
        return fmt::format("message {}", request);
    }
    return names[request];
}

Result<bool> MessageSocket::read_header(Message& message, MessageHeader& header) {
    const auto bytes = std::as_writable_bytes(std::span{&header, 1});
    const ssize_t got = receive(fd_, bytes, message.fds);
    if (got < 0) {
        return Error::from_errno(errno, "Cannot read from the front-end");
    }
    if (got == 0) {
        return false;
    }
    VFSKIT_TRY(read_exactly(message, bytes.subspan(static_cast<std::size_t>(got))));
    return true;
}

Result<void> MessageSocket::read_exactly(Message& message, std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t got = receive(fd_, bytes, message.fds);
        if (got < 0) {
            return Error::from_errno(errno, "Cannot read from the front-end");
        }
        if (got == 0) {
            return closed_within();
        }
        bytes = bytes.subspan(static_cast<std::size_t>(got));
    }
    return {};
}

Result<bool> MessageSocket::read(Message& message) {
    message.fds.clear();
    message.payload.clear();
    MessageHeader header{};
    VFSKIT_TRY_ASSIGN(const bool is_open, read_header(message, header));
    if (!is_open) {
        return false;
    }
    message.request = header.request;
    message.flags = header.flags;
    if ((header.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION) {
        return Error{EBADMSG,
                     fmt::format("{} has vhost-user version {}, not 1",
                                 describe_request(message.request),
                                 message.flags & VHOST_USER_VERSION_MASK)};
    }
    if (header.size > max_payload) {
        return Error{EBADMSG,
                     fmt::format("{} announces {} bytes of payload",
                                 describe_request(message.request),
                                 std::uint32_t{header.size})};
    }
    message.payload.resize(header.size);
    VFSKIT_TRY(read_exactly(message, message.payload));
    return true;
}

Result<void> MessageSocket::write(std::uint32_t request,
                                  std::uint32_t flags,
                                  std::span<const std::byte> payload,
                                  std::span<const int> fds) {
    // Nobody sends that much; said here, it also tells the optimizer that the copy is bounded.
    if (payload.size() > max_payload) {
        return Error{EMSGSIZE,
                     fmt::format("{} would have {} bytes of payload",
                                 describe_request(request),
                                 payload.size())};
    }
    MessageHeader wire{request, flags, static_cast<std::uint32_t>(payload.size())};
    std::vector<std::byte> bytes(sizeof wire + payload.size());
    std::memcpy(bytes.data(), &wire, sizeof wire);
    if (!payload.empty()) {
        std::memcpy(bytes.data() + sizeof wire, payload.data(), payload.size());
    }
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(max_fds * sizeof(int))> control{};
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        iovec source{bytes.data() + sent, bytes.size() - sent};
        msghdr header{};
        header.msg_iov = &source;
        header.msg_iovlen = 1;
        if (sent == 0) {
            attach(header, control, fds.first(std::min(fds.size(), max_fds)));
        }
        VFSKIT_TRY_ASSIGN(const std::size_t count, send_some(fd_, header));
        sent += count;
    }
    return {};
}

} // namespace vfskit::vhost_user
