// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_full.h"

#include "core/base/text.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

namespace vfskit::store {

namespace {

constexpr std::array<std::string_view, 2> root_keys{"version", "mappings"};
constexpr std::array<std::string_view, 4> mapping_keys{
    "description", "live-migration-method", "path-relation", "nodes"};

std::size_t line_of(const YAML::Node& node) {
    return static_cast<std::size_t>(std::max(node.Mark().line, -1) + 1);
}

std::string_view kind_of(const YAML::Node& node) {
    return node.IsMap()        ? "a mapping"
           : node.IsSequence() ? "a list"
           : node.IsScalar()   ? "a text"
                               : "empty";
}

bool has_tab_indent(std::string_view text, std::size_t line) {
    const auto lines = base::split(text, '\n');
    if (line == 0 || line > lines.size()) {
        return false;
    }
    const auto first = lines[line - 1].find_first_not_of(' ');
    return first != std::string_view::npos && lines[line - 1][first] == '\t';
}

// One key of a YAML mapping, looked at.
struct Entry {
    std::string key;
    std::size_t line = 0;
    YAML::Node value;
};

class FullReader {
public:
    FullReader(std::string_view text, const std::string& file) : text_{text}, file_{file} {}

    Result<YamlContent> read() {
        try {
            const auto documents = YAML::LoadAll(std::string{text_});
            VFSKIT_TRY(read_documents(documents));
            return std::move(content_);
        } catch (const YAML::Exception& e) {
            return syntax_error(e);
        }
    }

private:
    Result<void> read_documents(const std::vector<YAML::Node>& documents);
    Result<void> read_version(const std::vector<Entry>& root);
    Result<void> read_mappings(const YAML::Node& node);
    Result<void> read_mapping(const Entry& entry);
    Result<void> read_field(mapping::DirectoryMapping& mapping, const Entry& field);
    Result<void> read_nodes(mapping::DirectoryMapping& mapping, const Entry& field);
    [[nodiscard]] Result<void> require_nodes(const Entry& entry,
                                             const std::vector<Entry>& fields) const;
    Result<std::vector<Entry>> entries_of(const YAML::Node& node, std::string_view what);
    Result<std::string> text_of(const Entry& entry);
    [[nodiscard]] Error syntax_error(const YAML::Exception& e) const;
    [[nodiscard]] Error bad(std::size_t line, std::string_view key, std::string message) const {
        return Error{EBADMSG, std::move(message)}.at({file_, line, std::string{key}});
    }
    [[nodiscard]] Error placed(const Error& error, const Entry& entry) const {
        return bad(entry.line, entry.key, error.message()).with_remedy(error.remedy());
    }

    std::string_view text_;
    const std::string& file_;
    YamlContent content_;
};

Error FullReader::syntax_error(const YAML::Exception& e) const {
    const auto line = static_cast<std::size_t>(std::max(e.mark.line, -1) + 1);
    const bool tab = has_tab_indent(text_, line) || (line > 1 && has_tab_indent(text_, line - 1));
    return bad(line, {}, fmt::format("Not valid YAML: {}", e.msg))
        .with_remedy(tab ? "Indent with blanks: YAML does not allow tabs there"
                         : "Correct the line; quote texts that contain ': ' or ' #'");
}

Result<std::vector<Entry>> FullReader::entries_of(const YAML::Node& node, std::string_view what) {
    std::vector<Entry> entries;
    entries.reserve(node.size());
    for (const auto& pair : node) {
        const std::size_t line = line_of(pair.first);
        if (!pair.first.IsScalar()) {
            return bad(line,
                       {},
                       fmt::format("A key of {} is {}, not a text", what, kind_of(pair.first)))
                .with_remedy("Put the key in quotes");
        }
        entries.push_back({pair.first.Scalar(), line, pair.second});
        if (entries.back().key == "<<") {
            return bad(line, "<<", "Merge keys are not supported")
                .with_remedy("Write the merged lines out");
        }
    }
    std::vector<const Entry*> sorted;
    sorted.reserve(entries.size());
    for (const auto& entry : entries) {
        sorted.push_back(&entry);
    }
    std::stable_sort(
        sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->key < b->key; });
    const auto twice = std::adjacent_find(
        sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->key == b->key; });
    if (twice != sorted.end()) {
        return bad((*(twice + 1))->line,
                   (*twice)->key,
                   fmt::format("It is defined a second time; the first is in line {}",
                               (*twice)->line))
            .with_remedy("Remove or rename one of the two");
    }
    return entries;
}

