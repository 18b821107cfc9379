// SPDX-License-Identifier: Apache-2.0
// The daemon's log: stderr in upstream's layout, which operators grep, or syslog, or the systemd
// journal.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "virtiofsd/options.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace vfskit::virtiofsd {

/// Passes lines on, but of one cause only so many: after `burst` lines of one cause within `window`
/// the rest is counted, and the next line that passes tells how many were left out. Two lines are
/// of one cause when they differ only in digits and in quoted parts. Lines of a level that the next
/// sink has not enabled are dropped here. Control characters become '?'. Thread-safe; at most a few
/// hundred causes are remembered.
class RateLimitedSink final : public LogSink {
public:
    using Clock = std::chrono::steady_clock;
    struct Limits {
        std::uint32_t burst = 5;
        std::chrono::seconds window{10};
    };

    RateLimitedSink(LogSink& next, Limits limits) : next_{next}, limits_{limits} {}

    [[nodiscard]] bool is_enabled(LogLevel level) const override { return next_.is_enabled(level); }
    void write(LogLevel level, std::string_view line) override {
        write_at(level, line, Clock::now());
    }
    /// write() at a given time.
    void write_at(LogLevel level, std::string_view text, Clock::time_point now);

private:
    struct Cause {
        Clock::time_point window_start;
        std::uint32_t passed = 0;
        std::uint64_t left_out = 0;
    };

    LogSink& next_;
    Limits limits_;
    std::mutex mutex_; // protects causes_; the next sink is called without it
    std::map<std::string, Cause, std::less<>> causes_;
};

/// A sink whose level can be changed while the daemon runs.
class DaemonLog : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel level) const override {
        return level <= level_.load(std::memory_order_relaxed) &&
               !off_.load(std::memory_order_relaxed);
    }
    void set_level(LogLevel level) {
        level_.store(level, std::memory_order_relaxed);
        off_.store(false, std::memory_order_relaxed);
    }
    void turn_off() { off_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] LogLevel level() const { return level_.load(std::memory_order_relaxed); }

private:
    std::atomic<LogLevel> level_{LogLevel::info};
    std::atomic<bool> off_{false};
};

/// Opens what the options name: syslog (LOG_USER, as upstream), the journal, or stderr. The
/// connection is made now, before the sandbox closes; an absent journal is an Error.
Result<std::unique_ptr<DaemonLog>> open_log(const Options& options);

} // namespace vfskit::virtiofsd
