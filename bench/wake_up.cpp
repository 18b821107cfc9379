// SPDX-License-Identifier: Apache-2.0
#include "bench/wake_up.h"

#include "core/base/unique_fd.h"

#include <fmt/core.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace vfskit::bench {

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t rounds = 400;

std::pair<int, int> two_cpus() {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    if (::sched_getaffinity(0, sizeof(usable), &usable) != 0) {
        throw std::system_error{errno, std::system_category(), "sched_getaffinity"};
    }
    int first = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &usable)) {
            continue;
        }
        if (first >= 0) {
            return {first, cpu};
        }
        first = cpu;
    }
    throw std::system_error{ENODEV, std::system_category(), "one CPU only"};
}

/// Keeps the calling thread on one CPU as long as it lives.
class StayOn {
public:
    explicit StayOn(int cpu) {
        ::pthread_getaffinity_np(::pthread_self(), sizeof(before_), &before_);
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(cpu, &only);
        // The CPU was usable a moment ago; where it is not any more, the threads share what is
        // left.
        (void)::pthread_setaffinity_np(::pthread_self(), sizeof(only), &only);
    }
    StayOn(const StayOn&) = delete;
    StayOn& operator=(const StayOn&) = delete;
    ~StayOn() { (void)::pthread_setaffinity_np(::pthread_self(), sizeof(before_), &before_); }

private:
    cpu_set_t before_{};
};

Percentiles percentiles_of(std::vector<std::chrono::nanoseconds>& times) {
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() * 9 / 10]};
}

} // namespace

WakeUp measure_wake_up(std::chrono::nanoseconds asleep) {
    const auto [here, there] = two_cpus();
    const UniqueFd event{::eventfd(0, EFD_CLOEXEC)};
    if (!event.is_valid()) {
        throw std::system_error{errno, std::system_category(), "eventfd"};
    }
    std::vector<std::chrono::nanoseconds> sending(rounds);
    std::vector<std::chrono::nanoseconds> arrival(rounds);
    std::atomic<std::size_t> awake_count{0};
    std::atomic<Clock::time_point> awake_at{};
    std::thread sleeper{[&, cpu = there] {
        const StayOn stay{cpu};
        for (std::size_t i = 0; i < rounds; ++i) {
            eventfd_t value = 0;
            (void)::eventfd_read(event.get(), &value);
            awake_at.store(Clock::now(), std::memory_order_relaxed);
            awake_count.store(i + 1, std::memory_order_release);
        }
    }};
    {
        const StayOn stay{here};
        for (std::size_t i = 0; i < rounds; ++i) {
            const auto until = Clock::now() + asleep;
            while (Clock::now() < until) {
            }
            const auto start = Clock::now();
            (void)::eventfd_write(event.get(), 1); // fails only at 2^64 - 2 of them
            sending[i] = Clock::now() - start;
            while (awake_count.load(std::memory_order_acquire) == i) {
            }
            arrival[i] = awake_at.load(std::memory_order_relaxed) - start;
        }
    }
    sleeper.join();
    return {percentiles_of(sending), percentiles_of(arrival)};
}

std::string describe_wake_up() {
    constexpr std::chrono::microseconds asleep{50};
    try {
        const auto wake_up = measure_wake_up(asleep);
        return fmt::format("a thread asleep for {} us on another CPU: {:.1f} us to wake it (p90 "
                           "{:.1f}), awake after {:.1f} ({:.1f})",
                           asleep.count(),
                           Microseconds{wake_up.sending.median}.count(),
                           Microseconds{wake_up.sending.ninetieth}.count(),
                           Microseconds{wake_up.arrival.median}.count(),
                           Microseconds{wake_up.arrival.ninetieth}.count());
    } catch (const std::exception& error) {
        return fmt::format("what waking a thread costs is not known: {}", error.what());
    }
}

} // namespace vfskit::bench
