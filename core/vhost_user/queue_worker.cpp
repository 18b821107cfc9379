// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/queue_worker.h"

#include "core/base/ticks.h"
#include "core/vhost_user/served_queue.h"
#include "core/vhost_user/service_thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::vhost_user {
namespace {

// A ring without a kick fd is looked at this often when nothing else happens.
constexpr int polled_ring_milliseconds = 1;

// Looking out in vain costs poll_limit of CPU time, and where threads are more than CPUs it may be
// what keeps the guest from sending. So after each time in vain more are left out, up to this many.
constexpr unsigned most_skipped = 63;

// One look takes a fraction of a microsecond, an interrupt of this CPU some.
constexpr std::uint64_t preempted_microseconds = 10;

// Edge-triggered: each kick wakes us once and nobody has to read the counter back.
Result<void> add_edge(int epoll_fd, int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return Error::from_errno(errno, "Cannot wait for kicks");
    }
    return {};
}

} // namespace

Result<std::unique_ptr<QueueWorker>> QueueWorker::start(const char* name,
                                                        RequestHandler& handler,
                                                        SpareCpus& cpus,
                                                        std::chrono::microseconds poll_limit) {
    UniqueFd epoll_fd{::epoll_create1(EPOLL_CLOEXEC)};
    UniqueFd wake_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!epoll_fd || !wake_fd) {
        return Error::from_errno(errno, "Cannot make the descriptors of a queue's thread")
            .with_remedy("Raise --rlimit-nofile");
    }
    VFSKIT_TRY(add_edge(epoll_fd.get(), wake_fd.get()));
    std::unique_ptr<QueueWorker> worker{
        new QueueWorker{handler, cpus, poll_limit, std::move(epoll_fd), std::move(wake_fd)}};
    worker->thread_ = start_service_thread(name, [raw = worker.get()] { raw->run(); });
    return worker;
}

QueueWorker::QueueWorker(RequestHandler& handler,
                         SpareCpus& cpus,
                         std::chrono::microseconds poll_limit,
                         UniqueFd epoll_fd,
                         UniqueFd wake_fd)
    : handler_{handler}, cpus_{cpus}, epoll_fd_{std::move(epoll_fd)}, wake_fd_{std::move(wake_fd)},
      poll_limit_{static_cast<std::uint64_t>(poll_limit.count()) * ticks_per_microsecond()} {}

QueueWorker::~QueueWorker() {
    post([this] { is_quitting_ = true; });
    thread_.join();
}

void QueueWorker::post(std::function<void()> task) {
    {
        const std::lock_guard lock{mail_mutex_};
        mail_.push_back(std::move(task));
    }
    has_mail_.store(true, std::memory_order_seq_cst);
    wake();
}

void QueueWorker::wake() {
    if (is_asleep_.load(std::memory_order_seq_cst) &&
        is_asleep_.exchange(false, std::memory_order_seq_cst)) {
        constexpr std::uint64_t one = 1;
        static_cast<void>(::write(wake_fd_.get(), &one, sizeof one));
    }
}

Result<void> QueueWorker::watch(int kick_fd) {
    return add_edge(epoll_fd_.get(), kick_fd);
}

void QueueWorker::unwatch(int kick_fd) {
    static_cast<void>(::epoll_ctl(epoll_fd_.get(), EPOLL_CTL_DEL, kick_fd, nullptr));
}

void QueueWorker::attach(ServedQueue& queue) {
    queues_.push_back(&queue);
}

void QueueWorker::run() {
    handler_.thread_started();
    cpus_.add_awake();
    while (!is_quitting_) {
        const bool had_mail = run_mail();
        const bool had_requests = run_queues();
        if (!had_mail && !had_requests && !look_out()) {
            sleep();
        }
    }
    cpus_.remove_awake();
}

bool QueueWorker::run_mail() {
    if (!has_mail_.load(std::memory_order_relaxed)) {
        return false;
    }
    std::vector<std::function<void()>> tasks;
    {
        const std::lock_guard lock{mail_mutex_};
        tasks.swap(mail_);
        has_mail_.store(false, std::memory_order_seq_cst);
    }
    for (const auto& task : tasks) {
        task();
    }
    return true;
}

bool QueueWorker::run_queues() {
    using Notice = ServedQueue::Notice;
    const Notice last_notice = queues_.size() == 1 ? Notice::later : Notice::now;
    bool did_anything = false;
    for (ServedQueue* queue : queues_) {
        did_anything = queue->run_batch(last_notice) || did_anything;
    }
    // The queue may be destroyed as soon as its stop is complete: it is not looked at again.
    std::erase_if(queues_, [](ServedQueue* queue) { return queue->finish_stop(); });
    return did_anything;
}

bool QueueWorker::has_work() const {
    return has_mail_.load(std::memory_order_seq_cst) ||
           std::any_of(queues_.begin(), queues_.end(), [](const ServedQueue* queue) {
               return queue->has_work();
           });
}

bool QueueWorker::look_out() {
    if (poll_limit_ == 0 || !cpus_.may_wait_awake()) {
        return false;
    }
    if (look_outs_to_skip_ > 0) {
        --look_outs_to_skip_;
        return false;
    }
    if (sees_work_soon()) {
        last_skipped_ = 0;
        return true;
    }
    last_skipped_ = std::min(last_skipped_ * 2 + 1, most_skipped);
    look_outs_to_skip_ = last_skipped_;
    return false;
}

// Gives up at once when the CPU was taken from it meanwhile: somebody else has something to do.
bool QueueWorker::sees_work_soon() const {
    const std::uint64_t longest_look = preempted_microseconds * ticks_per_microsecond();
    const std::uint64_t start = ticks_now();
    std::uint64_t last = start;
    while (last - start < poll_limit_ && cpus_.may_wait_awake()) {
        if (has_work()) {
            return true;
        }
        relax_cpu();
        const std::uint64_t now = ticks_now();
        if (now - last > longest_look) {
            return has_work();
        }
        last = now;
    }
    return false;
}

void QueueWorker::sleep() {
    is_asleep_.store(true, std::memory_order_seq_cst);
    bool must_stay_awake = has_mail_.load(std::memory_order_seq_cst);
    bool has_polled_ring = false;
    bool is_waiting_for_completer = false;
    for (ServedQueue* queue : queues_) {
        must_stay_awake = queue->prepare_to_sleep() || must_stay_awake;
        has_polled_ring = has_polled_ring || queue->is_polled();
        // A completer wakes us before it has left the queue; the rest is nanoseconds.
        is_waiting_for_completer = is_waiting_for_completer || queue->is_stopping();
    }
    if (!must_stay_awake) {
        std::array<epoll_event, 16> events;
        const bool has_timeout = has_polled_ring || is_waiting_for_completer;
        cpus_.remove_awake();
        static_cast<void>(::epoll_wait(epoll_fd_.get(),
                                       events.data(),
                                       static_cast<int>(events.size()),
                                       has_timeout ? polled_ring_milliseconds : -1));
        cpus_.add_awake();
    }
    is_asleep_.store(false, std::memory_order_seq_cst);
}

} // namespace vfskit::vhost_user
