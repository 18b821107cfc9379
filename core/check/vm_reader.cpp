// SPDX-License-Identifier: Apache-2.0
#include "core/check/vm_reader.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::check {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20U;
constexpr std::uint64_t pve_default_memory_mib = 512;

VmShare share_of(const domain::DomainFilesystem& filesystem) {
    VmShare share;
    share.tag = filesystem.tag;
    share.dirid = filesystem.dirid;
    share.is_dirid_explicit = filesystem.dirid_from_metadata;
    share.launch = filesystem.is_external() ? LaunchKind::socket : LaunchKind::managed;
    share.device = filesystem.alias.value_or("");
    share.source_dir = filesystem.source_dir;
    share.socket = filesystem.source_socket;
    share.binary = filesystem.binary_path;
    share.readonly = filesystem.readonly;
    share.has_fixed_address = filesystem.address.has_value();
    if (!filesystem.is_external()) {
        // "on" is --xattr; "off" and nothing leave the daemon's default.
        share.xattr = filesystem.xattr == "on" ? std::optional{true} : std::nullopt;
        if (filesystem.cache) {
            share.cache = *filesystem.cache == "always" ? share::CachePolicy::always
                                                        : share::CachePolicy::never;
        }
    }
    return share;
}

NinepDevice ninep_of(const domain::DomainFilesystem& filesystem) {
    return {.tag = filesystem.tag,
            .dirid = filesystem.dirid,
            .source_dir = filesystem.source_dir,
            .multidevs = filesystem.multidevs.value_or("default"),
            .is_mounted = std::nullopt};
}

VmShare share_of(const store::VirtiofsDevice& device) {
    VmShare share;
    share.tag = device.dirid; // Proxmox VE knows no other tag
    share.dirid = device.dirid;
    share.is_dirid_explicit = true;
    share.launch = LaunchKind::pve;
    share.device = fmt::format("virtiofs{}", device.index);
    if (device.cache) {
        if (const auto cache = share::parse_cache_policy(*device.cache)) {
            share.cache = *cache;
        }
    }
    share.xattr = device.expose_xattr || device.expose_acl;
    share.posix_acl = device.expose_acl;
    share.writeback = false;
    share.announce_submounts = true;
    return share;
}

/// "2048", "current=2048".
std::uint64_t pve_memory_bytes(std::string_view value) {
    for (const auto part : base::split(value, ',')) {
        const auto equals = part.find('=');
        const auto number = equals == std::string_view::npos      ? part
                            : part.substr(0, equals) == "current" ? part.substr(equals + 1)
                                                                  : std::string_view{};
        if (const auto parsed = base::parse_unsigned(number, "memory", UINT64_MAX / mib)) {
            return *parsed * mib;
        }
    }
    return pve_default_memory_mib * mib;
}

bool has_word(std::string_view list, std::string_view word) {
    const auto words = base::split(list, ',');
    return std::ranges::any_of(words,
                               [word](std::string_view part) { return base::trim(part) == word; });
}

} // namespace

Vm vm_from_domain(const domain::Domain& domain) {
    Vm vm;
    vm.name = domain.name;
    vm.kind = VmKind::libvirt;
    vm.has_shared_memory = domain.memory.shared;
    vm.memory_reason = domain.memory.reason;
    vm.memory_bytes = domain.memory_bytes;
    vm.has_hugepages = domain.memory.hugepages;
    vm.hugepage_bytes = domain.memory.hugepage_bytes;
    vm.has_memory_hotplug = domain.memory.hotplug;
    for (const auto& filesystem : domain.filesystems) {
        if (filesystem.is_virtiofs()) {
            vm.shares.push_back(share_of(filesystem));
        } else if (filesystem.driver.empty() || filesystem.driver == "path") {
            vm.ninep.push_back(ninep_of(filesystem));
        }
    }
    return vm;
}

Vm vm_from_pve(const store::VmConfig& config) {
    const auto& section = config.current;
    Vm vm;
    vm.name = std::to_string(config.vmid);
    vm.kind = VmKind::pve;
    vm.has_shared_memory = true; // qemu-server adds it for virtiofs
    vm.memory_bytes = pve_memory_bytes(section.find("memory").value_or(""));
    vm.snapshots = config.snapshots.size();
    if (const auto hugepages = section.find("hugepages")) {
        vm.has_hugepages = true;
        if (const auto size = base::parse_unsigned(*hugepages, "hugepages", UINT64_MAX / mib)) {
            vm.hugepage_bytes = *size * mib; // "any" has no size
        }
    }
    vm.has_memory_hotplug = has_word(section.find("hotplug").value_or(""), "memory");
    for (const auto& device : section.devices) {
        vm.shares.push_back(share_of(device));
    }
    return vm;
}

} // namespace vfskit::check
