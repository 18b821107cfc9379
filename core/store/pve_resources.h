// SPDX-License-Identifier: Apache-2.0
// Proxmox VE's mappings of PCI and USB devices, as far as a migration asks for them, and its nodes.
#pragma once

#include "core/base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// One section of mapping/pci.cfg or mapping/usb.cfg.
struct MappedDevice {
    std::string id;
    std::vector<std::string> nodes; ///< that have a device for it
    bool is_live_migration_capable = false;

    bool operator==(const MappedDevice&) const = default;
};

/// Parses the content of either file; like Proxmox VE it skips what it cannot read.
std::vector<MappedDevice> parse_mapped_devices(std::string_view content);

/// ROOT/mapping/KIND.cfg, KIND being pci or usb. A missing file is an empty one.
Result<std::vector<MappedDevice>> read_mapped_devices(const std::string& root,
                                                      std::string_view kind);

/// The nodes of the cluster, sorted: those of ROOT/.members; without a cluster that one node;
/// without the file the directories of ROOT/nodes.
Result<std::vector<std::string>> read_pve_nodes(const std::string& root);

} // namespace vfskit::store
