// SPDX-License-Identifier: Apache-2.0
// QEMU's arguments for shares: the devices, and the shared memory they need.
#pragma once

#include "core/base/result.h"
#include "core/share/share.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::share {

/// Where the device sits; the same on both ends of a migration.
struct PciAddress {
    std::string bus;  ///< QEMU's bus id: "pci.0", "pcie.0", the id of a root port
    std::string addr; ///< hexadecimal slot, with an optional function: "0x5", "5.1"
    bool operator==(const PciAddress&) const = default;
};

/// One share of a VM as a device.
struct QemuDevice {
    Share share;
    std::string socket_path; ///< where its daemon listens
    std::optional<PciAddress> pci = {};
};

/// One NUMA cell of the guest, in the order of its node id.
struct NumaCell {
    std::uint64_t bytes = 0;
    std::string cpus = {}; ///< "0-3,8"; empty: a cell without CPUs
};

/// The guest's memory, all of it shared: a daemon reads and writes it in place.
struct QemuMemory {
    std::uint64_t bytes = 0; ///< a whole number of MiB; with cells: their sum, or 0
    /// Absent: anonymous memory (memfd). A directory or file to back it: /dev/shm, a hugetlbfs
    /// mount.
    std::optional<std::string> file_path = {};
    /// The size of huge pages for memfd; a file_path on hugetlbfs has its own. Also checks that the
    /// size is a whole number of pages.
    std::optional<std::uint64_t> hugepage_bytes = {};
    std::vector<NumaCell> cells = {};
};

/// `value` inside a comma-separated QEMU argument: each comma doubled.
std::string quote_qemu_value(std::string_view value);

/// Ids of the device and the chardev of the share at `index` (0-based): "vfskit-fs0",
/// "vfskit-chr0". Both ends of a migration must agree on them, so they depend on nothing else.
std::string device_id(std::size_t index);
std::string chardev_id(std::size_t index);

/// -chardev and -device of each share, in their order. Validates the shares; refuses two with one
/// tag, socket or address, as QEMU or the guest would. EINVAL. Pure.
Result<std::vector<std::string>> device_args(std::span<const QemuDevice> devices);

/// -m, -object and -machine or -numa for memory shared with daemons. EINVAL. Pure.
Result<std::vector<std::string>> memory_args(const QemuMemory& memory);

} // namespace vfskit::share
