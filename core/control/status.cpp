// SPDX-License-Identifier: Apache-2.0
#include "core/control/status.h"

#include "core/control/object_reader.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <iterator>

namespace vfskit::control {

namespace {

Json operation_to_json(const OperationStatus& operation) {
    return {{"name", operation.name},
            {"count", operation.count},
            {"errors", operation.errors},
            {"total_ns", operation.total.count()},
            {"latency", operation.latency}};
}

Json queue_to_json(const QueueStatus& queue) {
    return {{"index", queue.index}, {"depth", queue.depth}, {"processed", queue.processed}};
}

OperationStatus read_operation(const Json& json, ObjectReader& parent) {
    OperationStatus operation;
    ObjectReader reader{json, "An operation"};
    reader.read("name", operation.name);
    reader.read("count", operation.count);
    reader.read("errors", operation.errors);
    reader.read("total_ns", operation.total);
    reader.read_numbers("latency", operation.latency);
    if (!reader.fault().empty()) {
        parent.fail(reader.fault());
    }
    return operation;
}

QueueStatus read_queue(const Json& json, ObjectReader& parent) {
    QueueStatus queue;
    ObjectReader reader{json, "A queue"};
    reader.read("index", queue.index);
    reader.read("depth", queue.depth);
    reader.read("processed", queue.processed);
    if (!reader.fault().empty()) {
        parent.fail(reader.fault());
    }
    return queue;
}

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
    template <class T>
    void metric(std::string_view name, std::string_view type, std::string_view help, T value) {
        head(name, type, help);
        sample(name, {}, value);
    }
    std::string take() && { return std::move(text_); }

private:
    std::string text_;
};

void add_operations(const Status& status, PrometheusText& text) {
    text.head("request_errors_total", "counter", "FUSE requests answered with an errno.");
    for (const auto& operation : status.operations) {
        text.sample("request_errors_total",
                    fmt::format("op=\"{}\"", escape_label(operation.name)),
                    operation.errors);
    }
    text.head("request_duration_seconds", "histogram", "Time to serve FUSE requests.");
    for (const auto& operation : status.operations) {
        const auto name = escape_label(operation.name);
        std::uint64_t below = 0;
        const auto classes = std::min(operation.latency.size(), status.latency_limits.size());
        for (std::size_t i = 0; i < classes; ++i) {
            below += operation.latency[i];
            text.sample("request_duration_seconds_bucket",
                        fmt::format("op=\"{}\",le=\"{}\"", name, seconds(status.latency_limits[i])),
                        below);
        }
        const auto label = fmt::format("op=\"{}\"", name);
        text.sample("request_duration_seconds_bucket", label + ",le=\"+Inf\"", operation.count);
        text.sample("request_duration_seconds_sum", label, seconds(operation.total));
        text.sample("request_duration_seconds_count", label, operation.count);
    }
}

void add_queues(const Status& status, PrometheusText& text) {
    text.head("queue_depth", "gauge", "Requests taken from a virtqueue and not yet answered.");
    for (const auto& queue : status.queues) {
        text.sample("queue_depth", fmt::format("queue=\"{}\"", queue.index), queue.depth);
    }
    text.head("queue_processed_total", "counter", "Requests answered on a virtqueue.");
    for (const auto& queue : status.queues) {
        text.sample(
            "queue_processed_total", fmt::format("queue=\"{}\"", queue.index), queue.processed);
    }
}

} // namespace

std::string to_json(const Status& status) {
    Json json{{"version", status.version},
              {"pid", status.pid},
              {"uptime_ms", status.uptime.count()},
              {"shared_dir", status.shared_dir},
              {"tag", status.tag},
              {"connected", status.is_connected},
              {"log_level", status.log_level},
              {"inodes", status.inodes},
              {"handles", status.handles},
              {"fds", status.fds},
              {"fd_budget", status.fd_budget},
              {"bytes_read", status.bytes_read},
              {"bytes_written", status.bytes_written},
              {"unanswerable", status.unanswerable}};
    auto& queues = json["queues"] = Json::array();
    for (const auto& queue : status.queues) {
        queues.push_back(queue_to_json(queue));
    }
    auto& limits = json["latency_limits_ns"] = Json::array();
    for (const auto limit : status.latency_limits) {
        limits.push_back(limit.count());
    }
    auto& operations = json["operations"] = Json::array();
    for (const auto& operation : status.operations) {
        operations.push_back(operation_to_json(operation));
    }
    return dump(json);
}

