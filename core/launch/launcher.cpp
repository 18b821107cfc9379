// SPDX-License-Identifier: Apache-2.0
#include "core/launch/launcher.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/launch/direct.h"
#include "core/launch/processes.h"
#include "core/launch/state_directory.h"
#include "core/share/capabilities.h"
#include "core/share/daemon_command.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <thread>
#include <utility>

namespace vfskit::launch {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds poll_interval{10};
// What systemd itself waits before SIGKILL: TimeoutStopUSec of make_unit().
constexpr std::chrono::milliseconds unit_stop_time{10000};

std::string utc_now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

// Polls `is_done` (Result<bool>) until it is true; false when the time is over.
template <class IsDone>
Result<bool> wait_until(std::chrono::milliseconds time, IsDone is_done) {
    const auto deadline = Clock::now() + time;
    while (true) {
        VFSKIT_TRY_ASSIGN(const bool done, is_done());
        if (done) {
            return true;
        }
        if (Clock::now() >= deadline) {
            return false;
        }
        std::this_thread::sleep_for(poll_interval);
    }
}

bool matches(const Selection& selection, const DaemonRecord& record) {
    return (!selection.vm || *selection.vm == record.vm) &&
           (!selection.tag || *selection.tag == record.tag);
}

Error in_use(const std::string& what, const std::string& remedy) {
    return Error{EADDRINUSE, what}.with_remedy(remedy);
}

Result<ProcessSpec> make_spec(const StartRequest& request, const SharePaths& paths) {
    const share::DaemonCommandOptions options{.program = request.program,
                                              .socket = share::SocketPath{paths.socket},
                                              .socket_group = request.socket_group,
                                              .advertise_tag = false,
                                              .log_level = request.log_level,
                                              .syslog = false,
                                              .runs_as_root = ::geteuid() == 0};
    VFSKIT_TRY_ASSIGN(auto spec, share::daemon_command(request.share, request.daemon, options));
    if (request.daemon.dialect == share::Dialect::bundled ||
        request.daemon.has_feature(share::feature_control_socket)) {
        spec.args.push_back("--control-socket=" + paths.control);
    }
    return spec;
}

Result<UnitOptions> make_unit_options(const StartRequest& request) {
    UnitOptions options;
    options.readonly = request.share.readonly;
    options.keeps_record_at_end = request.restart == Restart::on_failure;
    if (request.share.modcaps) {
        VFSKIT_TRY_ASSIGN(const auto changes,
                          share::parse_capability_changes(*request.share.modcaps));
        for (const auto& change : changes) {
            if (change.adds) {
                options.added_capabilities.push_back(base::to_lower(change.name));
            }
        }
    }
    if (request.limits.limits_io()) {
        VFSKIT_TRY_ASSIGN(options.io_target,
                          io_limit_target(request.limits.io_device.value_or(request.share.path)));
    }
    return options;
}

std::array<std::string, 6> files_of(const SharePaths& paths) {
    return {paths.socket,
            paths.socket_pid_file(),
            paths.control,
            paths.pid_file,
            paths.log,
            paths.record};
}

void remove_files(const SharePaths& paths) {
    // The record last: as long as it is there, list() shows that something is left.
    for (const auto& file : files_of(paths)) {
        ::unlink(file.c_str());
    }
}

Result<void> write_record(const DaemonRecord& record, const SharePaths& paths) {
    return base::replace_file(paths.record, to_json(record), {.mode = 0644, .sync = false});
}

} // namespace

std::string_view to_string(DaemonState state) {
    switch (state) {
    case DaemonState::connected:
        return "connected";
    case DaemonState::waiting:
        return "waiting";
    case DaemonState::starting:
        return "starting";
    case DaemonState::ended:
        break;
    }
    return "ended";
}

Launcher::Launcher(Layout layout, ServiceManager* systemd)
    : layout_{std::move(layout)}, systemd_{systemd} {}

Result<FoundDaemon> Launcher::examine(DaemonRecord record) {
    FoundDaemon found;
    if (record.keeper == Keeper::systemd && systemd_ != nullptr && record.unit) {
        VFSKIT_TRY_ASSIGN(const auto state, systemd_->state(*record.unit));
        const auto pid = state && state->is_live() ? static_cast<pid_t>(state->main_pid) : 0;
        if (state && state->is_live()) {
            found.state = DaemonState::starting;
        }
        record.process = find_process(pid).value_or(ProcessId{});
    } else {
        if (record.process.pid == 0) {
            VFSKIT_TRY_ASSIGN(const auto paths, layout_.paths(record.vm, record.tag));
            record.process = read_locked_pid_file(paths.pid_file);
        }
        if (!is_alive(record.process)) {
            record.process = {};
        }
    }
    if (record.process.pid != 0) {
        found.age = age_of(record.process);
        const auto use = socket_use(record.socket, record.process.pid);
        // A virtiofsd listens until a front-end has come, so one that no longer does is in use,
        // also when its front-end is in another network namespace and cannot be seen.
        const bool is_used = use.is_connected || (!use.is_listening && found.age > patience_) ||
                             (use.is_listening && control_tells_connected(record.control));
        found.state = is_used            ? DaemonState::connected
                      : use.is_listening ? DaemonState::waiting
                                         : DaemonState::starting;
    }
    found.record = std::move(record);
    return found;
}

