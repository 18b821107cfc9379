// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/daemon_command.h"

#include "core/share/daemon_command.h"
#include "vfsctl/cmd/daemon_program.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <limits>

namespace vfskit::vfsctl {

namespace {

const std::vector<std::string> level_words{"error", "warn", "info", "debug", "trace"};

Result<LogLevel> parse_log_level(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, level_words));
    return known == "error"   ? LogLevel::error
           : known == "warn"  ? LogLevel::warn
           : known == "info"  ? LogLevel::info
           : known == "debug" ? LogLevel::debug
                              : LogLevel::trace;
}

Result<bool> parse_compat(std::string_view word) {
    VFSKIT_TRY(parse_word(word, {"pve"}));
    return true;
}

void bind_socket(DaemonCommandVerbOptions& options, OptionSet& set) {
    set.text({.name = "--vm",
              .value = "VM",
              .help = "Name or VMID of the VM; the socket is then /run/vfskit/VM/TAG.sock"},
             options.vm)
        .text({.name = "--socket",
               .value = "PATH",
               .help = "Where the daemon listens; its directory must exist",
               .completes = Completes::file},
              options.socket)
        .number({.name = "--fd",
                 .value = "N",
                 .help = "The daemon inherits this descriptor, which listens already"},
                options.fd,
                std::numeric_limits<int>::max())
        .text({.name = "--socket-group",
               .value = "GROUP",
               .help = "The group that may connect to the socket"},
              options.socket_group);
}

void bind(DaemonCommandVerbOptions& options, OptionSet& set) {
    set.text({.name = "MAPPING",
              .help = "The directory mapping to share",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.mapping);
    bind_socket(options, set);
    bind_daemon_program(options.binary, options.dialect, set);
    set.value({.name = "--compat",
               .value = "pve",
               .help = "Byte for byte what Proxmox VE's patch series for live migration starts; "
                       "takes --fd only",
               .completes = Completes::words,
               .words = {"pve"}},
              options.compat_pve,
              parse_compat)
        .flag({.name = "--advertise-tag",
               .help = "Offer the tag in the device's configuration space; QEMU 7.1 to 8.0 crash "
                       "on it"},
              options.advertise_tag)
        .flag({.name = "--syslog", .help = "The daemon logs to syslog"}, options.syslog)
        .value({.name = "--log-level",
                .value = "LEVEL",
                .help = "What the daemon logs: error, warn, info, debug or trace",
                .completes = Completes::words,
                .words = level_words},
               options.log_level,
               parse_log_level);
    bind_share_options(options.share, set);
}

// The command and what was found out on the way to it.
struct Command {
    ProcessSpec spec;
    std::optional<share::DaemonInfo> daemon; // absent with --compat=pve
    std::optional<std::string> socket;
    std::optional<std::uint32_t> fd;
};

Result<share::DaemonInfo> find_daemon(const DaemonCommandVerbOptions& options, Services& services) {
    if (options.dialect) {
        return *options.dialect;
    }
    if (services.node != services.environment.node_name) {
        services.output.warn(
            fmt::format("Asking '{}' of this node; if the one of '{}' differs, say "
                        "so with --dialect",
                        options.binary,
                        services.node));
    }
    auto found = share::probe(options.binary, services.environment.run_process);
    if (!found) {
        return std::move(found).error().with_remedy(
            "Install virtiofsd, name it with --binary, or say with --dialect which one it will be");
    }
    return found;
}

Result<std::string> find_socket(const DaemonCommandVerbOptions& options,
                                const share::Share& share) {
    if (options.socket) {
        return *options.socket;
    }
    if (options.vm) {
        return default_socket(*options.vm, share.tag);
    }
    return Error{EINVAL, "It is not known where the daemon shall listen"}.with_remedy(
        "Give --vm, --socket or --fd");
}

Result<Command> make_command(const DaemonCommandVerbOptions& options,
                             const share::Share& share,
                             Services& services) {
    Command command;
    share::DaemonCommandOptions daemon_options{.program = options.binary,
                                               .socket = {},
                                               .socket_group = options.socket_group,
                                               .advertise_tag = options.advertise_tag,
                                               .log_level = options.log_level,
                                               .syslog = options.syslog,
                                               .runs_as_root = std::nullopt};
    if (options.fd) {
        command.fd = options.fd;
        daemon_options.socket = share::SocketFd{static_cast<int>(*options.fd)};
    } else {
        VFSKIT_TRY_ASSIGN(command.socket, find_socket(options, share));
        daemon_options.socket = share::SocketPath{*command.socket};
    }
    VFSKIT_TRY_ASSIGN(command.daemon, find_daemon(options, services));
    VFSKIT_TRY_ASSIGN(command.spec, share::daemon_command(share, *command.daemon, daemon_options));
    return command;
}

Result<Command> make_pve_command(const DaemonCommandVerbOptions& options,
                                 const share::Share& share) {
    if (!options.fd) {
        return Error{EINVAL, "Proxmox VE hands the daemon a listening descriptor"}.with_remedy(
            "Give its number with --fd");
    }
    if (options.socket || options.dialect || options.socket_group || options.advertise_tag ||
        options.log_level) {
        return Error{EINVAL, "--compat=pve fixes the daemon's own options"}.with_remedy(
            "Leave out --socket, --socket-group, --dialect, --advertise-tag and --log-level");
    }
    Command command;
    command.fd = options.fd;
    VFSKIT_TRY_ASSIGN(command.spec,
                      share::pve_daemon_command(share, {.fd = static_cast<int>(*options.fd)}));
    return command;
}

void print_document(const Command& command, const share::Share& share, Services& services) {
    auto document = make_document("daemon-command");
    document["mapping"] = share.dirid;
    document["node"] = services.node;
    document["tag"] = share.tag;
    document["path"] = to_utf8(share.path);
    if (command.socket) {
        document["socket"] = *command.socket;
    }
    if (command.fd) {
        document["fd"] = *command.fd;
    }
    if (command.daemon) {
        document["daemon"] = {{"dialect", share::to_string(command.daemon->dialect)},
                              {"version", share::to_string(command.daemon->version)},
                              {"is-probed", command.daemon->is_probed}};
    }
    document["argv"] = nlohmann::ordered_json::array({command.spec.program});
    for (const auto& argument : command.spec.args) {
        document["argv"].push_back(to_utf8(argument));
    }
    services.output.print_json(document);
}

} // namespace

Verb daemon_command_verb() {
    return make_verb<DaemonCommandVerbOptions>(
        {.path = "daemon command",
         .summary = "Print the command that starts virtiofsd for a mapping",
         .description = "The words are quoted for a shell. The binary is asked for its version and "
                        "capabilities; an option that it does not know is refused, never left out.",
         .examples = R"(
vfsctl daemon command media --vm 100
vfsctl daemon command media --socket /run/media.sock --cache always --readonly
vfsctl daemon command media --node n2 --vm web --dialect 1.13.2 --json
vfsctl daemon command media --fd 7 --compat=pve)"},
        bind,
        run_daemon_command);
}

Result<ExitCode> run_daemon_command(const DaemonCommandVerbOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto shares,
                      make_shares(services, std::span{&options.mapping, 1}, options.share));
    const auto& share = shares.front();
    VFSKIT_TRY_ASSIGN(const auto command,
                      options.compat_pve ? make_pve_command(options, share)
                                         : make_command(options, share, services));
    if (services.output.is_json()) {
        print_document(command, share, services);
    } else {
        services.output.print(command.spec.shell_line() + "\n");
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
