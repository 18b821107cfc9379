// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_truth.h"

#include "core/base/sha1.h"
#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::store {

namespace {

using mapping::DirectoryMapping;

constexpr std::string_view next_prefix = "next:";
constexpr std::string_view commit_id = "@commit";
constexpr std::string_view options_id = "@options";
constexpr std::string_view paths_key = "paths";
constexpr std::string_view mirrored_key = "mirrored";
constexpr std::string_view removed_key = "removed";
constexpr std::size_t path_digest_size = 8;

Result<void> truth_header_rule(std::string_view word) {
    if (word.starts_with('@')) {
        return {};
    }
    if (word.starts_with(next_prefix)) {
        word.remove_prefix(next_prefix.size());
    }
    return mapping::validate_dirid(word, mapping::Rules::pve);
}

std::string path_digest(const mapping::NodePath& entry) {
    auto text = entry.node;
    text += '\0';
    text += entry.path;
    return base::sha1_hex(text).substr(0, path_digest_size);
}

std::vector<std::string> path_digests(const DirectoryMapping& mapping) {
    std::vector<std::string> digests;
    digests.reserve(mapping.paths.size());
    std::transform(
        mapping.paths.begin(), mapping.paths.end(), std::back_inserter(digests), path_digest);
    std::sort(digests.begin(), digests.end());
    return digests;
}

/// Key and value lines of a record, in the order they are written.
std::vector<std::pair<std::string_view, std::string>> properties_of(const TruthRecord& record) {
    std::vector<std::pair<std::string_view, std::string>> properties;
    if (record.method) {
        properties.emplace_back(method_key, to_string(*record.method));
    }
    if (record.relation) {
        properties.emplace_back(relation_key, to_string(*record.relation));
    }
    if (!record.paths.empty()) {
        properties.emplace_back(paths_key, fmt::format("{}", fmt::join(record.paths, " ")));
    }
    if (record.is_mirrored) {
        properties.emplace_back(mirrored_key, "yes");
    }
    return properties;
}

std::vector<std::string> lines_of(const TruthRecord& record) {
    std::vector<std::string> lines;
    for (const auto& [key, value] : properties_of(record)) {
        lines.push_back(fmt::format("{} {}", key, value));
    }
    return lines;
}

/// The file as it stands, before an unfinished change is settled.
struct RawTruth {
    TruthRecords stable;
    std::map<std::string, std::optional<TruthRecord>, std::less<>> next;
    bool has_commit = false;
    bool mirrors_everything = false;
    std::string before;
    std::string after;
};

class TruthReader {
public:
    TruthReader(const std::string& file_name, std::vector<Notice>& notices)
        : file_name_{file_name}, notices_{notices} {}

    RawTruth read(const SectionFile& file) {
        RawTruth raw;
        for (const auto line : file.ignored) {
            warn(line, "", "This line belongs to no section");
        }
        for (const auto& section : file.sections) {
            if (!section.problem.empty()) {
                warn(section.header, "", section.problem);
            } else if (section.id == commit_id) {
                raw.has_commit = true;
                raw.before = value_of(section, "before");
                raw.after = value_of(section, "after");
            } else if (section.id == options_id) {
                raw.mirrors_everything = value_of(section, "mirror") == "yes";
            } else if (section.id.starts_with(next_prefix)) {
                const bool is_removed = value_of(section, removed_key) == "yes";
                raw.next[std::string{section.id.substr(next_prefix.size())}] =
                    is_removed ? std::nullopt : std::optional{record_of(section)};
            } else {
                raw.stable[std::string{section.id}] = record_of(section);
            }
        }
        return raw;
    }

private:
    static std::string value_of(const Section& section, std::string_view key) {
        for (const auto& property : section.properties) {
            if (property.key == key) {
                return std::string{property.value.value_or("")};
            }
        }
        return {};
    }

    TruthRecord record_of(const Section& section) {
        TruthRecord record;
        record.line = section.header + 1;
        for (const auto line : section.ignored) {
            warn(line, "", fmt::format("Ignored this line inside '{}'", section.id));
        }
        for (const auto& property : section.properties) {
            read_property(record, property);
        }
        return record;
    }

    void read_property(TruthRecord& record, const SectionProperty& property) {
        const auto value = property.value.value_or("");
        if (property.key == method_key) {
            set(record.method, mapping::parse_migration_method(value), property);
        } else if (property.key == relation_key) {
            set(record.relation, mapping::parse_path_relation(value), property);
        } else if (property.key == mirrored_key) {
            record.is_mirrored = value == "yes";
        } else if (property.key == paths_key) {
            read_paths(record, property, value);
        } else {
            warn(property.line, property.key, "Unknown key, perhaps of a newer version");
        }
    }

    void read_paths(TruthRecord& record, const SectionProperty& property, std::string_view value) {
        for (const auto word : base::split(value, ' ')) {
            const bool is_digest =
                word.size() == path_digest_size &&
                word.find_first_not_of("0123456789abcdef") == std::string_view::npos;
            if (is_digest) {
                record.paths.emplace_back(word);
            } else if (!word.empty()) {
                warn(property.line, property.key, fmt::format("'{}' is no path digest", word));
            }
        }
        std::sort(record.paths.begin(), record.paths.end());
    }