Result<void> FullReader::read_documents(const std::vector<YAML::Node>& documents) {
    if (documents.empty() || (documents.size() == 1 && documents[0].IsNull())) {
        return {};
    }
    if (documents.size() > 1) {
        return bad(0,
                   {},
                   fmt::format("It holds {} YAML documents, one is expected", documents.size()))
            .with_remedy("Remove the '---' between them and join their mappings");
    }
    if (!documents[0].IsMap()) {
        return bad(line_of(documents[0]),
                   {},
                   fmt::format("The file is {}, keys 'version' and 'mappings' are expected",
                               kind_of(documents[0])))
            .with_remedy("Begin it with 'version: 1'");
    }
    VFSKIT_TRY_ASSIGN(const auto root, entries_of(documents[0], "the file"));
    VFSKIT_TRY(read_version(root));
    for (const auto& entry : root) {
        if (entry.key == "mappings") {
            VFSKIT_TRY(
                entry.value.IsMap() || entry.value.IsNull()
                    ? read_mappings(entry.value)
                    : bad(entry.line,
                          entry.key,
                          fmt::format("It is {}, ids are expected below it", kind_of(entry.value)))
                          .with_remedy("Write each mapping as 'id:' with its keys below"));
        } else if (entry.key != "version") {
            content_.notices.push_back(unknown_key_notice(file_, entry.line, entry.key, {}));
        }
    }
    std::stable_sort(content_.notices.begin(),
                     content_.notices.end(),
                     [](const Notice& a, const Notice& b) { return a.place.line < b.place.line; });
    return {};
}

Result<void> FullReader::read_version(const std::vector<Entry>& root) {
    const auto found =
        std::find_if(root.begin(), root.end(), [](auto& entry) { return entry.key == "version"; });
    if (found == root.end()) {
        return bad(root.empty() ? 0 : root.front().line, "version", "It is missing")
            .with_remedy("Write 'version: 1' as the first line");
    }
    if (!found->value.IsScalar() || found->value.Scalar() != "1" || found->value.Tag() == "!") {
        return bad(found->line,
                   "version",
                   fmt::format("Version '{}' is not known",
                               found->value.IsScalar() ? found->value.Scalar() : ""))
            .with_remedy("Write 'version: 1' (a number), or use a newer vfskit for this file");
    }
    return {};
}

Result<void> FullReader::read_mappings(const YAML::Node& node) {
    VFSKIT_TRY_ASSIGN(const auto entries, entries_of(node, "'mappings'"));
    for (const auto& entry : entries) {
        VFSKIT_TRY(read_mapping(entry));
    }
    return {};
}

Result<void> FullReader::read_mapping(const Entry& entry) {
    mapping::DirectoryMapping mapping;
    mapping.id = entry.key;
    if (auto valid = mapping::validate_dirid(mapping.id, mapping::Rules::pve); !valid) {
        return placed(valid.error(), entry);
    }
    if (!entry.value.IsMap()) {
        return bad(entry.line,
                   entry.key,
                   fmt::format("The mapping is {}, the key 'nodes' is expected below it",
                               kind_of(entry.value)))
            .with_remedy("Write 'nodes:' below it and 'NODE: /path' below that, or remove it");
    }
    VFSKIT_TRY_ASSIGN(const auto fields,
                      entries_of(entry.value, fmt::format("mapping '{}'", entry.key)));
    for (const auto& field : fields) {
        VFSKIT_TRY(read_field(mapping, field));
    }
    VFSKIT_TRY(require_nodes(entry, fields));
    if (auto valid = mapping::validate(mapping, mapping::Rules::pve); !valid) {
        return placed(valid.error(), entry);
    }
    content_.mappings.push_back(std::move(mapping));
    return {};
}

Result<void> FullReader::require_nodes(const Entry& entry, const std::vector<Entry>& fields) const {
    constexpr std::array<std::string_view, 1> wanted{"nodes"};
    const Entry* near = nullptr;
    for (const auto& field : fields) {
        if (field.key == wanted[0]) {
            return {};
        }
        if (base::nearest(field.key, wanted)) {
            near = &field;
        }
    }
    if (near != nullptr) {
        return bad(near->line,
                   near->key,
                   fmt::format("Unknown key, and '{}' has no 'nodes'", entry.key))
            .with_remedy("Did you mean 'nodes'?");
    }
    return bad(entry.line, entry.key, "It has no key 'nodes'")
        .with_remedy("Write 'nodes:' below it and 'NODE: /path' below that");
}

