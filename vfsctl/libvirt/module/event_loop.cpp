// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/libvirt/module/event_loop.h"

#include <libvirt/libvirt.h>

namespace vfskit::vfsctl {

namespace {

// virEventRunDefaultImpl() returns after each event, so a timer is what lets the loop see its end.
constexpr int tick_milliseconds = 1000;

} // namespace

EventLoop& EventLoop::instance() {
    static EventLoop loop;
    return loop;
}

EventLoop::EventLoop() {
    ::virEventRegisterDefaultImpl();
    timer_ = ::virEventAddTimeout(
        tick_milliseconds, [](int, void*) {}, nullptr, nullptr);
    thread_ = std::thread{[this] {
        while (!stops_) {
            ::virEventRunDefaultImpl();
        }
    }};
}

EventLoop::~EventLoop() {
    stops_ = true;
    ::virEventUpdateTimeout(timer_, 0); // wakes the loop
    thread_.join();
}

} // namespace vfskit::vfsctl
