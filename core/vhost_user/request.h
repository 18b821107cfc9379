// SPDX-License-Identifier: Apache-2.0
// The seam between rings and whoever answers requests.
#pragma once

#include "core/virtio/descriptor_chain.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace vfskit::vhost_user {

enum class QueueIndex : std::uint16_t {};
/// virtio-fs: queue 0 carries FORGET and INTERRUPT, the request queues follow.
inline constexpr QueueIndex hiprio_queue{0};

constexpr std::uint16_t to_integer(QueueIndex index) {
    return static_cast<std::uint16_t>(index);
}

class ServedQueue;
struct MemoryUse;

/// One request in flight: buffers in guest memory, valid until complete(). Slots belong to their
/// queue and are reused; a handler that answers later keeps the reference and completes it from any
/// thread.
class RequestSlot {
public:
    RequestSlot() = default;
    RequestSlot(const RequestSlot&) = delete;
    RequestSlot& operator=(const RequestSlot&) = delete;

    [[nodiscard]] QueueIndex queue() const { return queue_index_; }
    /// What the driver sent. The guest can change it while we read: copy what is judged.
    [[nodiscard]] std::span<const iovec> readable() const { return chain_.readable(); }
    /// Where the reply goes, front first.
    [[nodiscard]] std::span<const iovec> writable() const { return chain_.writable(); }
    [[nodiscard]] std::uint64_t readable_size() const { return chain_.readable_size(); }
    [[nodiscard]] std::uint64_t writable_size() const { return chain_.writable_size(); }

    /// The request is answered: the first `written` bytes of writable() are the reply (0 for none;
    /// more than there is room for is cut). Exactly once, from any thread; after it neither the
    /// slot nor its buffers may be touched. From within handle() on the same thread it costs no
    /// atomic operation, and entries are shown to the guest once per batch.
    void complete(std::size_t written);

    /// For the handler: what it needs to find its own state again (a parked lock's record). Cleared
    /// before every request.
    void* context = nullptr;

private:
    friend class ServedQueue;
    friend class WorkerPool;

    virtio::DescriptorChain chain_;
    ServedQueue* owner_ = nullptr;
    MemoryUse* memory_ = nullptr;
    RequestSlot* next_ = nullptr;
    std::uint32_t written_ = 0;
    QueueIndex queue_index_{};
};

/// What a request probably costs, known before it is handled.
enum class RequestCost {
    quick, ///< a few microseconds: answered on the queue's own thread
    slow,  ///< may wait for a disk or the network: replies before it are shown to the guest first,
           ///< and with a pool it goes there
};

/// Answers requests. One for all queues of a session; every method may run on several threads at
/// once, for different requests.
class RequestHandler {
public:
    virtual ~RequestHandler() = default;

    /// First call on each thread that will call handle(), e.g. to unshare the thread's umask.
    virtual void thread_started() {}
    /// Looks at the request's first bytes only; must not block.
    virtual RequestCost cost_of(const RequestSlot& request) {
        static_cast<void>(request);
        return RequestCost::quick;
    }
    /// Answers the request by request.complete(), now or later. Must not wait for another request
    /// of the guest (a blocking lock): park it, return, and complete it when the wait is over.
    virtual void handle(RequestSlot& request) = 0;
    /// The queue's thread handed over all that was offered: submit what was held back to be
    /// batched.
    virtual void batch_ended(QueueIndex queue) { static_cast<void>(queue); }
    /// The ring is being stopped and waits until its last request is complete. Parked requests of
    /// that queue, which might wait without end, must be completed now (ENOLCK). No request of this
    /// queue is handed over after this call until the ring starts again.
    virtual void drain(QueueIndex queue) { static_cast<void>(queue); }
};

} // namespace vfskit::vhost_user
