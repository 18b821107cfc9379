// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_export.h"

#include "core/store/transfer.h"
#include "vfsctl/services.h"

namespace vfskit::vfsctl {

namespace {

void bind(MappingExportOptions& options, OptionSet& set) {
    set.list({.name = "ID",
              .help = "The mappings to export. Default: all",
              .completes = Completes::mapping_id},
             options.ids);
}

} // namespace

Verb mapping_export_verb() {
    return make_verb<MappingExportOptions>(
        {.path = "mapping export",
         .summary = "Print mappings as one document",
         .description = "YAML, or JSON with --json, in the shape of the YAML store's file.",
         .examples = R"(
vfsctl mapping export > mappings.yaml
vfsctl mapping export media --json)"},
        bind,
        run_mapping_export);
}

Result<ExitCode> run_mapping_export(const MappingExportOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(auto snapshot, store->snapshot());
    std::vector<mapping::DirectoryMapping> mappings;
    if (options.ids.empty()) {
        mappings = std::move(snapshot.mappings);
    } else {
        for (const auto& id : options.ids) {
            VFSKIT_TRY_ASSIGN(const auto* mapping, require_mapping(snapshot, id, store->url()));
            mappings.push_back(*mapping);
        }
    }
    const auto format =
        services.output.is_json() ? store::DocumentFormat::json : store::DocumentFormat::yaml;
    VFSKIT_TRY_ASSIGN(const auto document, store::export_mappings(std::move(mappings), format));
    services.output.print(document);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
