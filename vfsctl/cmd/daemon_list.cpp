// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_list.h"

#include "vfsctl/cmd/launching.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

namespace {

void bind(DaemonListOptions& options, OptionSet& set) {
    set.text({.name = "VM", .help = "Only the daemons of this VM"}, options.vm);
}

Color color_of(launch::DaemonState state) {
    return state == launch::DaemonState::connected ? Color::green
           : state == launch::DaemonState::ended   ? Color::red
                                                   : Color::yellow;
}

} // namespace

Verb daemon_list_verb() {
    return make_verb<DaemonListOptions>(
        {.path = "daemon list",
         .summary = "List the daemons that were started for VMs of this host",
         .description =
             "connected: a VM uses it; waiting: it listens and nobody has come; starting; ended: "
             "only its files are left, 'vfsctl daemon stop --stale' removes them. Nothing is "
             "changed. 'vfsctl daemon status' asks the daemons themselves.",
         .examples = R"x(
vfsctl daemon list
vfsctl daemon list web --json | jq -r '.daemons[] | "\(.tag) \(.state)"')x"},
        bind,
        run_daemon_list);
}

Result<ExitCode> run_daemon_list(const DaemonListOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto launcher, open_launcher(LauncherKind::automatic, services));
    VFSKIT_TRY_ASSIGN(const auto all, launcher->list({.vm = options.vm, .tag = {}}));
    if (services.output.is_json()) {
        auto document = make_document("daemon-list");
        document["daemons"] = nlohmann::ordered_json::array();
        for (const auto& found : all) {
            document["daemons"].push_back(to_json(found));
        }
        services.output.print_json(document);
        return ExitCode::ok;
    }
    Table table{{"VM", "TAG", "STATE", "PID", "KEEPER", "MAPPING", "DIRECTORY"}};
    for (const auto& found : all) {
        const auto& record = found.record;
        table.add({record.vm,
                   record.tag,
                   std::string{to_string(found.state)},
                   record.process.pid == 0 ? "-" : fmt::format("{}", record.process.pid),
                   std::string{to_string(record.keeper)},
                   record.mapping,
                   record.shared_dir});
        table.color_last(2, color_of(found.state));
        if (!found.problem.empty()) {
            services.output.warn(found.problem);
        }
    }
    if (table.is_empty()) {
        services.output.say("No daemons");
    }
    services.output.print(table.render(services.output));
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
