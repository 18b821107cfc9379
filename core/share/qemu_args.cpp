// SPDX-License-Identifier: Apache-2.0
#include "core/share/qemu_args.h"

#include "core/base/text.h"
#include "core/share/id_translation.h"
#include "core/share/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <numeric>
#include <set>
#include <utility>

namespace vfskit::share {
namespace {

using Args = std::vector<std::string>;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;
constexpr std::uint64_t gib = 1024 * mib;
// The RAM block's name travels in the migration stream, so the id is fixed.
constexpr std::string_view memory_id = "vfskit-mem";

// ----- devices ----------------------------------------------------------------------------------

Result<void> check_chardev_path(const std::string& path) {
    constexpr std::size_t max_socket_path = 107; // sun_path without the NUL, unix(7)
    if (path.empty() || path.find('\0') != std::string::npos) {
        return refuse("socket",
                      "The path of the daemon's socket is empty or contains a NUL byte",
                      "Name the socket that the daemon listens on");
    }
    if (path.size() > max_socket_path) {
        return refuse(
            "socket",
            fmt::format("Socket path \"{}\" has {} bytes, and UNIX sockets take at most {}",
                        path,
                        path.size(),
                        max_socket_path),
            "Choose a shorter path");
    }
    return {};
}

std::optional<unsigned> read_hex(std::string_view text, unsigned max) {
    if (text.empty() || text.size() > 2) {
        return std::nullopt;
    }
    unsigned value = 0;
    for (const char c : text) {
        constexpr std::string_view digits = "0123456789abcdef";
        const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
        const auto digit = digits.find(lower);
        if (digit == std::string_view::npos) {
            return std::nullopt;
        }
        value = value * 16 + static_cast<unsigned>(digit);
    }
    return value <= max ? std::optional{value} : std::nullopt;
}

/// Slot and function in one number, as PCI counts them, so that "5" and "0x5.0" are one address.
std::optional<unsigned> read_devfn(std::string_view addr) {
    constexpr unsigned max_slot = 0x1F;
    constexpr unsigned max_function = 7;
    if (addr.starts_with("0x")) {
        addr.remove_prefix(2);
    }
    const auto dot = addr.find('.');
    const auto slot = read_hex(addr.substr(0, dot), max_slot);
    const auto function = dot == std::string_view::npos
                              ? std::optional{0U}
                              : read_hex(addr.substr(dot + 1), max_function);
    if (!slot.has_value() || !function.has_value()) {
        return std::nullopt;
    }
    return *slot * (max_function + 1) + *function;
}

bool is_bus_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

Result<void> check_pci(const PciAddress& pci) {
    if (pci.bus.empty() || !std::all_of(pci.bus.begin(), pci.bus.end(), is_bus_character)) {
        return refuse("bus",
                      fmt::format("\"{}\" is no id of a PCI bus", pci.bus),
                      "Name QEMU's bus, for example pci.0 or the id of a root port");
    }
    if (!read_devfn(pci.addr).has_value()) {
        return refuse("addr",
                      fmt::format("\"{}\" is no PCI slot", pci.addr),
                      "Give a hexadecimal slot from 0 to 1f, with a function if need be: 0x5.0");
    }
    return {};
}

/// What no two devices of a VM may share.
struct Taken {
    std::set<std::string> tags;
    std::set<std::string> sockets;
    std::set<std::pair<std::string, unsigned>> addresses;
};

Result<void> take(Taken& taken, const QemuDevice& device) {
    // QEMU starts with two devices of one tag; the guest then mounts only the first.
    if (!taken.tags.insert(device.share.tag).second) {
        return refuse("tag",
                      fmt::format("Tag \"{}\" is given to two shares of one VM", device.share.tag),
                      "Give one of them another tag");
    }
    if (!taken.sockets.insert(device.socket_path).second) {
        return refuse("socket",
                      fmt::format("Socket \"{}\" is given to two shares, and a daemon serves one",
                                  device.socket_path),
                      "Give each daemon a socket of its own");
    }
    if (!device.pci.has_value()) {
        return {};
    }
    VFSKIT_TRY(check_pci(*device.pci));
    const auto devfn = read_devfn(device.pci->addr).value_or(0);
    if (!taken.addresses.insert({device.pci->bus, devfn}).second) {
        return refuse("addr",
                      fmt::format("Address {} on bus {} is given to two shares",
                                  device.pci->addr,
                                  device.pci->bus),
                      "Give one of them another slot");
    }
    return {};
}

std::string device_value(const QemuDevice& device, std::size_t index) {
    constexpr std::uint32_t default_queue_size = 1024;
    auto value = fmt::format("vhost-user-fs-pci,id={},queue-size={},chardev={},tag={}",
                             device_id(index),
                             device.share.queue_size.value_or(default_queue_size),
                             chardev_id(index),
                             quote_qemu_value(device.share.tag));
    if (device.share.request_queues > 1) {
        value += fmt::format(",num-request-queues={}", device.share.request_queues);
    }
    if (device.pci.has_value()) {
        value += fmt::format(",bus={},addr={}", device.pci->bus, device.pci->addr);
    }
    return value;
}

// ----- memory -----------------------------------------------------------------------------------

std::string size_text(std::uint64_t bytes) {
    if (bytes % gib == 0) {
        return fmt::format("{}G", bytes / gib);
    }
    return bytes % mib == 0 ? fmt::format("{}M", bytes / mib) : fmt::format("{}K", bytes / kib);
}

Result<void> check_page_size(const QemuMemory& memory) {
    if (!memory.hugepage_bytes.has_value()) {
        return {};
    }
    if (!std::has_single_bit(*memory.hugepage_bytes) || *memory.hugepage_bytes < 64 * kib) {
        return refuse("hugepages",
                      fmt::format("{} bytes are no size of a huge page", *memory.hugepage_bytes),
                      "Use a size that the host lists in /sys/kernel/mm/hugepages, such as 2M");
    }
    return {};
}

Result<void> check_size(std::string_view what, std::uint64_t bytes, const QemuMemory& memory) {
    if (bytes == 0 || bytes % mib != 0) {
        return refuse("memory",
                      fmt::format("{} of {} bytes is not a whole number of MiB", what, bytes),
                      "Round the size to whole MiB");
    }
    if (memory.hugepage_bytes.has_value() && bytes % *memory.hugepage_bytes != 0) {
        return refuse("memory",
                      fmt::format("{} of {} is not a whole number of huge pages of {}",
                                  what,
                                  size_text(bytes),
                                  size_text(*memory.hugepage_bytes)),
                      "Round the size up, or use smaller pages");
    }
    return {};
}

Result<void> check_file_path(const QemuMemory& memory) {
    if (!memory.file_path.has_value()) {
        return {};
    }
    const auto& path = *memory.file_path;
    if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
        return refuse("memory-path",
                      fmt::format("Path \"{}\" for the guest's memory is not absolute", path),
                      "Name a directory such as /dev/shm or a hugetlbfs mount");
    }
    return {};
}

/// "0-3,8" as QEMU's "cpus=0-3,cpus=8"; every range is added to `seen`.
Result<std::string> cpus_value(const NumaCell& cell, RangeSet& seen) {
    constexpr std::uint64_t max_cpu = 65535;
    std::string value;
    if (cell.cpus.empty()) {
        return value;
    }
    for (const auto range : base::split(cell.cpus, ',')) {
        const auto dash = range.find('-');
        const auto first = base::parse_unsigned(range.substr(0, dash), "CPU", max_cpu);
        const auto last = dash == std::string_view::npos
                              ? first
                              : base::parse_unsigned(range.substr(dash + 1), "CPU", max_cpu);
        if (!first || !last || *last < *first) {
            return refuse("numa",
                          fmt::format("\"{}\" is no range of CPUs", range),
                          "Write the CPUs of a cell like 0-3,8");
        }
        auto added = seen.add(static_cast<std::uint32_t>(*first),
                              static_cast<std::uint32_t>(*last - *first + 1));
        if (!added) {
            return std::move(added).error().at({.file = {}, .line = 0, .key = "numa"});
        }
        value += fmt::format(",cpus={}", range);
    }
    return value;
}

std::string backend_value(const QemuMemory& memory, std::string_view id, std::uint64_t bytes) {
    if (memory.file_path.has_value()) {
        return fmt::format("memory-backend-file,id={},size={},mem-path={},share=on",
                           id,
                           size_text(bytes),
                           quote_qemu_value(*memory.file_path));
    }
    auto value = fmt::format("memory-backend-memfd,id={},size={},share=on", id, size_text(bytes));
    if (memory.hugepage_bytes.has_value()) {
        value += fmt::format(",hugetlb=on,hugetlbsize={}", size_text(*memory.hugepage_bytes));
    }
    return value;
}

Result<Args> plain_memory_args(const QemuMemory& memory) {
    VFSKIT_TRY(check_size("Memory", memory.bytes, memory));
    return Args{"-m",
                size_text(memory.bytes),
                "-object",
                backend_value(memory, memory_id, memory.bytes),
                "-machine",
                fmt::format("memory-backend={}", memory_id)};
}

Result<Args> numa_memory_args(const QemuMemory& memory) {
    constexpr std::size_t max_cells = 128; // QEMU's MAX_NODES
    if (memory.cells.size() > max_cells) {
        return refuse("numa",
                      fmt::format("{} NUMA cells are more than the {} that QEMU takes",
                                  memory.cells.size(),
                                  max_cells),
                      "Use fewer cells");
    }
    Args backends;
    RangeSet seen{"CPU"};
    std::uint64_t sum = 0;
    for (std::size_t node = 0; node < memory.cells.size(); ++node) {
        const auto& cell = memory.cells[node];
        VFSKIT_TRY(check_size(fmt::format("NUMA cell {}", node), cell.bytes, memory));
        VFSKIT_TRY_ASSIGN(const auto cpus, cpus_value(cell, seen));
        const auto id = fmt::format("{}{}", memory_id, node);
        backends.insert(backends.end(),
                        {"-object",
                         backend_value(memory, id, cell.bytes),
                         "-numa",
                         fmt::format("node,nodeid={}{},memdev={}", node, cpus, id)});
        sum += cell.bytes;
    }
    if (memory.bytes != 0 && memory.bytes != sum) {
        return refuse("memory",
                      fmt::format("The NUMA cells have {} together, and the VM has {}",
                                  size_text(sum),
                                  size_text(memory.bytes)),
                      "Give the cells the VM's memory, all of it");
    }
    Args args{"-m", size_text(sum)};
    args.insert(args.end(), backends.begin(), backends.end());
    return args;
}

} // namespace

