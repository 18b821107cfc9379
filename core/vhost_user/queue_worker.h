// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/vhost_user/request.h"
#include "core/vhost_user/spare_cpus.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace vfskit::vhost_user {

/// A thread that serves one or more started rings: runs them while there is work, then looks out
/// for a while (poll_limit), then sleeps until a kick, a completion or mail arrives.
class QueueWorker {
public:
    /// Needs an epoll instance and an eventfd: EMFILE and friends.
    /// `cpus` outlives the worker.
    static Result<std::unique_ptr<QueueWorker>> start(const char* name,
                                                      RequestHandler& handler,
                                                      SpareCpus& cpus,
                                                      std::chrono::microseconds poll_limit);
    QueueWorker(const QueueWorker&) = delete;
    QueueWorker& operator=(const QueueWorker&) = delete;
    /// Precondition: every ring is stopped. Joins the thread.
    ~QueueWorker();

    // Any thread.

    /// Runs `task` on the worker's thread, between batches, in order.
    void post(std::function<void()> task);
    /// Makes the worker look at everything again, if it sleeps.
    void wake();
    /// Wakes the worker at each kick. EPERM for a descriptor that cannot be waited for.
    Result<void> watch(int kick_fd);
    /// To be called before the descriptor is closed: the front-end holds the same file open, so
    /// epoll would keep it.
    void unwatch(int kick_fd);

    // The worker's thread.

    void attach(ServedQueue& queue);

private:
    QueueWorker(RequestHandler& handler,
                SpareCpus& cpus,
                std::chrono::microseconds poll_limit,
                UniqueFd epoll_fd,
                UniqueFd wake_fd);

    void run();
    bool run_mail();
    bool run_queues();
    bool look_out();
    bool sees_work_soon() const;
    void sleep();
    [[nodiscard]] bool has_work() const;

    RequestHandler& handler_;
    SpareCpus& cpus_;
    const UniqueFd epoll_fd_;
    const UniqueFd wake_fd_;
    std::vector<ServedQueue*> queues_;
    const std::uint64_t poll_limit_;
    unsigned last_skipped_ = 0;
    unsigned look_outs_to_skip_ = 0;
    bool is_quitting_ = false;

    // The worker says that it sleeps and then looks for work once more; others leave work and then
    // look whether it sleeps (both sequentially consistent): one of the two sees the other.
    alignas(64) std::atomic<bool> is_asleep_{false};
    std::atomic<bool> has_mail_{false};
    // Protects mail_. Nothing is locked or run while it is held.
    std::mutex mail_mutex_;
    std::vector<std::function<void()>> mail_;
    std::thread thread_;
};

} // namespace vfskit::vhost_user
