// SPDX-License-Identifier: Apache-2.0
// A VM as far as moving its shares is concerned, whoever manages it. vm_reader.h makes it from a
// libvirt domain, a Proxmox VE configuration or a plain description.
#pragma once

#include "core/share/share.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::check {

/// Who manages the VM. Spelled libvirt, pve, qemu.
enum class VmKind { libvirt, pve, qemu };
std::string_view to_string(VmKind kind);

/// Who starts the share's daemon. Spelled managed, socket, pve.
enum class LaunchKind {
    managed, ///< libvirt, from <source dir=>
    socket,  ///< somebody else; it listens on VmShare::socket before QEMU starts
    pve,     ///< qemu-server
};
std::string_view to_string(LaunchKind kind);

/// One virtiofs device. Options as configured; absent means that the configuration does not say.
struct VmShare {
    std::string tag;
    std::string dirid; ///< the mapping that it is (or would be) of
    /// The configuration names the mapping itself; false: only the tag can tell, and a tag that no
    /// mapping has is somebody's own share.
    bool is_dirid_explicit = false;
    LaunchKind launch = LaunchKind::managed;
    std::string device;                    ///< "virtiofs0", "fs0"; may be empty
    std::optional<std::string> source_dir; ///< managed
    std::optional<std::string> socket;     ///< socket
    std::optional<std::string> binary;     ///< managed: <binary path=>
    std::optional<share::CachePolicy> cache;
    std::optional<bool> xattr;
    std::optional<bool> posix_acl;
    std::optional<bool> writeback;
    std::optional<bool> announce_submounts;
    bool readonly = false;
    bool has_fixed_address = false; ///< the device keeps its PCI slot

    bool operator==(const VmShare&) const = default;
};

/// One 9p device.
struct NinepDevice {
    std::string tag;
    std::string dirid; ///< of a mapping, if it has one
    std::optional<std::string> source_dir;
    std::string multidevs = "default"; ///< libvirt's word; QEMU's default is warn
    std::optional<bool> is_mounted;    ///< by the guest, now; absent: nobody asked it

    bool operator==(const NinepDevice&) const = default;
};

struct Vm {
    std::string name; ///< libvirt's domain name; Proxmox VE's VMID in decimal
    VmKind kind = VmKind::qemu;
    /// Absent: not known; a live migration is of a running guest, an offline one of a stopped one.
    std::optional<bool> is_running;
    std::optional<bool> has_shared_memory; ///< that a vhost-user daemon can map
    std::string memory_reason;             ///< what decides it, for the sentence; may be empty
    std::optional<std::uint64_t> memory_bytes;
    bool has_hugepages = false;
    std::optional<std::uint64_t> hugepage_bytes; ///< absent: the host's default size
    bool has_memory_hotplug = false;
    std::optional<std::size_t> snapshots; ///< how many it has; absent: not known
    std::vector<VmShare> shares;
    std::vector<NinepDevice> ninep;

    bool operator==(const Vm&) const = default;
};

} // namespace vfskit::check
