// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// "VM 100", "VM 101 (snapshot 'before')": who uses a mapping.
struct MappingUse {
    std::string id;
    std::string user;
};

/// Who uses these mappings, as far as the store at `store_url` knows: a Proxmox VE store knows its
/// VMs, others know none.
Result<std::vector<MappingUse>> find_uses(const std::string& store_url,
                                          std::span<const std::string> ids);

/// EBUSY naming the users when there are any.
Result<void> require_unused(const std::string& store_url, std::span<const std::string> ids);

} // namespace vfskit::vfsctl
