// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"
#include "core/node/facts.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::node {

namespace {

/// "2026-11-21T06:40:00" without what follows.
constexpr std::size_t seconds_length = 19;

/// The digits of `text` from `begin`; nothing if one is no digit.
std::optional<int> digits(std::string_view text, std::size_t begin, std::size_t count) {
    int value = 0;
    for (const char c : text.substr(begin, count)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + (c - '0');
    }
    return value;
}

/// ".123" in front of "Z": milliseconds; further digits do not matter.
std::optional<int> fraction(std::string_view text) {
    if (text.empty()) {
        return 0;
    }
    if (text.size() < 2 || text.size() > 10 || text.front() != '.' ||
        !digits(text, 1, text.size() - 1)) {
        return std::nullopt;
    }
    const auto padded = std::string{text.substr(1)} + "00";
    return digits(padded, 0, 3);
}

} // namespace

std::string to_string(Time time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                       static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()),
                       static_cast<unsigned>(date.day()),
                       clock.hours().count(),
                       clock.minutes().count(),
                       clock.seconds().count(),
                       clock.subseconds().count());
}

Result<Time> parse_time(std::string_view text) {
    const Error malformed{EINVAL,
                          fmt::format("'{}' is no UTC time like '2026-11-21T06:40:00.123Z'", text)};
    if (text.size() <= seconds_length || text.back() != 'Z' || text[4] != '-' || text[7] != '-' ||
        text[10] != 'T' || text[13] != ':' || text[16] != ':') {
        return malformed;
    }
    const auto year = digits(text, 0, 4);
    const auto month = digits(text, 5, 2);
    const auto day = digits(text, 8, 2);
    const auto hour = digits(text, 11, 2);
    const auto minute = digits(text, 14, 2);
    const auto second = digits(text, 17, 2);
    const auto millisecond =
        fraction(text.substr(seconds_length, text.size() - seconds_length - 1));
    if (!year || !month || !day || !hour || !minute || !second || !millisecond) {
        return malformed;
    }
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) {
        return malformed;
    }
    return Time{std::chrono::sys_days{date}} + std::chrono::hours{*hour} +
           std::chrono::minutes{*minute} + std::chrono::seconds{*second} +
           std::chrono::milliseconds{*millisecond};
}

} // namespace vfskit::node
