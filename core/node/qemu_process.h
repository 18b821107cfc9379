// SPDX-License-Identifier: Apache-2.0
// What the command line of a running QEMU says about its guest and its shares.
#pragma once

#include "core/node/facts.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::node {

/// One vhost-user-fs device.
struct QemuShare {
    std::string socket; ///< of its character device
    std::string tag;
    bool operator==(const QemuShare&) const = default;
};

/// The memory that the guest starts with.
struct QemuMemory {
    GuestMemoryFacts facts; ///< has_hugepages absent where the file systems of `files` decide
    std::vector<std::string> files; ///< paths (a directory or a file each) that it is mapped from

    bool operator==(const QemuMemory&) const = default;
};

struct QemuArguments {
    std::optional<std::string> name; ///< libvirt's domain name
    std::optional<std::string> uuid;
    std::optional<std::uint32_t> vmid; ///< of Proxmox VE's -id
    bool is_libvirts = false;
    std::vector<QemuShare> shares; ///< in the order of the devices
    QemuMemory memory;
};

/// Reads what it knows and passes over the rest. Both forms of -device and -chardev: "driver,key=…"
/// with ",," for a comma, and JSON.
QemuArguments parse_qemu_arguments(std::span<const std::string> argv);

} // namespace vfskit::node
