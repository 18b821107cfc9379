// SPDX-License-Identifier: Apache-2.0
// libvirt's event loop in a thread of its own: keepalive, job events and domain events need one.
#pragma once

#include <atomic>
#include <thread>

namespace vfskit::vfsctl {

/// Registered before the first connection and run until the process ends.
class EventLoop {
public:
    static EventLoop& instance();

    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    ~EventLoop();

private:
    EventLoop();

    std::atomic<bool> stops_ = false;
    int timer_ = -1;
    std::thread thread_;
};

} // namespace vfskit::vfsctl
