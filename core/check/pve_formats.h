// SPDX-License-Identifier: Apache-2.0
// The grammar of those values of a Proxmox VE configuration that decide whether a VM can move.
#pragma once

#include "core/base/result.h"
#include "core/check/pve_answers.h"

#include <optional>
#include <string_view>

namespace vfskit::check {

/// The properties of "[default=]value,key=value"; EINVAL where Proxmox VE's parser dies.
Result<PveValues> parse_pve_properties(std::string_view value, std::string_view default_key);

/// "usb3" is index 3 of "usb"; nothing for other keys.
std::optional<unsigned> pve_index(std::string_view key, std::string_view prefix);

} // namespace vfskit::check