Result<Status> parse_status(std::string_view text) {
    const auto json = Json::parse(text, nullptr, false);
    Status status;
    ObjectReader reader{json, "The daemon's status"};
    reader.read("version", status.version);
    reader.read("pid", status.pid);
    reader.read("uptime_ms", status.uptime);
    reader.read("shared_dir", status.shared_dir);
    reader.read("tag", status.tag);
    reader.read("connected", status.is_connected);
    reader.read("log_level", status.log_level);
    reader.read("inodes", status.inodes);
    reader.read("handles", status.handles);
    reader.read("fds", status.fds);
    reader.read("fd_budget", status.fd_budget);
    reader.read("bytes_read", status.bytes_read);
    reader.read("bytes_written", status.bytes_written);
    reader.read("unanswerable", status.unanswerable);
    reader.read_array("queues", [&](const Json& element) {
        status.queues.push_back(read_queue(element, reader));
    });
    std::vector<std::uint64_t> limits;
    reader.read_numbers("latency_limits_ns", limits);
    for (const auto limit : limits) {
        status.latency_limits.emplace_back(static_cast<std::int64_t>(limit));
    }
    reader.read_array("operations", [&](const Json& element) {
        status.operations.push_back(read_operation(element, reader));
    });
    if (!reader.fault().empty()) {
        return Error{EBADMSG, reader.fault()}.with_remedy(
            "Use a vfsctl of the same version as the daemon");
    }
    return status;
}

std::string to_prometheus(const Status& status) {
    PrometheusText text;
    text.head("info", "gauge", "The daemon, its version and what it shares.");
    text.sample("info",
                fmt::format("version=\"{}\",tag=\"{}\",shared_dir=\"{}\"",
                            escape_label(status.version),
                            escape_label(status.tag),
                            escape_label(status.shared_dir)),
                1);
    text.metric("uptime_seconds", "gauge", "Since the daemon started.", seconds(status.uptime));
    text.metric(
        "connected", "gauge", "1 if a virtual machine is attached.", status.is_connected ? 1 : 0);
    text.metric("inodes", "gauge", "Inodes that the guest knows.", status.inodes);
    text.metric(
        "handles", "gauge", "Files and directories that the guest has open.", status.handles);
    text.metric("fds", "gauge", "File descriptors held for the guest.", status.fds);
    text.metric("fd_budget", "gauge", "File descriptors that may be held.", status.fd_budget);
    text.metric("read_bytes_total", "counter", "Bytes that the guest read.", status.bytes_read);
    text.metric(
        "written_bytes_total", "counter", "Bytes that the guest wrote.", status.bytes_written);
    text.metric("unanswerable_total",
                "counter",
                "Requests too broken to be answered.",
                status.unanswerable);
    add_queues(status, text);
    add_operations(status, text);
    return std::move(text).take();
}

std::chrono::nanoseconds
latency_quantile(const Status& status, const OperationStatus& operation, double share) {
    std::uint64_t total = 0;
    for (const auto count : operation.latency) {
        total += count;
    }
    if (total == 0 || status.latency_limits.empty()) {
        return {};
    }
    const auto wanted = std::max(1.0, std::ceil(share * static_cast<double>(total)));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < operation.latency.size(); ++i) {
        below += operation.latency[i];
        if (static_cast<double>(below) >= wanted) {
            return status.latency_limits[std::min(i, status.latency_limits.size() - 1)];
        }
    }
    return status.latency_limits.back();
}

} // namespace vfskit::control
