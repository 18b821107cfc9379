// SPDX-License-Identifier: Apache-2.0
// The VMs that a check is about, wherever they are described.
#pragma once

#include "core/base/result.h"
#include "core/check/pve_answers.h"
#include "core/check/vm.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/services.h"

#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// What the command line says; exactly one way is used.
struct VmChoice {
    std::optional<std::string> name; ///< a domain, a VMID, or "all"
    std::optional<std::string> xml;
    std::optional<std::string> config;
    std::optional<std::string> description;
    std::string connect = "qemu:///system";
    std::optional<std::string> from; ///< the node that it is on
};

/// --xml, --config, --description, --connect, --from; not the name, which each verb has of its own.
void bind_vm_choice(VmChoice& choice, OptionSet& set);

/// A VM, and the node that it is on.
struct PlacedVm {
    check::Vm vm;
    std::string node;
    check::PveValues pve_values; ///< as Proxmox VE reads its configuration's current state
};

/// By name: a number is a VMID where the store is Proxmox VE's, anything else a libvirt domain.
/// "all": every VM of the cluster, or every domain of the connection. EINVAL without a way or with
/// several; ENOENT when it is not there. What libvirt tells only of a running domain (snapshots,
/// mounted 9p exports) is asked for; where it does not answer it is left open.
Result<std::vector<PlacedVm>> find_vms(const VmChoice& choice, Services& services);

/// A libvirt domain, with what libvirt tells only of a running one.
Result<PlacedVm>
place_domain(LibvirtConnection& libvirt, const DomainState& state, std::string node);

} // namespace vfskit::vfsctl
