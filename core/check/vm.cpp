// SPDX-License-Identifier: Apache-2.0
#include "core/check/vm.h"

namespace vfskit::check {

std::string_view to_string(VmKind kind) {
    switch (kind) {
    case VmKind::libvirt:
        return "libvirt";
    case VmKind::pve:
        return "pve";
    case VmKind::qemu:
        return "qemu";
    }
    return "";
}

std::string_view to_string(LaunchKind kind) {
    switch (kind) {
    case LaunchKind::managed:
        return "managed";
    case LaunchKind::socket:
        return "socket";
    case LaunchKind::pve:
        return "pve";
    }
    return "";
}

} // namespace vfskit::check
