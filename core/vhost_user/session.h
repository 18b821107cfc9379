// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/vhost_user/device_state.h"
#include "core/vhost_user/request.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace vfskit::vhost_user {

struct SessionOptions {
    /// hiprio and all request queues; what GET_QUEUE_NUM answers. 1 to 256: the queue index of the
    /// kick, call and err messages has 8 bits. A queue costs nothing until the guest starts it.
    std::uint16_t queue_count = 256;
    /// Threads that serve request queues, at most; queues share them in turn. 0: one per CPU of the
    /// host, and at least two, so that a request that waits for storage does not hold up every
    /// queue. hiprio has a thread of its own in every case.
    std::size_t queue_threads = 0;
    /// Threads for requests of RequestCost::slow, shared by all queues. 0: the queue's thread does
    /// all.
    std::size_t pool_threads = 0;
    /// How long the idle thread of a request queue may look for requests before it sleeps, which it
    /// does rarely once it was in vain. 0: sleeps at once.
    std::chrono::microseconds poll_limit{0};
    /// The device's configuration space (make_fs_config). Empty: CONFIG is not offered.
    std::vector<std::byte> config_space;
};

/// How many threads serve request queues: `asked` (SessionOptions::queue_threads) on a host with
/// `cpus` CPUs (0: not known).
[[nodiscard]] std::size_t queue_thread_count(std::size_t asked, unsigned cpus);

/// The configuration space of a virtio-fs device: the tag padded to 36 bytes, then the number of
/// request queues. Precondition: tag.size() <= 36.
std::vector<std::byte> make_fs_config(std::string_view tag, std::uint32_t num_request_queues);

/// Told what happens to the session. Called on the thread in BackendSession::serve(); the front-end
/// waits meanwhile, so be quick.
class SessionObserver {
public:
    virtual ~SessionObserver() = default;

    /// The guest reset the device (RESET_DEVICE, status 0). All rings are stopped and
    /// nothing is in flight. Forget what the guest held: inodes, handles, INIT options.
    virtual void device_reset() {}
    /// LOG_ALL was set: a migration away from here begins. Requests go on.
    virtual void migration_started() {}
    /// A ring is about to be processed: the guest runs here, for the first time or again. Called
    /// for every ring that is started.
    virtual void ring_started() {}
    /// LOG_ALL was cleared without the device having gone: the migration ended or was cancelled.
    virtual void migration_stopped() {}
};

/// A snapshot for the control socket; each number is exact, the set is not taken at one instant.
struct QueueStatus {
    QueueIndex queue{};
    bool is_processed = false; ///< started, enabled, and its ring is in guest memory
    bool is_broken = false;
    std::uint32_t size = 0;
    std::uint32_t in_flight = 0;
    std::uint64_t requests = 0;
    std::uint64_t batches = 0;
    std::uint64_t notifications = 0;
};

/// Serves one front-end over one connected socket, from its first message to its disconnect. Any
/// message is survivable: a wrong one is answered with an error where the protocol has an answer,
/// told to the log in one sentence, and the session goes on; only a stream that can no longer be
/// cut into messages ends it.
class BackendSession {
public:
    /// The references must outlive the session. `device_state` may be null: DEVICE_STATE is not
    /// offered then. `log` gets sentences for the operator.
    BackendSession(UniqueFd socket,
                   const SessionOptions& options,
                   RequestHandler& handler,
                   DeviceStateHandler* device_state,
                   SessionObserver& observer,
                   LogSink& log);
    BackendSession(const BackendSession&) = delete;
    BackendSession& operator=(const BackendSession&) = delete;
    /// Precondition: serve() is not running.
    ~BackendSession();

    /// Runs until the front-end disconnects (success), stop() is called (success), or the stream is
    /// broken (Error). When it returns, all rings are stopped, nothing is in flight, no thread of
    /// the session is in the handler, and guest memory is unmapped.
    Result<void> serve();
    /// Makes serve() return. From any thread or a signal handler (it writes to an eventfd).
    void stop();

    /// Every queue that the front-end set up. From any thread.
    [[nodiscard]] std::vector<QueueStatus> queue_status() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace vfskit::vhost_user