    template <class T>
    void set(std::optional<T>& target, Result<T> parsed, const SectionProperty& property) {
        if (parsed) {
            target = *parsed;
        } else {
            warn(property.line, property.key, parsed.error().message());
        }
    }

    void warn(std::size_t line, std::string_view key, std::string message) {
        notices_.push_back(
            Notice{Place{file_name_, line + 1, std::string{key}}, std::move(message)});
    }

    const std::string& file_name_;
    std::vector<Notice>& notices_;
};

/// Whether the pending record of one id counts when directory.cfg is in neither announced state: a
/// stock node has written it since.
bool pending_counts(const RawTruth& raw, const std::string& id, const DirectoryConfig& directory) {
    const auto* section = directory.find(id);
    const auto& pending = raw.next.at(id);
    if (section == nullptr || section->is_poison) {
        return !pending.has_value();
    }
    if (!pending) {
        return false;
    }
    const auto stable = raw.stable.find(id);
    const auto pending_kin = kinship(*pending, section->mapping);
    if (stable == raw.stable.end()) {
        return pending_kin != Kinship::no_path;
    }
    return pending_kin < kinship(stable->second, section->mapping);
}

void settle(const RawTruth& raw, Truth& truth, const DirectoryConfig& directory) {
    truth.records = raw.stable;
    truth.has_unfinished_change = raw.has_commit || !raw.next.empty();
    const auto digest = base::sha1_hex(directory.content);
    for (const auto& [id, pending] : raw.next) {
        const bool counts =
            digest == raw.after || (digest != raw.before && pending_counts(raw, id, directory));
        if (!counts) {
            continue;
        }
        if (pending) {
            truth.records[id] = *pending;
        } else {
            truth.records.erase(id);
        }
    }
}

void set_properties(LineEditor& editor,
                    const SectionFile& file,
                    const Section& section,
                    const TruthRecord& record) {
    const auto indent = indentation_of(file, section);
    auto missing = properties_of(record);
    for (const auto& property : section.properties) {
        const auto wanted = std::find_if(missing.begin(), missing.end(), [&](const auto& pair) {
            return pair.first == property.key;
        });
        if (wanted != missing.end()) {
            if (property.value != wanted->second) {
                editor.replace(property.line,
                               fmt::format("{}{} {}", indent, wanted->first, wanted->second));
            }
            missing.erase(wanted);
        } else if (property.key == method_key || property.key == relation_key ||
                   property.key == paths_key || property.key == mirrored_key) {
            editor.remove(property.line);
        }
    }
    const auto at =
        section.properties.empty() ? section.header + 1 : section.properties.back().line + 1;
    for (const auto& [key, value] : missing) {
        editor.insert(at, fmt::format("{}{} {}", indent, key, value));
    }
}

bool has_value(const std::optional<mapping::MigrationMethod>& method,
               const std::optional<mapping::PathRelation>& relation) {
    return method.has_value() || relation.has_value();
}

/// Completes one mapping after another and collects what does not fit.
class Completion {
public:
    Completion(const Truth& truth,
               const std::string& directory_name,
               const std::string& truth_name,
               std::vector<TruthIssue>& issues)
        : truth_{truth}, directory_name_{directory_name}, truth_name_{truth_name}, issues_{issues} {
    }

    DirectoryMapping complete(const DirectorySection& section, std::size_t header_line) {
        auto mapping = section.mapping;
        const Place in_directory{directory_name_, header_line, {}};
        const auto found = truth_.records.find(mapping.id);
        if (found == truth_.records.end()) {
            if (has_value(mapping.live_migration_method, mapping.path_relation)) {
                report(TruthIssue::Kind::unrecorded,
                       mapping.id,
                       in_directory,
                       "what mapping '{}' says about live migration stands only in "
                       "directory.cfg, where the next write of a stock node deletes it");
            }
            return mapping;
        }
        const auto& record = found->second;
        if (kinship(record, mapping) == Kinship::no_path) {
            report(TruthIssue::Kind::defined_anew,
                   mapping.id,
                   Place{truth_name_, record.line, {}},
                   "mapping '{}' has other paths on all nodes than when this was written: "
                   "somebody defined it anew, so this does not count");
            return mapping;
        }
        const bool method_lost = merge(
            mapping.live_migration_method, record.method, in_directory, mapping.id, method_key);
        const bool relation_lost =
            merge(mapping.path_relation, record.relation, in_directory, mapping.id, relation_key);
        if (record.is_mirrored && (method_lost || relation_lost)) {
            report(TruthIssue::Kind::lost,
                   mapping.id,
                   in_directory,
                   "mapping '{}' has lost what it says about live migration: a node that does "
                   "not know it has written the file; vfskit.cfg still has it");
        }
        return mapping;
    }

