// SPDX-License-Identifier: Apache-2.0
// A session with an echoing handler behind it and a fake front-end before it.
#pragma once

#include "core/vhost_user/session.h"
#include "tests/support/fake_frontend.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace vfskit::vhost_user {

using namespace std::chrono_literals;

/// Answers every request with its own bytes. A request whose first byte is 'P' is parked until
/// release() or drain(), one with 'S' is slow and takes until release(), one with 'L' takes until
/// release() too and did not look it, one with 'B' keeps the thread busy for busy_time.
class FakeHandler : public RequestHandler {
public:
    RequestCost cost_of(const RequestSlot& request) override {
        return first_byte(request) == 'S' ? RequestCost::slow : RequestCost::quick;
    }
    void handle(RequestSlot& request) override {
        ++handled;
        if (first_byte(request) == 'P') {
            const std::lock_guard lock{mutex_};
            parked_.push_back(&request);
            changed_.notify_all();
            return;
        }
        if (first_byte(request) == 'B') {
            const auto end = std::chrono::steady_clock::now() + busy_time;
            while (std::chrono::steady_clock::now() < end) {
            }
        }
        if (first_byte(request) == 'S' || first_byte(request) == 'L') {
            std::unique_lock lock{mutex_};
            ++slow_running_;
            changed_.notify_all();
            changed_.wait(lock, [this] { return is_released_; });
            --slow_running_;
        }
        echo(request);
    }
    void drain(QueueIndex queue) override {
        ++drains;
        std::vector<RequestSlot*> mine;
        {
            const std::lock_guard lock{mutex_};
            std::erase_if(parked_, [&](RequestSlot* slot) {
                if (slot->queue() == queue) {
                    mine.push_back(slot);
                    return true;
                }
                return false;
            });
        }
        for (RequestSlot* slot : mine) {
            slot->complete(0);
        }
    }
    void release() {
        std::vector<RequestSlot*> parked;
        {
            const std::lock_guard lock{mutex_};
            is_released_ = true;
            parked.swap(parked_);
        }
        changed_.notify_all();
        for (RequestSlot* slot : parked) {
            echo(*slot);
        }
    }
    void wait_for_slow(int count = 1) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this, count] { return slow_running_ >= count; });
    }
    void wait_for_parked(std::size_t count = 1) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this, count] { return parked_.size() >= count; });
    }

    static constexpr std::chrono::microseconds busy_time{50};
    std::atomic<int> handled{0};
    std::atomic<int> drains{0};

private:
    static char first_byte(const RequestSlot& request) {
        return request.readable().empty()
                   ? '\0'
                   : *static_cast<const char*>(request.readable().front().iov_base);
    }
    static void echo(RequestSlot& request) {
        std::size_t written = 0;
        if (!request.readable().empty() && !request.writable().empty()) {
            written = std::min(request.readable()[0].iov_len, request.writable()[0].iov_len);
            std::memcpy(request.writable()[0].iov_base, request.readable()[0].iov_base, written);
        }
        request.complete(written);
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<RequestSlot*> parked_;
    int slow_running_ = 0;
    bool is_released_ = false;
};

class FakeObserver : public SessionObserver {
public:
    void device_reset() override { ++resets; }
    void ring_started() override { ++rings_started; }
    void migration_started() override { ++migrations_started; }
    void migration_stopped() override { ++migrations_stopped; }

    std::atomic<int> resets{0};
    std::atomic<int> rings_started{0};
    std::atomic<int> migrations_started{0};
    std::atomic<int> migrations_stopped{0};
};

/// Keeps one string as its state.
class FakeDeviceState : public DeviceStateHandler {
public:
    Result<void> save(UniqueFd fd, int cancel_fd) override;
    Result<void> load(UniqueFd fd, int cancel_fd) override;

    std::string state = "the state";
    bool fails = false;
    std::atomic<bool> was_cancelled{false};
};

class FakeLog : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel /*level*/) const override { return true; }
    void write(LogLevel level, std::string_view line) override {
        const std::lock_guard lock{mutex_};
        if (level == LogLevel::error || level == LogLevel::warn) {
            lines_.emplace_back(line);
        }
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock{mutex_};
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

class SessionTest : public testing::Test {
protected:
    static constexpr std::uint16_t ring_size = 64;
    static constexpr virtio::RingFeatures ring_features{true, true};

    ~SessionTest() override { finish(); }

    void start(SessionOptions options = {}) {
        auto [ours, theirs] = test::FakeFrontend::make_sockets();
        frontend.emplace(std::move(ours));
        session.emplace(std::move(theirs), options, handler, &device_state, observer, log);
        thread_ = std::thread{[this] { outcome.emplace(session->serve()); }};
    }
    /// Negotiates, gives memory and starts queues 0 … count-1.
    void start_device(std::uint16_t count, const SessionOptions& options = {}) {
        start(options);
        frontend->negotiate();
        ASSERT_EQ(frontend->add_region(ram), 0U);
        for (std::uint16_t i = 0; i < count; ++i) {
            queues.push_back(std::make_unique<test::FakeQueue>(ram, ring_size, ring_features));
            frontend->start_queue(i, *queues.back());
        }
    }
    /// Disconnects and waits for the end of serve().
    void finish() {
        if (thread_.joinable()) {
            handler.release();
            frontend->disconnect();
            thread_.join();
        }
    }
    test::Buffer text(std::string_view content) {
        const auto address = ram.allocate(content.size());
        ram.write(address, content);
        return {address, static_cast<std::uint32_t>(content.size())};
    }
    test::Buffer space(std::uint32_t size) { return {ram.allocate(size), size}; }
    /// One request and its echo.
    std::string echo(test::FakeQueue& queue, std::string_view content) {
        const auto reply = space(64);
        queue.add({text(content)}, {reply});
        queue.submit();
        const auto used = queue.wait_used();
        return used ? ram.read(reply.address, used->written) : "(no reply)";
    }
    /// The back-end has read everything that was sent.
    void settle() { static_cast<void>(frontend->get(VHOST_USER_GET_FEATURES)); }

    test::GuestRam ram{8 << 20};
    FakeHandler handler;
    FakeObserver observer;
    FakeDeviceState device_state;
    FakeLog log;
    std::vector<std::unique_ptr<test::FakeQueue>> queues;
    std::optional<test::FakeFrontend> frontend;
    std::optional<BackendSession> session;
    std::optional<Result<void>> outcome;

private:
    std::thread thread_;
};

} // namespace vfskit::vhost_user
