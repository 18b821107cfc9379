// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

using mapping::DirectoryMapping;

namespace {

void bind(MappingSetOptions& options, OptionSet& set) {
    set.text({.name = "ID",
              .help = "The mapping to change",
              .completes = Completes::mapping_id,
              .is_required = true},
             options.id)
        .values({.name = "--path",
                 .value = "NODE:PATH",
                 .help = "Add a node's path or replace it; /PATH alone is this node's. May be "
                         "repeated",
                 .completes = Completes::node_path},
                options.paths,
                parse_node_path)
        .list({.name = "--remove-path",
               .value = "NODE",
               .help = "Take a node's path away. May be repeated",
               .completes = Completes::node},
              options.remove_paths);
    bind_mapping_fields(options.fields, set);
    bind_write_options(options.write, set);
}

void put_path(DirectoryMapping& mapping, const mapping::NodePath& wanted) {
    const auto known = std::ranges::find(mapping.paths, wanted.node, &mapping::NodePath::node);
    if (known == mapping.paths.end()) {
        mapping.paths.push_back(wanted);
    } else {
        known->path = wanted.path;
        // A store edited by hand may have the node several times.
        const auto is_same_node = [&](const auto& entry) { return entry.node == wanted.node; };
        mapping.paths.erase(std::remove_if(std::next(known), mapping.paths.end(), is_same_node),
                            mapping.paths.end());
    }
}

// Which of two paths is meant is not ours to choose.
Result<void> require_one_each(const std::vector<mapping::NodePath>& paths) {
    for (auto path = paths.begin(); path != paths.end(); ++path) {
        if (std::find_if(paths.begin(), path, [&](const auto& earlier) {
                return earlier.node == path->node;
            }) != path) {
            return Error{EINVAL, fmt::format("Node '{}' is given two paths", path->node)}
                .under("--path")
                .with_remedy("Give one path per node");
        }
    }
    return {};
}

Result<void>
change(const MappingSetOptions& options, Services& services, DirectoryMapping& mapping) {
    for (const auto& node : options.remove_paths) {
        VFSKIT_TRY(require_node(mapping, node));
        std::erase_if(mapping.paths, [&](const auto& entry) { return entry.node == node; });
    }
    auto paths = options.paths;
    fill_node(paths, services.node);
    VFSKIT_TRY(require_one_each(paths));
    for (const auto& path : paths) {
        put_path(mapping, path);
    }
    assign(options.fields, mapping);
    return {};
}

} // namespace

Verb mapping_set_verb() {
    return make_verb<MappingSetOptions>(
        {.path = "mapping set",
         .summary = "Change a directory mapping",
         .description = "Properties that are not given stay as they are. Removals come before "
                        "additions.",
         .examples = R"(
vfsctl mapping set media --path n3:/srv/media --remove-path n2
vfsctl mapping set media --method none
vfsctl mapping set media --description 'Films' --dry-run)"},
        bind,
        run_mapping_set);
}

Result<ExitCode> run_mapping_set(const MappingSetOptions& options, Services& services) {
    return write_mappings(services,
                          options.write,
                          [&](const store::Snapshot& snapshot) -> Result<std::vector<store::Edit>> {
                              VFSKIT_TRY_ASSIGN(
                                  const auto* current,
                                  require_mapping(snapshot, options.id, services.store_url));
                              auto wanted = *current;
                              VFSKIT_TRY(change(options, services, wanted));
                              VFSKIT_TRY(validate_new_parts(current, wanted, options.fields.rules));
                              return std::vector<store::Edit>{store::PutMapping{std::move(wanted)}};
                          });
}

} // namespace vfskit::vfsctl
