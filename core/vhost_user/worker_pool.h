// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vhost_user/request.h"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace vfskit::vhost_user {

/// Threads that handle slow requests, so that a queue's own thread goes on with quick ones.
class WorkerPool {
public:
    WorkerPool(std::size_t thread_count, RequestHandler& handler);
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    /// Precondition: nothing submitted is unfinished.
    ~WorkerPool();

    /// From any thread; does not wait. Slow requests only: this takes a lock.
    void submit(RequestSlot& request);

private:
    void run();
    RequestSlot* wait_for_request();

    RequestHandler& handler_;
    // Protects the list and is_stopping_. Taken last; held for a few pointer moves.
    std::mutex mutex_;
    std::condition_variable changed_;
    RequestSlot* first_ = nullptr;
    RequestSlot* last_ = nullptr;
    bool is_stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace vfskit::vhost_user