    void note_orphans(const DirectoryConfig& directory) {
        for (const auto& [id, record] : truth_.records) {
            if (directory.find(id) == nullptr) {
                report(TruthIssue::Kind::orphan,
                       id,
                       Place{truth_name_, record.line, {}},
                       "mapping '{}' is not defined in directory.cfg any more");
            }
        }
    }

private:
    /// True if the value stands only in the record.
    template <class T>
    bool merge(std::optional<T>& value,
               const std::optional<T>& recorded,
               const Place& place,
               const std::string& id,
               std::string_view key) {
        if (!value) {
            value = recorded;
            return recorded.has_value();
        }
        if (value != recorded) {
            auto at = place;
            at.key = std::string{key};
            report(TruthIssue::Kind::overridden,
                   id,
                   at,
                   "mapping '{}' has another value here than in vfskit.cfg; this one is newer and "
                   "counts");
        }
        return false;
    }

    void report(TruthIssue::Kind kind,
                const std::string& id,
                const Place& place,
                std::string_view sentence) {
        auto message = fmt::format(fmt::runtime(sentence), id);
        message.front() = static_cast<char>(message.front() - 'a' + 'A');
        issues_.push_back(TruthIssue{kind, id, place, std::move(message)});
    }

    const Truth& truth_;
    const std::string& directory_name_;
    const std::string& truth_name_;
    std::vector<TruthIssue>& issues_;
};

} // namespace

bool TruthRecord::says_the_same(const TruthRecord& other) const {
    return method == other.method && relation == other.relation && paths == other.paths &&
           is_mirrored == other.is_mirrored;
}

std::optional<TruthRecord> make_truth_record(const DirectoryMapping& mapping, bool is_mirrored) {
    if (!has_value(mapping.live_migration_method, mapping.path_relation)) {
        return std::nullopt;
    }
    TruthRecord record;
    record.method = mapping.live_migration_method;
    record.relation = mapping.path_relation;
    record.paths = path_digests(mapping);
    record.is_mirrored = is_mirrored;
    return record;
}

Kinship kinship(const TruthRecord& record, const DirectoryMapping& mapping) {
    const auto digests = path_digests(mapping);
    if (digests == record.paths) {
        return Kinship::same_paths;
    }
    const bool is_kin = std::any_of(digests.begin(), digests.end(), [&](const auto& digest) {
        return std::binary_search(record.paths.begin(), record.paths.end(), digest);
    });
    return is_kin ? Kinship::some_paths : Kinship::no_path;
}

Truth parse_truth(std::string_view content,
                  const std::string& file_name,
                  const DirectoryConfig& directory) {
    Truth truth;
    const auto file = parse_sections(content, truth_header_rule);
    const auto raw = TruthReader{file_name, truth.notices}.read(file);
    truth.mirrors_everything = raw.mirrors_everything;
    settle(raw, truth, directory);
    return truth;
}

std::string edit_truth(std::string_view content, const Truth& truth, const TruthChanges& changes) {
    auto wanted = truth.records;
    for (const auto& [id, record] : changes) {
        if (record) {
            wanted[id] = *record;
        } else {
            wanted.erase(id);
        }
    }
    const auto file = parse_sections(content, truth_header_rule);
    std::map<std::string_view, const Section*> last;
    for (const auto& section : file.sections) {
        last[section.id] = &section;
    }
    LineEditor editor{file};
    for (const auto& section : file.sections) {
        if (!section.problem.empty() || section.id == options_id ||
            (section.id.starts_with('@') && section.id != commit_id)) {
            continue;
        }
        const auto record = wanted.find(section.id);
        if (record == wanted.end() || last[section.id] != &section) {
            remove_section(editor, file, section);
        } else {
            set_properties(editor, file, section, record->second);
            wanted.erase(record);
        }
    }
    for (const auto& [id, record] : wanted) {
        editor.append_section(id, lines_of(record));
    }
    return editor.is_empty() ? std::string{content} : editor.apply(truth_header_rule);
}

std::string announce_truth(std::string_view settled,
                           const TruthChanges& changes,
                           const std::string& before,
                           const std::string& after) {
    const auto file = parse_sections(settled, truth_header_rule);
    LineEditor editor{file};
    editor.append_section(commit_id,
                          {fmt::format("before {}", before), fmt::format("after {}", after)});
    for (const auto& [id, record] : changes) {
        editor.append_section(fmt::format("{}{}", next_prefix, id),
                              record ? lines_of(*record)
                                     : std::vector{fmt::format("{} yes", removed_key)});
    }
    return editor.apply(truth_header_rule);
}

std::vector<DirectoryMapping> complete_mappings(const DirectoryConfig& directory,
                                                const Truth& truth,
                                                const std::string& directory_name,
                                                const std::string& truth_name,
                                                std::vector<TruthIssue>& issues) {
    Completion completion{truth, directory_name, truth_name, issues};
    std::vector<DirectoryMapping> mappings;
    for (const auto& section : directory.sections) {
        if (!section.is_superseded && !section.is_poison) {
            mappings.push_back(
                completion.complete(section, directory.file.sections[section.section].header + 1));
        }
    }
    completion.note_orphans(directory);
    return mappings;
}

} // namespace vfskit::store
