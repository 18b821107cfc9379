// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_status.h"

#include "core/control/client.h"
#include "core/control/prometheus.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

using control::DaemonSocket;
using control::Status;

namespace {

void bind(DaemonStatusOptions& options, OptionSet& set) {
    bind_daemon_choice(options.daemons, set);
    set.flag({.name = "--prometheus", .help = "Print every counter as Prometheus reads them"},
             options.prometheus);
}

struct Asked {
    DaemonSocket socket;
    Result<Status> status;
};

Result<Status> ask(const DaemonSocket& socket) {
    VFSKIT_TRY_ASSIGN(auto client, control::Client::connect(socket.path));
    return client.status();
}

std::vector<Asked> ask_all(const std::vector<DaemonSocket>& sockets) {
    std::vector<Asked> asked;
    for (const auto& socket : sockets) {
        asked.push_back({socket, ask(socket)});
    }
    return asked;
}

std::uint64_t total(const Status& status, std::uint64_t control::OperationStatus::*member) {
    std::uint64_t sum = 0;
    for (const auto& operation : status.operations) {
        sum += operation.*member;
    }
    return sum;
}

std::string count(std::uint64_t number) {
    return short_count(static_cast<double>(number));
}

void add_row(const Asked& asked, Table& table) {
    const bool has_place = !asked.socket.vm.empty();
    if (!asked.status) {
        table.add({has_place ? asked.socket.vm : "-",
                   has_place ? asked.socket.tag : "-",
                   "-",
                   "no answer",
                   "-",
                   "-",
                   "-",
                   "-",
                   "-",
                   "-",
                   "-",
                   asked.socket.path});
        table.color_last(3, Color::red);
        return;
    }
    const Status& status = *asked.status;
    table.add({has_place ? asked.socket.vm : "-",
               has_place            ? asked.socket.tag
               : status.tag.empty() ? "-"
                                    : status.tag,
               fmt::to_string(status.pid),
               status.is_connected ? "connected" : "waiting",
               short_age(status.uptime),
               status.log_level,
               count(total(status, &control::OperationStatus::count)),
               count(total(status, &control::OperationStatus::errors)),
               count(status.inodes),
               fmt::format("{}/{}", status.fds, status.fd_budget),
               fmt::format("{} + {}",
                           short_bytes(static_cast<double>(status.bytes_read)),
                           short_bytes(static_cast<double>(status.bytes_written))),
               status.shared_dir});
    table.color_last(3, status.is_connected ? Color::green : Color::yellow);
}

void print_table(const std::vector<Asked>& asked, Services& services) {
    Table table{{"VM",
                 "TAG",
                 "PID",
                 "STATE",
                 "UP",
                 "LOG",
                 "REQUESTS",
                 "ERRORS",
                 "INODES",
                 "FDS",
                 "READ + WRITTEN",
                 "DIRECTORY"}};
    for (const auto& each : asked) {
        add_row(each, table);
    }
    services.output.print(table.render(services.output));
    if (table.is_empty()) {
        services.output.say("No daemons");
    }
}

void print_json(const std::vector<Asked>& asked, Services& services) {
    auto document = make_document("daemon-states");
    document["daemons"] = nlohmann::ordered_json::array();
    for (const auto& each : asked) {
        auto daemon = to_json(each.socket);
        if (each.status) {
            // The daemon's own document, so that there is one description of it.
            daemon["status"] = nlohmann::ordered_json::parse(control::to_json(*each.status));
        } else {
            daemon["failure"] = failure_to_json(each.status.error());
        }
        document["daemons"].push_back(std::move(daemon));
    }
    services.output.print_json(document);
}

void print_prometheus(const std::vector<Asked>& asked, Services& services) {
    std::vector<control::PlacedStatus> placed;
    for (const auto& each : asked) {
        if (each.status && each.socket.vm.empty()) {
            services.output.print(control::to_prometheus(*each.status));
            return;
        }
        if (each.status) {
            placed.push_back({each.socket.vm, each.socket.tag, *each.status});
        }
    }
    services.output.print(control::to_prometheus(placed));
}

} // namespace

Verb daemon_status_verb() {
    return make_verb<DaemonStatusOptions>(
        {.path = "daemon status",
         .summary = "Show what the running daemons say about themselves",
         .description =
             "Asks the control socket of every daemon below /run/vfskit, or of those named. The "
             "exit status is 1 when one of several does not answer; the others are shown all the "
             "same. --json gives every counter and latency class.",
         .examples = R"(
vfsctl daemon status
vfsctl daemon status 100 media --json | jq '.daemons[].status.inodes'
vfsctl daemon status --prometheus > /var/lib/prometheus/node-exporter/vfskit.prom
vfsctl daemon status --control-socket /run/media.control)"},
        bind,
        run_daemon_status);
}

Result<ExitCode> run_daemon_status(const DaemonStatusOptions& options, Services& services) {
    if (options.prometheus && services.output.is_json()) {
        return Error{EINVAL, "--prometheus and --json are two formats"}.with_remedy(
            "Leave one of them out");
    }
    VFSKIT_TRY_ASSIGN(const auto sockets, find_daemons(options.daemons, services));
    auto asked = ask_all(sockets);
    if (options.daemons.names_any() && asked.size() == 1 && !asked.front().status) {
        return std::move(asked.front().status).error();
    }
    if (options.prometheus) {
        print_prometheus(asked, services);
    } else if (services.output.is_json()) {
        print_json(asked, services);
    } else {
        print_table(asked, services);
    }
    const bool all_answer =
        std::ranges::all_of(asked, [](const Asked& each) { return each.status.has_value(); });
    for (const auto& each : asked) {
        if (!each.status) {
            services.output.warn(each.status.error().describe());
        }
    }
    return all_answer ? ExitCode::ok : ExitCode::failed;
}

} // namespace vfskit::vfsctl
