// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/xml_options.h"

#include "vfsctl/output/output.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <charconv>

namespace vfskit::vfsctl {

namespace {

Result<domain::FilesystemDriver> parse_driver(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, {"virtiofs", "9p"}));
    return known == "9p" ? domain::FilesystemDriver::ninep : domain::FilesystemDriver::virtiofs;
}

Result<std::uint32_t> parse_file_mode(std::string_view word) {
    std::uint32_t mode = 0;
    const auto* end = word.data() + word.size();
    const auto [rest, failure] = std::from_chars(word.data(), end, mode, 8);
    if (failure != std::errc{} || rest != end || mode > 0777) {
        return Error{EINVAL, fmt::format("'{}' is no file mode", word)}.with_remedy(
            "Write it in octal, for example 0644");
    }
    return mode;
}

Result<bool> parse_wrpolicy(std::string_view word) {
    VFSKIT_TRY(parse_word(word, {"immediate"}));
    return true;
}

const std::vector<std::string> on_off{"on", "off"};

void bind_daemon(FilesystemVerbOptions& options, OptionSet& set) {
    auto& details = options.details;
    set.flag({.name = "--external",
              .help = "The daemon is started by somebody else than libvirt; its socket is "
                      "/run/vfskit/VM/TAG.sock of --vm"},
             options.external)
        .text({.name = "--vm", .value = "VM", .help = "Name of the VM, for --external"}, options.vm)
        .text({.name = "--socket",
               .value = "PATH",
               .help = "The daemon is started by somebody else and listens here",
               .completes = Completes::file},
              details.socket)
        .text({.name = "--binary",
               .value = "PATH",
               .help = "The daemon that libvirt starts. Default: the one it finds",
               .completes = Completes::file},
              details.binary)
        .flag({.name = "--wrapper",
               .help = "--binary is a wrapper that adds the options libvirt cannot express"},
              details.binary_is_wrapper)
        .value({.name = "--posix-lock",
                .value = "ON|OFF",
                .help = "POSIX locks on the host; the old C daemon only",
                .completes = Completes::words,
                .words = on_off},
               details.posix_lock,
               parse_on_off)
        .value({.name = "--flock",
                .value = "ON|OFF",
                .help = "flock on the host; the old C daemon only",
                .completes = Completes::words,
                .words = on_off},
               details.flock,
               parse_on_off);
}

void bind_device(domain::FilesystemOptions& details, OptionSet& set) {
    const auto option = [&set](const char* name, const char* help, std::optional<bool>& target) {
        set.value({.name = name,
                   .value = "ON|OFF",
                   .help = help,
                   .completes = Completes::words,
                   .words = on_off},
                  target,
                  parse_on_off);
    };
    set.number({.name = "--boot-order", .value = "N", .help = "Boot from the share, in this order"},
               details.boot_order);
    option("--iommu", "Virtio: behind an emulated IOMMU", details.virtio.iommu);
    option("--ats", "Virtio: address translation services", details.virtio.ats);
    option("--packed", "Virtio: packed rings", details.virtio.packed);
    option("--page-per-vq", "Virtio: a page per queue", details.virtio.page_per_vq);
}

void bind_ninep(domain::FilesystemOptions& details, OptionSet& set) {
    set.value({.name = "--driver",
               .value = "DRIVER",
               .help = "virtiofs (default) or 9p",
               .completes = Completes::words,
               .words = {"virtiofs", "9p"}},
              details.driver,
              parse_driver)
        .value({.name = "--accessmode",
                .value = "MODE",
                .help = "9p: passthrough, mapped or squash",
                .completes = Completes::words,
                .words = {"passthrough", "mapped", "squash"}},
               details.accessmode,
               domain::parse_access_mode)
        .value({.name = "--multidevs",
                .value = "POLICY",
                .help =
                    "9p: files of other filesystems below the directory: default, remap, forbid "
                    "or warn",
                .completes = Completes::words,
                .words = {"default", "remap", "forbid", "warn"}},
               details.multidevs,
               domain::parse_multidevs)
        .value({.name = "--fmode", .value = "MODE", .help = "9p mapped: mode of new files, octal"},
               details.fmode,
               parse_file_mode)
        .value({.name = "--dmode",
                .value = "MODE",
                .help = "9p mapped: mode of new directories, octal"},
               details.dmode,
               parse_file_mode)
        .value({.name = "--wrpolicy",
                .value = "immediate",
                .help = "9p: write through to the host's storage",
                .completes = Completes::words,
                .words = {"immediate"}},
               details.wrpolicy_immediate,
               parse_wrpolicy)
        .value({.name = "--model",
                .value = "MODEL",
                .help = "9p: virtio, virtio-transitional or virtio-non-transitional",
                .completes = Completes::words,
                .words = {"virtio", "virtio-transitional", "virtio-non-transitional"}},
               details.model,
               domain::parse_ninep_model);
}

} // namespace

