// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/control_handlers.h"

#include "core/base/text.h"

#include <string>
#include <vector>

namespace vfskit::virtiofsd {

control::Status ControlHandlers::status() {
    control::Status status;
    status.version = base::trim(version_text());
    status.pid = static_cast<std::uint32_t>(pid_);
    status.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - started_);
    status.shared_dir = options_.shared_dir;
    status.tag = options_.tag.value_or("");
    status.log_level = control::to_string(log_.level());
    add_gauges(status);
    add_queues(status);
    add_operations(status);
    return status;
}

Result<void> ControlHandlers::set_log_level(LogLevel level) {
    log_.set_level(level);
    return {};
}

void ControlHandlers::add_gauges(control::Status& status) const {
    const auto gauges = session_.gauges();
    status.inodes = gauges.inodes;
    status.handles = gauges.handles;
    status.fds = gauges.fds;
    status.fd_budget = gauges.fd_budget;
}

void ControlHandlers::add_queues(control::Status& status) {
    const auto queues = server_.queue_status();
    status.is_connected = queues.has_value();
    for (const auto& queue : queues.value_or(std::vector<vhost_user::QueueStatus>{})) {
        status.queues.push_back(
            {vhost_user::to_integer(queue.queue), queue.in_flight, queue.requests});
    }
}

void ControlHandlers::add_operations(control::Status& status) const {
    for (std::size_t bucket = 0; bucket + 1 < fuse::latency_bucket_count; ++bucket) {
        status.latency_limits.push_back(fuse::latency_bucket_limit(bucket));
    }
    const auto statistics = session_.statistics();
    status.bytes_read = statistics.bytes_read;
    status.bytes_written = statistics.bytes_written;
    status.unanswerable = statistics.unanswerable;
    for (const auto& opcode : statistics.opcodes) {
        status.operations.push_back({std::string{fuse::opcode_name(opcode.opcode)},
                                     opcode.count,
                                     opcode.errors,
                                     opcode.total,
                                     {opcode.latency.begin(), opcode.latency.end()}});
    }
}

} // namespace vfskit::virtiofsd
