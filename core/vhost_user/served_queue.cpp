// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/served_queue.h"

#include "core/base/request_path.h"
#include "core/base/ticks.h"
#include "core/vhost_user/notice_rule.h"
#include "core/vhost_user/queue_worker.h"
#include "core/vhost_user/worker_pool.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

namespace vfskit::vhost_user {
namespace {

// Requests taken off one ring before the thread looks at its other rings and its mail.
constexpr int batch_limit = 64;
// The driver is shown finished requests by so many. One that is awake works on the first replies
// while we answer the rest: shown all of them at the end, it and we would work in turn.
constexpr std::uint32_t show_limit = 2;

constexpr std::size_t slots_per_chunk = 32;
// iovecs beyond the ones in the slots, 16 bytes each. Past the first number no more requests are
// taken until some finish: a guest that sends the longest chains it can must not eat the host's
// memory. Past the second they are given back as requests finish.
constexpr std::size_t grown_iovecs_limit = 256U << 10;
constexpr std::size_t grown_iovecs_kept = 64U << 10;

// The queue whose requests this thread is handling: complete() needs no atomic operation then.
thread_local ServedQueue* handled_queue = nullptr;

class HandledQueueScope {
public:
    explicit HandledQueueScope(ServedQueue* queue) { handled_queue = queue; }
    HandledQueueScope(const HandledQueueScope&) = delete;
    HandledQueueScope& operator=(const HandledQueueScope&) = delete;
    ~HandledQueueScope() { handled_queue = nullptr; }
};

// One writer: a load and a store, without the locked instruction of fetch_add.
template <class T>
void add(std::atomic<T>& counter, T amount) {
    counter.store(static_cast<T>(counter.load(std::memory_order_relaxed) + amount),
                  std::memory_order_relaxed);
}

template <class T>
void subtract(std::atomic<T>& counter, T amount) {
    counter.store(static_cast<T>(counter.load(std::memory_order_relaxed) - amount),
                  std::memory_order_relaxed);
}

constexpr bool is_odd(std::uint64_t number) {
    return number % 2 != 0;
}

void signal(const std::shared_ptr<const UniqueFd>& event_fd) {
    if (event_fd == nullptr) {
        return;
    }
    constexpr std::uint64_t one = 1;
    // A full counter (EAGAIN) has been signalled already; a closed other end has nobody to tell.
    static_cast<void>(::write(event_fd->get(), &one, sizeof one));
}

} // namespace

void RequestSlot::complete(std::size_t written) {
    written_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>({written, chain_.writable_size(), 0xffffffffU}));
    owner_->complete(*this);
}

ServedQueue::ServedQueue(
    QueueIndex index, RequestHandler& handler, WorkerPool* pool, QueueWorker& worker, LogSink& log)
    : index_{index}, handler_{handler}, pool_{pool}, worker_{worker}, log_{log} {}

ServedQueue::~ServedQueue() = default;

void ServedQueue::update(std::shared_ptr<const RingSettings> settings) {
    {
        const std::lock_guard lock{settings_mutex_};
        next_settings_ = std::move(settings);
        version_.fetch_add(1, std::memory_order_seq_cst);
    }
    // A publish() that began before sees the old settings: the old dirty log, or none. It is over
    // when this returns, so that whoever reads guest memory afterwards sees what it wrote, and
    // every later write is marked in the new log. It takes microseconds and never waits for a
    // request.
    const std::uint64_t epoch = publish_epoch_.load(std::memory_order_seq_cst);
    while (is_odd(epoch) && publish_epoch_.load(std::memory_order_seq_cst) == epoch) {
        std::this_thread::yield();
    }
    worker_.wake();
}

ServedQueue::Counters ServedQueue::counters() const {
    return {requests_.load(std::memory_order_relaxed),
            batches_.load(std::memory_order_relaxed),
            notifications_.load(std::memory_order_relaxed),
            in_flight_.load(std::memory_order_relaxed),
            size_.load(std::memory_order_relaxed),
            is_processed_.load(std::memory_order_relaxed),
            is_broken_.load(std::memory_order_relaxed)};
}

void ServedQueue::start(const RingStart& start) {
    start_ = start;
    unannounced_ = 0;
    driver_response_ = {};
    ring_.emplace(start.size, start.features);
    ring_->set_next_avail(start.next_avail);
    size_.store(start.size, std::memory_order_relaxed);
    is_broken_.store(false, std::memory_order_relaxed);
    adopted_version_ = 0;
    adopt();
}

