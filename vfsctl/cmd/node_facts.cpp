// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/node_facts.h"

#include "vfsctl/node_facts.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>

#include <string>

namespace vfskit::vfsctl {

namespace {

using node::DaemonFacts;
using node::NodeFacts;
using node::PathFacts;

void bind(NodeFactsOptions& /*options*/, OptionSet& /*set*/) {}

std::string version_or_dash(const std::optional<node::Version>& version) {
    return version ? share::to_string(*version) : "-";
}

std::string yes_or_no(const std::optional<bool>& fact) {
    return !fact ? "?" : *fact ? "yes" : "no";
}

/// What a path is, in a word or two.
std::string path_state(const PathFacts& path) {
    if (path.state != node::ProbeState::answered) {
        return path.state == node::ProbeState::timed_out ? "hangs" : "not known";
    }
    if (path.exists == false) {
        return "missing";
    }
    if (path.is_directory == false) {
        return "no directory";
    }
    if (path.is_expected_mount == false) {
        return "not mounted";
    }
    return path.exists && path.is_directory ? "ok" : "not known";
}

Color path_color(const std::string& state) {
    return state == "ok" ? Color::green : Color::red;
}

std::string handle_state(const PathFacts& path) {
    if (path.name_to_handle_works == false) {
        return "none";
    }
    return !path.open_by_handle_works   ? "?"
           : *path.open_by_handle_works ? "yes"
                                        : "cannot be opened";
}

std::string first_lines(const NodeFacts& facts, const Services& services) {
    auto text = services.output.paint(Color::bold, fmt::format("Node {}", printable(facts.node)));
    text += fmt::format(", kernel {}", facts.kernel.value_or("?"));
    if (facts.memory) {
        text += fmt::format(", {} of {} free",
                            short_bytes(static_cast<double>(facts.memory->available_bytes)),
                            short_bytes(static_cast<double>(facts.memory->total_bytes)));
    }
    text += "\n";
    for (const auto& qemu : facts.qemus) {
        text += fmt::format("QEMU {}: {}\n", version_or_dash(qemu.version), printable(qemu.path));
    }
    if (facts.libvirt) {
        const auto& libvirt = *facts.libvirt;
        text += fmt::format(
            "libvirt {}: {}, hook {}\n",
            version_or_dash(libvirt.version),
            libvirt.started_at
                ? fmt::format("{} since {}", libvirt.daemon, node::to_string(*libvirt.started_at))
                : libvirt.daemon + " is not running",
            !libvirt.hook.is_installed ? "not installed"
            : libvirt.hook.is_loaded   ? "loaded"
                                       : "installed");
    }
    if (facts.pve) {
        text += fmt::format("Proxmox VE {}: plugin {}, return-path {}\n",
                            facts.pve->manager_version.value_or("?"),
                            facts.pve->plugin_version.value_or("not installed"),
                            yes_or_no(facts.pve->has_return_path));
    }
    return text;
}

Table virtiofsd_table(const NodeFacts& facts) {
    Table table{{"VIRTIOFSD", "KIND", "VERSION", "MIGRATES", "LIBVIRT'S"}};
    for (const auto& binary : facts.virtiofsds) {
        table.add({binary.path,
                   binary.kind ? std::string{node::to_string(*binary.kind)} : "not known",
                   version_or_dash(binary.version),
                   binary.has_feature("migrate-precopy") ? "yes" : "no",
                   binary.is_libvirt_default ? "yes" : "no"});
    }
    return table;
}

Table path_table(const NodeFacts& facts) {
    Table table{{"MAPPING", "STATE", "FILESYSTEM", "INODE", "HANDLES", "ACL", "FREE", "PATH"}};
    for (const auto& path : facts.paths) {
        const auto state = path_state(path);
        table.add({path.dirid,
                   state,
                   path.fs_type.value_or("-"),
                   path.inode ? fmt::to_string(*path.inode) : "-",
                   handle_state(path),
                   yes_or_no(path.supports_acl),
                   path.free_bytes ? short_bytes(static_cast<double>(*path.free_bytes)) : "-",
                   path.path});
        table.color_last(1, path_color(state));
    }
    return table;
}

Table daemon_table(const NodeFacts& facts) {
    Table table{{"VM", "TAG", "PID", "STATE", "BY", "VERSION", "METHOD", "ON ERROR", "DIRECTORY"}};
    for (const auto& daemon : facts.daemons) {
        const auto& options = daemon.options;
        table.add({daemon.vm.value_or("-"),
                   daemon.tag.value_or("-"),
                   daemon.pid ? fmt::to_string(*daemon.pid) : "-",
                   daemon.is_alive ? "alive" : "gone",
                   std::string{node::to_string(daemon.manager)},
                   version_or_dash(daemon.version),
                   options ? std::string{mapping::to_string(options->method)} : "?",
                   options ? std::string{share::to_string(options->on_error)} : "?",
                   daemon.shared_dir});
        table.color_last(3, daemon.is_alive ? Color::green : Color::red);
    }
    return table;
}

void print_tables(const NodeFacts& facts, Services& services) {
    services.output.print(first_lines(facts, services));
    for (const auto& table : {virtiofsd_table(facts), path_table(facts), daemon_table(facts)}) {
        if (!table.is_empty()) {
            services.output.print("\n" + table.render(services.output));
        }
    }
}

} // namespace

Verb node_facts_verb() {
    return make_verb<NodeFactsOptions>(
        {.path = "node facts",
         .summary = "Find out what this node has, runs and mounts",
         .description =
             "The versions of virtiofsd, QEMU and libvirt, running daemons with the options they "
             "were started with, and what the directory of each mapping really is: its "
             "filesystem, identity and file handle, and whether the filesystem that belongs there "
             "is mounted. A filesystem that hangs is waited for 3 seconds. --node says what "
             "mappings call this node. Run it as root: others do not see daemons and cannot open "
             "file handles. docs/node-facts.md explains each fact.",
         .examples = R"(
vfsctl node facts
vfsctl node facts --json > n1.json
ssh root@n2 vfsctl node facts --json)"},
        bind,
        run_node_facts);
}

Result<ExitCode> run_node_facts(const NodeFactsOptions& /*options*/, Services& services) {
    const auto facts = collect_facts(services);
    if (services.output.is_json()) {
        services.output.print(node::to_json(facts) + "\n");
        return ExitCode::ok;
    }
    print_tables(facts, services);
    for (const auto& problem : facts.problems) {
        services.output.warn(problem);
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
