// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace vfskit::vhost_user {

/// Whether the host has a CPU on which a thread may wait without sleeping. Each thread that is
/// awake serves a guest's CPU, which wants to run as well: where both of all of them do not fit, a
/// thread that waits keeps the guest from sending what it waits for. Any thread.
class SpareCpus {
public:
    explicit SpareCpus(unsigned cpus) : cpus_{cpus} {}

    void add_awake() { awake_.fetch_add(1, std::memory_order_relaxed); }
    void remove_awake() { awake_.fetch_sub(1, std::memory_order_relaxed); }
    /// For one of the threads that are awake.
    [[nodiscard]] bool may_wait_awake() const {
        return awake_.load(std::memory_order_relaxed) * 2 <= cpus_;
    }

private:
    const unsigned cpus_;
    // Written when a thread falls asleep or wakes up only.
    alignas(64) std::atomic<unsigned> awake_{0};
};

} // namespace vfskit::vhost_user
