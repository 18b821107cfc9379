// SPDX-License-Identifier: Apache-2.0
#include "core/check/pve_answers.h"
#include "core/store/pve_resources.h"
#include "vfsctl/cmd/check.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <cerrno>

namespace vfskit::vfsctl {
namespace {

using check::PveAnswer;
using Json = nlohmann::ordered_json;

Result<check::PveMappings> read_devices(const std::string& root, std::string_view kind) {
    VFSKIT_TRY_ASSIGN(const auto devices, store::read_mapped_devices(root, kind));
    check::PveMappings mappings;
    for (const auto& device : devices) {
        mappings[device.id] = {.nodes = {device.nodes.begin(), device.nodes.end()},
                               .has_live_migration = device.is_live_migration_capable};
    }
    return mappings;
}

Result<check::PveCluster> read_cluster(const std::string& root, Services& services) {
    check::PveCluster cluster;
    VFSKIT_TRY_ASSIGN(cluster.nodes, store::read_pve_nodes(root));
    VFSKIT_TRY_ASSIGN(cluster.pci, read_devices(root, "pci"));
    VFSKIT_TRY_ASSIGN(cluster.usb, read_devices(root, "usb"));
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    for (const auto& mapping : snapshot.mappings) {
        auto& entry = cluster.dir[mapping.id];
        entry.has_live_migration = mapping.live_migration_method.has_value();
        for (const auto& path : mapping.paths) {
            entry.nodes.insert(path.node);
        }
    }
    return cluster;
}

Json to_json(const PlacedVm& placed, const PveAnswer& answer) {
    Json json{{"vm", placed.vm.name},
              {"node", placed.node},
              {"non-migratable", answer.non_migratable},
              {"local-resources", answer.local_resources}};
    if (const auto refusal = answer.refusal()) {
        json["refusal"] = *refusal;
    }
    json["mapped-resources"] = Json::object();
    for (const auto& [key, resource] : answer.mapped_resources) {
        json["mapped-resources"][key] = {{"name", resource.name},
                                         {"live-migration", resource.has_live_migration}};
    }
    json["missing-mappings-by-node"] = Json::object();
    for (const auto& [node, keys] : answer.missing_mappings_by_node) {
        json["missing-mappings-by-node"][node] = keys;
    }
    return json;
}

std::string render(const PlacedVm& placed, const PveAnswer& answer) {
    auto text = fmt::format("VM {} on {}, as Proxmox VE answers:\n", placed.vm.name, placed.node);
    if (const auto refusal = answer.refusal()) {
        text += fmt::format("  {}\n", *refusal);
    }
    text += fmt::format("  local resources: {}\n",
                        answer.local_resources.empty()
                            ? "none"
                            : fmt::format("{}", fmt::join(answer.local_resources, ", ")));
    for (const auto& [key, resource] : answer.mapped_resources) {
        text += fmt::format("  mapped resource {}: {}{}\n",
                            key,
                            resource.name,
                            resource.has_live_migration ? " (live-migration)" : "");
    }
    for (const auto& [node, keys] : answer.missing_mappings_by_node) {
        if (!keys.empty()) {
            text += fmt::format("  missing mappings on {}: {}\n", node, fmt::join(keys, ", "));
        }
    }
    return text;
}

} // namespace

Result<ExitCode> run_check_pve(const CheckOptions& options, Services& services) {
    const auto root = store::pve_root(services.store_url);
    if (!root) {
        return Error{EINVAL, "--pve needs a Proxmox VE store"}.with_remedy(
            "Give it with --store pve:/etc/pve");
    }
    VFSKIT_TRY_ASSIGN(const auto vms, find_vms(options.vms, services));
    VFSKIT_TRY_ASSIGN(const auto cluster, read_cluster(*root, services));
    auto document = make_document("check-pve");
    document["vms"] = Json::array();
    std::string text;
    bool is_blocked = false;
    for (const auto& placed : vms) {
        if (placed.vm.kind != check::VmKind::pve) {
            return Error{EINVAL, fmt::format("'{}' is no VM of Proxmox VE", placed.vm.name)}
                .with_remedy("Give a VMID or --config");
        }
        auto answer = check::answer_as_pve(placed.pve_values, !options.is_stopped, cluster);
        if (!answer) {
            return std::move(answer).error().under(fmt::format("VM {}", placed.vm.name));
        }
        is_blocked = is_blocked || !answer->local_resources.empty();
        document["vms"].push_back(to_json(placed, *answer));
        text += render(placed, *answer);
    }
    if (services.output.is_json()) {
        services.output.print_json(document);
    } else {
        services.output.print(text);
    }
    return is_blocked ? ExitCode::blocker : ExitCode::ok;
}

} // namespace vfskit::vfsctl
