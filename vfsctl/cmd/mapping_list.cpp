// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_list.h"

#include "vfsctl/cmd/mapping_fields.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace vfskit::vfsctl {

using mapping::DirectoryMapping;

namespace {

using MethodFilter = std::optional<mapping::MigrationMethod>;

Result<MethodFilter> parse_method_filter(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, method_words));
    if (known == "none") {
        return MethodFilter{};
    }
    VFSKIT_TRY_ASSIGN(const auto method, mapping::parse_migration_method(known));
    return MethodFilter{method};
}

void bind(MappingListOptions& options, OptionSet& set) {
    set.value({.name = "--method",
               .value = "METHOD",
               .help = "Only mappings with this method; none: those that are not live-migratable",
               .completes = Completes::words,
               .words = method_words},
              options.method,
              parse_method_filter);
}

std::string node_names(const DirectoryMapping& mapping) {
    std::string names;
    for (const auto& entry : mapping.paths) {
        names += (names.empty() ? "" : ",") + entry.node;
    }
    return names;
}

bool is_wanted(const DirectoryMapping& mapping,
               const MappingListOptions& options,
               const Services& services) {
    if (options.method && mapping.live_migration_method != *options.method) {
        return false;
    }
    return !services.node_is_given || mapping::find_path(mapping, services.node).has_value();
}

void print_table(const std::vector<const DirectoryMapping*>& mappings, Services& services) {
    Table table{{"ID", "METHOD", "RELATION", "NODES", "PATH ON " + services.node, "DESCRIPTION"}};
    for (const auto* mapping : mappings) {
        const auto& method = mapping->live_migration_method;
        const auto& relation = mapping->path_relation;
        const auto path = mapping::find_path(*mapping, services.node);
        table.add({mapping->id,
                   method ? std::string{to_string(*method)} : "-",
                   relation ? std::string{to_string(*relation)} : "-",
                   node_names(*mapping),
                   path ? std::string{*path} : "-",
                   mapping->description.value_or("")});
    }
    services.output.print(table.render(services.output));
    if (table.is_empty()) {
        services.output.say(fmt::format("No mappings in {}", services.store_url));
    }
}

void print_json(const std::vector<const DirectoryMapping*>& mappings,
                const store::Snapshot& snapshot,
                const std::string& url,
                Services& services) {
    auto document = make_document("mapping-list");
    document["store"] = url;
    document["revision"] = snapshot.revision.text;
    document["mappings"] = nlohmann::ordered_json::array();
    document["notices"] = to_json(snapshot.notices);
    print_with_mappings(services.output, document, mappings);
}

} // namespace

Verb mapping_list_verb() {
    return make_verb<MappingListOptions>(
        {.path = "mapping list",
         .summary = "List the directory mappings",
         .description =
             "With --node only those that have a path on that node. What the store could "
             "not make sense of goes to standard error as warnings.",
         .examples = R"(
vfsctl mapping list
vfsctl mapping list --node n2 --method find-paths
vfsctl mapping list --json | jq -r '.mappings[].id')"},
        bind,
        run_mapping_list);
}

Result<ExitCode> run_mapping_list(const MappingListOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    std::vector<const DirectoryMapping*> wanted;
    for (const auto& mapping : snapshot.mappings) {
        if (is_wanted(mapping, options, services)) {
            wanted.push_back(&mapping);
        }
    }
    if (services.output.is_json()) {
        print_json(wanted, snapshot, store->url(), services);
        return ExitCode::ok;
    }
    print_table(wanted, services);
    warn_about(snapshot.notices, services.output);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
