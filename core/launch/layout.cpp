// SPDX-License-Identifier: Apache-2.0
#include "core/launch/layout.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::launch {

namespace {

// sun_path of unix(7) without its NUL, and UNIT_NAME_MAX of systemd.
constexpr std::size_t max_socket_bytes = 107;
constexpr std::size_t max_unit_bytes = 255;

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

} // namespace

std::string escape_unit_part(std::string_view part) {
    std::string name;
    for (const char c : part) {
        if (is_alphanumeric(c) || c == ':' || c == '_' || (c == '.' && !name.empty())) {
            name += c;
        } else {
            name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
    return name;
}

Result<std::string> Layout::vm_directory(std::string_view vm) const {
    if (vm.empty() || vm == "." || vm == ".." || vm.find('/') != std::string_view::npos ||
        vm.find('\0') != std::string_view::npos) {
        return Error{EINVAL, fmt::format("'{}' cannot name a VM's directory", vm)}.with_remedy(
            "Give the VM's name or VMID, or the whole path of the socket with --socket");
    }
    return fmt::format("{}/{}", base_, vm);
}

Result<SharePaths> Layout::paths(std::string_view vm, std::string_view tag) const {
    SharePaths paths;
    VFSKIT_TRY_ASSIGN(paths.directory, vm_directory(vm));
    if (tag.empty()) {
        return Error{EINVAL, fmt::format("A share of VM '{}' has an empty tag", vm)}.with_remedy(
            "Give the share a tag");
    }
    const auto stem = fmt::format("{}/{}", paths.directory, control::tag_to_file_stem(tag));
    paths.socket = stem + ".sock";
    paths.control = stem + ".control";
    paths.pid_file = stem + ".pid";
    paths.record = stem + ".json";
    paths.log = stem + ".log";
    paths.unit =
        fmt::format("vfskit-virtiofsd-{}-{}.service", escape_unit_part(vm), escape_unit_part(tag));
    if (paths.control.size() > max_socket_bytes) {
        return Error{ENAMETOOLONG,
                     fmt::format("The socket path '{}' has {} bytes, at most {} fit",
                                 paths.control,
                                 paths.control.size(),
                                 max_socket_bytes)}
            .with_remedy("Use a shorter VM name or tag");
    }
    if (paths.unit.size() > max_unit_bytes) {
        return Error{ENAMETOOLONG,
                     fmt::format("The unit name '{}' has {} bytes, systemd takes {}",
                                 paths.unit,
                                 paths.unit.size(),
                                 max_unit_bytes)}
            .with_remedy("Use a shorter VM name or tag");
    }
    return paths;
}

} // namespace vfskit::launch
