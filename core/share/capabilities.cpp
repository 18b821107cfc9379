// SPDX-License-Identifier: Apache-2.0
#include "core/share/capabilities.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::share {
namespace {

// capabilities(7), Linux 6.12: the set has not grown since 5.9.
constexpr std::array<std::string_view, 41> capability_names{"audit_control",
                                                            "audit_read",
                                                            "audit_write",
                                                            "block_suspend",
                                                            "bpf",
                                                            "chown",
                                                            "checkpoint_restore",
                                                            "dac_override",
                                                            "dac_read_search",
                                                            "fowner",
                                                            "fsetid",
                                                            "ipc_lock",
                                                            "ipc_owner",
                                                            "kill",
                                                            "lease",
                                                            "linux_immutable",
                                                            "mac_admin",
                                                            "mac_override",
                                                            "mknod",
                                                            "net_admin",
                                                            "net_bind_service",
                                                            "net_broadcast",
                                                            "net_raw",
                                                            "perfmon",
                                                            "setfcap",
                                                            "setgid",
                                                            "setpcap",
                                                            "setuid",
                                                            "sys_admin",
                                                            "sys_boot",
                                                            "sys_chroot",
                                                            "sys_module",
                                                            "sys_nice",
                                                            "sys_pacct",
                                                            "sys_ptrace",
                                                            "sys_rawio",
                                                            "sys_resource",
                                                            "sys_time",
                                                            "sys_tty_config",
                                                            "syslog",
                                                            "wake_alarm"};

Error bad_list(std::string message, std::string remedy) {
    return Error{EINVAL, std::move(message)}
        .at({.file = {}, .line = 0, .key = "modcaps"})
        .with_remedy(std::move(remedy));
}

Error unknown_capability(std::string_view name) {
    auto message = fmt::format("Capability \"{}\" is not known", name);
    constexpr std::string_view prefix = "cap_";
    if (name.starts_with(prefix)) {
        return bad_list(std::move(message),
                        fmt::format("Write \"{}\", without \"cap_\"", name.substr(prefix.size())));
    }
    if (const auto near = base::nearest(name, capability_names)) {
        return bad_list(std::move(message), fmt::format("Did you mean \"{}\"?", *near));
    }
    return bad_list(std::move(message), "Use a name of capabilities(7) without \"CAP_\"");
}

Result<void> check_name(const std::string& name) {
    if (std::find(capability_names.begin(), capability_names.end(), name) ==
        capability_names.end()) {
        return unknown_capability(name);
    }
    return {};
}

const CapabilityChange* last_mention(std::span<const CapabilityChange> changes,
                                     std::string_view name) {
    const auto found = std::find_if(changes.rbegin(), changes.rend(), [name](const auto& change) {
        return change.name == name;
    });
    return found != changes.rend() ? &*found : nullptr;
}

} // namespace

Result<std::vector<CapabilityChange>> parse_capability_changes(std::string_view list) {
    VFSKIT_TRY_ASSIGN(auto changes, option_grammar::parse_capability_changes(list));
    for (const auto& change : changes) {
        VFSKIT_TRY(check_name(change.name));
    }
    return changes;
}

bool adds_capability(std::span<const CapabilityChange> changes, std::string_view name) {
    const auto* const change = last_mention(changes, name);
    return change != nullptr && change->adds;
}

bool removes_capability(std::span<const CapabilityChange> changes, std::string_view name) {
    const auto* const change = last_mention(changes, name);
    return change != nullptr && !change->adds;
}

} // namespace vfskit::share
