// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_use.h"

#include "core/store/store.h"
#include "core/store/vm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

std::string section_text(const store::VmSection& section) {
    if (section.name.empty()) {
        return "";
    }
    return section.name == "PENDING" ? " (pending)" : fmt::format(" (snapshot '{}')", section.name);
}

void add_uses(std::vector<MappingUse>& uses,
              const store::VmConfig& vm,
              const store::VmSection& section,
              std::span<const std::string> ids) {
    for (const auto& device : section.devices) {
        if (std::ranges::find(ids, device.dirid) != ids.end()) {
            uses.push_back({device.dirid, fmt::format("VM {}{}", vm.vmid, section_text(section))});
        }
    }
}

} // namespace

Result<std::vector<MappingUse>> find_uses(const std::string& store_url,
                                          std::span<const std::string> ids) {
    std::vector<MappingUse> uses;
    const auto root = store::pve_root(store_url);
    if (!root) {
        return uses;
    }
    VFSKIT_TRY_ASSIGN(const auto vms, store::read_vm_configs(*root));
    for (const auto& vm : vms) {
        add_uses(uses, vm, vm.current, ids);
        add_uses(uses, vm, vm.pending, ids);
        for (const auto& snapshot : vm.snapshots) {
            add_uses(uses, vm, snapshot, ids);
        }
    }
    return uses;
}

Result<void> require_unused(const std::string& store_url, std::span<const std::string> ids) {
    VFSKIT_TRY_ASSIGN(const auto uses, find_uses(store_url, ids));
    if (uses.empty()) {
        return {};
    }
    std::string users;
    for (const auto& use : uses) {
        const auto text = fmt::format("'{}' by {}", use.id, use.user);
        users += users.empty() ? text : ", " + text;
    }
    return Error{EBUSY, fmt::format("Still in use: {}", users)}.with_remedy(
        "Take the share away from the VM first, or use --force: the VM then cannot start");
}

} // namespace vfskit::vfsctl
