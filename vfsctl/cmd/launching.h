// SPDX-License-Identifier: Apache-2.0
// What the verbs that start, stop and list daemons have in common.
#pragma once

#include "core/base/result.h"
#include "core/launch/launcher.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/services.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace vfskit::vfsctl {

/// Who keeps the daemons.
enum class LauncherKind {
    automatic, ///< systemd where it runs this host
    systemd,
    direct,
};
Result<LauncherKind> parse_launcher_kind(std::string_view word);
/// The option --launcher.
void bind_launcher_kind(LauncherKind& kind, OptionSet& set);

/// A Launcher over VFSKIT_RUN_DIR, with the systemd that it needs. Not movable: the one refers to
/// the other.
struct OwnedLauncher {
    std::unique_ptr<launch::ServiceManager> systemd;
    std::unique_ptr<launch::Launcher> launcher;

    launch::Launcher* operator->() const { return launcher.get(); }
};
/// ENOTSUP for LauncherKind::systemd where it does not run.
Result<OwnedLauncher> open_launcher(LauncherKind kind, Services& services);

/// Stops the daemon that was started for one share, if there is one.
Result<void> stop_daemon(const std::string& vm, const std::string& tag, Services& services);

/// One daemon as `daemon list` and `daemon stop` show it.
nlohmann::ordered_json to_json(const launch::FoundDaemon& found);
/// The record as a value, without its kind and version.
nlohmann::ordered_json record_json(const launch::DaemonRecord& record);

} // namespace vfskit::vfsctl
