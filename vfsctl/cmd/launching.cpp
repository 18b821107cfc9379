// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/launching.h"

#include "vfsctl/cmd/running_daemons.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

const std::vector<std::string> kind_words{"auto", "systemd", "direct"};

} // namespace

Result<LauncherKind> parse_launcher_kind(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, kind_words));
    return known == "systemd"  ? LauncherKind::systemd
           : known == "direct" ? LauncherKind::direct
                               : LauncherKind::automatic;
}

void bind_launcher_kind(LauncherKind& kind, OptionSet& set) {
    set.value({.name = "--launcher",
               .value = "WHO",
               .help = "Who keeps the daemon: systemd as a transient unit, direct with a pid file, "
                       "or auto (default): systemd where it runs this host",
               .completes = Completes::words,
               .words = kind_words},
              kind,
              parse_launcher_kind);
}

Result<OwnedLauncher> open_launcher(LauncherKind kind, Services& services) {
    OwnedLauncher owned;
    if (kind != LauncherKind::direct) {
        VFSKIT_TRY_ASSIGN(owned.systemd, services.environment.connect_systemd());
        if (!owned.systemd && kind == LauncherKind::systemd) {
            return Error{ENOTSUP, "systemd does not run this host"}.with_remedy(
                "Use --launcher direct");
        }
    }
    owned.launcher = std::make_unique<launch::Launcher>(launch::Layout{run_dir_of(services)},
                                                        owned.systemd.get());
    return owned;
}

nlohmann::ordered_json record_json(const launch::DaemonRecord& record) {
    auto document = nlohmann::ordered_json::parse(launch::to_json(record));
    document.erase("kind");
    document.erase("version");
    return document;
}

Result<void> stop_daemon(const std::string& vm, const std::string& tag, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto launcher, open_launcher(LauncherKind::automatic, services));
    VFSKIT_TRY(launcher->stop({.vm = vm, .tag = tag}));
    return {};
}

nlohmann::ordered_json to_json(const launch::FoundDaemon& found) {
    auto document = record_json(found.record);
    document["state"] = launch::to_string(found.state);
    if (found.state != launch::DaemonState::ended) {
        document["age-seconds"] = found.age.count();
    }
    if (!found.problem.empty()) {
        document["problem"] = to_utf8(found.problem);
    }
    return document;
}

} // namespace vfskit::vfsctl
