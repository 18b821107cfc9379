// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/drain.h"

#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace vfskit::vfsctl {
namespace {

using check::Severity;
using Json = nlohmann::ordered_json;

/// Where a VM could go: first the nodes with nothing but notes, then those with warnings.
struct Exits {
    std::vector<std::string> good;
    std::vector<std::string> with_warnings;

    [[nodiscard]] bool is_blocked() const { return good.empty() && with_warnings.empty(); }
};

Exits exits_of(const CheckedVm& vm) {
    Exits exits;
    for (const auto& target : vm.report.targets) {
        const auto severity = vm.report.worst(&target);
        if (!severity || *severity == Severity::note) {
            exits.good.push_back(target.node);
        } else if (*severity == Severity::warning) {
            exits.with_warnings.push_back(target.node);
        }
    }
    return exits;
}

/// What keeps a VM that can go nowhere: what stands in the way anywhere, else of every target.
std::string reasons(const CheckedVm& vm) {
    std::set<std::string> codes;
    const auto collect = [&codes](const std::vector<check::Finding>& findings) {
        for (const auto& finding : findings) {
            if (finding.severity() == Severity::blocker) {
                codes.insert(finding.code_text());
            }
        }
    };
    collect(vm.report.findings);
    if (codes.empty()) {
        for (const auto& target : vm.report.targets) {
            collect(target.findings);
        }
    }
    return codes.empty() ? "no other node" : fmt::format("{}", fmt::join(codes, " "));
}

Json to_json(const CheckedVm& vm, const Exits& exits) {
    auto json = vfsctl::to_json(vm);
    json["can-go-to"] = exits.good;
    json["can-go-with-warnings-to"] = exits.with_warnings;
    json["is-blocked"] = exits.is_blocked();
    return json;
}

void bind(DrainOptions& options, OptionSet& set) {
    set.text({.name = "NODE",
              .help = "The node that is to be emptied",
              .completes = Completes::node,
              .is_required = true},
             options.node)
        .list({.name = "--to",
               .value = "NODE",
               .help = "Only these nodes may take VMs. May be repeated. Without it every other "
                       "node",
               .completes = Completes::node,
               .is_repeatable = true},
              options.targets)
        .text({.name = "--connect",
               .value = "URI",
               .help = "The libvirt of the node. Without it qemu:///system"},
              options.connect);
    bind_facts_choice(options.facts, set);
    bind_migration_choice(options.migration, set);
}

Result<std::vector<PlacedVm>> vms_on(const DrainOptions& options, Services& services) {
    VmChoice choice;
    choice.name = "all";
    choice.connect = options.connect;
    if (!store::pve_root(services.store_url)) {
        choice.from = options.node; // the connection's domains are this node's
    }
    VFSKIT_TRY_ASSIGN(auto vms, find_vms(choice, services));
    std::erase_if(vms, [&options](const PlacedVm& vm) { return vm.node != options.node; });
    return vms;
}

std::string render(const std::vector<CheckedVm>& vms, const Output& output) {
    Table table{{"VM", "HOW", "CAN GO TO", "WITH WARNINGS", "BLOCKED BY"}};
    for (const auto& vm : vms) {
        const auto exits = exits_of(vm);
        const auto join = [](const std::vector<std::string>& nodes) {
            return nodes.empty() ? std::string{"-"} : fmt::format("{}", fmt::join(nodes, " "));
        };
        table.add({vm.report.vm,
                   std::string{to_string(vm.operation)},
                   join(exits.good),
                   join(exits.with_warnings),
                   exits.is_blocked() ? reasons(vm) : "-"});
        table.color_last(4, exits.is_blocked() ? Color::red : Color::none);
    }
    return table.render(output);
}

} // namespace

Verb drain_verb() {
    return make_verb<DrainOptions>(
        {.path = "drain",
         .summary = "Say which VMs would block the maintenance of a node, and where each could go",
         .description =
             "Checks every VM of the node against every other node, as 'vfsctl check' does; "
             "nothing is moved. Exit status 7 when a VM can go nowhere, 6 when one can go only "
             "with warnings.",
         .examples = R"(
vfsctl drain n1
vfsctl drain n1 --store pve:/etc/pve --json
vfsctl drain n1 --to n2 --to n3)"},
        bind,
        run_drain);
}

Result<ExitCode> run_drain(const DrainOptions& options, Services& services) {
    std::set<std::string> targets{options.targets.begin(), options.targets.end()};
    if (targets.empty()) {
        VFSKIT_TRY_ASSIGN(targets, all_nodes(services, options.facts));
    }
    targets.erase(options.node);
    VFSKIT_TRY_ASSIGN(const auto vms, vms_on(options, services));
    auto nodes = targets;
    nodes.insert(options.node);
    VFSKIT_TRY_ASSIGN(const auto ground, prepare_ground(options.facts, nodes, vms, services));
    auto choice = options.migration;
    choice.migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    const auto checked = check_all(vms, targets, ground.cluster, choice);

    auto document = make_document("drain");
    document["node"] = options.node;
    document["facts"] = to_json(ground.origins);
    document["vms"] = Json::array();
    auto code = ExitCode::ok;
    for (const auto& vm : checked) {
        const auto exits = exits_of(vm);
        document["vms"].push_back(to_json(vm, exits));
        if (exits.is_blocked()) {
            code = ExitCode::blocker;
        } else if (exits.good.empty() && code == ExitCode::ok) {
            code = ExitCode::warning;
        }
    }
    if (services.output.is_json()) {
        services.output.print_json(document);
        return code;
    }
    services.output.say(vfsctl::render(ground.origins));
    services.output.print(render(checked, services.output));
    if (checked.empty()) {
        services.output.say(fmt::format("There is no VM on '{}'", options.node));
    }
    return code;
}

} // namespace vfskit::vfsctl