Result<void> Launcher::make_room(const StartRequest& request, const SharePaths& paths) {
    const auto busy = [&](const std::string& who) {
        return in_use(fmt::format("The socket '{}' is in use: {}", paths.socket, who),
                      fmt::format("Stop it with 'vfsctl daemon stop {} {}', or use "
                                  "another tag",
                                  base::shell_quote(request.vm),
                                  base::shell_quote(request.share.tag)));
    };
    std::optional<FoundDaemon> found;
    if (auto record = read_record(paths.record)) {
        VFSKIT_TRY_ASSIGN(found, examine(std::move(*record)));
    } else if (systemd_ != nullptr) {
        VFSKIT_TRY_ASSIGN(const auto state, systemd_->state(paths.unit));
        if (state && state->is_live()) {
            DaemonRecord unrecorded;
            unrecorded.vm = request.vm;
            unrecorded.tag = request.share.tag;
            unrecorded.keeper = Keeper::systemd;
            unrecorded.unit = paths.unit;
            unrecorded.socket = paths.socket;
            VFSKIT_TRY_ASSIGN(found, examine(std::move(unrecorded)));
        }
    }
    if (found && found->state != DaemonState::ended) {
        if (found->state == DaemonState::connected || !request.replaces_waiting) {
            return busy(fmt::format("a daemon of the share '{}' of VM '{}' is {}, process {}",
                                    request.share.tag,
                                    request.vm,
                                    to_string(found->state),
                                    found->record.process.pid));
        }
        VFSKIT_TRY(end(*found));
    }
    const auto use = socket_use(paths.socket);
    if (use.is_listening || use.is_connected) {
        return busy("a process that vfskit did not start serves it");
    }
    for (const auto& file : {paths.socket_pid_file(), paths.pid_file}) {
        if (is_locked(file)) {
            return busy(fmt::format("a live process holds '{}'", file));
        }
    }
    remove_files(paths);
    return systemd_ != nullptr ? systemd_->reset_failed(paths.unit) : Result<void>{};
}

std::string Launcher::last_words(const DaemonRecord& record) {
    if (record.keeper == Keeper::systemd) {
        return systemd_ != nullptr && record.unit ? systemd_->last_words(*record.unit) : "";
    }
    return record.log ? last_lines(*record.log, 3) : "";
}

Result<void> Launcher::wait_until_listening(DaemonRecord& record, const SharePaths& paths) {
    bool ended = false;
    const auto is_ready = [&]() -> Result<bool> {
        VFSKIT_TRY_ASSIGN(const auto found, examine(record));
        ended = found.state == DaemonState::ended;
        if (found.state == DaemonState::waiting || found.state == DaemonState::connected) {
            record.process = found.record.process;
            return true;
        }
        return ended;
    };
    VFSKIT_TRY_ASSIGN(const bool is_decided, wait_until(patience_, is_ready));
    if (is_decided && !ended) {
        return {};
    }
    auto words = last_words(record);
    std::ranges::replace(words, '\n', ' ');
    const auto said = words.empty() ? std::string{} : fmt::format("; it said: {}", words);
    if (ended) {
        return Error{ECHILD,
                     fmt::format("The daemon of share '{}' ended before it listened on '{}'{}",
                                 record.tag,
                                 paths.socket,
                                 said)}
            .with_remedy("Correct what it complains of");
    }
    return Error{ETIMEDOUT,
                 fmt::format("The daemon of share '{}' did not listen on '{}' within {} ms{}",
                             record.tag,
                             paths.socket,
                             patience_.count(),
                             said)};
}

Result<void>
Launcher::launch(const StartRequest& request, DaemonRecord& record, const SharePaths& paths) {
    if (record.keeper == Keeper::systemd) {
        VFSKIT_TRY_ASSIGN(const auto options, make_unit_options(request));
        VFSKIT_TRY(systemd_->start(make_unit(record, paths, options)));
    } else {
        const ProcessSpec spec{record.argv.front(), {record.argv.begin() + 1, record.argv.end()}};
        VFSKIT_TRY_ASSIGN(record.process, start_directly(spec, paths));
    }
    VFSKIT_TRY(wait_until_listening(record, paths));
    if (record.keeper == Keeper::systemd) {
        VFSKIT_TRY(base::replace_file(paths.pid_file,
                                      fmt::format("{}\n", record.process.pid),
                                      {.mode = 0644, .sync = false}));
    }
    return write_record(record, paths);
}

