// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/worker_pool.h"

#include "core/vhost_user/served_queue.h"
#include "core/vhost_user/service_thread.h"

#include <utility>

namespace vfskit::vhost_user {

WorkerPool::WorkerPool(std::size_t thread_count, RequestHandler& handler) : handler_{handler} {
    for (std::size_t i = 0; i < thread_count; ++i) {
        threads_.push_back(start_service_thread("vfs-pool", [this] { run(); }));
    }
}

WorkerPool::~WorkerPool() {
    {
        const std::lock_guard lock{mutex_};
        is_stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void WorkerPool::submit(RequestSlot& request) {
    request.next_ = nullptr;
    {
        const std::lock_guard lock{mutex_};
        (first_ == nullptr ? first_ : last_->next_) = &request;
        last_ = &request;
    }
    changed_.notify_one();
}

void WorkerPool::run() {
    handler_.thread_started();
    while (RequestSlot* request = wait_for_request()) {
        ServedQueue* queue = request->owner_;
        handler_.handle(*request);
        // The queue waits for this when it stops, and may be gone after it.
        queue->in_pool_.fetch_sub(1, std::memory_order_release);
    }
}

RequestSlot* WorkerPool::wait_for_request() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return is_stopping_ || first_ != nullptr; });
    return first_ == nullptr ? nullptr : std::exchange(first_, first_->next_);
}

} // namespace vfskit::vhost_user
