// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_log_level.h"

#include "core/control/client.h"
#include "core/control/server.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

void bind(DaemonLogLevelOptions& options, OptionSet& set) {
    set.value({.name = "LEVEL",
               .help = "What is logged from now on: error, warn, info, debug or trace",
               .completes = Completes::words,
               .words = {"error", "warn", "info", "debug", "trace"},
               .is_required = true},
              options.level,
              control::parse_log_level);
    bind_daemon_choice(options.daemons, set);
}

Result<void> set_level(const control::DaemonSocket& socket, LogLevel level) {
    VFSKIT_TRY_ASSIGN(auto client, control::Client::connect(socket.path));
    return client.set_log_level(level);
}

} // namespace

Verb daemon_log_level_verb() {
    return make_verb<DaemonLogLevelOptions>(
        {.path = "daemon log-level",
         .summary = "Change what running daemons log, until they end",
         .description = "The daemons are those of a VM, the one of a VM's share, or the one of a "
                        "control socket.",
         .examples = R"(
vfsctl daemon log-level debug 100 media
vfsctl daemon log-level info 100
vfsctl daemon log-level trace --control-socket /run/media.control)"},
        bind,
        run_daemon_log_level);
}

Result<ExitCode> run_daemon_log_level(const DaemonLogLevelOptions& options, Services& services) {
    if (!options.daemons.names_any()) {
        return Error{EINVAL, "It is not said whose log level shall change"}.with_remedy(
            "Name a VM, or give --control-socket");
    }
    VFSKIT_TRY_ASSIGN(const auto sockets, find_daemons(options.daemons, services));
    auto document = make_document("daemon-log-level");
    document["log-level"] = control::to_string(options.level);
    document["daemons"] = nlohmann::ordered_json::array();
    for (const auto& socket : sockets) {
        if (auto set = set_level(socket, options.level); !set) {
            return std::move(set).error().under(fmt::format("Daemon {}", name_of(socket)));
        }
        document["daemons"].push_back(to_json(socket));
        services.output.say(fmt::format(
            "Daemon {} logs '{}' and worse", name_of(socket), control::to_string(options.level)));
    }
    if (services.output.is_json()) {
        services.output.print_json(document);
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
