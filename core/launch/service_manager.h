// SPDX-License-Identifier: Apache-2.0
// systemd as far as we need it. The real one speaks D-Bus (connect_systemd()); tests have a fake.
#pragma once

#include "core/base/result.h"
#include "core/launch/unit.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::launch {

struct UnitState {
    std::string active;         ///< active, activating, deactivating, failed, inactive
    std::uint32_t main_pid = 0; ///< 0: none
    bool operator==(const UnitState&) const = default;

    /// It has a process, or will have one.
    [[nodiscard]] bool is_live() const {
        return active == "active" || active == "activating" || active == "deactivating" ||
               active == "reloading";
    }
};

/// One thread. Calls wait for systemd's answer, at most some seconds (ETIMEDOUT).
class ServiceManager {
public:
    virtual ~ServiceManager() = default;
    /// Queues the start; state() tells what came of it. EEXIST when a unit of that name is loaded.
    virtual Result<void> start(const TransientUnit& unit) = 0;
    /// Nothing when no unit of that name is loaded.
    virtual Result<std::optional<UnitState>> state(const std::string& unit) = 0;
    /// Queues the stop; no error when there is nothing to stop.
    virtual Result<void> stop(const std::string& unit) = 0;
    /// Forgets a failure, so that the name is free; no error when there is none.
    virtual Result<void> reset_failed(const std::string& unit) = 0;
    /// Loaded units whose names match a shell pattern.
    virtual Result<std::vector<std::string>> list(const std::string& pattern) = 0;
    /// The last lines that the unit logged, "" when they cannot be had. For messages.
    virtual std::string last_words(const std::string& unit) = 0;
};

/// True if this host was booted with systemd (sd_booted(3)).
bool systemd_is_running();
/// ENOENT, ECONNREFUSED …: no system bus, or nobody there who is systemd.
Result<std::unique_ptr<ServiceManager>> connect_systemd();

} // namespace vfskit::launch
