// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/check.h"

#include "vfsctl/cmd/share_options.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::vfsctl {
namespace {

using check::Migration;
using check::Operation;

check::Moment now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

/// A VM that its manager says is stopped only has a definition to move; so has a Proxmox VE VM that
/// the facts of its node do not know as a guest.
Operation operation_for(const PlacedVm& placed,
                        const check::Cluster& cluster,
                        const MigrationChoice& choice) {
    if (choice.operation) {
        return *choice.operation;
    }
    if (placed.vm.is_running) {
        return *placed.vm.is_running ? Operation::live : Operation::offline;
    }
    const auto* const node = cluster.find_node(placed.node);
    const bool is_stopped = placed.vm.kind == check::VmKind::pve && node != nullptr &&
                            node->find_guest(placed.vm.name) == nullptr;
    return is_stopped ? Operation::offline : Operation::live;
}

nlohmann::ordered_json document_of(const std::vector<CheckedVm>& vms,
                                   const std::vector<FactsOrigin>& origins) {
    auto document = make_document("check");
    document["facts"] = to_json(origins);
    document["vms"] = nlohmann::ordered_json::array();
    for (const auto& vm : vms) {
        document["vms"].push_back(to_json(vm));
    }
    return document;
}

ExitCode worst_of(const std::vector<CheckedVm>& vms) {
    std::optional<check::Severity> worst;
    for (const auto& vm : vms) {
        worst = std::max(worst, vm.report.worst());
        for (const auto& target : vm.report.targets) {
            worst = std::max(worst, vm.report.worst(&target));
        }
    }
    return exit_code_of(worst);
}

void print(const std::vector<CheckedVm>& vms,
           const std::vector<FactsOrigin>& origins,
           Output& output) {
    if (output.is_json()) {
        output.print_json(document_of(vms, origins));
        return;
    }
    output.say(render(origins));
    if (vms.size() == 1) {
        output.print(render(vms.front(), output));
        return;
    }
    output.print(render_matrix(vms, output));
    output.say("'vfsctl check --explain CODE' says what a code means, 'vfsctl check VM' what is "
               "meant");
}

Result<std::set<std::string>> targets_of(const CheckOptions& options, Services& services) {
    std::set<std::string> targets{options.targets.begin(), options.targets.end()};
    if (targets.erase("all") > 0) {
        VFSKIT_TRY_ASSIGN(auto all, all_nodes(services, options.facts));
        targets.merge(all);
    }
    const auto operation = options.migration.operation.value_or(Operation::live);
    const bool has_target = operation == Operation::live || operation == Operation::offline;
    if (targets.empty() && has_target) {
        return Error{EINVAL, "No target is named"}.with_remedy(
            "Give it with --to NODE, or --to all for every node");
    }
    return has_target ? targets : std::set<std::string>{};
}

Result<ExitCode> run_target_half(const CheckOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto vms, find_vms(options.vms, services));
    const auto target = options.targets.empty() ? services.node : options.targets.front();
    VFSKIT_TRY_ASSIGN(const auto ground, prepare_ground(options.facts, {target}, {}, services));
    auto migration = options.migration.migration;
    migration.operation = options.migration.operation.value_or(Operation::live);
    migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    std::vector<CheckedVm> checked;
    for (const auto& placed : vms) {
        checked.push_back(check_half(placed.vm, target, ground.cluster, migration));
    }
    print(checked, ground.origins, services.output);
    return worst_of(checked);
}

void bind(CheckOptions& options, OptionSet& set) {
    set.text({.name = "VM",
              .help = "A libvirt domain, a Proxmox VE VMID (with a pve: store), or 'all'"},
             options.vms.name)
        .list({.name = "--to",
               .value = "NODE",
               .help = "The node that takes the VM, or 'all'. May be repeated",
               .completes = Completes::node,
               .is_repeatable = true},
              options.targets);
    bind_vm_choice(options.vms, set);
    bind_facts_choice(options.facts, set);
    bind_migration_choice(options.migration, set);
    set.flag({.name = "--target-half",
              .help = "Check only what the target alone can tell: for the libvirt hook and Proxmox "
                      "VE's pre-start gate, which run there. Without --to the target is this node"},
             options.target_half)
        .flag({.name = "--pve",
               .help = "Print what Proxmox VE's own functions answer, with the patch series of "
                       "February 2026, instead of our findings"},
              options.as_pve)
        .flag({.name = "--stopped", .help = "With --pve: the VM does not run"}, options.is_stopped)
        .text({.name = "--explain",
               .value = "CODE",
               .help = "Print what a finding means, why it matters and what to do; 'all' prints "
                       "every one"},
              options.explain);
}

} // namespace

