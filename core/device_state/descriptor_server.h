// SPDX-License-Identifier: Apache-2.0
// The source's end of fd passing.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/device_state/serialized.h"
#include "core/passthrough/passthrough_fs.h"

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vfskit::device_state {

struct Packet;

/// The ids that this process's user goes by: now, and as it made `socket` (any UNIX socket with
/// credentials: a listening one, or one of a pair), which a user namespace may show differently.
std::vector<uid_t> own_uids(int socket);

/// Hands the descriptors of a filesystem to whoever is the same user and knows the token of the
/// migration that is under way. Serves one caller at a time in a thread of its own; what a caller
/// sends, or does not send, costs it the connection and nothing else.
class DescriptorServer {
public:
    struct Options {
        /// For a caller to say who it is.
        std::chrono::milliseconds hello_timeout{5000};
        /// Between two requests of a caller.
        std::chrono::milliseconds idle_timeout{30'000};
        /// From offer() on.
        std::chrono::milliseconds offer_timeout{600'000};
    };

    /// `listener`: a listening, non-blocking SOCK_SEQPACKET socket. `socket_name` is what it is
    /// called in the migration socket directory. The references must outlive it.
    DescriptorServer(UniqueFd listener,
                     std::string socket_name,
                     passthrough::PassthroughFs& filesystem,
                     LogSink& log,
                     Options options);
    DescriptorServer(UniqueFd listener,
                     std::string socket_name,
                     passthrough::PassthroughFs& filesystem,
                     LogSink& log);
    ~DescriptorServer();
    DescriptorServer(const DescriptorServer&) = delete;
    DescriptorServer& operator=(const DescriptorServer&) = delete;

    /// Opens the door to one destination, with a new token; the one of an earlier offer is void.
    /// Call it when no request runs any more.
    Result<DescriptorOffer> offer();
    /// Shuts the door: the guest goes on here, or has gone.
    void withdraw();
    /// Waits until the offer has been taken, withdrawn, or `limit` is over; returns at once without
    /// one. `stop_fd` readable ends it too.
    void wait_until_taken(std::chrono::milliseconds limit, int stop_fd);

private:
    struct Conversation;

    void run();
    void converse(UniqueFd connection);
    Result<void> admit(int connection, std::uint64_t& offer);
    Result<bool> answer(int connection, const Packet& request);
    [[nodiscard]] bool is_open(std::uint64_t offer) const;
    void finish(std::uint64_t offer);
    [[nodiscard]] bool is_outstanding() const;

    const UniqueFd listener_;
    const std::string socket_name_;
    passthrough::PassthroughFs& filesystem_;
    LogSink& log_;
    const Options options_;
    const UniqueFd stop_event_;

    mutable std::mutex mutex_; // protects the following
    std::uint64_t offer_number_ = 0;
    bool has_offer_ = false;
    DescriptorOffer offer_;
    std::chrono::steady_clock::time_point expires_;
    std::condition_variable changed_;

    std::thread thread_; // last: it uses all of the above
};

} // namespace vfskit::device_state
