// SPDX-License-Identifier: Apache-2.0
// virtiofsd's --modcaps list: "+sys_admin:-mknod".
#pragma once

#include "core/base/result.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::share {

/// One element of a --modcaps list. `name` is lower case and without "cap_".
struct CapabilityChange {
    bool adds = true;
    std::string name;
    bool operator==(const CapabilityChange&) const = default;
};

/// Reads "+NAME:-NAME…". EINVAL for an empty list or element, a missing sign, a name that Linux
/// does not have (with "did you mean"), or the prefix "cap_", which virtiofsd does not take.
Result<std::vector<CapabilityChange>> parse_capability_changes(std::string_view list);

/// What the last mention of `name` says; false where it is not mentioned.
bool adds_capability(std::span<const CapabilityChange> changes, std::string_view name);
bool removes_capability(std::span<const CapabilityChange> changes, std::string_view name);

} // namespace vfskit::share