void bind_migration_choice(MigrationChoice& choice, OptionSet& set) {
    auto& migration = choice.migration;
    set.value({.name = "--operation",
               .value = "WORD",
               .help = "live, offline, save (also Proxmox VE's hibernate), or snapshot (with "
                       "memory). Without it live, or offline for a VM that is stopped",
               .completes = Completes::words,
               .words = {"live", "offline", "save", "snapshot"}},
              choice.operation,
              check::parse_operation)
        .flag({.name = "--post-copy", .help = "Post-copy is asked for"}, migration.post_copy)
        .flag({.name = "--persistent", .help = "libvirt's --persistent is asked for"},
              migration.persistent)
        .flag({.name = "--persistent-xml",
               .help = "… with a definition made for the target (--persistent-xml)"},
              migration.persist_xml)
        .flag({.name = "--destination-xml",
               .help = "The sender gives a definition made for the target (virsh migrate --xml, "
                       "'vfsctl migrate')"},
              migration.rewrites_xml)
        .value({.name = "--uri",
                .value = "URI",
                .help = "QEMU's migration URI: unix:PATH, tcp:HOST:PORT or file:PATH. Without it "
                        "TCP"},
               migration.transport,
               check::parse_transport)
        .value({.name = "--descriptor-transfer",
                .value = "WORD",
                .help = "A QEMU feature that hands over descriptors: none, backend-transfer or "
                        "cpr-transfer",
                .completes = Completes::words,
                .words = {"none", "backend-transfer", "cpr-transfer"}},
               migration.descriptor_transfer,
               check::parse_descriptor_transfer)
        .value({.name = "--return-path",
                .value = "WORD",
                .help = "Whether QEMU's return-path capability will be on or off. Without it as "
                        "the nodes' facts say",
                .completes = Completes::words,
                .words = {"on", "off"}},
               migration.return_path,
               parse_on_off);
}

std::vector<CheckedVm> check_all(const std::vector<PlacedVm>& vms,
                                 const std::set<std::string>& targets,
                                 const check::Cluster& cluster,
                                 const MigrationChoice& choice) {
    std::vector<CheckedVm> checked;
    checked.reserve(vms.size());
    auto migration = choice.migration;
    migration.now = now();
    const bool is_single = targets.size() == 1;
    for (const auto& placed : vms) {
        std::vector<std::string_view> others;
        for (const auto& target : targets) {
            // Named alone, the node that the VM is on is a finding; among others it is no target.
            if (is_single || target != placed.node) {
                others.emplace_back(target);
            }
        }
        migration.operation = operation_for(placed, cluster, choice);
        checked.push_back(
            {check::check_migration(placed.vm, cluster, placed.node, others, migration),
             migration.operation});
    }
    return checked;
}

CheckedVm check_half(const check::Vm& vm,
                     const std::string& target,
                     const check::Cluster& cluster,
                     check::Migration migration) {
    migration.now = now();
    CheckedVm checked{.report = {.vm = vm.name, .source = {}, .findings = {}, .targets = {}},
                      .operation = migration.operation};
    checked.report.targets.push_back({target, check::check_target(vm, cluster, target, migration)});
    return checked;
}

Verb check_verb() {
    return make_verb<CheckOptions>(
        {.path = "check",
         .summary = "Say what would fail if a VM with shares were moved, and what to do about it",
         .description =
             "Nothing is moved and nothing is changed. Each finding has a stable code. A blocker "
             "says that the migration would fail or do harm, a warning that it can be done but "
             "has consequences. Facts that are missing are findings: a check does not pass on "
             "what nobody knows. Exit status 7 with a blocker, 6 with a warning.",
         .examples = R"(
vfsctl check web --to n2
vfsctl check 100 --to all --store pve:/etc/pve
vfsctl check all --to all --json
vfsctl check --xml web.xml --from n1 --to n2 --facts n1.json --facts n2.json
vfsctl check 100 --operation snapshot --store pve:/etc/pve
vfsctl check 100 --pve --store pve:/etc/pve
vfsctl check --explain VFS-C032)"},
        bind,
        run_check);
}

Result<ExitCode> run_check(const CheckOptions& options, Services& services) {
    if (options.explain) {
        return run_explain(*options.explain, services);
    }
    if (options.as_pve) {
        return run_check_pve(options, services);
    }
    if (options.target_half) {
        return run_target_half(options, services);
    }
    VFSKIT_TRY_ASSIGN(const auto targets, targets_of(options, services));
    VFSKIT_TRY_ASSIGN(const auto vms, find_vms(options.vms, services));
    auto nodes = targets;
    for (const auto& placed : vms) {
        nodes.insert(placed.node);
    }
    VFSKIT_TRY_ASSIGN(const auto ground, prepare_ground(options.facts, nodes, vms, services));
    auto choice = options.migration;
    choice.migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    const auto checked = check_all(vms, targets, ground.cluster, choice);
    print(checked, ground.origins, services.output);
    return worst_of(checked);
}

} // namespace vfskit::vfsctl
