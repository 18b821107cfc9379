// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/vhost_user/driver_response.h"
#include "core/vhost_user/request.h"
#include "core/virtio/virtqueue.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace vfskit::vhost_user {

class QueueWorker;
class WorkerPool;

/// What the session decided about a ring. Never changes once it is handed over: a change is a new
/// one.
struct RingSettings {
    std::shared_ptr<const virtio::GuestMemory> memory;
    std::shared_ptr<virtio::DirtyLog> log; ///< null: nothing is logged
    virtio::RingAddresses addresses;
    std::shared_ptr<const UniqueFd> call_fd; ///< null: the driver is not notified
    std::shared_ptr<const UniqueFd> err_fd;
    bool is_enabled = false;
};

/// What a ring begins with.
struct RingStart {
    std::uint32_t size = 0;
    virtio::RingFeatures features;
    std::uint16_t next_avail = 0;
    bool is_polled = false; ///< there is no kick fd
};

/// One generation of guest memory and the requests of one queue that may still touch it.
struct MemoryUse {
    std::shared_ptr<const virtio::GuestMemory> memory;
    std::uint32_t in_flight = 0;
};

/// A started ring: takes requests off it, hands them to the handler, publishes what is finished, in
/// batches. Belongs to one worker thread; only the methods under "any thread" are for others.
///
/// No lock and no allocation per request: slots and their storage are reused, the session's changes
/// are noticed by one load of a counter, and finished requests of other threads arrive on a
/// lock-free list. What outlives a request: next_avail and next_used of the Virtqueue, and the
/// slots in flight.
class ServedQueue {
public:
    ServedQueue(QueueIndex index,
                RequestHandler& handler,
                WorkerPool* pool,
                QueueWorker& worker,
                LogSink& log);
    ServedQueue(const ServedQueue&) = delete;
    ServedQueue& operator=(const ServedQueue&) = delete;
    ~ServedQueue();

    // Any thread.

    /// Takes effect at the worker's next look at the ring, at the latest before it shows the driver
    /// another finished request. Does not wait for requests.
    void update(std::shared_ptr<const RingSettings> settings);
    /// From now on no request is taken off the ring; finish_stop() does the rest.
    void request_stop() { stop_requested_.store(true, std::memory_order_release); }
    [[nodiscard]] QueueIndex index() const { return index_; }
    [[nodiscard]] QueueWorker& worker() const { return worker_; }

    struct Counters {
        std::uint64_t requests = 0;
        std::uint64_t batches = 0;
        std::uint64_t notifications = 0;
        std::uint32_t in_flight = 0;
        std::uint32_t size = 0;
        bool is_processed = false;
        bool is_broken = false;
    };
    [[nodiscard]] Counters counters() const;

    // The worker's thread.

    /// Precondition: update() was called before.
    void start(const RingStart& start);
    /// Begins to end the ring: answers `stopped` with next_avail when the last request in flight is
    /// published (see finish_stop). After that guest memory is not touched any more.
    void stop(std::promise<std::uint16_t> stopped);
    /// True once a stop is complete: the worker lets go of the queue.
    bool finish_stop();
    [[nodiscard]] bool is_stopping() const { return stopped_.has_value(); }

    /// When the driver is notified of what it is shown: in a while, with more, or at once.
    enum class Notice { later, now };
    /// Takes up to a batch of requests and publishes what is finished. True when it did anything.
    /// `later`, if the next batch follows at once: where the ring has more, its driver may sleep
    /// on.
    bool run_batch(Notice last_notice);
    /// True when there is something to do: new requests, finished ones, changed settings.
    [[nodiscard]] bool has_work() const;
    /// The worker is going to sleep: asks for kicks. True when a request arrived meanwhile.
    bool prepare_to_sleep();
    [[nodiscard]] bool is_polled() const { return start_.is_polled; }

private:
    friend class RequestSlot;
    friend class WorkerPool;

    void complete(RequestSlot& slot);
    void complete_elsewhere(RequestSlot& slot);
    void add_pending(RequestSlot& slot);

    void adopt();
    void use_memory(std::shared_ptr<const virtio::GuestMemory> memory);
    void map_ring();
    [[nodiscard]] bool can_pop() const;
    [[nodiscard]] bool has_requests() const;
    [[nodiscard]] bool is_full() const;
    RequestSlot* pop();
    void dispatch(RequestSlot& slot);
    bool collect();
    [[nodiscard]] bool is_notice_due() const;
    void observe_driver();
    void publish(Notice notice);
    void show_pending();
    void log_written(const RequestSlot& slot, virtio::DirtyLog& log) const;
    void notify();
    void break_ring();
    RequestSlot* take_slot();
    void recycle(RequestSlot& slot);
    void drop_pending();
    void drain_handler();

    const QueueIndex index_;
    RequestHandler& handler_;
    WorkerPool* const pool_;
    QueueWorker& worker_;
    LogSink& log_;

    // The worker's thread alone, from here …
    std::optional<virtio::Virtqueue> ring_;
    RingStart start_;
    std::shared_ptr<const RingSettings> settings_;
    std::uint64_t adopted_version_ = 0;
    std::unique_ptr<MemoryUse> memory_;
    std::vector<std::unique_ptr<MemoryUse>> retired_memory_;
    RequestSlot* pending_first_ = nullptr;
    RequestSlot* pending_last_ = nullptr;
    std::uint32_t pending_count_ = 0;
    // Requests finished since the driver was notified, and when the first of them was.
    std::uint32_t unannounced_ = 0;
    std::uint64_t unannounced_since_ = 0;
    DriverResponse driver_response_;
    RequestSlot* free_slots_ = nullptr;
    std::vector<std::unique_ptr<RequestSlot[]>> slot_chunks_;
    std::size_t slot_count_ = 0;
    std::size_t grown_iovecs_ = 0;
    std::optional<std::promise<std::uint16_t>> stopped_;
    bool is_drained_ = false;
    // … to here. Written by the worker, read by anyone:
    std::atomic<std::uint32_t> in_flight_{0};
    std::atomic<std::uint64_t> requests_{0};
    std::atomic<std::uint64_t> batches_{0};
    std::atomic<std::uint64_t> notifications_{0};
    std::atomic<std::uint32_t> size_{0};
    std::atomic<bool> is_processed_{false};
    std::atomic<bool> is_broken_{false};

    // Shared. A cache line of their own: others write here while the worker runs.
    alignas(64) std::atomic<std::uint64_t> version_{0};
    std::atomic<bool> stop_requested_{false};
    // Odd while the worker writes to the used ring and the dirty log.
    std::atomic<std::uint64_t> publish_epoch_{0};
    // Protects next_settings_ and its version together; held for a pointer copy, nothing is locked
    // in it.
    std::mutex settings_mutex_;
    std::shared_ptr<const RingSettings> next_settings_;
    // Requests that other threads finished, last first. A thread counts in completers_ from before
    // its push until it touches nothing here any more: the queue must not go away under it.
    alignas(64) std::atomic<RequestSlot*> completed_{nullptr};
    std::atomic<std::uint32_t> completers_{0};
    // Requests given to the pool for which handle() has not returned.
    std::atomic<std::uint32_t> in_pool_{0};
};

} // namespace vfskit::vhost_user
