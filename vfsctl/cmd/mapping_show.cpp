// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_show.h"

#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vfskit::vfsctl {

using mapping::DirectoryMapping;
using mapping::MigrationMethod;
using mapping::PathRelation;

namespace {

void bind(MappingShowOptions& options, OptionSet& set) {
    set.text({.name = "ID",
              .help = "The mapping",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.id);
}

std::string relation_text(const std::optional<PathRelation>& relation) {
    if (!relation) {
        return "not said, treated as replicas";
    }
    return *relation == PathRelation::same_directory ? "same-directory: one directory of a shared "
                                                       "filesystem"
                                                     : "replicas: copies with the same names";
}

void print_text(const DirectoryMapping& mapping, Output& output) {
    const auto line = [&output](std::string_view key, std::string_view value) {
        output.print(fmt::format("{:<22} {}\n", fmt::format("{}:", key), printable(value)));
    };
    line("id", mapping.id);
    if (mapping.description) {
        line("description", *mapping.description);
    }
    line("live-migration-method",
         mapping.live_migration_method ? to_string(*mapping.live_migration_method) : "none");
    line("path-relation", relation_text(mapping.path_relation));
    output.print("\n");
    Table table{{"NODE", "PATH"}};
    for (const auto& [node, path] : mapping.paths) {
        table.add({node, path});
    }
    output.print(table.render(output));
    output.print(fmt::format("\n{}\n", describe_migration(mapping)));
}

std::string describe_find_paths(bool is_same_directory) {
    return is_same_directory
               ? "A running VM can be live-migrated: the destination finds each file again by its "
                 "path and proves by its file handle that it is the same one. A file that the "
                 "guest "
                 "holds open but that was deleted does not survive."
               : "A running VM can be live-migrated: the destination finds each file again by its "
                 "path in its own copy, and cannot prove that it has the same content. Keep the "
                 "copies in step; a file that is missing there fails the migration.";
}

std::string describe_file_handles(bool is_same_directory) {
    return is_same_directory
               ? "A running VM can be live-migrated: files travel as file handles, also renamed "
                 "and "
                 "deleted ones. The destination's daemon needs CAP_DAC_READ_SEARCH, and every path "
                 "must be the very same directory of one filesystem."
               : "Not safe as it stands: file handles mean the same file only where every node has "
                 "the very same directory of one filesystem. If that is so, say it with "
                 "--relation same-directory; with copies use --method find-paths.";
}

} // namespace

std::string describe_migration(const DirectoryMapping& mapping) {
    if (!mapping.live_migration_method) {
        return "A running VM that uses it cannot be live-migrated: no method is set.";
    }
    const bool is_same_directory = mapping.path_relation == PathRelation::same_directory;
    switch (*mapping.live_migration_method) {
    case MigrationMethod::find_paths:
        return describe_find_paths(is_same_directory);
    case MigrationMethod::file_handles:
        return describe_file_handles(is_same_directory);
    case MigrationMethod::fd_passing:
        return "A running VM can be live-migrated between two daemons on one host only: open "
               "descriptors are handed over. Both must be vfskit's own.";
    }
    return {};
}

Verb mapping_show_verb() {
    return make_verb<MappingShowOptions>(
        {.path = "mapping show",
         .summary = "Show one directory mapping and what it means for migration",
         .examples = R"x(
vfsctl mapping show media
vfsctl mapping show media --json | jq -r '.mapping.paths[] | "\(.node) \(.path)"')x"},
        bind,
        run_mapping_show);
}

Result<ExitCode> run_mapping_show(const MappingShowOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    VFSKIT_TRY_ASSIGN(const auto* mapping, require_mapping(snapshot, options.id, store->url()));
    if (!services.output.is_json()) {
        print_text(*mapping, services.output);
        return ExitCode::ok;
    }
    auto document = make_document("mapping");
    document["store"] = store->url();
    document["revision"] = snapshot.revision.text;
    document["mapping"] = to_json(*mapping);
    document["migration"] = describe_migration(*mapping);
    services.output.print_json(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
