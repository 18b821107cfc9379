// SPDX-License-Identifier: Apache-2.0
// What Proxmox VE itself answers about a VM's local and mapped resources, with its patch series of
// February 2026 applied (live-migration-method of directory mappings): the functions
// check_non_migratable_resources and check_local_resources of qemu-server. Theirs, not ours: it
// lets snapshots with memory and hibernation through for every virtiofs share, which our check does
// not.
#pragma once

#include "core/base/result.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::check {

/// A mapping of any kind as those functions look at it.
struct PveMapping {
    std::set<std::string, std::less<>> nodes; ///< that have an entry
    /// pci: live-migration-capable; dir: a live-migration-method is set; usb: never.
    bool has_live_migration = false;
};
using PveMappings = std::map<std::string, PveMapping, std::less<>>;

/// The cluster as they see it.
struct PveCluster {
    std::vector<std::string> nodes;
    PveMappings pci;
    PveMappings usb;
    PveMappings dir;
};

/// The values of a configuration's current section by key.
using PveValues = std::map<std::string, std::string, std::less<>>;

struct PveMappedResource {
    std::string name;
    bool has_live_migration = false; ///< the key 'live-migration' is set
    bool operator==(const PveMappedResource&) const = default;
};

struct PveAnswer {
    std::vector<std::string> non_migratable;  ///< check_non_migratable_resources
    std::vector<std::string> local_resources; ///< check_local_resources, first part
    std::map<std::string, PveMappedResource> mapped_resources;                ///< by key
    std::map<std::string, std::vector<std::string>> missing_mappings_by_node; ///< keys, sorted

    bool operator==(const PveAnswer&) const = default;
    /// What both die with unless they are told not to: "Cannot live-migrate, snapshot (with RAM),
    /// or hibernate a VM with: amd-sev"; nothing when non_migratable is empty.
    [[nodiscard]] std::optional<std::string> refusal() const;
};

/// The answer for a VM that runs (or whose memory is wanted: `has_state`) or does not. ENOENT with
/// Perl's own words for a mapping that is not defined: there Proxmox VE dies. EINVAL for a device
/// that its parser refuses. The order of local_resources after the first four is by key; Perl's is
/// that of a hash.
Result<PveAnswer> answer_as_pve(const PveValues& values, bool has_state, const PveCluster& cluster);

/// The values that qemu-server takes from a section's lines: of a key that stands twice the last
/// line that it can read. Without the lines that qemu-server drops with a warning when it reads the
/// file: devices of indexes that do not exist, and values of amd-sev, intel-tdx, ivshmem, usb,
/// hostpci and virtiofs that their formats refuse.
PveValues as_pve_reads(std::span<const std::pair<std::string, std::string>> lines);

} // namespace vfskit::check
