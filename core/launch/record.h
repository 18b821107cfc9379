// SPDX-License-Identifier: Apache-2.0
// What was started for a share, kept beside its socket for whoever comes after us. The JSON form is
// schemas/daemon-record.schema.json.
#pragma once

#include "core/base/result.h"
#include "core/launch/layout.h"
#include "core/launch/limits.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::launch {

/// Who keeps the daemon's process.
enum class Keeper {
    systemd, ///< a transient unit
    direct,  ///< nobody: a daemonised process with a pid file
};
std::string_view to_string(Keeper keeper); ///< systemd, direct

/// When systemd starts a daemon again that ended by itself.
enum class Restart {
    never, ///< QEMU cannot reconnect a vhost-user-fs device, so a new daemon would wait for nobody
    on_failure, ///< for daemons that a supervisor or another front-end reconnects to
};
std::string_view to_string(Restart restart); ///< no, on-failure
Result<Restart> parse_restart(std::string_view word);

/// A process that cannot be confused with a later one of the same number.
struct ProcessId {
    std::int32_t pid = 0;         ///< 0: not known yet
    std::uint64_t start_time = 0; ///< clock ticks since boot, proc_pid_stat(5) field 22
    bool operator==(const ProcessId&) const = default;
};

struct DaemonRecord {
    std::string vm;
    std::string tag;
    std::string mapping;    ///< the dirid
    std::string shared_dir; ///< on this node
    Keeper keeper = Keeper::direct;
    std::string socket;
    std::optional<std::string> control;
    std::optional<std::string> unit; ///< with Keeper::systemd
    std::optional<std::string> log;  ///< with Keeper::direct
    std::vector<std::string> argv;   ///< program first
    ProcessId process;
    std::string started; ///< UTC, "2026-11-21T06:45:00Z"
    Limits limits;
    Restart restart = Restart::never;

    bool operator==(const DaemonRecord&) const = default;
};

/// Two-space indent and a line feed. Bytes that are not UTF-8 are replaced.
std::string to_json(const DaemonRecord& record);
/// EBADMSG names what is missing or of the wrong type.
Result<DaemonRecord> parse_record(std::string_view json);
Result<DaemonRecord> read_record(const std::string& path);

} // namespace vfskit::launch
