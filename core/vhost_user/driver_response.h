// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/ticks.h"

#include <algorithm>
#include <cstdint>

namespace vfskit::vhost_user {

/// How long the driver of one ring takes to answer a notification with further requests. It is the
/// host's wake-up of a CPU, the guest's interrupt and its scheduler: 5 us on one machine and 100 on
/// another, 30 and 100 in two minutes on the same. So it is learnt from the driver at hand, as TCP
/// learns how long to wait for an acknowledgement (RFC 6298): the smoothed mean and four times the
/// smoothed deviation. Other than there both move by an eighth, and a margin stands for the clock's
/// granularity. Being late costs as long as the driver is waited for, being early a part of a
/// notification. One thread.
class DriverResponse {
public:
    /// The driver is being notified while it has chains in the ring; `offered` is the available
    /// ring's index. `now`: ticks_now(). Before it has answered the first of several counts.
    void notified(std::uint16_t offered, std::uint64_t now) {
        if (is_awaited_) {
            return;
        }
        is_awaited_ = true;
        offered_ = offered;
        notified_at_ = now;
    }
    [[nodiscard]] bool is_awaited() const { return is_awaited_; }
    /// What the available ring's index is by now. Call it after each request while is_awaited(),
    /// for so fine is what it sees: the response is over when the index has moved.
    void observe(std::uint16_t offered, std::uint64_t now) {
        if (!is_awaited_ || offered == offered_) {
            return;
        }
        is_awaited_ = false;
        const std::uint64_t took = now > notified_at_ ? now - notified_at_ : 0;
        if (took >= microseconds(longest)) {
            return; // it had nothing to ask for a while, which says nothing of its waking
        }
        const std::int64_t error = static_cast<std::int64_t>(took) - mean_8_ / 8;
        mean_8_ += error;
        deviation_8_ += (error < 0 ? -error : error) - deviation_8_ / 8;
    }
    /// Ticks in which the driver will have answered, as good as surely; at most 200 us.
    [[nodiscard]] std::uint64_t expected() const {
        return std::min(static_cast<std::uint64_t>(mean_8_ / 8 + deviation_8_ / 2) +
                            microseconds(margin),
                        microseconds(longest));
    }

private:
    static constexpr std::uint64_t longest = 200;
    static constexpr std::uint64_t margin = 10;

    static std::uint64_t microseconds(std::uint64_t count) {
        return count * ticks_per_microsecond();
    }

    bool is_awaited_ = false;
    std::uint16_t offered_ = 0;
    std::uint64_t notified_at_ = 0;
    // In eighths of a tick, so that no division loses any; a guess until the first responses.
    std::int64_t mean_8_ = static_cast<std::int64_t>(8 * microseconds(20));
    std::int64_t deviation_8_ = static_cast<std::int64_t>(8 * microseconds(2));
};

} // namespace vfskit::vhost_user