Result<DaemonRecord> Launcher::start(const StartRequest& request) {
    VFSKIT_TRY_ASSIGN(const auto paths, layout_.paths(request.vm, request.share.tag));
    VFSKIT_TRY_ASSIGN(const auto spec, make_spec(request, paths));
    if (systemd_ == nullptr && (!request.limits.is_empty() || request.restart != Restart::never)) {
        return Error{ENOTSUP, "Limits and restarts are systemd's, which does not start this daemon"}
            .with_remedy("Leave them out, or start it on a host that systemd runs");
    }
    VFSKIT_TRY(make_unit_options(request)); // before anything is made
    VFSKIT_TRY_ASSIGN(const auto lock, lock_state_directory(layout_, paths.directory, true));
    VFSKIT_TRY(make_room(request, paths));

    DaemonRecord record;
    record.vm = request.vm;
    record.tag = request.share.tag;
    record.mapping = request.share.dirid;
    record.shared_dir = request.share.path;
    record.keeper = systemd_ != nullptr ? Keeper::systemd : Keeper::direct;
    record.socket = paths.socket;
    if (spec.args.back().starts_with("--control-socket=")) {
        record.control = paths.control;
    }
    if (systemd_ != nullptr) {
        record.unit = paths.unit;
    } else {
        record.log = paths.log;
    }
    record.argv = {spec.program};
    record.argv.insert(record.argv.end(), spec.args.begin(), spec.args.end());
    record.started = utc_now();
    record.limits = request.limits;
    record.restart = request.restart;

    auto launched = write_record(record, paths);
    if (launched) {
        launched = launch(request, record, paths);
    }
    if (!launched) {
        // The first failure is the one to tell; what the mending meets is shown by list().
        if (const auto found = examine(record); found && found->state != DaemonState::ended) {
            static_cast<void>(end(*found).has_value());
        }
        remove_files(paths);
        ::rmdir(paths.directory.c_str());
        return std::move(launched).error();
    }
    return record;
}

Result<void> Launcher::end(const FoundDaemon& found) {
    const auto& record = found.record;
    VFSKIT_TRY_ASSIGN(const auto paths, layout_.paths(record.vm, record.tag));
    if (record.keeper == Keeper::systemd && systemd_ != nullptr && record.unit) {
        VFSKIT_TRY(systemd_->stop(*record.unit));
        VFSKIT_TRY_ASSIGN(const bool stopped,
                          wait_until(unit_stop_time + patience_, [&]() -> Result<bool> {
                              VFSKIT_TRY_ASSIGN(const auto state, systemd_->state(*record.unit));
                              return !state || !state->is_live();
                          }));
        if (!stopped) {
            return Error{ETIMEDOUT, fmt::format("The unit '{}' does not end", *record.unit)}
                .with_remedy(fmt::format("See 'systemctl status {}'", *record.unit));
        }
    } else {
        VFSKIT_TRY(end_process(record.process, patience_));
    }
    // The daemon's process inside its sandbox ends a moment after the one outside.
    VFSKIT_TRY(wait_until(patience_, [&]() -> Result<bool> {
        return !is_locked(paths.socket_pid_file()) && !is_locked(paths.pid_file);
    }));
    return {};
}

Result<std::vector<FoundDaemon>> Launcher::list(const Selection& selection) {
    VFSKIT_TRY_ASSIGN(auto recorded, read_state_directory(layout_));
    if (systemd_ != nullptr) {
        VFSKIT_TRY_ASSIGN(const auto units, systemd_->list(std::string{unit_pattern}));
        add_unrecorded_units(layout_, units, recorded);
    }
    std::vector<FoundDaemon> all;
    for (auto& entry : recorded) {
        if (!matches(selection, entry.record)) {
            continue;
        }
        VFSKIT_TRY_ASSIGN(auto found, examine(std::move(entry.record)));
        found.problem = std::move(entry.problem);
        all.push_back(std::move(found));
    }
    std::ranges::sort(all, {}, [](const FoundDaemon& found) {
        return std::pair{found.record.vm, found.record.tag};
    });
    return all;
}

Result<std::vector<FoundDaemon>>
Launcher::stop(const Selection& selection, bool only_stale, std::chrono::seconds grace) {
    VFSKIT_TRY_ASSIGN(const auto all, list(selection));
    std::vector<FoundDaemon> stopped;
    for (const auto& seen : all) {
        VFSKIT_TRY_ASSIGN(const auto paths, layout_.paths(seen.record.vm, seen.record.tag));
        VFSKIT_TRY_ASSIGN(const auto lock, lock_state_directory(layout_, paths.directory, false));
        // It may have ended, or been replaced, before the lock was ours.
        VFSKIT_TRY_ASSIGN(auto found, examine(seen.record));
        const bool is_stale = found.state == DaemonState::ended ||
                              (found.state == DaemonState::waiting && found.age >= grace);
        if (only_stale && !is_stale) {
            continue;
        }
        if (found.state != DaemonState::ended) {
            VFSKIT_TRY(end(found));
        }
        remove_files(paths);
        ::rmdir(paths.directory.c_str());
        found.problem = seen.problem;
        stopped.push_back(std::move(found));
    }
    return stopped;
}

} // namespace vfskit::launch
