// SPDX-License-Identifier: Apache-2.0
// The transient unit of one daemon, as a value: a pure function makes it and tests compare it.
#pragma once

#include "core/base/process.h"
#include "core/launch/record.h"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vfskit::launch {

/// a(sasb): program, argv with the program first, "a failure is none".
struct ExecCommand {
    ProcessSpec spec;
    bool ignores_failure = false;
    bool operator==(const ExecCommand&) const = default;
};
/// a(st): a path on the block device, and the limit.
struct DeviceLimit {
    std::string path;
    std::uint64_t limit = 0;
    bool operator==(const DeviceLimit&) const = default;
};
/// (bas): these are allowed, nothing else.
struct AllowList {
    std::vector<std::string> words;
    bool operator==(const AllowList&) const = default;
};
using UnitValue = std::variant<bool,
                               std::uint32_t,
                               std::uint64_t,
                               std::string,
                               std::vector<std::string>,
                               ExecCommand,
                               DeviceLimit,
                               AllowList>;

struct UnitProperty {
    std::string name; ///< as on D-Bus: LimitNOFILE, CPUQuotaPerSecUSec
    UnitValue value;
    bool operator==(const UnitProperty&) const = default;
};

struct TransientUnit {
    std::string name;
    std::vector<UnitProperty> properties;
    bool operator==(const TransientUnit&) const = default;
};

/// What the unit needs besides the record.
struct UnitOptions {
    bool readonly = false;
    bool keeps_record_at_end = false; ///< for Restart::on_failure
    std::string io_target = {};       ///< of io_limit_target(); with Limits::limits_io()
    std::vector<std::string> added_capabilities = {}; ///< of --modcaps, without CAP_
};

/// The unit: in vfskit.slice, with everything forbidden that virtiofsd does not need before it has
/// closed its own walls, the share as the only writable path, and the record's limits. Pure.
TransientUnit
make_unit(const DaemonRecord& record, const SharePaths& paths, const UnitOptions& options);

} // namespace vfskit::launch
