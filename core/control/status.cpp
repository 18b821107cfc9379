// SPDX-License-Identifier: Apache-2.0
#include "core/control/status.h"

#include "core/control/object_reader.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cmath>

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
