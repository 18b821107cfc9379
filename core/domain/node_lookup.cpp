// SPDX-License-Identifier: Apache-2.0
#include "core/domain/node_lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vfskit::domain {

namespace {

bool has_path(const mapping::DirectoryMapping& mapping, const std::optional<std::string>& path) {
    return path &&
           std::ranges::find(mapping.paths, *path, &mapping::NodePath::path) != mapping.paths.end();
}

Result<std::optional<NodeShare>>
look_up(const DomainFilesystem& filesystem, const MappingFinder& find, const NodeRules& rules) {
    const auto* mapping = find(filesystem.dirid);
    if (!filesystem.dirid_from_metadata &&
        (mapping == nullptr || !has_path(*mapping, filesystem.source_dir))) {
        return std::optional<NodeShare>{};
    }
    if (mapping == nullptr) {
        return Error{ENOENT,
                     fmt::format("The share '{}' is of mapping '{}', which is not defined on '{}'",
                                 filesystem.tag,
                                 filesystem.dirid,
                                 rules.node)}
            .with_remedy(fmt::format(
                "Define it: vfsctl mapping add {} {}:PATH", filesystem.dirid, rules.node));
    }
    const auto path = mapping::find_path(*mapping, rules.node);
    if (!path) {
        return Error{ENOENT,
                     fmt::format("Mapping '{}' of the share '{}' has no path on node '{}'",
                                 mapping->id,
                                 filesystem.tag,
                                 rules.node)}
            .with_remedy(fmt::format(
                "Add it: vfsctl mapping set {} --path {}:PATH", mapping->id, rules.node));
    }
    NodeShare here;
    if (filesystem.is_external()) {
        here.source_socket = filesystem.source_socket;
        if (rules.socket) {
            VFSKIT_TRY_ASSIGN(here.source_socket, rules.socket(filesystem.tag));
        }
        return std::optional{std::move(here)};
    }
    here.source_dir = std::string{*path};
    if (filesystem.is_virtiofs()) {
        here.binary = rules.binary;
    }
    return std::optional{std::move(here)};
}

} // namespace

NodeShareLookup lookup_by_mapping(MappingFinder find, NodeRules rules) {
    return [find = std::move(find), rules = std::move(rules)](const DomainFilesystem& filesystem) {
        return look_up(filesystem, find, rules);
    };
}

} // namespace vfskit::domain