void bind_target_options(TargetOptions& options, OptionSet& set) {
    set.value({.name = "--libvirt",
               .value = "VERSION",
               .help = "The libvirt that the XML is for. Default: 11.3.0"},
              options.libvirt,
              domain::parse_libvirt_version)
        .flag({.name = "--c-daemon", .help = "virtiofsd is the C daemon of QEMU before 8.0"},
              options.c_daemon)
        .flag({.name = "--session", .help = "For qemu:///session, where daemons are not root"},
              options.session)
        .flag({.name = "--validate",
               .help = "Check the result with libvirt's own grammar, which must be installed"},
              options.validate);
}

domain::Target make_target(const TargetOptions& options, const Services& services) {
    domain::Target target;
    target.libvirt = options.libvirt;
    target.rust_daemon = !options.c_daemon;
    target.runs_as_root = !options.session;
    if (services.node == services.environment.node_name) {
        target.is_directory = services.environment.is_directory;
        target.is_executable = services.environment.is_executable;
    }
    return target;
}

void bind_filesystem_options(FilesystemVerbOptions& options, OptionSet& set) {
    bind_daemon(options, set);
    bind_device(options.details, set);
    bind_ninep(options.details, set);
}

Result<domain::FilesystemPlan> make_filesystem(const share::Share& share,
                                               const FilesystemVerbOptions& options,
                                               const domain::Target& target) {
    auto details = options.details;
    if (options.external && !details.socket) {
        VFSKIT_TRY_ASSIGN(details.socket, default_socket(options.vm.value_or(""), share.tag));
    }
    return domain::plan_filesystem(share, details, target);
}

void bind_memory_options(MemoryOptions& options, OptionSet& set, const std::string& kind_option) {
    set.value({.name = kind_option,
               .value = "KIND",
               .help = "What backs the memory: memfd, file or hugepages",
               .completes = Completes::words,
               .words = {"memfd", "file", "hugepages"}},
              options.kind,
              domain::parse_memory_kind)
        .size({.name = "--page-size",
               .value = "SIZE",
               .help = "Size of the huge pages, '2M' or '1G'. Default: the host's"},
              options.page_bytes)
        .flag({.name = "--numa",
               .help =
                   "As a NUMA cell with memAccess='shared', for libvirt before 6.9; needs --memory "
                   "and --vcpus"},
              options.numa)
        .size({.name = "--memory",
               .value = "SIZE",
               .help = "The domain's memory, '4G', to count its huge pages"},
              options.memory_bytes)
        .number({.name = "--vcpus", .value = "N", .help = "The domain's CPUs, for --numa"},
                options.vcpus);
}

domain::MemoryRequest to_request(const MemoryOptions& options) {
    return {.kind = options.kind.value_or(domain::MemoryKind::memfd),
            .page_bytes = options.page_bytes,
            .numa = options.numa,
            .memory_bytes = options.memory_bytes,
            .vcpus = options.vcpus};
}

namespace {

/// Several shares of one domain have much to say in common, and one time is enough.
std::vector<domain::Notice> without_repeats(const std::vector<domain::Notice>& notices) {
    std::vector<domain::Notice> once;
    for (const auto& notice : notices) {
        if (std::ranges::find(once, notice) == once.end()) {
            once.push_back(notice);
        }
    }
    return once;
}

} // namespace

void warn_about(const std::vector<domain::Notice>& notices, Output& output) {
    for (const auto& notice : without_repeats(notices)) {
        output.warn(Error{0, notice.message}.with_remedy(notice.remedy).describe());
    }
}

nlohmann::ordered_json to_json(const std::vector<domain::Notice>& notices) {
    auto json = nlohmann::ordered_json::array();
    for (const auto& notice : without_repeats(notices)) {
        json.push_back({{"message", to_utf8(notice.message)}, {"remedy", to_utf8(notice.remedy)}});
    }
    return json;
}

} // namespace vfskit::vfsctl
