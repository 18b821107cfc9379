// SPDX-License-Identifier: Apache-2.0
// Records that a migration brings and that are made on a thread of their own, while the guest runs
// already.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <utility>

namespace vfskit::passthrough {

/// Whoever misses a record waits until all are there; whoever finds his does not. Before a
/// migration has brought any, that costs one load; afterwards, who misses looks twice.
class Arrivals {
public:
    Arrivals() = default;
    ~Arrivals() { join(); }
    Arrivals(const Arrivals&) = delete;
    Arrivals& operator=(const Arrivals&) = delete;

    /// Runs `make`, which must not throw and must not miss a record itself. Not from two threads at
    /// once.
    void start(std::function<void()> make) {
        join();
        have_been_.store(true);
        are_expected_.store(true);
        thread_ = std::thread{[this, make = std::move(make)]() mutable {
            make();
            are_expected_.store(false);
            are_expected_.notify_all();
            make = {}; // what it held is let go of when nobody waits any more
        }};
    }
    /// Waits until all are there. True when what was missing may be there now: also if none are
    /// expected any more, for the last may have come after the caller looked.
    bool wait() {
        if (!have_been_.load()) {
            return false;
        }
        are_expected_.wait(true);
        return true;
    }

private:
    void join() {
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    std::atomic<bool> have_been_{false};
    std::atomic<bool> are_expected_{false};
    std::thread thread_;
};

} // namespace vfskit::passthrough
