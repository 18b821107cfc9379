// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/ticks.h"

#include <cstdint>

namespace vfskit::vhost_user {

/// What a driver that may sleep has not been notified of, and what it still waits for.
struct Unannounced {
    std::uint32_t replies; ///< finished since the last notification
    std::uint64_t since;   ///< ticks since the first of them was
    std::uint16_t left;    ///< chains offered and not taken
};

/// Whether to notify the driver now, when requests are left to serve. A notification takes us a
/// system call that wakes its CPU (1 to 12 us) and it `expected` ticks until it works
/// (DriverResponse). So we do it when what is left keeps us busy for about that long: sooner would
/// be an interrupt for each reply or two, later and we would run out of requests and wait for it.
/// Any thread.
inline bool is_notice_due(const Unannounced& unannounced, std::uint64_t expected) {
    constexpr std::uint64_t least = 2; // us; a few replies go along
    // When what is left lasts longer than that, the driver is notified all the same as soon as the
    // interrupt is a small part of the work. Not later: a CPU that sleeps longer is dearer to wake.
    constexpr std::uint32_t enough_replies = 12;
    constexpr std::uint64_t enough = 30;
    constexpr std::uint64_t most = 100;
    const std::uint64_t microsecond = ticks_per_microsecond();
    if (unannounced.since <= least * microsecond) {
        return false;
    }
    if (unannounced.since > most * microsecond ||
        (unannounced.since > enough * microsecond && unannounced.replies >= enough_replies)) {
        return true;
    }
    // What is left takes as long for each request as what is finished.
    return unannounced.since * unannounced.left <= unannounced.replies * expected;
}

} // namespace vfskit::vhost_user