void ServedQueue::stop(std::promise<std::uint16_t> stopped) {
    stopped_ = std::move(stopped);
    is_drained_ = false;
}

// Requests that wait without end are completed by the handler, so that the wait for them ends. Only
// when the pool has handed over what it was given: a lock that it parked later would be missed.
void ServedQueue::drain_handler() {
    if (is_drained_ || in_pool_.load(std::memory_order_acquire) != 0) {
        return;
    }
    is_drained_ = true;
    const HandledQueueScope scope{this};
    handler_.drain(index_);
}

bool ServedQueue::finish_stop() {
    if (!stopped_) {
        return false;
    }
    drain_handler();
    collect();
    publish(Notice::now);
    if (!ring_->is_mapped()) {
        drop_pending();
    }
    if (in_flight_.load(std::memory_order_relaxed) != 0 ||
        in_pool_.load(std::memory_order_acquire) != 0 ||
        completers_.load(std::memory_order_seq_cst) != 0) {
        return false;
    }
    const std::uint16_t next_avail = ring_->next_avail();
    ring_.reset();
    is_processed_.store(false, std::memory_order_relaxed);
    memory_.reset();
    retired_memory_.clear();
    settings_.reset();
    free_slots_ = nullptr;
    slot_chunks_.clear();
    slot_count_ = 0;
    grown_iovecs_ = 0;
    stop_requested_.store(false, std::memory_order_relaxed);
    auto stopped = std::move(*stopped_);
    stopped_.reset();
    stopped.set_value(next_avail);
    return true;
}

VFSKIT_REQUEST_PATH bool ServedQueue::run_batch(Notice last_notice) {
    const HandledQueueScope scope{this};
    adopt();
    observe_driver();
    int taken = 0;
    bool did_anything = collect();
    while (taken < batch_limit && can_pop()) {
        RequestSlot* slot = pop();
        if (slot == nullptr) {
            break;
        }
        ++taken;
        dispatch(*slot);
        collect();
        observe_driver();
        if (pending_count_ >= show_limit) {
            publish(is_notice_due() ? Notice::now : Notice::later);
        }
    }
    if (taken > 0) {
        add(batches_, std::uint64_t{1});
        handler_.batch_ended(index_);
        did_anything = true;
    }
    const bool goes_on = last_notice == Notice::later && has_requests();
    publish(goes_on && !is_notice_due() ? Notice::later : Notice::now);
    return did_anything;
}

bool ServedQueue::has_work() const {
    return completed_.load(std::memory_order_seq_cst) != nullptr ||
           version_.load(std::memory_order_seq_cst) != adopted_version_ || has_requests();
}

bool ServedQueue::prepare_to_sleep() {
    if (can_pop() && ring_->enable_notifications(settings_->log.get())) {
        return true;
    }
    return has_work();
}

void ServedQueue::complete(RequestSlot& slot) {
    if (handled_queue == this) {
        add_pending(slot);
    } else {
        complete_elsewhere(slot);
    }
}

void ServedQueue::complete_elsewhere(RequestSlot& slot) {
    completers_.fetch_add(1, std::memory_order_seq_cst);
    RequestSlot* head = completed_.load(std::memory_order_relaxed);
    do {
        slot.next_ = head;
    } while (!completed_.compare_exchange_weak(
        head, &slot, std::memory_order_seq_cst, std::memory_order_relaxed));
    // The worker takes the whole list at once; whoever finds it empty is the one to wake it.
    if (head == nullptr) {
        worker_.wake();
    }
    completers_.fetch_sub(1, std::memory_order_seq_cst);
}

void ServedQueue::add_pending(RequestSlot& slot) {
    slot.next_ = nullptr;
    if (unannounced_ == 0) {
        unannounced_since_ = ticks_now();
    }
    ++unannounced_;
    if (pending_first_ == nullptr) {
        pending_first_ = &slot;
    } else {
        pending_last_->next_ = &slot;
    }
    pending_last_ = &slot;
    ++pending_count_;
}

bool ServedQueue::collect() {
    if (completed_.load(std::memory_order_relaxed) == nullptr) {
        return false;
    }
    RequestSlot* slot = completed_.exchange(nullptr, std::memory_order_acquire);
    while (slot != nullptr) {
        RequestSlot* next = slot->next_;
        add_pending(*slot);
        slot = next;
    }
    return true;
}