std::string quote_qemu_value(std::string_view value) {
    std::string quoted;
    quoted.reserve(value.size());
    for (const char c : value) {
        quoted += c;
        if (c == ',') {
            quoted += ',';
        }
    }
    return quoted;
}

std::string device_id(std::size_t index) {
    return fmt::format("vfskit-fs{}", index);
}

std::string chardev_id(std::size_t index) {
    return fmt::format("vfskit-chr{}", index);
}

Result<std::vector<std::string>> device_args(std::span<const QemuDevice> devices) {
    Args args;
    Taken taken;
    for (std::size_t index = 0; index < devices.size(); ++index) {
        const auto& device = devices[index];
        VFSKIT_TRY(validate(device.share));
        VFSKIT_TRY(check_chardev_path(device.socket_path));
        VFSKIT_TRY(take(taken, device));
        args.insert(args.end(),
                    {"-chardev",
                     fmt::format("socket,id={},path={}",
                                 chardev_id(index),
                                 quote_qemu_value(device.socket_path)),
                     "-device",
                     device_value(device, index)});
    }
    return args;
}

Result<std::vector<std::string>> memory_args(const QemuMemory& memory) {
    VFSKIT_TRY(check_page_size(memory));
    VFSKIT_TRY(check_file_path(memory));
    return memory.cells.empty() ? plain_memory_args(memory) : numa_memory_args(memory);
}

} // namespace vfskit::share
