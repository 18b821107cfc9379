// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_remove.h"

#include "vfsctl/cmd/mapping_use.h"

namespace vfskit::vfsctl {

namespace {

void bind(MappingRemoveOptions& options, OptionSet& set) {
    set.list({.name = "ID",
              .help = "The mappings to remove: all of them, or none",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.ids)
        .flag({.name = "--force", .help = "Also when a VM or one of its snapshots uses it"},
              options.force);
    bind_write_options(options.write, set);
}

} // namespace

Verb mapping_remove_verb() {
    return make_verb<MappingRemoveOptions>(
        {.path = "mapping remove",
         .summary = "Remove directory mappings",
         .description =
             "The directories themselves are not touched. In a Proxmox VE store a mapping "
             "that a VM or one of its snapshots uses is kept, because the VM could not "
             "start any more; other stores do not know the VMs.",
         .examples = R"(
vfsctl mapping remove media
vfsctl mapping remove old1 old2 --dry-run)"},
        bind,
        run_mapping_remove);
}

Result<ExitCode> run_mapping_remove(const MappingRemoveOptions& options, Services& services) {
    return write_mappings(services,
                          options.write,
                          [&](const store::Snapshot& snapshot) -> Result<std::vector<store::Edit>> {
                              if (!options.force) {
                                  VFSKIT_TRY(require_unused(services.store_url, options.ids));
                              }
                              std::vector<store::Edit> edits;
                              for (const auto& id : options.ids) {
                                  VFSKIT_TRY(require_mapping(snapshot, id, services.store_url));
                                  edits.emplace_back(store::RemoveMapping{id});
                              }
                              return edits;
                          });
}

} // namespace vfskit::vfsctl
