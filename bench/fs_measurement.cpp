// SPDX-License-Identifier: Apache-2.0
#include "bench/fs_measurement.h"

#include "bench/daemon_under_test.h"

#include <fmt/core.h>

#include <chrono>
#include <ctime>

namespace vfskit::bench {
namespace {

std::chrono::nanoseconds thread_cpu_time() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

double microseconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double, std::micro>{time}.count();
}

} // namespace

Measured measure(const Contender& contender,
                 const Subject& subject,
                 const GuestOptions& guest_options,
                 const std::string& dir,
                 double seconds) {
    const Daemon daemon{contender.program, contender.args, dir + ".sock", dir};
    FuseGuest guest{daemon.socket_path(), guest_options};
    const Workload workload = subject.make(guest);
    static_cast<void>(guest.run(workload, seconds / 10)); // warm
    const auto cpu_before = daemon.cpu_time();
    Measured measured;
    measured.rate = guest.run(workload, seconds);
    measured.cpu_microseconds =
        microseconds(daemon.cpu_time() - cpu_before) / (measured.rate * seconds);
    return measured;
}

Measured measure_floor(const Subject& subject, double seconds) {
    const auto cpu_before = thread_cpu_time();
    Measured measured;
    measured.rate = run_floor(subject, seconds);
    measured.cpu_microseconds =
        microseconds(thread_cpu_time() - cpu_before) / (measured.rate * seconds);
    return measured;
}

std::string human_rate(double rate) {
    return rate >= 1e6   ? fmt::format("{:.2f} M/s", rate / 1e6)
           : rate >= 1e3 ? fmt::format("{:.1f} k/s", rate / 1e3)
                         : fmt::format("{:.0f} /s", rate);
}

} // namespace vfskit::bench
