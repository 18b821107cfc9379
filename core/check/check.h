// SPDX-License-Identifier: Apache-2.0
// Room check, floor 4.
// Is: what would fail if a VM with shares were moved, saved or snapshotted, said before a byte is
//     moved: a pure function from a request and the facts of the nodes to findings with stable
//     codes.
// Knows: what libvirt, QEMU, Proxmox VE and every virtiofsd refuse, and what they should refuse.
// Does not know: how facts are collected, where mappings are stored, how a finding is printed.
#pragma once

#include "core/check/cluster.h"
#include "core/check/finding.h"
#include "core/check/migration.h"
#include "core/check/vm.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::check {

/// What stands in the way of one target node besides the findings that stand in the way anywhere.
struct TargetReport {
    std::string node;
    std::vector<Finding> findings; ///< blockers first, then by code and subject
};

/// What was found about one VM.
struct VmReport {
    std::string vm;
    std::string source;            ///< the node that it is on
    std::vector<Finding> findings; ///< whatever the target: about the VM and its source
    std::vector<TargetReport> targets;

    /// The worst of all that concerns `target`; of the common findings alone without one.
    [[nodiscard]] std::optional<Severity> worst(const TargetReport* target = nullptr) const;
};

/// Checks one VM, now on node `source`, against every node of `targets` (none: an operation
/// without a target, or only what would fail anywhere). Never fails: what is not known is a
/// finding. Pure; thread-safe while nobody changes what it is given. Cost: about a microsecond per
/// share and target where nothing is found.
VmReport check_migration(const Vm& vm,
                         const Cluster& cluster,
                         std::string_view source,
                         std::span<const std::string_view> targets,
                         const Migration& migration);

/// The target's half alone: what node `target` must have before it takes the VM, whoever sends it.
/// For the libvirt hook and Proxmox VE's pre-start gate, which run there and know only that node:
/// `cluster` may hold the facts of this one node. What needs the source's facts (whether two
/// directories are one) is checked when `cluster` has them and left to the source's half otherwise.
/// Of a save this is the restore: a mapping without a method, of which nothing should have been
/// saved, is no finding any more, for refusing would lose the guest.
std::vector<Finding> check_target(const Vm& vm,
                                  const Cluster& cluster,
                                  std::string_view target,
                                  const Migration& migration);

} // namespace vfskit::check
