// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/vhost_user/wire.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vfskit::vhost_user {

/// "SET_VRING_KICK", or "message 99" for a code that the specification does not know.
std::string describe_request(std::uint32_t request);

/// One message with its payload and the descriptors that came with it.
struct Message {
    std::uint32_t request = 0;
    std::uint32_t flags = VHOST_USER_VERSION;
    std::vector<std::byte> payload;
    std::vector<UniqueFd> fds;

    [[nodiscard]] bool needs_reply() const { return (flags & VHOST_USER_NEED_REPLY_MASK) != 0; }
};

/// Cuts a connected stream socket into messages. Not thread-safe; borrows the descriptor.
class MessageSocket {
public:
    /// A longer payload ends the session: no message of the specification comes near it.
    static constexpr std::uint32_t max_payload = 64U << 10;
    /// More descriptors than this are closed on arrival.
    static constexpr std::size_t max_fds = VHOST_USER_MAX_RAM_SLOTS_BASELINE;

    explicit MessageSocket(int fd) : fd_{fd} {}

    /// Waits for the next message. Nothing: the other end closed between two messages. EBADMSG: it
    /// closed within one, or the header is none. The storage of `message` is reused.
    Result<bool> read(Message& message);
    /// Sends one message; `fds` are borrowed. EPIPE when the other end is gone (never SIGPIPE).
    Result<void> write(std::uint32_t request,
                       std::uint32_t flags,
                       std::span<const std::byte> payload,
                       std::span<const int> fds = {});

private:
    Result<bool> read_header(Message& message, MessageHeader& header);
    Result<void> read_exactly(Message& message, std::span<std::byte> bytes);

    int fd_;
};

} // namespace vfskit::vhost_user