void ServedQueue::adopt() {
    if (version_.load(std::memory_order_seq_cst) == adopted_version_ || !ring_) {
        return;
    }
    const std::shared_ptr<const RingSettings> before = settings_;
    {
        const std::lock_guard lock{settings_mutex_};
        settings_ = next_settings_;
        adopted_version_ = version_.load(std::memory_order_relaxed);
    }
    const bool has_new_memory = memory_ == nullptr || memory_->memory != settings_->memory;
    if (has_new_memory) {
        use_memory(settings_->memory);
    }
    if (has_new_memory || before == nullptr || before->addresses != settings_->addresses) {
        map_ring();
    }
    is_processed_.store(settings_->is_enabled && ring_->is_mapped(), std::memory_order_relaxed);
}

VFSKIT_OUT_OF_LINE void ServedQueue::use_memory(std::shared_ptr<const virtio::GuestMemory> memory) {
    if (memory_ != nullptr && memory_->in_flight > 0) {
        retired_memory_.push_back(std::move(memory_));
    }
    memory_ = std::make_unique<MemoryUse>(MemoryUse{std::move(memory), 0});
}

VFSKIT_OUT_OF_LINE void ServedQueue::map_ring() {
    ring_->unmap();
    if (memory_->memory == nullptr) {
        return;
    }
    auto mapped = ring_->map(*memory_->memory, settings_->addresses);
    // Not a fault yet: a front-end that replaces a region removes it first. The ring rests until
    // then.
    if (!mapped && log_.is_enabled(LogLevel::debug)) {
        log_.write(LogLevel::debug,
                   fmt::format("Queue {} rests until its ring is in guest memory: {}",
                               to_integer(index_),
                               mapped.error().message()));
    }
}

bool ServedQueue::can_pop() const {
    return ring_ && ring_->is_mapped() && settings_->is_enabled && !ring_->is_broken() &&
           !stop_requested_.load(std::memory_order_relaxed) && !is_full();
}

bool ServedQueue::has_requests() const {
    return can_pop() && ring_->has_available();
}

// Then requests wait on the ring until some in flight are finished.
bool ServedQueue::is_full() const {
    const bool has_no_slot = free_slots_ == nullptr && slot_count_ >= start_.size;
    const bool has_no_iovecs = grown_iovecs_ > grown_iovecs_limit;
    return (has_no_slot || has_no_iovecs) && in_flight_.load(std::memory_order_relaxed) > 0;
}

RequestSlot* ServedQueue::pop() {
    // The driver's index first, then the settings: what it offers may lie in memory that the
    // front-end added just before.
    if (!ring_->has_available()) {
        return nullptr;
    }
    adopt();
    RequestSlot* slot = can_pop() ? take_slot() : nullptr;
    if (slot == nullptr) {
        return nullptr;
    }
    ring_->disable_notifications(settings_->log.get());
    const std::size_t capacity = slot->chain_.capacity();
    const auto status = ring_->pop(*memory_->memory, slot->chain_);
    grown_iovecs_ += slot->chain_.capacity() - capacity;
    if (status != virtio::PopStatus::chain) {
        slot->next_ = free_slots_;
        free_slots_ = slot;
        if (status == virtio::PopStatus::broken) {
            break_ring();
        }
        return nullptr;
    }
    slot->memory_ = memory_.get();
    slot->context = nullptr;
    ++memory_->in_flight;
    add(in_flight_, std::uint32_t{1});
    add(requests_, std::uint64_t{1});
    return slot;
}

void ServedQueue::dispatch(RequestSlot& slot) {
    switch (handler_.cost_of(slot)) {
    case RequestCost::quick:
        break;
    case RequestCost::slow:
        publish(Notice::now);
        if (pool_ != nullptr) {
            in_pool_.fetch_add(1, std::memory_order_relaxed);
            pool_->submit(slot);
            return;
        }
        break;
    }
    handler_.handle(slot);
}

bool ServedQueue::is_notice_due() const {
    return !ring_->is_mapped() ||
           vhost_user::is_notice_due({.replies = unannounced_,
                                      .since = ticks_now() - unannounced_since_,
                                      .left = ring_->available_count()},
                                     driver_response_.expected());
}

void ServedQueue::observe_driver() {
    if (driver_response_.is_awaited() && ring_ && ring_->is_mapped()) {
        driver_response_.observe(ring_->offered_index(), ticks_now());
    }
}

