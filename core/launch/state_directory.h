// SPDX-License-Identifier: Apache-2.0
// The state directory: its lock, and the records in it. Private to the room.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/launch/layout.h"
#include "core/launch/record.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::launch {

/// A record, or for one that cannot be read what its name tells, and the reason.
struct RecordEntry {
    DaemonRecord record;
    std::string problem;
};

/// An exclusive flock(2) on a VM's directory, until destroyed; a process that dies drops it. The
/// directory, and the one above, are made if `makes`; without it, an absent one gives no lock and
/// no error. ETIMEDOUT after 30 seconds.
Result<UniqueFd>
lock_state_directory(const Layout& layout, const std::string& directory, bool makes);

/// All records, in no order. An absent directory is empty.
Result<std::vector<RecordEntry>> read_state_directory(const Layout& layout);

/// Adds the units of ours that no record names.
void add_unrecorded_units(const Layout& layout,
                          const std::vector<std::string>& units,
                          std::vector<RecordEntry>& entries);

/// The process whose lock is on a pid file that start_directly() made, as the file names it.
ProcessId read_locked_pid_file(const std::string& path);

/// How long a process has lived.
std::chrono::seconds age_of(const ProcessId& process);

/// What the daemon itself says about a front-end; false where it cannot be asked.
bool control_tells_connected(const std::optional<std::string>& control);

} // namespace vfskit::launch
