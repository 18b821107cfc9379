// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_stop.h"

#include "vfsctl/cmd/launching.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

constexpr std::uint32_t default_grace = 60;

void bind(DaemonStopOptions& options, OptionSet& set) {
    set.text({.name = "VM", .help = "The VM whose daemons are stopped"}, options.vm)
        .text({.name = "TAG", .help = "Only the daemon of this share"}, options.tag)
        .flag({.name = "--all", .help = "Those of all VMs of this host"}, options.all)
        .flag({.name = "--stale",
               .help = "Only what dead daemons left, and daemons that waited in vain for a VM"},
              options.stale)
        .number({.name = "--grace",
                 .value = "SECONDS",
                 .help = "How long a daemon may wait for its VM before --stale stops it. "
                         "Default: 60"},
                options.grace);
}

Result<void> check(const DaemonStopOptions& options) {
    if (options.grace && !options.stale) {
        return Error{EINVAL, "--grace says when --stale stops a daemon"}.with_remedy(
            "Give --stale too");
    }
    if (options.vm && options.all) {
        return Error{EINVAL, "--all stops the daemons of all VMs, and one VM is named"}.with_remedy(
            "Give one of them");
    }
    if (!options.vm && !options.all && !options.stale) {
        return Error{EINVAL, "It is not said which daemons to stop"}.with_remedy(
            "Name the VM, or give --all or --stale");
    }
    return {};
}

} // namespace

Verb daemon_stop_verb() {
    return make_verb<DaemonStopOptions>(
        {.path = "daemon stop",
         .summary = "Stop daemons and remove what they left",
         .description =
             "A guest whose daemon is stopped hangs in its next access to the share, and cannot "
             "be migrated; QEMU does not connect again. Stop the VM first, or detach the share. "
             "It is no error when there is nothing to stop.",
         .examples = R"(
vfsctl daemon stop web
vfsctl daemon stop web media
vfsctl daemon stop --stale --grace 0)"},
        bind,
        run_daemon_stop);
}

Result<ExitCode> run_daemon_stop(const DaemonStopOptions& options, Services& services) {
    VFSKIT_TRY(check(options));
    VFSKIT_TRY_ASSIGN(const auto launcher, open_launcher(LauncherKind::automatic, services));
    VFSKIT_TRY_ASSIGN(const auto stopped,
                      launcher->stop({.vm = options.vm, .tag = options.tag},
                                     options.stale,
                                     std::chrono::seconds{options.grace.value_or(default_grace)}));
    if (services.output.is_json()) {
        auto document = make_document("daemon-stopped");
        document["daemons"] = nlohmann::ordered_json::array();
        for (const auto& found : stopped) {
            document["daemons"].push_back(to_json(found));
        }
        services.output.print_json(document);
        return ExitCode::ok;
    }
    for (const auto& found : stopped) {
        const bool was_dead = found.state == launch::DaemonState::ended;
        services.output.say(fmt::format("{} the daemon of '{}' of VM '{}'{}",
                                        was_dead ? "Removed what" : "Stopped",
                                        found.record.tag,
                                        found.record.vm,
                                        was_dead ? " left" : ""));
    }
    if (stopped.empty()) {
        services.output.say("Nothing to stop");
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
