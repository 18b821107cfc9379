// SPDX-License-Identifier: Apache-2.0
#include "pve-plugin/launcher/decision.h"

#include "core/base/text.h"
#include "core/share/daemon_command.h"
#include "core/share/quick_probe.h"
#include "core/store/pve_store.h"
#include "core/store/vm_config.h"
#include "pve-plugin/launcher/socket_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

namespace vfskit::pve_plugin {
namespace {

using Args = std::vector<std::string>;

/// The value of the last "--name=value", as virtiofsd takes it.
std::optional<std::string> last_value(const Args& args, std::string_view name) {
    const auto prefix = fmt::format("--{}=", name);
    const auto found = std::find_if(
        args.rbegin(), args.rend(), [&](const auto& arg) { return arg.starts_with(prefix); });
    if (found == args.rend()) {
        return std::nullopt;
    }
    return found->substr(prefix.size());
}

bool has_prefix(const Args& args, std::string_view prefix) {
    return std::ranges::any_of(args, [&](const auto& arg) { return arg.starts_with(prefix); });
}

/// Both kinds of call that are no start of a share: somebody asks the binary about itself, or runs
/// it by hand with a socket of its own.
bool is_for_a_vm(const Args& args) {
    return has_prefix(args, "--fd=") && has_prefix(args, "--shared-dir=") &&
           !has_prefix(args, "--version") && !has_prefix(args, "--print-capabilities") &&
           !has_prefix(args, "--help");
}

Result<SocketOwner> find_owner(const Args& args) {
    constexpr std::uint64_t max_fd = 1U << 20U;
    VFSKIT_TRY_ASSIGN(
        const auto fd,
        base::parse_unsigned(last_value(args, "fd").value_or(""), "The descriptor", max_fd));
    VFSKIT_TRY_ASSIGN(const auto path, socket_path(static_cast<int>(fd)));
    const auto owner = parse_socket_name(path);
    if (!owner.has_value()) {
        return Error{EINVAL,
                     fmt::format("Socket \"{}\" is not named as Proxmox VE names them", path)};
    }
    return *owner;
}

Result<store::VirtiofsDevice>
find_device(const SocketOwner& owner, const Settings& settings, const Surroundings& surroundings) {
    VFSKIT_TRY_ASSIGN(const auto vm,
                      store::read_vm_config(settings.pve_root, owner.vmid, surroundings.node));
    const auto& devices = vm.current.devices;
    const auto device = std::ranges::find(devices, owner.index, &store::VirtiofsDevice::index);
    if (device == devices.end()) {
        return Error{ENOENT, fmt::format("VM {} has no virtiofs{}", owner.vmid, owner.index)}.at(
            {vm.path, 0, {}});
    }
    return *device;
}

Result<share::Share>
find_share(const std::string& dirid, const Settings& settings, const Surroundings& surroundings) {
    VFSKIT_TRY_ASSIGN(const auto opened, store::open_pve_store(settings.pve_root));
    VFSKIT_TRY_ASSIGN(const auto snapshot, opened->snapshot());
    const auto* const mapping = snapshot.find(dirid);
    if (mapping == nullptr) {
        return Error{ENOENT, fmt::format("Directory mapping \"{}\" does not exist", dirid)};
    }
    return share::make_share(*mapping, surroundings.node);
}

/// The share that the call is for. An Error means doubt.
Result<share::Share>
identify(const Args& args, const Settings& settings, const Surroundings& surroundings) {
    VFSKIT_TRY_ASSIGN(const auto owner, find_owner(args));
    VFSKIT_TRY_ASSIGN(const auto device, find_device(owner, settings, surroundings));
    VFSKIT_TRY_ASSIGN(auto share, find_share(device.dirid, settings, surroundings));
    const auto shared_dir = last_value(args, "shared-dir").value_or("");
    if (share.path != shared_dir) {
        return Error{EINVAL,
                     fmt::format("Proxmox VE shares \"{}\", but mapping \"{}\" has \"{}\" on "
                                 "node \"{}\"",
                                 shared_dir,
                                 device.dirid,
                                 share.path,
                                 surroundings.node)};
    }
    share.modcaps = last_value(args, "modcaps");
    share.on_error = settings.on_error;
    return share;
}

/// Before the --syslog that Proxmox VE's command lines end with, where its own patch has them.
void insert(Args& args, const Args& added) {
    const auto at = !args.empty() && args.back() == "--syslog" ? std::prev(args.end()) : args.end();
    args.insert(at, added.begin(), added.end());
}

Result<Args> arguments_to_add(const Args& args,
                              const share::DaemonInfo& daemon,
                              const Settings& settings,
                              const Surroundings& surroundings) {
    if (has_prefix(args, "--migration-")) {
        return Error{EEXIST, "Proxmox VE itself passes options for live migration"};
    }
    VFSKIT_TRY_ASSIGN(const auto share, identify(args, settings, surroundings));
    if (settings.compat) {
        return share::pve_migration_arguments(share);
    }
    return share::migration_arguments(share, daemon);
}

Decision first_choice(const Args& args, const Settings& settings) {
    Decision decision;
    decision.args = args;
    decision.is_compat = settings.compat;
    decision.program = settings.bundled_daemon;
    decision.fallback = settings.system_daemon;
    if (settings.daemon == DaemonChoice::system) {
        std::swap(decision.program, decision.fallback);
    }
    return decision;
}

/// Whether the daemon knows all of these options: asked for its capabilities, it reads the others
/// too, and starts nothing.
bool takes(const std::string& program, Args args, const Surroundings& around) {
    args.emplace_back("--print-capabilities");
    const auto answer = around.run({.program = program, .args = std::move(args)});
    return answer && answer->exit_status == 0;
}

/// The daemon, if it would serve a share with these options.
Result<share::DaemonInfo>
probe_with(const std::string& program, const Args& args, const Surroundings& around) {
    VFSKIT_TRY_ASSIGN(auto daemon, share::probe_quickly(program, around.run));
    if (!takes(program, args, around)) {
        return Error{EINVAL, fmt::format("\"{}\" refuses Proxmox VE's options", program)};
    }
    return daemon;
}

// A daemon that cannot even say its version (a library is missing, half an upgrade is done), or
// that does not know an option of a newer Proxmox VE, would leave the VM waiting for its share for
// ever, so it is asked first.
Result<share::DaemonInfo> choose_working_daemon(Decision& decision, const Surroundings& around) {
    auto first = probe_with(decision.program, decision.args, around);
    if (first) {
        return first;
    }
    auto second = probe_with(decision.fallback, decision.args, around);
    if (second) {
        decision.notice = fmt::format("\"{}\" takes the place of \"{}\": {} ",
                                      decision.fallback,
                                      decision.program,
                                      first.error().describe());
        std::swap(decision.program, decision.fallback);
        return second;
    }
    return first;
}

} // namespace

Decision decide(const std::vector<std::string>& args,
                const Settings& settings,
                const Surroundings& surroundings) {
    auto decision = first_choice(args, settings);
    if (!is_for_a_vm(args)) {
        return decision;
    }
    const auto daemon = choose_working_daemon(decision, surroundings);
    const auto added = daemon ? arguments_to_add(args, *daemon, settings, surroundings)
                              : Result<Args>{daemon.error()};
    if (!added) {
        decision.notice += "No options for live migration: " + added.error().describe();
        return decision;
    }
    insert(decision.args, *added);
    return decision;
}

} // namespace vfskit::pve_plugin
