// SPDX-License-Identifier: Apache-2.0
// Private to the room: what the two ends of fd passing say to each other, over a SOCK_SEQPACKET
// socket of one host. The destination asks, the source answers, one at a time:
//   hello    magic, token                    -> verdict
//   request  kind, count, that many keys     -> verdict; count bytes 0 or 1, and a descriptor for
//                                               each 1 (SCM_RIGHTS, at most 253 a message)
//   done                                     -> verdict
// A verdict is an errno (0: yes) and, where it is not 0, a sentence. Numbers are the host's.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/device_state/descriptor_source.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vfskit::device_state {

inline constexpr std::string_view descriptor_magic = "VFSKFD01";
inline constexpr std::size_t max_descriptors = DescriptorSource::usual_batch;
inline constexpr std::size_t max_packet_size = 8192;

enum class DescriptorKind : std::uint32_t { inode = 1, handle = 2, lock_owner = 3, done = 4 };

using Deadline = std::chrono::steady_clock::time_point;

struct Packet {
    std::vector<std::byte> bytes;
    std::vector<UniqueFd> fds;
};

/// Waits at most until `deadline` (ETIMEDOUT), or until `cancel_fd` (-1: none) is readable
/// (ECANCELED). The socket is non-blocking.
Result<void> send_packet(int socket,
                         std::span<const std::byte> bytes,
                         std::span<const int> fds,
                         Deadline deadline,
                         int cancel_fd);
/// ECONNRESET at the end of the conversation, EMFILE where descriptors did not fit into this
/// process, EMSGSIZE for a packet above max_packet_size.
Result<Packet> receive_packet(int socket, Deadline deadline, int cancel_fd);

} // namespace vfskit::device_state
