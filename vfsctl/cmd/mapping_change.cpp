// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/mapping_change.h"

#include "vfsctl/output/diff.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

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
    std::vector<MappingChange> changes;
    for (const auto& edit : edits) {
        auto known = std::ranges::find(changes, id_of(edit), &MappingChange::id);
        if (known == changes.end()) {
            const auto* current = snapshot.find(id_of(edit));
            MappingChange change;
            if (current != nullptr) {
                change.before = *current;
            }
            change.after = result_of(edit);
            if (change.before || change.after) {
                changes.push_back(std::move(change));
            }
        } else {
            known->after = result_of(edit);
        }
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
