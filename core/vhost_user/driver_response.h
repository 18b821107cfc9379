// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/ticks.h"

#include <algorithm>
#include <cstdint>

namespace vfskit::vhost_user {

/// How long the driver of one ring takes to answer a notification with further requests. It is the
/// host's wake-up of a CPU, the guest's interrupt and its scheduler: 10 to 30 us in one minute and
/// 200 in another, on the same machine. So it is learnt from the driver at hand, as TCP learns how
/// long to wait for an acknowledgement: the smoothed mean and four times the smoothed deviation
/// (RFC 6298). Being late costs as long as the driver is waited for, being early a part of a
/// notification. One thread.
class DriverResponse {
public:
    /// The driver is being notified; `offered` is the available ring's index. `now`: ticks_now().
    void notified(std::uint16_t offered, std::uint64_t now) {
        is_awaited_ = true;
        offered_ = offered;
        notified_at_ = now;
    }
    [[nodiscard]] bool is_awaited() const { return is_awaited_; }
    /// What the available ring's index is by now. Call it often while is_awaited(): the response is
    /// over when the index has moved.
    void observe(std::uint16_t offered, std::uint64_t now) {
        if (!is_awaited_ || offered == offered_) {
            return;
        }
        is_awaited_ = false;
        const auto took = static_cast<std::int64_t>(
            now > notified_at_ ? std::min(now - notified_at_, microseconds(longest)) : 0);
        const std::int64_t error = took - mean_;
        mean_ += error / weight;
        deviation_ += ((error < 0 ? -error : error) - deviation_) / weight;
    }
    /// Ticks in which the driver will have answered, as good as surely.
    [[nodiscard]] std::uint64_t expected() const {
        return static_cast<std::uint64_t>(mean_ + 4 * deviation_) + microseconds(margin);
    }

private:
    static constexpr std::uint64_t longest = 200; // a guest that had nothing more to ask
    static constexpr std::uint64_t margin = 10;
    static constexpr std::int64_t weight = 8;

    static std::uint64_t microseconds(std::uint64_t count) {
        return count * ticks_per_microsecond();
    }

    bool is_awaited_ = false;
    std::uint16_t offered_ = 0;
    std::uint64_t notified_at_ = 0;
    // In ticks; a guess until the first responses.
    std::int64_t mean_ = static_cast<std::int64_t>(microseconds(20));
    std::int64_t deviation_ = static_cast<std::int64_t>(microseconds(2));
};

} // namespace vfskit::vhost_user
