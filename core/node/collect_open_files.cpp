// SPDX-License-Identifier: Apache-2.0
// What the guests of running daemons have open and a migration would not find again.
#include "core/control/client.h"
#include "core/node/collect_parts.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace vfskit::node {

namespace {

constexpr std::size_t max_examples = 5;

OpenFilesFacts summarize(const control::MigrationReport& report) {
    OpenFilesFacts files;
    for (const auto& file : report.files) {
        switch (file.passage) {
        case control::Passage::none:
            ++files.stuck;
            break;
        case control::Passage::same_directory:
            ++files.by_handle;
            break;
        case control::Passage::same_host:
            ++files.by_descriptor;
            break;
        }
        if (files.examples.size() < max_examples && !file.path.empty()) {
            files.examples.push_back(file.path);
        }
    }
    // What the report counts and does not list may be of the worst kind.
    files.stuck +=
        report.unreachable - std::min<std::uint64_t>(report.unreachable, report.files.size());
    files.locks = report.posix_locks + report.flocks;
    files.locks_move = report.locks_move;
    return files;
}

} // namespace

Result<control::MigrationReport> report_over_socket(const std::string& control_socket,
                                                    std::chrono::milliseconds timeout) {
    VFSKIT_TRY_ASSIGN(auto client, control::Client::connect(control_socket, timeout));
    return client.migration_report();
}

void ask_daemons(std::vector<DaemonFacts>& daemons, const Places& places) {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + asking_daemons;
    for (auto& daemon : daemons) {
        const auto left = std::chrono::floor<std::chrono::milliseconds>(deadline - Clock::now());
        if (!daemon.is_alive || !daemon.control_socket || left.count() <= 0) {
            continue;
        }
        if (const auto report = places.ask_daemon(*daemon.control_socket, left)) {
            daemon.open_files = summarize(*report);
        } else if (report.error().code() == ENOTCONN) {
            daemon.open_files = OpenFilesFacts{}; // no guest has mounted it: nothing is open
        }
    }
}

} // namespace vfskit::node
