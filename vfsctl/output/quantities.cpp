// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/quantities.h"

#include <fmt/format.h>

#include <cmath>
#include <span>
#include <string_view>

namespace vfskit::vfsctl {

namespace {

// Two digits below ten, none above: what changes between two looks is what matters.
std::string scaled(double value, double step, std::span<const std::string_view> units) {
    std::size_t unit = 0;
    // 999.6 would be written as 1000.
    while (std::round(value) >= step && unit + 1 < units.size()) {
        value /= step;
        ++unit;
    }
    const bool is_whole = unit == 0 || std::round(value * 10) >= 100;
    return is_whole ? fmt::format("{:.0f}{}", value, units[unit])
                    : fmt::format("{:.1f}{}", value, units[unit]);
}

} // namespace

std::string short_count(double count) {
    static constexpr std::string_view units[] = {"", "k", "M", "G", "T"};
    return scaled(count, 1000, units);
}

std::string short_bytes(double bytes) {
    static constexpr std::string_view units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
    return scaled(bytes, 1024, units);
}

std::string short_duration(std::chrono::nanoseconds duration) {
    static constexpr std::string_view units[] = {" ns", " µs", " ms", " s"};
    return scaled(static_cast<double>(duration.count()), 1000, units);
}

std::string short_age(std::chrono::milliseconds age) {
    const auto seconds = age.count() / 1000;
    const auto minutes = seconds / 60;
    const auto hours = minutes / 60;
    const auto days = hours / 24;
    return days != 0      ? fmt::format("{}d {}h", days, hours % 24)
           : hours != 0   ? fmt::format("{}h {}m", hours, minutes % 60)
           : minutes != 0 ? fmt::format("{}m {}s", minutes, seconds % 60)
                          : fmt::format("{}s", seconds);
}

} // namespace vfskit::vfsctl