void ServedQueue::publish(Notice notice) {
    if (pending_first_ == nullptr && (notice == Notice::later || unannounced_ == 0)) {
        return;
    }
    // See update(): the replies were written, then we say that we publish, then we look whether to
    // log.
    const std::uint64_t epoch = publish_epoch_.load(std::memory_order_relaxed);
    publish_epoch_.exchange(epoch + 1, std::memory_order_seq_cst);
    adopt();
    if (ring_->is_mapped()) {
        show_pending();
        if (notice == Notice::now) {
            unannounced_ = 0;
            if (ring_->wants_notification()) {
                notify();
            }
        }
    }
    publish_epoch_.store(epoch + 2, std::memory_order_release);
}

void ServedQueue::show_pending() {
    virtio::DirtyLog* log = settings_->log.get();
    for (RequestSlot* slot = pending_first_; slot != nullptr;) {
        RequestSlot* next = slot->next_;
        if (log != nullptr) {
            log_written(*slot, *log);
        }
        ring_->add_used(slot->chain_.head_index(), slot->written_, log);
        recycle(*slot);
        slot = next;
    }
    pending_first_ = nullptr;
    pending_last_ = nullptr;
    pending_count_ = 0;
    ring_->show_used(log);
}

VFSKIT_OUT_OF_LINE void ServedQueue::log_written(const RequestSlot& slot,
                                                 virtio::DirtyLog& log) const {
    std::uint64_t rest = slot.written_;
    for (const iovec& part : slot.writable()) {
        const std::uint64_t length = std::min<std::uint64_t>(rest, part.iov_len);
        if (length == 0) {
            return;
        }
        if (const auto address = slot.memory_->memory->guest_address_of(part.iov_base)) {
            log.mark(*address, length);
        }
        rest -= length;
    }
}

void ServedQueue::notify() {
    add(notifications_, std::uint64_t{1});
    const std::uint16_t offered = ring_->offered_index();
    const bool is_busy = ring_->available_count() > 0;
    signal(settings_->call_fd);
    if (is_busy) { // else it may take as long as it likes to ask for more
        driver_response_.notified(offered, ticks_now());
    }
}

VFSKIT_OUT_OF_LINE void ServedQueue::break_ring() {
    is_broken_.store(true, std::memory_order_relaxed);
    if (log_.is_enabled(LogLevel::error)) {
        log_.write(LogLevel::error,
                   fmt::format("Queue {} is dead until the guest resets the device: {}",
                               to_integer(index_),
                               ring_->fault()));
    }
    signal(settings_->err_fd);
}

RequestSlot* ServedQueue::take_slot() {
    if (free_slots_ == nullptr && slot_count_ < start_.size) {
        auto chunk = std::make_unique<RequestSlot[]>(slots_per_chunk);
        for (std::size_t i = 0; i < slots_per_chunk; ++i) {
            chunk[i].owner_ = this;
            chunk[i].queue_index_ = index_;
            chunk[i].next_ = free_slots_;
            free_slots_ = &chunk[i];
        }
        slot_chunks_.push_back(std::move(chunk));
        slot_count_ += slots_per_chunk;
    }
    RequestSlot* slot = free_slots_;
    if (slot != nullptr) {
        free_slots_ = slot->next_;
    }
    return slot;
}

void ServedQueue::recycle(RequestSlot& slot) {
    subtract(in_flight_, std::uint32_t{1});
    MemoryUse* use = slot.memory_;
    if (--use->in_flight == 0 && use != memory_.get()) {
        std::erase_if(retired_memory_, [use](const auto& retired) { return retired.get() == use; });
    }
    if (grown_iovecs_ > grown_iovecs_kept) {
        const std::size_t capacity = slot.chain_.capacity();
        slot.chain_.shrink();
        grown_iovecs_ -= capacity - slot.chain_.capacity();
    }
    slot.next_ = free_slots_;
    free_slots_ = &slot;
}

// The ring's memory was taken away and the ring stopped: there is nowhere to put these.
void ServedQueue::drop_pending() {
    for (RequestSlot* slot = pending_first_; slot != nullptr;) {
        RequestSlot* next = slot->next_;
        recycle(*slot);
        slot = next;
    }
    pending_first_ = nullptr;
    pending_last_ = nullptr;
    pending_count_ = 0;
}

} // namespace vfskit::vhost_user
