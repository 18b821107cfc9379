// SPDX-License-Identifier: Apache-2.0
// What does a request cost before a file system sees it? A session whose handler answers every
// request with 16 bytes at once; the driver's side keeps chains of four descriptors, as
// FUSE_GETATTR has them, in flight. The driver's own work is in the number, on another thread.
#include "core/vhost_user/session.h"
#include "tests/support/fake_frontend.h"

#include <fmt/core.h>

#include <cstdlib>
#include <ctime>
#include <thread>

namespace {

using namespace vfskit;

constexpr std::uint16_t ring_size = 128;
constexpr unsigned depth = 32;
constexpr std::uint64_t requests = 2'000'000;

class InstantHandler : public vhost_user::RequestHandler {
public:
    void thread_started() override { ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start); }
    void handle(vhost_user::RequestSlot& request) override { request.complete(16); }
    void drain(vhost_user::QueueIndex queue) override {
        if (queue != vhost_user::hiprio_queue) {
            timespec now{};
            ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
            cpu_nanoseconds = static_cast<double>(now.tv_sec - start.tv_sec) * 1e9 +
                              static_cast<double>(now.tv_nsec - start.tv_nsec);
        }
    }

    static thread_local timespec start;
    double cpu_nanoseconds = 0;
};
thread_local timespec InstantHandler::start{};

void offer(test::FakeQueue& queue, std::uint16_t number) {
    queue.offer(static_cast<std::uint16_t>(number * 4));
}

double drive(test::FakeQueue& queue) {
    auto& ram = queue.ram();
    for (std::uint16_t i = 0; i < depth; ++i) {
        const test::Buffer header{ram.allocate(40), 40};
        const test::Buffer body{ram.allocate(16), 16};
        const test::Buffer reply{ram.allocate(16), 16};
        const test::Buffer attributes{ram.allocate(104), 104};
        queue.add({header, body}, {reply, attributes});
    }
    const auto start = std::chrono::steady_clock::now();
    queue.refuse_calls();
    queue.submit();
    for (std::uint64_t finished = 0; finished < requests;) {
        bool has_new = false;
        while (const auto used = queue.take_used()) {
            ++finished;
            offer(queue, static_cast<std::uint16_t>(used->head / 4));
            has_new = true;
        }
        if (has_new) {
            queue.submit();
        }
    }
    const std::chrono::duration<double, std::nano> elapsed =
        std::chrono::steady_clock::now() - start;
    return elapsed.count() / static_cast<double>(requests);
}

} // namespace

int main() {
    auto [ours, theirs] = test::FakeFrontend::make_sockets();
    InstantHandler handler;
    vhost_user::SessionObserver observer;
    vhost_user::SessionOptions options;
    options.queue_threads = 1;
    vhost_user::BackendSession session{
        std::move(theirs), options, handler, nullptr, observer, base::null_log_sink()};
    std::thread server{[&session] { static_cast<void>(session.serve()); }};
    test::GuestRam ram{4U << 20};
    test::FakeFrontend frontend{std::move(ours)};
    frontend.negotiate();
    const bool has_memory = frontend.add_region(ram) == 0;
    test::FakeQueue queue{ram, ring_size, {true, true}};
    frontend.start_queue(1, queue);
    const double wall = drive(queue);
    static_cast<void>(frontend.stop_queue(1));
    frontend.disconnect();
    server.join();
    fmt::print("{} CPUs, depth {}, {} requests of 4 descriptors\n",
               std::thread::hardware_concurrency(),
               depth,
               requests);
    fmt::print("wall time per request {:.0f} ns, CPU time of the queue's thread {:.0f} ns\n",
               wall,
               handler.cpu_nanoseconds / static_cast<double>(requests));
    return has_memory ? EXIT_SUCCESS : EXIT_FAILURE;
}
