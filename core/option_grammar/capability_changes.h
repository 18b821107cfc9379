// SPDX-License-Identifier: Apache-2.0
// --modcaps: "+sys_admin:-mknod".
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::option_grammar {

/// One element of a list. `name` is in lower case; that Linux has such a capability is for the user
/// to find out.
struct CapabilityChange {
    bool adds = true;
    std::string name;
    bool operator==(const CapabilityChange&) const = default;
};

/// Reads "+NAME:-NAME…". EINVAL for an empty list or element and for a missing sign; the place has
/// the key "modcaps".
Result<std::vector<CapabilityChange>> parse_capability_changes(std::string_view list);

} // namespace vfskit::option_grammar
