// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/node_list.h"

#include "vfsctl/node_facts.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/output/table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace vfskit::vfsctl {

namespace {

using nlohmann::ordered_json;

/// One node: its facts, why they cannot be read, or nothing because it published none.
struct Row {
    std::string node;
    std::optional<node::NodeFacts> facts;
    std::optional<std::string> problem;
    std::chrono::seconds age{};
    bool is_stale = false;
};

void bind(NodeListOptions& options, OptionSet& set) {
    set.number({.name = "--max-age",
                .value = "SECONDS",
                .help = "Older facts do not count in a check; 900 unless given"},
               options.max_age);
}

std::vector<Row> make_rows(const std::vector<store::PublishedFacts>& published,
                           const std::set<std::string>& known_nodes,
                           std::chrono::seconds max_age) {
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    std::vector<Row> rows;
    auto missing = known_nodes;
    for (const auto& [name, document] : published) {
        missing.erase(name);
        Row row{.node = name, .facts = std::nullopt, .problem = std::nullopt};
        if (auto facts = node::parse_facts(document)) {
            row.age = node::age_of(*facts, now);
            row.is_stale = row.age > max_age;
            row.facts = *std::move(facts);
        } else {
            row.problem = facts.error().describe();
        }
        rows.push_back(std::move(row));
    }
    for (const auto& name : missing) {
        rows.push_back({.node = name, .facts = std::nullopt, .problem = std::nullopt});
    }
    std::ranges::sort(rows, {}, &Row::node);
    return rows;
}

std::string state_of(const Row& row) {
    if (row.problem) {
        return "unreadable";
    }
    return !row.facts ? "no facts" : row.is_stale ? "stale" : "fresh";
}

/// "3, 1 bad": the paths of the node.
std::string paths_of(const node::NodeFacts& facts) {
    const auto bad = std::ranges::count_if(facts.paths, [](const node::PathFacts& path) {
        return path.state != node::ProbeState::answered || path.is_directory != true ||
               path.is_expected_mount == false;
    });
    return bad == 0 ? fmt::to_string(facts.paths.size())
                    : fmt::format("{}, {} bad", facts.paths.size(), bad);
}

void print_table(const std::vector<Row>& rows, Services& services) {
    Table table{{"NODE", "FACTS", "AGE", "VFSKIT", "KERNEL", "PATHS", "DAEMONS", "GUESTS"}};
    for (const auto& row : rows) {
        const auto state = state_of(row);
        if (row.facts) {
            table.add({row.node,
                       state,
                       short_age(row.age),
                       row.facts->vfskit_version,
                       row.facts->kernel.value_or("?"),
                       paths_of(*row.facts),
                       fmt::to_string(row.facts->daemons.size()),
                       fmt::to_string(row.facts->guests.size())});
        } else {
            table.add({row.node, state, "-", "-", "-", "-", "-", "-"});
        }
        table.color_last(1, state == "fresh" ? Color::green : Color::red);
    }
    services.output.print(table.render(services.output));
    if (table.is_empty()) {
        services.output.say("No nodes");
    }
    for (const auto& row : rows) {
        if (row.problem) {
            services.output.warn(fmt::format("Node '{}': {}", row.node, *row.problem));
        }
    }
}

ordered_json to_json(const Row& row) {
    ordered_json json{{"node", to_utf8(row.node)}};
    if (row.facts) {
        json["age-seconds"] = row.age.count();
        json["is-stale"] = row.is_stale;
        json["facts"] = ordered_json::parse(node::to_json(*row.facts));
    }
    if (row.problem) {
        json["problem"] = to_utf8(*row.problem);
    }
    return json;
}

/// The nodes that mappings name; a store that cannot be read names none.
std::set<std::string> nodes_of_mappings(Services& services) {
    std::set<std::string> nodes;
    const auto store = services.open_store();
    const auto snapshot = store ? (*store)->snapshot() : Result<store::Snapshot>{store.error()};
    if (!snapshot) {
        services.output.warn("The mappings cannot be read: " + snapshot.error().describe());
        return nodes;
    }
    for (const auto& mapping : snapshot->mappings) {
        for (const auto& entry : mapping.paths) {
            nodes.insert(entry.node);
        }
    }
    return nodes;
}

} // namespace

Verb node_list_verb() {
    return make_verb<NodeListOptions>(
        {.path = "node list",
         .summary = "List the nodes and how old their published facts are",
         .description =
             "The nodes that have published facts, and those that mappings name and that have not. "
             "With --json the facts themselves.",
         .examples = R"(
vfsctl node list
vfsctl node list --json | jq '.nodes[] | select(.facts).facts.kernel')"},
        bind,
        run_node_list);
}

Result<ExitCode> run_node_list(const NodeListOptions& options, Services& services) {
    constexpr std::uint32_t default_max_age = 900;
    VFSKIT_TRY_ASSIGN(const auto store, open_facts(services));
    VFSKIT_TRY_ASSIGN(const auto published, store->read_all());
    const auto rows = make_rows(published,
                                nodes_of_mappings(services),
                                std::chrono::seconds{options.max_age.value_or(default_max_age)});
    if (!services.output.is_json()) {
        print_table(rows, services);
        return ExitCode::ok;
    }
    auto document = make_document("node-list");
    document["place"] = to_utf8(store->place());
    document["nodes"] = ordered_json::array();
    for (const auto& row : rows) {
        document["nodes"].push_back(to_json(row));
    }
    services.output.print_json(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
