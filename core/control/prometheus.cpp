// SPDX-License-Identifier: Apache-2.0
// The text exposition format wants all samples of a metric together, whatever daemon they are of.
#include "core/control/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace vfskit::control {

namespace {

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

std::string escape_label(std::string_view value) {
    std::string escaped;
    for (const char c : value) {
        if (c == '\\' || c == '"') {
            escaped.push_back('\\');
            escaped.push_back(c);
        } else if (c == '\n') {
            escaped += "\\n";
        } else {
            escaped.push_back(c);
        }
    }
    return escaped;
}

std::string label(std::string_view name, std::string_view value) {
    return fmt::format("{}=\"{}\"", name, escape_label(value));
}

std::string joined(const std::string& left, const std::string& right) {
    return left.empty() || right.empty() ? left + right : left + "," + right;
}

/// Appends metrics under a common prefix.
class PrometheusText {
public:
    void head(std::string_view name, std::string_view type, std::string_view help) {
        fmt::format_to(std::back_inserter(text_),
                       "# HELP vfskit_virtiofsd_{0} {2}\n# TYPE vfskit_virtiofsd_{0} {1}\n",
                       name,
                       type,
                       help);
    }
    template <class T>
    void sample(std::string_view name, std::string_view labels, T value) {
        const auto* const opening = labels.empty() ? "" : "{";
        const auto* const closing = labels.empty() ? "" : "}";
        fmt::format_to(std::back_inserter(text_),
                       "vfskit_virtiofsd_{}{}{}{} {}\n",
                       name,
                       opening,
                       labels,
                       closing,
                       value);
    }
    std::string take() && { return std::move(text_); }

private:
    std::string text_;
};

/// A status and the labels that tell its daemon from the others.
struct Labelled {
    const Status& status;
    std::string labels;
};

template <class Member>
void add_metric(const std::vector<Labelled>& daemons,
                PrometheusText& text,
                std::string_view name,
                std::string_view type,
                std::string_view help,
                Member member) {
    text.head(name, type, help);
    for (const auto& [status, labels] : daemons) {
        text.sample(name, labels, member(status));
    }
}

void add_info(const std::vector<Labelled>& daemons, PrometheusText& text) {
    text.head("info", "gauge", "The daemon, its version and what it shares.");
    for (const auto& [status, labels] : daemons) {
        // The tag of a daemon that was found by its place is a label already.
        auto own = label("version", status.version);
        if (labels.empty()) {
            own = joined(own, label("tag", status.tag));
        }
        text.sample("info", joined(labels, joined(own, label("shared_dir", status.shared_dir))), 1);
    }
}

void add_gauges(const std::vector<Labelled>& daemons, PrometheusText& text) {
    add_metric(daemons, text, "uptime_seconds", "gauge", "Since the daemon started.", [](auto& s) {
        return seconds(s.uptime);
    });
    add_metric(
        daemons, text, "connected", "gauge", "1 if a virtual machine is attached.", [](auto& s) {
            return s.is_connected ? 1 : 0;
        });
    struct Gauge {
        std::string_view name, type, help;
        std::uint64_t Status::*member;
    };
    static constexpr std::array gauges{
        Gauge{"inodes", "gauge", "Inodes that the guest knows.", &Status::inodes},
        Gauge{
            "handles", "gauge", "Files and directories that the guest has open.", &Status::handles},
        Gauge{"fds", "gauge", "File descriptors held for the guest.", &Status::fds},
        Gauge{"fd_budget", "gauge", "File descriptors that may be held.", &Status::fd_budget},
        Gauge{"read_bytes_total", "counter", "Bytes that the guest read.", &Status::bytes_read},
        Gauge{"written_bytes_total",
              "counter",
              "Bytes that the guest wrote.",
              &Status::bytes_written},
        Gauge{"unanswerable_total",
              "counter",
              "Requests too broken to be answered.",
              &Status::unanswerable}};
    for (const auto& gauge : gauges) {
        add_metric(daemons, text, gauge.name, gauge.type, gauge.help, [&gauge](auto& s) {
            return s.*gauge.member;
        });
    }
}

void add_queues(const std::vector<Labelled>& daemons, PrometheusText& text) {
    const auto add = [&](std::string_view name, std::uint64_t QueueStatus::*member) {
        for (const auto& [status, labels] : daemons) {
            for (const auto& queue : status.queues) {
                text.sample(name,
                            joined(labels, label("queue", fmt::to_string(queue.index))),
                            queue.*member);
            }
        }
    };
    text.head("queue_depth", "gauge", "Requests taken from a virtqueue and not yet answered.");
    add("queue_depth", &QueueStatus::depth);
    text.head("queue_processed_total", "counter", "Requests answered on a virtqueue.");
    add("queue_processed_total", &QueueStatus::processed);
}

void add_latency(const Status& status,
                 const OperationStatus& operation,
                 const std::string& labels,
                 PrometheusText& text) {
    std::uint64_t below = 0;
    const auto classes = std::min(operation.latency.size(), status.latency_limits.size());
    for (std::size_t i = 0; i < classes; ++i) {
        below += operation.latency[i];
        text.sample("request_duration_seconds_bucket",
                    fmt::format("{},le=\"{}\"", labels, seconds(status.latency_limits[i])),
                    below);
    }
    text.sample("request_duration_seconds_bucket", labels + ",le=\"+Inf\"", operation.count);
    text.sample("request_duration_seconds_sum", labels, seconds(operation.total));
    text.sample("request_duration_seconds_count", labels, operation.count);
}

void add_operations(const std::vector<Labelled>& daemons, PrometheusText& text) {
    text.head("request_errors_total", "counter", "FUSE requests answered with an errno.");
    for (const auto& [status, labels] : daemons) {
        for (const auto& operation : status.operations) {
            text.sample("request_errors_total",
                        joined(labels, label("op", operation.name)),
                        operation.errors);
        }
    }
    text.head("request_duration_seconds", "histogram", "Time to serve FUSE requests.");
    for (const auto& [status, labels] : daemons) {
        for (const auto& operation : status.operations) {
            add_latency(status, operation, joined(labels, label("op", operation.name)), text);
        }
    }
}

std::string to_text(const std::vector<Labelled>& daemons) {
    PrometheusText text;
    add_info(daemons, text);
    add_gauges(daemons, text);
    add_queues(daemons, text);
    add_operations(daemons, text);
    return std::move(text).take();
}

} // namespace

std::string to_prometheus(const Status& status) {
    return to_text({{status, ""}});
}

std::string to_prometheus(std::span<const PlacedStatus> daemons) {
    std::vector<Labelled> labelled;
    for (const auto& [vm, tag, status] : daemons) {
        labelled.push_back({status, joined(label("vm", vm), label("tag", tag))});
    }
    return to_text(labelled);
}

} // namespace vfskit::control
