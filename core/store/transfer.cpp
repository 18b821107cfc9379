// SPDX-License-Identifier: Apache-2.0
#include "core/store/transfer.h"

#include "core/base/text.h"
#include "core/store/yaml_content.h"
#include "core/store/yaml_edit.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <unordered_map>
#include <utility>

namespace vfskit::store {

namespace {

using mapping::DirectoryMapping;
using Json = nlohmann::ordered_json;

/// A member of an object; `indent`: what its lines begin with.
void append_member(std::string& out,
                   std::string_view separator,
                   std::string_view indent,
                   std::string_view key,
                   std::string_view value) {
    out += separator;
    out += indent;
    base::append_json_string(out, key);
    out += ": ";
    base::append_json_string(out, value);
}

void append_mapping(std::string& out, const DirectoryMapping& mapping) {
    constexpr std::string_view indent = "      ";
    const auto append = [&](std::string_view key, std::string_view value) {
        append_member(out, "", indent, key, value);
        out += ",\n";
    };
    out += "    ";
    base::append_json_string(out, mapping.id);
    out += ": {\n";
    if (mapping.description) {
        append("description", *mapping.description);
    }
    if (mapping.live_migration_method) {
        append("live-migration-method", to_string(*mapping.live_migration_method));
    }
    if (mapping.path_relation) {
        append("path-relation", to_string(*mapping.path_relation));
    }
    out += indent;
    out += "\"nodes\": {";
    std::string_view separator = "\n";
    for (const auto& entry : mapping.paths) {
        append_member(out, separator, "        ", entry.node, entry.path);
        separator = ",\n";
    }
    out += mapping.paths.empty() ? "}\n    }" : "\n      }\n    }";
}

/// Written as it goes: as one value, ten thousand mappings would take a quarter of a second and
/// 60 MiB.
std::string export_json(const std::vector<Edit>& edits) {
    std::string out = "{\n  \"version\": 1,\n  \"mappings\": {";
    std::string_view separator = "\n";
    for (const auto& edit : edits) {
        out += separator;
        append_mapping(out, std::get<PutMapping>(edit).mapping);
        separator = ",\n";
    }
    out += edits.empty() ? "}\n}\n" : "\n  }\n}\n";
    return out;
}

std::optional<unsigned> code_unit_at(std::string_view text, std::size_t at) {
    if (text.size() < at + 6 || text[at] != '\\' || text[at + 1] != 'u') {
        return std::nullopt;
    }
    unsigned value = 0;
    const char* digits = text.data() + at + 2;
    const auto parsed = std::from_chars(digits, digits + 4, value, 16);
    return parsed.ptr == digits + 4 ? std::optional{value} : std::nullopt;
}

// JSON is YAML but for one thing: characters beyond U+FFFF escaped as two surrogates, which YAML
// writes \UXXXXXXXX. The text is JSON, so a backslash stands only in strings.
std::string join_surrogates(std::string_view json) {
    std::string yaml;
    yaml.reserve(json.size());
    for (std::size_t at = 0; at < json.size();) {
        if (json[at] != '\\') {
            yaml += json[at++];
            continue;
        }
        const auto high = code_unit_at(json, at);
        const auto low = code_unit_at(json, at + 6);
        if (high && low && *high >= 0xD800 && *high <= 0xDBFF) {
            yaml +=
                fmt::format("\\U{:08x}", 0x10000U + ((*high - 0xD800U) << 10U) + (*low - 0xDC00U));
            at += 12;
        } else {
            yaml += json.substr(at, 2);
            at += 2;
        }
    }
    return yaml;
}

} // namespace

Result<std::string> export_mappings(std::vector<DirectoryMapping> mappings, DocumentFormat format) {
    std::vector<Edit> edits;
    edits.reserve(mappings.size());
    for (auto& mapping : mappings) {
        edits.emplace_back(PutMapping{std::move(mapping)});
    }
    if (format == DocumentFormat::yaml) {
        return edits.empty() ? Result<std::string>{"version: 1\nmappings: {}\n"}
                             : edit_yaml({}, edits, {});
    }
    // The rules for what a document can hold are the same.
    VFSKIT_TRY(check_edits(edits));
    return export_json(edits);
}

Result<Document> parse_document(std::string_view text, const std::string& file) {
    const std::string name = file == "-" ? "standard input" : file;
    const bool is_json = Json::accept(text);
    auto content = is_json ? read_yaml(join_surrogates(text), name) : read_yaml(text, name);
    if (!content) {
        return std::move(content).error();
    }
    return Document{std::move(content->mappings), std::move(content->notices)};
}

std::vector<Change> compare_mappings(const std::vector<DirectoryMapping>& current,
                                     const std::vector<DirectoryMapping>& wanted,
                                     ImportMode mode) {
    std::unordered_map<std::string_view, const DirectoryMapping*> wanted_by_id;
    for (const auto& mapping : wanted) {
        wanted_by_id.emplace(mapping.id, &mapping);
    }
    std::vector<Change> changes;
    for (const auto& mapping : current) {
        const auto found = wanted_by_id.find(mapping.id);
        if (found == wanted_by_id.end()) {
            const bool stays = mode == ImportMode::merge;
            if (stays) {
                changes.push_back({ChangeKind::unchanged, mapping.id, {}, {}});
            } else {
                changes.push_back({ChangeKind::removed, mapping.id, mapping, {}});
            }
            continue;
        }
        if (have_same_content(mapping, *found->second)) {
            changes.push_back({ChangeKind::unchanged, mapping.id, {}, {}});
        } else {
            changes.push_back({ChangeKind::changed, mapping.id, mapping, *found->second});
        }
        wanted_by_id.erase(found);
    }
    for (const auto& mapping : wanted) {
        if (wanted_by_id.erase(mapping.id) > 0) {
            changes.push_back({ChangeKind::added, mapping.id, std::nullopt, mapping});
        }
    }
    return changes;
}

std::vector<Edit> make_edits(const std::vector<Change>& changes) {
    std::vector<Edit> edits;
    for (const auto& change : changes) {
        if (change.kind == ChangeKind::removed) {
            edits.emplace_back(RemoveMapping{change.id});
        } else if (change.kind != ChangeKind::unchanged) {
            edits.emplace_back(PutMapping{*change.after});
        }
    }
    return edits;
}

bool have_same_content(const DirectoryMapping& a, const DirectoryMapping& b) {
    if (a.id != b.id || a.description != b.description || a.path_relation != b.path_relation ||
        a.live_migration_method != b.live_migration_method || a.paths.size() != b.paths.size()) {
        return false;
    }
    if (a.paths == b.paths) {
        return true;
    }
    const auto sorted = [](std::vector<mapping::NodePath> paths) {
        std::sort(paths.begin(), paths.end(), [](const auto& x, const auto& y) {
            return x.node < y.node;
        });
        return paths;
    };
    return sorted(a.paths) == sorted(b.paths);
}

std::string_view to_string(ChangeKind kind) {
    switch (kind) {
    case ChangeKind::added:
        return "added";
    case ChangeKind::changed:
        return "changed";
    case ChangeKind::removed:
        return "removed";
    case ChangeKind::unchanged:
        return "unchanged";
    }
    return {};
}

} // namespace vfskit::store
