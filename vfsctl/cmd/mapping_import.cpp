// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_import.h"

#include "core/store/transfer.h"
#include "vfsctl/cmd/mapping_use.h"

#include <vector>

namespace vfskit::vfsctl {

namespace {

void bind(MappingImportOptions& options, OptionSet& set) {
    set.text({.name = "FILE",
              .help = "A document of 'vfsctl mapping export', YAML or JSON; '-' for standard input",
              .completes = Completes::file,
              .is_required = true},
             options.file)
        .flag({.name = "--replace", .help = "Remove the mappings that the document does not have"},
              options.replace)
        .flag({.name = "--force", .help = "Remove also what a VM or one of its snapshots uses"},
              options.force);
    bind_rules(options.rules, set);
    bind_write_options(options.write, set);
}

Result<void> check(const std::vector<store::Change>& changes,
                   const MappingImportOptions& options,
                   const std::string& url) {
    std::vector<std::string> removed;
    for (const auto& change : changes) {
        if (change.kind == store::ChangeKind::removed) {
            removed.push_back(change.id);
        } else if (change.kind != store::ChangeKind::unchanged) {
            const auto* before = change.before ? &*change.before : nullptr;
            if (auto valid = validate_new_parts(before, *change.after, options.rules); !valid) {
                return std::move(valid).error().under("Mapping '" + change.id + "'");
            }
        }
    }
    return options.force ? Result<void>{} : require_unused(url, removed);
}

} // namespace

Verb mapping_import_verb() {
    return make_verb<MappingImportOptions>(
        {.path = "mapping import",
         .summary = "Define the mappings of a document",
         .description =
             "All of them or none. Mappings that the document does not name stay, unless "
             "--replace is given.",
         .examples = R"(
vfsctl mapping import mappings.yaml --dry-run
vfsctl mapping export --store pve:/etc/pve | vfsctl mapping import - --store yaml:/etc/vfskit/mappings.yaml)"},
        bind,
        run_mapping_import);
}

Result<ExitCode> run_mapping_import(const MappingImportOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto text, read_input(services, options.file));
    VFSKIT_TRY_ASSIGN(const auto document, store::parse_document(text, options.file));
    warn_about(document.notices, services.output);
    const auto mode = options.replace ? store::ImportMode::replace : store::ImportMode::merge;
    return write_mappings(services,
                          options.write,
                          [&](const store::Snapshot& snapshot) -> Result<std::vector<store::Edit>> {
                              const auto changes = store::compare_mappings(
                                  snapshot.mappings, document.mappings, mode);
                              VFSKIT_TRY(check(changes, options, services.store_url));
                              return store::make_edits(changes);
                          });
}

} // namespace vfskit::vfsctl
