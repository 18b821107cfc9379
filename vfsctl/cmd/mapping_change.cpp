// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_change.h"

#include "vfsctl/output/diff.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <unordered_map>

namespace vfskit::vfsctl {

using mapping::DirectoryMapping;

namespace {

const std::string& id_of(const store::Edit& edit) {
    if (const auto* put = std::get_if<store::PutMapping>(&edit); put != nullptr) {
        return put->mapping.id;
    }
    return std::get<store::RemoveMapping>(edit).id;
}

std::optional<DirectoryMapping> result_of(const store::Edit& edit) {
    const auto* put = std::get_if<store::PutMapping>(&edit);
    return put == nullptr ? std::nullopt : std::optional{put->mapping};
}

} // namespace

std::string_view MappingChange::action() const {
    if (!before) {
        return "added";
    }
    return after ? "changed" : "removed";
}

std::vector<MappingChange> find_changes(const store::Snapshot& snapshot,
                                        const std::vector<store::Edit>& edits) {
    // An import may have as many edits as there are mappings.
    std::unordered_map<std::string_view, const DirectoryMapping*> current;
    if (edits.size() > 1) {
        for (const auto& mapping : snapshot.mappings) {
            current.emplace(mapping.id, &mapping);
        }
    }
    const auto find_current = [&](const std::string& id) -> const DirectoryMapping* {
        if (edits.size() == 1) {
            return snapshot.find(id);
        }
        const auto found = current.find(id);
        return found == current.end() ? nullptr : found->second;
    };
    std::vector<MappingChange> changes;
    std::unordered_map<std::string_view, std::size_t> places;
    for (const auto& edit : edits) {
        const auto [place, is_new] = places.emplace(id_of(edit), changes.size());
        if (!is_new) {
            changes[place->second].after = result_of(edit);
            continue;
        }
        MappingChange change;
        if (const auto* mapping = find_current(id_of(edit))) {
            change.before = *mapping;
        }
        change.after = result_of(edit);
        changes.push_back(std::move(change));
    }
    std::erase_if(changes, [](const auto& change) { return change.before == change.after; });
    return changes;
}

std::vector<std::string> property_lines(const DirectoryMapping& mapping) {
    std::vector<std::string> lines{"id: " + mapping.id};
    if (mapping.description) {
        lines.push_back("description: " + *mapping.description);
    }
    if (mapping.live_migration_method) {
        lines.push_back(
            fmt::format("live-migration-method: {}", to_string(*mapping.live_migration_method)));
    }
    if (mapping.path_relation) {
        lines.push_back(fmt::format("path-relation: {}", to_string(*mapping.path_relation)));
    }
    lines.emplace_back("paths:");
    for (const auto& [node, path] : mapping.paths) {
        lines.push_back(fmt::format("  {}: {}", node, path));
    }
    return lines;
}

std::string render_diff(const MappingChange& change, const Output& output) {
    const auto lines_of = [](const std::optional<DirectoryMapping>& mapping) {
        return mapping ? property_lines(*mapping) : std::vector<std::string>{};
    };
    return render_line_diff(lines_of(change.before), lines_of(change.after), output);
}

nlohmann::ordered_json to_json(const MappingChange& change) {
    nlohmann::ordered_json json{{"action", change.action()}, {"id", to_utf8(change.id())}};
    if (change.before) {
        json["before"] = to_json(*change.before);
    }
    if (change.after) {
        json["after"] = to_json(*change.after);
    }
    return json;
}

} // namespace vfskit::vfsctl
