// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/check_vms.h"

#include "core/base/text.h"
#include "core/check/vm_reader.h"
#include "core/domain/domain_xml.h"
#include "core/store/vm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::vfsctl {
namespace {

constexpr std::uint64_t max_vmid = 999'999'999;

std::string node_of(const VmChoice& choice, const Services& services) {
    return choice.from.value_or(services.node);
}

Result<check::Vm> read_domain(const std::string& xml, const std::string& place) {
    const auto domain = domain::parse_domain(xml);
    if (!domain) {
        auto error = domain.error();
        return std::move(error).at({place, 0, {}});
    }
    return check::vm_from_domain(*domain);
}

/// A domain with what its XML does not tell.
Result<check::Vm> ask_domain(LibvirtConnection& libvirt, const DomainState& state) {
    VFSKIT_TRY_ASSIGN(const auto xml, libvirt.definition(state.name, DefinitionKind::live));
    VFSKIT_TRY_ASSIGN(auto vm, read_domain(xml, fmt::format("domain '{}'", state.name)));
    vm.is_running = state.is_running;
    vm.snapshots = state.has_snapshots ? 1 : 0;
    if (!state.is_running || vm.ninep.empty()) {
        return vm; // libvirt calls a domain that QEMU was asked about tainted
    }
    if (const auto reasons = libvirt.migration_blockers(state.name)) {
        for (auto& device : vm.ninep) {
            const auto mention = fmt::format("mount_tag '{}'", device.tag);
            device.is_mounted = std::ranges::any_of(*reasons, [&mention](const auto& reason) {
                return reason.find(mention) != std::string::npos;
            });
        }
    }
    return vm;
}

Result<std::vector<PlacedVm>> find_domains(const VmChoice& choice, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto libvirt, services.environment.connect_libvirt(choice.connect));
    std::vector<DomainState> states;
    if (choice.name == "all") {
        VFSKIT_TRY_ASSIGN(states, libvirt->domains());
    } else {
        VFSKIT_TRY_ASSIGN(auto state, libvirt->find_domain(*choice.name));
        states.push_back(std::move(state));
    }
    std::vector<PlacedVm> vms;
    for (const auto& state : states) {
        VFSKIT_TRY_ASSIGN(auto vm, place_domain(*libvirt, state, node_of(choice, services)));
        vms.push_back(std::move(vm));
    }
    return vms;
}

PlacedVm place(const store::VmConfig& config, const VmChoice& choice, const Services& services) {
    const auto& known = config.node.empty() ? services.node : config.node;
    return {check::vm_from_pve(config),
            choice.from.value_or(known),
            check::as_pve_reads(config.current.values)};
}

Result<std::vector<PlacedVm>>
find_pve_vms(const std::string& root, const VmChoice& choice, Services& services) {
    std::vector<PlacedVm> vms;
    if (choice.name == "all") {
        VFSKIT_TRY_ASSIGN(const auto configs, store::read_vm_configs(root));
        for (const auto& config : configs) {
            vms.push_back(place(config, choice, services));
        }
        return vms;
    }
    const auto vmid = base::parse_unsigned(*choice.name, "VMID", max_vmid);
    VFSKIT_TRY_ASSIGN(
        const auto config,
        store::read_vm_config(root, static_cast<int>(*vmid), node_of(choice, services)));
    vms.push_back(place(config, choice, services));
    return vms;
}

/// "/etc/pve/nodes/n1/qemu-server/100.conf": the VMID, and the node where the path tells it.
Result<store::VmConfig> read_config_file(const std::string& path, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto content, read_input(services, path));
    auto config = store::parse_vm_config(content);
    config.path = path;
    const auto parts = base::split(path, '/');
    auto stem = parts.back();
    if (stem.ends_with(".conf")) {
        stem.remove_suffix(5);
    }
    if (const auto vmid = base::parse_unsigned(stem, "VMID", max_vmid)) {
        config.vmid = static_cast<int>(*vmid);
    }
    if (parts.size() >= 4 && parts[parts.size() - 2] == "qemu-server" &&
        parts[parts.size() - 4] == "nodes") {
        config.node = parts[parts.size() - 3];
    }
    return config;
}

} // namespace

Result<PlacedVm>
place_domain(LibvirtConnection& libvirt, const DomainState& state, std::string node) {
    VFSKIT_TRY_ASSIGN(auto vm, ask_domain(libvirt, state));
    return PlacedVm{std::move(vm), std::move(node), {}};
}

void bind_vm_choice(VmChoice& choice, OptionSet& set) {
    set.text({.name = "--xml",
              .value = "FILE",
              .help = "A libvirt domain's XML instead of its name; - is standard input",
              .completes = Completes::file},
             choice.xml)
        .text({.name = "--config",
               .value = "FILE",
               .help = "A Proxmox VE configuration file instead of a VMID",
               .completes = Completes::file},
              choice.config)
        .text({.name = "--description",
               .value = "FILE",
               .help = "A plain description of a VM that nobody manages "
                       "(vm-description.schema.json)",
               .completes = Completes::file},
              choice.description)
        .text({.name = "--connect",
               .value = "URI",
               .help = "The libvirt to ask for domains. Without it qemu:///system"},
              choice.connect)
        .text({.name = "--from",
               .value = "NODE",
               .help = "The node that the VM is on. Without it this node, or where Proxmox VE has "
                       "its configuration",
               .completes = Completes::node},
              choice.from);
}

Result<std::vector<PlacedVm>> find_vms(const VmChoice& choice, Services& services) {
    const int ways = static_cast<int>(choice.name.has_value()) +
                     static_cast<int>(choice.xml.has_value()) +
                     static_cast<int>(choice.config.has_value()) +
                     static_cast<int>(choice.description.has_value());
    if (ways != 1) {
        return Error{EINVAL, ways == 0 ? "No VM is named" : "The VM is named in several ways"}
            .with_remedy("Give its name, or one of --xml, --config and --description");
    }
    if (choice.xml) {
        VFSKIT_TRY_ASSIGN(const auto xml, read_input(services, *choice.xml));
        VFSKIT_TRY_ASSIGN(auto vm, read_domain(xml, *choice.xml));
        return std::vector{PlacedVm{std::move(vm), node_of(choice, services), {}}};
    }
    if (choice.config) {
        VFSKIT_TRY_ASSIGN(const auto config, read_config_file(*choice.config, services));
        return std::vector{place(config, choice, services)};
    }
    if (choice.description) {
        VFSKIT_TRY_ASSIGN(const auto json, read_input(services, *choice.description));
        auto vm = check::parse_vm_description(json);
        if (!vm) {
            return std::move(vm).error().at({*choice.description, 0, {}});
        }
        return std::vector{PlacedVm{*std::move(vm), node_of(choice, services), {}}};
    }
    const auto root = store::pve_root(services.store_url);
    const bool is_number = base::parse_unsigned(*choice.name, "VMID", max_vmid).has_value();
    if (root && (is_number || choice.name == "all")) {
        return find_pve_vms(*root, choice, services);
    }
    return find_domains(choice, services);
}

} // namespace vfskit::vfsctl
