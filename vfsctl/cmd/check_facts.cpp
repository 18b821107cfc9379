// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/check_facts.h"

#include "core/base/file.h"
#include "core/store/pve_resources.h"
#include "vfsctl/node_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

namespace vfskit::vfsctl {
namespace {

using node::NodeFacts;

constexpr std::size_t max_facts_bytes = std::size_t{8} << 20U;

Result<NodeFacts> read_facts_file(const std::string& path) {
    VFSKIT_TRY_ASSIGN(const auto content, base::read_file(path, max_facts_bytes));
    auto facts = node::parse_facts(content);
    if (!facts) {
        return std::move(facts).error().at({path, 0, {}});
    }
    return facts;
}

} // namespace

void bind_facts_choice(FactsChoice& choice, OptionSet& set) {
    set.list({.name = "--facts",
              .value = "FILE",
              .help = "A node's facts from a file ('vfsctl node facts --json') instead of where "
                      "it published them. May be repeated",
              .completes = Completes::file,
              .is_repeatable = true},
             choice.files)
        .value({.name = "--max-age",
                .value = "SECONDS",
                .help = "Facts that are older are no ground to decide on. Without it 600"},
               choice.max_age,
               [](std::string_view word) {
                   return base::parse_unsigned(word, "max-age", 1'000'000'000);
               })
        .flag({.name = "--no-ssh",
               .help = "Do not ask nodes over ssh that have not published their facts"},
              choice.without_ssh);
}

Result<CheckGround> prepare_ground(const FactsChoice& choice,
                                   const std::set<std::string>& nodes,
                                   const std::vector<PlacedVm>& vms,
                                   Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(auto snapshot, store->snapshot());
    warn_about(snapshot.notices, services.output);
    std::map<std::string, std::string> file_of;
    for (const auto& path : choice.files) {
        VFSKIT_TRY_ASSIGN(const auto facts, read_facts_file(path));
        file_of.insert_or_assign(facts.node, path);
    }
    std::vector<NodeFacts> facts;
    std::vector<FactsOrigin> origins;
    for (const auto& node : nodes) {
        node::FactsRequest request;
        request.node = node;
        if (const auto file = file_of.find(node); file != file_of.end()) {
            request.file = file->second;
        }
        request.may_use_ssh = !choice.without_ssh;
        request.max_age = std::chrono::seconds{choice.max_age};
        auto& origin = origins.emplace_back();
        origin.node = node;
        const bool is_source = std::ranges::any_of(
            vms, [&node](const PlacedVm& placed) { return placed.node == node; });
        auto found = find_facts(services, request, is_source);
        if (!found) {
            origin.problem = found.error().describe();
            continue;
        }
        origin.origin = found->origin;
        origin.age = found->age;
        facts.push_back(std::move(found->facts));
    }
    return CheckGround{check::Cluster{std::move(snapshot.mappings), std::move(facts)},
                       std::move(origins)};
}

Result<std::set<std::string>> all_nodes(Services& services, const FactsChoice& choice) {
    std::set<std::string> nodes;
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    for (const auto& mapping : snapshot.mappings) {
        for (const auto& path : mapping.paths) {
            nodes.insert(path.node);
        }
    }
    for (const auto& path : choice.files) {
        VFSKIT_TRY_ASSIGN(const auto facts, read_facts_file(path));
        nodes.insert(facts.node);
    }
    if (const auto root = store::pve_root(services.store_url)) {
        VFSKIT_TRY_ASSIGN(const auto members, store::read_pve_nodes(*root));
        nodes.insert(members.begin(), members.end());
    }
    if (const auto published = open_facts(services)) {
        if (const auto documents = (*published)->read_all()) {
            for (const auto& document : *documents) {
                nodes.insert(document.node);
            }
        }
    }
    return nodes;
}

} // namespace vfskit::vfsctl
