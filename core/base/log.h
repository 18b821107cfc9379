// SPDX-License-Identifier: Apache-2.0
// core/ returns errors and never logs; a long-running room that must tell the operator something
// while it goes on (a full descriptor budget, a refused request) writes one sentence to the sink it
// was given.
#pragma once

#include <string_view>

namespace vfskit::base {

enum class LogLevel { error, warn, info, debug, trace };

/// Where sentences for the operator go. Implementations must accept calls from any thread and must
/// not block on the guest. The programs own the real ones (stderr, syslog, journal).
class LogSink {
public:
    virtual ~LogSink() = default;
    /// Cheap: callers ask before they format.
    [[nodiscard]] virtual bool is_enabled(LogLevel level) const = 0;
    /// One line, no line feed at its end.
    virtual void write(LogLevel level, std::string_view line) = 0;
};

/// Drops everything. For tests and for callers without an operator.
LogSink& null_log_sink();

} // namespace vfskit::base

namespace vfskit {
using base::LogLevel;
using base::LogSink;
} // namespace vfskit
