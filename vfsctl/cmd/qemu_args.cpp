// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/qemu_args.h"

#include "core/base/size.h"
#include "core/base/text.h"
#include "core/domain/memory_backing.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

Result<share::PciAddress> parse_pci_address(std::string_view word) {
    const auto colon = word.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == word.size()) {
        return Error{EINVAL, fmt::format("'{}' is not BUS:SLOT", word)}.with_remedy(
            "Write for example pci.0:0x5 or pcie.0:0x3");
    }
    return share::PciAddress{std::string{word.substr(0, colon)},
                             std::string{word.substr(colon + 1)}};
}

Result<share::NumaCell> parse_cell(std::string_view word) {
    const auto at = word.find('@');
    VFSKIT_TRY_ASSIGN(const auto bytes, base::parse_size(word.substr(0, at)));
    return share::NumaCell{bytes,
                           at == std::string_view::npos ? "" : std::string{word.substr(at + 1)}};
}

void bind_memory(QemuArgsOptions& options, OptionSet& set) {
    set.size({.name = "--memory",
              .value = "SIZE",
              .help = "The VM's memory, '4G': prints the arguments for memory that daemons can "
                      "share. Without it the devices only"},
             options.memory)
        .text(
            {.name = "--memory-path",
             .value = "PATH",
             .help = "Back the memory by files here (/dev/shm, a hugetlbfs mount) instead of memfd",
             .completes = Completes::directory},
            options.memory_path)
        .size({.name = "--hugepages",
               .value = "SIZE",
               .help = "Back the memory by huge pages of this size, '2M' or '1G'"},
              options.hugepage)
        .values(
            {.name = "--numa",
             .value = "SIZE[@CPUS]",
             .help = "A NUMA cell, '2G@0-3'; the cells together are the memory. May be repeated"},
            options.cells,
            parse_cell);
}

void bind(QemuArgsOptions& options, OptionSet& set) {
    set.list({.name = "MAPPING",
              .help = "The directory mappings to share, in the order of their devices",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.mappings)
        .text({.name = "--vm",
               .value = "VM",
               .help = "Name or VMID of the VM; the sockets are then /run/vfskit/VM/TAG.sock"},
              options.vm)
        .list({.name = "--socket",
               .value = "PATH",
               .help = "Where the daemon of a mapping listens. Once per mapping, in their order",
               .completes = Completes::file},
              options.sockets)
        .values({.name = "--pci",
                 .value = "BUS:SLOT",
                 .help =
                     "Where a mapping's device sits; the same on both ends of a migration. Once "
                     "per mapping, in their order"},
                options.pci,
                parse_pci_address);
    bind_memory(options, set);
    bind_share_options(options.share, set);
}

Result<void> check_counts(const QemuArgsOptions& options) {
    const auto wanted = options.mappings.size();
    if (options.sockets.empty() && !options.vm) {
        return Error{EINVAL, "It is not known where the daemons listen"}.with_remedy(
            "Give --vm, or --socket once per mapping");
    }
    if (!options.sockets.empty() && options.sockets.size() != wanted) {
        return Error{EINVAL,
                     fmt::format("--socket was given {} times for {} mappings",
                                 options.sockets.size(),
                                 wanted)}
            .with_remedy("Give it once per mapping, in their order");
    }
    if (!options.pci.empty() && options.pci.size() != wanted) {
        return Error{
            EINVAL,
            fmt::format("--pci was given {} times for {} mappings", options.pci.size(), wanted)}
            .with_remedy("Give it once per mapping, in their order");
    }
    return {};
}

Result<std::vector<share::QemuDevice>> make_devices(const QemuArgsOptions& options,
                                                    Services& services) {
    VFSKIT_TRY_ASSIGN(auto shares, make_shares(services, options.mappings, options.share));
    std::vector<share::QemuDevice> devices;
    for (std::size_t i = 0; i < shares.size(); ++i) {
        share::QemuDevice device;
        if (options.sockets.empty()) {
            VFSKIT_TRY_ASSIGN(device.socket_path, default_socket(*options.vm, shares[i].tag));
        } else {
            device.socket_path = options.sockets[i];
        }
        if (!options.pci.empty()) {
            device.pci = options.pci[i];
        }
        device.share = std::move(shares[i]);
        devices.push_back(std::move(device));
    }
    return devices;
}

Result<std::vector<std::string>> make_memory_args(const QemuArgsOptions& options) {
    if (!options.memory && options.cells.empty()) {
        if (options.memory_path || options.hugepage) {
            return Error{EINVAL, "The size of the memory is missing"}.with_remedy("Give --memory");
        }
        return std::vector<std::string>{};
    }
    return share::memory_args({.bytes = options.memory.value_or(0),
                               .file_path = options.memory_path,
                               .hugepage_bytes = options.hugepage,
                               .cells = options.cells});
}

void print_document(const std::vector<share::QemuDevice>& devices,
                    const std::vector<std::string>& memory,
                    const std::vector<std::string>& argv,
                    Output& output) {
    auto document = make_document("qemu-args");
    document["devices"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < devices.size(); ++i) {
        document["devices"].push_back({{"id", share::device_id(i)},
                                       {"chardev", share::chardev_id(i)},
                                       {"mapping", devices[i].share.dirid},
                                       {"tag", devices[i].share.tag},
                                       {"socket", devices[i].socket_path}});
    }
    document["has-memory"] = !memory.empty();
    document["argv"] = argv;
    output.print_json(document);
}

} // namespace

Verb qemu_args_verb() {
    return make_verb<QemuArgsOptions>(
        {.path = "qemu args",
         .summary = "Print QEMU's arguments for mappings",
         .description =
             "One chardev and one vhost-user-fs-pci device per mapping, with ids that are "
             "the same on every node, and with --memory or --numa the shared memory that "
             "they need. The words are quoted for a shell; start the daemons first.",
         .examples = R"x(
vfsctl qemu args media --vm 100 --memory 4G
vfsctl qemu args media home --vm web --memory 8G --hugepages 2M
vfsctl qemu args media --socket /run/media.sock --pci pcie.0:0x5 --numa 2G@0-1 --numa 2G@2-3
eval "qemu-system-x86_64 -nodefaults $(vfsctl qemu args media --vm 100 --memory 1G)")x"},
        bind,
        run_qemu_args);
}

Result<ExitCode> run_qemu_args(const QemuArgsOptions& options, Services& services) {
    VFSKIT_TRY(check_counts(options));
    VFSKIT_TRY_ASSIGN(const auto devices, make_devices(options, services));
    VFSKIT_TRY_ASSIGN(const auto memory, make_memory_args(options));
    VFSKIT_TRY_ASSIGN(const auto device_args, share::device_args(devices));
    auto argv = memory;
    argv.insert(argv.end(), device_args.begin(), device_args.end());
    if (services.output.is_json()) {
        print_document(devices, memory, argv, services.output);
    } else {
        services.output.print(base::shell_join(argv) + "\n");
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
