// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/logging.h"

#include "core/base/unique_fd.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/syslog_sink.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace vfskit::virtiofsd {

namespace {

constexpr std::size_t max_causes = 256;

// Digits and what stands in single quotes vary from line to line of one cause.
std::string cause_of(LogLevel level, std::string_view line) {
    std::string cause(1, static_cast<char>('0' + static_cast<int>(level)));
    bool quoted = false;
    for (const char c : line) {
        if (c == '\'') {
            quoted = !quoted;
        } else if (!quoted && std::isdigit(static_cast<unsigned char>(c)) == 0) {
            cause += c;
        }
    }
    return cause;
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// A guest gives files their names: none of them may begin a line of our log or command a terminal.
std::string without_controls(std::string_view line) {
    std::string safe{line};
    std::replace_if(safe.begin(), safe.end(), is_control, '?');
    return safe;
}

std::string_view upper_name(LogLevel level) {
    switch (level) {
    case LogLevel::error:
        return "ERROR";
    case LogLevel::warn:
        return "WARN ";
    case LogLevel::info:
        return "INFO ";
    case LogLevel::debug:
        return "DEBUG";
    case LogLevel::trace:
        return "TRACE";
    }
    return "ERROR";
}

int syslog_priority(LogLevel level) {
    switch (level) {
    case LogLevel::error:
        return LOG_ERR;
    case LogLevel::warn:
        return LOG_WARNING;
    case LogLevel::info:
        return LOG_INFO;
    case LogLevel::debug:
    case LogLevel::trace:
        return LOG_DEBUG;
    }
    return LOG_ERR;
}

// "[2026-11-21T03:40:00Z INFO  virtiofsd] Waiting for vhost-user socket connection...", one
// write(2) a line, so that lines of several daemons on one stderr do not mix.
class StderrLog final : public DaemonLog {
public:
    void write(LogLevel level, std::string_view line) override {
        const std::time_t now = std::time(nullptr);
        std::tm parts{};
        ::gmtime_r(&now, &parts);
        std::array<char, 32> stamp{};
        std::strftime(stamp.data(), stamp.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
        const std::string text =
            fmt::format("[{} {} virtiofsd] {}\n", stamp.data(), upper_name(level), line);
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    }
};

class SyslogLog final : public DaemonLog {
public:
    // LOG_NDELAY: connected now, while /dev/log can be reached.
    SyslogLog()
        : logger_{"virtiofsd",
                  std::make_shared<Sink>("virtiofsd", LOG_PID | LOG_NDELAY, LOG_USER, false)} {
        logger_.set_level(spdlog::level::trace);
    }
    void write(LogLevel level, std::string_view line) override {
        logger_.log(spdlog_level(level), spdlog::string_view_t{line.data(), line.size()});
    }

private:
    using Sink = spdlog::sinks::syslog_sink_mt;

    static spdlog::level::level_enum spdlog_level(LogLevel level) {
        switch (level) {
        case LogLevel::error:
            return spdlog::level::err;
        case LogLevel::warn:
            return spdlog::level::warn;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::trace:
            return spdlog::level::trace;
        }
        return spdlog::level::err;
    }

    spdlog::logger logger_;
};

// systemd's native protocol (JOURNAL_NATIVE_PROTOCOL): one datagram of KEY=VALUE lines. Our lines
// hold no line feed, so the length-prefixed form is not needed.
class JournalLog final : public DaemonLog {
public:
    static Result<std::unique_ptr<DaemonLog>> open(const Options& options) {
        constexpr std::string_view path = "/run/systemd/journal/socket";
        UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        if (!fd ||
            ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
                0) {
            return Error::from_errno(errno, fmt::format("Cannot reach the journal at '{}'", path))
                .with_remedy("Use --syslog, or neither for stderr");
        }
        return std::unique_ptr<DaemonLog>{new JournalLog{std::move(fd), options}};
    }

    void write(LogLevel level, std::string_view line) override {
        const std::string text =
            fmt::format("PRIORITY={}\nSYSLOG_IDENTIFIER=virtiofsd\nVFSKIT_SHARED_DIR={}\n"
                        "VFSKIT_SOCKET={}\nMESSAGE={}\n",
                        syslog_priority(level),
                        shared_dir_,
                        socket_,
                        line);
        ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }

private:
    JournalLog(UniqueFd fd, const Options& options)
        : fd_{std::move(fd)}, shared_dir_{without_controls(options.shared_dir)},
          socket_{without_controls(options.socket_path.value_or(""))} {}

    UniqueFd fd_;
    std::string shared_dir_;
    std::string socket_;
};

} // namespace

void RateLimitedSink::write_at(LogLevel level, std::string_view text, Clock::time_point now) {
    if (!next_.is_enabled(level)) {
        return;
    }
    const std::string line = without_controls(text);
    std::uint64_t left_out = 0;
    {
        const std::lock_guard lock{mutex_};
        if (causes_.size() >= max_causes) {
            causes_.clear(); // a guest that invents causes costs us a forgotten count, not memory
        }
        auto& cause = causes_[cause_of(level, line)];
        if (now - cause.window_start >= limits_.window) {
            left_out = cause.left_out;
            cause = {now, 0, 0};
        }
        if (cause.passed >= limits_.burst) {
            ++cause.left_out;
            return;
        }
        ++cause.passed;
    }
    if (left_out != 0) {
        next_.write(level, fmt::format("{} ({} more like this were left out)", line, left_out));
    } else {
        next_.write(level, line);
    }
}

Result<std::unique_ptr<DaemonLog>> open_log(const Options& options) {
    std::unique_ptr<DaemonLog> log;
    if (options.journal) {
        VFSKIT_TRY_ASSIGN(log, JournalLog::open(options));
    } else if (options.syslog) {
        log = std::make_unique<SyslogLog>();
    } else {
        log = std::make_unique<StderrLog>();
    }
    log->set_level(options.log_level);
    if (options.log_off) {
        log->turn_off();
    }
    return log;
}

} // namespace vfskit::virtiofsd
