// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_add.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

void bind(MappingAddOptions& options, OptionSet& set) {
    set.text({.name = "ID",
              .help = "Name of the mapping, and the tag that guests mount: a letter, then letters, "
                      "digits, '_' and '-', at most 36 bytes",
              .is_required = true},
             options.id)
        .values({.name = "NODE:PATH",
                 .help = "Where each node has the directory; /PATH alone is this node's",
                 .completes = Completes::node_path,
                 .is_required = true},
                options.paths,
                parse_node_path);
    bind_mapping_fields(options.fields, set);
    bind_write_options(options.write, set);
}

} // namespace

Verb mapping_add_verb() {
    return make_verb<MappingAddOptions>(
        {.path = "mapping add",
         .summary = "Define a directory mapping",
         .description =
             "The mapping must not exist yet. The paths are not looked at: they belong to "
             "the nodes, not to this one.",
         .examples = R"(
vfsctl mapping add media n1:/srv/media n2:/mnt/media --method find-paths --relation replicas
vfsctl mapping add home n1:/mnt/ceph/home n2:/mnt/ceph/home --method file-handles --relation same-directory
vfsctl mapping add scratch /var/scratch --description 'Only on this node')"},
        bind,
        run_mapping_add);
}

Result<ExitCode> run_mapping_add(const MappingAddOptions& options, Services& services) {
    mapping::DirectoryMapping wanted;
    wanted.id = options.id;
    wanted.paths = options.paths;
    fill_node(wanted.paths, services.node);
    assign(options.fields, wanted);
    return write_mappings(
        services,
        options.write,
        [&](const store::Snapshot& snapshot) -> Result<std::vector<store::Edit>> {
            if (snapshot.find(wanted.id) != nullptr) {
                return Error{EEXIST, fmt::format("Mapping '{}' exists already", wanted.id)}
                    .with_remedy(fmt::format(
                        "Change it with 'vfsctl mapping set {}', or choose another id", wanted.id));
            }
            VFSKIT_TRY(validate_new_parts(nullptr, wanted, options.fields.rules));
            return std::vector<store::Edit>{store::PutMapping{wanted}};
        });
}

} // namespace vfskit::vfsctl
