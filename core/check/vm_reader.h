// SPDX-License-Identifier: Apache-2.0
// A Vm from what describes it.
#pragma once

#include "core/base/result.h"
#include "core/check/vm.h"
#include "core/domain/domain_xml.h"
#include "core/store/vm_config.h"

#include <string>
#include <string_view>

namespace vfskit::check {

/// Of a libvirt domain. What the XML does not tell (snapshots, whether it runs, whether the guest
/// has a 9p export mounted) is left open. Filesystems that are neither virtiofs nor 9p are not
/// ours.
Vm vm_from_domain(const domain::Domain& domain);

/// Of a Proxmox VE configuration: its current state, which is what a migration takes. Templates and
/// stopped VMs look like any other: say whether it runs.
Vm vm_from_pve(const store::VmConfig& config);

/// Of a plain description (schemas/vm-description.schema.json), for VMs that nobody manages.
/// EBADMSG names the member that is missing or of the wrong kind.
Result<Vm> parse_vm_description(std::string_view json);
/// The same document for a Vm, with two blanks of indent.
std::string to_json(const Vm& vm);

} // namespace vfskit::check
