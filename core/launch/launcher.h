// SPDX-License-Identifier: Apache-2.0
// Starts, finds and stops the daemons of this host.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/launch/layout.h"
#include "core/launch/limits.h"
#include "core/launch/record.h"
#include "core/launch/service_manager.h"
#include "core/share/dialect.h"
#include "core/share/share.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::launch {

struct StartRequest {
    std::string vm;
    share::Share share;
    std::string program = "/usr/libexec/virtiofsd";
    share::DaemonInfo daemon; ///< what `program` is: share::probe()
    /// Who may connect besides root; absent: root only. QEMU's user must be in it.
    std::optional<std::string> socket_group;
    std::optional<LogLevel> log_level;
    Limits limits;
    Restart restart = Restart::never;
    /// A live daemon that no front-end is connected to is stopped first, instead of refusing.
    bool replaces_waiting = false;
};

enum class DaemonState {
    connected, ///< a VM uses it
    waiting,   ///< it listens, nobody has come yet
    starting,  ///< it lives and does not listen yet
    ended,     ///< only its files are left
};
std::string_view to_string(DaemonState state);

/// One daemon as it was found.
struct FoundDaemon {
    DaemonRecord record;
    DaemonState state = DaemonState::ended;
    std::chrono::seconds age{}; ///< since the process started; 0 when it ended
    /// Why the record could not be read; its vm and tag are then those of the file's name.
    std::string problem;
};

/// Which daemons: all, of one VM, or one.
struct Selection {
    std::optional<std::string> vm;
    std::optional<std::string> tag;
};

/// One thread; any number of Launchers and processes may work in one state directory: a lock on the
/// VM's directory is held while its daemons are started or stopped. Records are written before a
/// daemon starts, so that whoever dies half way leaves a trace that the next start, stop or clean
/// mends.
class Launcher {
public:
    /// `systemd`: nullptr means without; it must outlive the Launcher.
    Launcher(Layout layout, ServiceManager* systemd);

    /// Starts the daemon and returns when it listens. EADDRINUSE when a live daemon (ours or any
    /// process that listens there) has the socket; ENOTSUP for limits without systemd, or on a
    /// filesystem that cannot be limited; ECHILD when it ended before it listened, with its last
    /// words; ETIMEDOUT. A failed start leaves nothing behind.
    Result<DaemonRecord> start(const StartRequest& request);

    /// Stops and removes what `selection` names, in the order of list(); gives what was there, with
    /// the state that it was found in. No error when there is nothing. `only_stale`: only those
    /// that ended, and those that waited for longer than `grace`.
    Result<std::vector<FoundDaemon>> stop(const Selection& selection,
                                          bool only_stale = false,
                                          std::chrono::seconds grace = std::chrono::seconds{60});

    /// What is there, by VM and tag. Changes nothing. An absent state directory is empty.
    Result<std::vector<FoundDaemon>> list(const Selection& selection = {});

    /// How long start() waits for the socket, and stop() for the end.
    void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }
    [[nodiscard]] const Layout& layout() const { return layout_; }

private:
    Result<FoundDaemon> examine(DaemonRecord record);
    Result<void> make_room(const StartRequest& request, const SharePaths& paths);
    Result<void> wait_until_listening(DaemonRecord& record, const SharePaths& paths);
    Result<void> launch(const StartRequest& request, DaemonRecord& record, const SharePaths& paths);
    Result<void> end(const FoundDaemon& found);
    std::string last_words(const DaemonRecord& record);

    Layout layout_;
    ServiceManager* systemd_;
    std::chrono::milliseconds patience_{10000};
};

} // namespace vfskit::launch