Result<void> FullReader::read_field(mapping::DirectoryMapping& mapping, const Entry& field) {
    if (field.key == "nodes") {
        return read_nodes(mapping, field);
    }
    if (std::find(mapping_keys.begin(), mapping_keys.end(), field.key) == mapping_keys.end()) {
        content_.notices.push_back(unknown_key_notice(file_, field.line, field.key, mapping.id));
        return {};
    }
    VFSKIT_TRY_ASSIGN(auto text, text_of(field));
    const auto take = [&](auto& target, auto parsed) -> Result<void> {
        if (!parsed) {
            return placed(parsed.error(), field);
        }
        target = *parsed;
        return {};
    };
    if (field.key == "live-migration-method") {
        return take(mapping.live_migration_method, mapping::parse_migration_method(text));
    }
    if (field.key == "path-relation") {
        return take(mapping.path_relation, mapping::parse_path_relation(text));
    }
    if (auto valid = mapping::validate_description(text, mapping::Rules::pve); !valid) {
        return placed(valid.error(), field);
    }
    mapping.description = std::move(text);
    return {};
}

Result<void> FullReader::read_nodes(mapping::DirectoryMapping& mapping, const Entry& field) {
    if (!field.value.IsMap()) {
        return bad(field.line,
                   "nodes",
                   fmt::format("It is {}, nodes with their paths are expected",
                               kind_of(field.value)))
            .with_remedy("Write 'NODE: /path' on a line of its own below it, indented deeper");
    }
    VFSKIT_TRY_ASSIGN(const auto nodes,
                      entries_of(field.value, fmt::format("'nodes' of '{}'", mapping.id)));
    for (const auto& node : nodes) {
        if (auto valid = mapping::validate_node(node.key, mapping::Rules::pve); !valid) {
            return placed(valid.error(), node);
        }
        VFSKIT_TRY_ASSIGN(auto path, text_of(node));
        if (auto valid = mapping::validate_path(path, mapping::Rules::pve); !valid) {
            return placed(valid.error(), node);
        }
        mapping.paths.push_back({node.key, std::move(path)});
    }
    return {};
}

Result<std::string> FullReader::text_of(const Entry& entry) {
    if (!entry.value.IsScalar()) {
        return bad(entry.line,
                   entry.key,
                   fmt::format("Its value is {}, a text is expected", kind_of(entry.value)))
            .with_remedy(entry.value.IsNull() ? "Give it a value, or remove the key"
                                              : "Write the value on the key's line, in quotes");
    }
    return entry.value.Scalar();
}

} // namespace

Result<YamlContent> read_yaml_fully(std::string_view text, const std::string& file) {
    return FullReader{text, file}.read();
}

std::optional<LoneValue> read_lone_value(std::string_view key_and_value) {
    // yaml-cpp lets the end of the text close a quoted scalar. A key behind it that reads back
    // shows that the value ended before.
    constexpr std::string_view guard = "vfskit-guard";
    const auto indent = std::min(key_and_value.find_first_not_of(' '), key_and_value.size());
    const std::string guarded =
        fmt::format("{}\n{}{}: {}\n", key_and_value, key_and_value.substr(0, indent), guard, guard);
    try {
        const auto documents = YAML::LoadAll(guarded);
        if (documents.size() != 1 || !documents[0].IsMap() || documents[0].size() != 2) {
            return std::nullopt;
        }
        auto entry = documents[0].begin();
        const YAML::Node value = (entry++)->second;
        if (!entry->first.IsScalar() || entry->first.Scalar() != guard ||
            !entry->second.IsScalar() || entry->second.Scalar() != guard) {
            return std::nullopt;
        }
        return LoneValue{value.IsScalar(), value.IsScalar() ? value.Scalar() : std::string{}};
    } catch (const YAML::Exception&) {
        return std::nullopt;
    }
}

Notice unknown_key_notice(const std::string& file,
                          std::size_t line,
                          std::string_view key,
                          std::string_view mapping) {
    const auto near =
        mapping.empty() ? base::nearest(key, root_keys) : base::nearest(key, mapping_keys);
    std::string message =
        fmt::format("Unknown key '{}'{} is kept and ignored{}",
                    key,
                    mapping.empty() ? std::string{} : fmt::format(" of mapping '{}'", mapping),
                    near ? fmt::format("; did you mean '{}'?", *near) : std::string{});
    return {{file, line, std::string{key}}, std::move(message)};
}

} // namespace vfskit::store
