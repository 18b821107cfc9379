// SPDX-License-Identifier: Apache-2.0
#include "core/store/directory_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::store {

namespace {

using mapping::DirectoryMapping;
using mapping::NodePath;

// Above this many comparisons the map lines are rewritten instead of matched one by one. No cluster
// has that many nodes; a hostile file may.
constexpr std::size_t max_comparisons = 4'000'000;

/// Pairs of equal elements (index in `old_list`, index in `new_list`), ascending in both: a longest
/// common subsequence, so that the fewest lines change.
std::vector<std::pair<std::size_t, std::size_t>> match(const std::vector<NodePath>& old_list,
                                                       const std::vector<NodePath>& new_list) {
    std::vector<std::pair<std::size_t, std::size_t>> pairs;
    std::size_t begin = 0;
    while (begin < old_list.size() && begin < new_list.size() &&
           old_list[begin] == new_list[begin]) {
        pairs.emplace_back(begin, begin);
        ++begin;
    }
    const auto rows = old_list.size() - begin;
    const auto columns = new_list.size() - begin;
    if (rows * columns > max_comparisons) {
        return pairs;
    }
    const auto at = [columns](std::size_t row, std::size_t column) {
        return row * (columns + 1) + column;
    };
    std::vector<std::size_t> length((rows + 1) * (columns + 1), 0);
    for (auto i = rows; i-- > 0;) {
        for (auto j = columns; j-- > 0;) {
            length[at(i, j)] = old_list[begin + i] == new_list[begin + j]
                                   ? length[at(i + 1, j + 1)] + 1
                                   : std::max(length[at(i + 1, j)], length[at(i, j + 1)]);
        }
    }
    for (std::size_t i = 0, j = 0; i < rows && j < columns;) {
        if (old_list[begin + i] == new_list[begin + j]) {
            pairs.emplace_back(begin + i++, begin + j++);
        } else if (length[at(i + 1, j)] >= length[at(i, j + 1)]) {
            ++i;
        } else {
            ++j;
        }
    }
    return pairs;
}

bool is_swallowed_header(const DirectoryConfig& config, std::size_t line) {
    const auto word = header_word(config.file.lines[line]);
    return word && directory_header_rule(*word).has_value();
}

Result<void> refuse_merged(const DirectoryConfig& config,
                           const std::string& file_name,
                           const Section& section,
                           std::size_t up_to_line) {
    for (const auto line : section.ignored) {
        if (line < up_to_line && is_swallowed_header(config, line)) {
            return Error{EINVAL,
                         fmt::format("Mapping '{}' has swallowed mapping '{}', whose lines this "
                                     "change would delete: the empty line before its header is "
                                     "missing",
                                     section.id,
                                     *header_word(config.file.lines[line]))}
                .at({file_name, line + 1, {}})
                .with_remedy("Run 'vfsctl mapping doctor --fix' first");
        }
    }
    return {};
}

/// The property lines, without indentation, of a new section: as Proxmox VE orders them.
Result<std::vector<std::string>> new_property_lines(const DirectoryMapping& wanted,
                                                    bool writes_our_keys) {
    std::vector<std::string> lines;
    for (const auto& entry : wanted.paths) {
        VFSKIT_TRY_ASSIGN(const auto value, format_map_value(entry));
        lines.push_back(fmt::format("map {}", value));
    }
    if (wanted.description) {
        lines.push_back(fmt::format("description {}", *wanted.description));
    }
    if (writes_our_keys && wanted.live_migration_method) {
        lines.push_back(fmt::format("{} {}", method_key, to_string(*wanted.live_migration_method)));
    }
    if (writes_our_keys && wanted.path_relation) {
        lines.push_back(fmt::format("{} {}", relation_key, to_string(*wanted.path_relation)));
    }
    return lines;
}

/// Changes one existing section line by line.
class SectionEdit {
public:
    SectionEdit(LineEditor& editor,
                const DirectoryConfig& config,
                const std::string& file_name,
                const DirectorySection& section)
        : editor_{editor}, config_{config}, file_name_{file_name}, old_{section},
          lines_{config.file.sections[section.section]}, indent_{
                                                             indentation_of(config.file, lines_)} {}

    Result<void> become(const DirectoryMapping& wanted, bool writes_our_keys) {
        VFSKIT_TRY(set_paths(wanted.paths));
        set_description(wanted.description);
        set_our_key(method_key,
                    old_.method_lines,
                    old_.mapping.live_migration_method,
                    wanted.live_migration_method,
                    writes_our_keys);
        set_our_key(relation_key,
                    old_.relation_lines,
                    old_.mapping.path_relation,
                    wanted.path_relation,
                    writes_our_keys);
        return {};
    }

private:
    Result<void> set_paths(const std::vector<NodePath>& wanted) {
        const auto& old_paths = old_.mapping.paths;
        auto kept = match(old_paths, wanted);
        kept.emplace_back(old_paths.size(), wanted.size());
        std::size_t old_next = 0;
        std::size_t new_next = 0;
        after_maps_ = lines_.header + 1;
        for (const auto& [old_index, new_index] : kept) {
            VFSKIT_TRY(replace_run(old_next, old_index, wanted, new_next, new_index));
            if (old_index < old_paths.size()) {
                after_maps_ = old_.map_lines[old_index] + 1;
            }
            old_next = old_index + 1;
            new_next = new_index + 1;
        }
        return {};
    }

    /// Old entries [old_begin, old_end) become wanted[new_begin, new_end): in place as far as both
    /// go.
    Result<void> replace_run(std::size_t old_begin,
                             std::size_t old_end,
                             const std::vector<NodePath>& wanted,
                             std::size_t new_begin,
                             std::size_t new_end) {
        for (; old_begin < old_end; ++old_begin) {
            const auto line = old_.map_lines[old_begin];
            VFSKIT_TRY(refuse_merged(config_, file_name_, lines_, line));
            if (new_begin < new_end) {
                VFSKIT_TRY_ASSIGN(const auto value, format_map_value(wanted[new_begin++]));
                editor_.replace(line, fmt::format("{}map {}", indent_, value));
                after_maps_ = line + 1;
            } else {
                editor_.remove(line);
            }
        }
        for (; new_begin < new_end; ++new_begin) {
            VFSKIT_TRY_ASSIGN(const auto value, format_map_value(wanted[new_begin]));
            editor_.insert(after_maps_, fmt::format("{}map {}", indent_, value));
        }
        return {};
    }

    void set_description(const std::optional<std::string>& wanted) {
        if (wanted == old_.mapping.description) {
            return;
        }
        if (!wanted) {
            // The first one counts; a dead second one would come to life.
            for (const auto& property : lines_.properties) {
                if (property.key == "description" && property.value) {
                    editor_.remove(property.line);
                }
            }
            return;
        }
        auto line = fmt::format("{}description {}", indent_, *wanted);
        if (old_.description_line) {
            editor_.replace(*old_.description_line, std::move(line));
        } else {
            editor_.insert(after_maps_, std::move(line));
        }
    }

    template <class T>
    void set_our_key(std::string_view key,
                     const std::vector<std::size_t>& old_lines,
                     const std::optional<T>& old_value,
                     const std::optional<T>& wanted,
                     bool writes_our_keys) {
        if (wanted == old_value || (!old_value && !writes_our_keys)) {
            return;
        }
        for (const auto line : old_lines) {
            editor_.remove(line);
        }
        if (!wanted) {
            return;
        }
        auto text = fmt::format("{}{} {}", indent_, key, to_string(*wanted));
        if (old_lines.empty()) {
            editor_.insert(lines_.properties.empty() ? after_maps_
                                                     : lines_.properties.back().line + 1,
                           std::move(text));
        } else {
            editor_.replace(old_lines.front(), std::move(text));
        }
    }

    LineEditor& editor_;
    const DirectoryConfig& config_;
    const std::string& file_name_;
    const DirectorySection& old_;
    const Section& lines_;
    std::string_view indent_;
    std::size_t after_maps_ = 0;
};

/// What a parse must give: the id and its mapping, or nothing where the section is poison.
using Expected = std::vector<std::pair<std::string, std::optional<DirectoryMapping>>>;

Expected meaning_of(const DirectoryConfig& config) {
    Expected meaning;
    for (const auto& section : config.sections) {
        if (!section.is_superseded) {
            meaning.emplace_back(section.mapping.id,
                                 section.is_poison ? std::nullopt : std::optional{section.mapping});
        }
    }
    return meaning;
}

/// The mapping as the file alone will show it.
DirectoryMapping as_in_file(const SectionWish& wish, const DirectorySection* old) {
    auto wanted = *wish.mapping;
    if (!wish.writes_our_keys) {
        if (old == nullptr || !old->mapping.live_migration_method) {
            wanted.live_migration_method.reset();
        }
        if (old == nullptr || !old->mapping.path_relation) {
            wanted.path_relation.reset();
        }
    }
    return wanted;
}

Expected expected_after(const DirectoryConfig& config, const std::vector<SectionWish>& wishes) {
    auto meaning = meaning_of(config);
    std::map<std::string_view, const SectionWish*> by_id;
    for (const auto& wish : wishes) {
        by_id[wish.id] = &wish;
    }
    Expected expected;
    for (auto& entry : meaning) {
        const auto wish = by_id.find(entry.first);
        if (wish == by_id.end()) {
            expected.push_back(std::move(entry));
        } else if (wish->second->mapping) {
            expected.emplace_back(entry.first, as_in_file(*wish->second, config.find(entry.first)));
        }
    }
    for (const auto& wish : wishes) {
        if (wish.mapping && config.find(wish.id) == nullptr) {
            expected.emplace_back(wish.id, as_in_file(wish, nullptr));
        }
    }
    return expected;
}

Result<void>
verify(const std::string& content, const std::string& file_name, const Expected& expected) {
    const auto config = parse_directory_config(content, file_name);
    const auto got = meaning_of(*config);
    const auto [a, b] = std::mismatch(got.begin(), got.end(), expected.begin(), expected.end());
    if (a == got.end() && b == expected.end()) {
        return {};
    }
    const auto& id = b != expected.end() ? b->first : a->first;
    return Error{EINVAL,
                 fmt::format("Proxmox VE would not read mapping '{}' back as it was given", id)}
        .at({file_name, 0, {}})
        .with_remedy("Use a description of at most 4096 bytes that neither begins nor ends with a "
                     "blank, and run 'vfsctl mapping doctor' on the file");
}

Result<void> apply_wish(LineEditor& editor,
                        const DirectoryConfig& config,
                        const std::string& file_name,
                        const SectionWish& wish) {
    if (!wish.mapping) {
        for (const auto& section : config.sections) {
            const auto& lines = config.file.sections[section.section];
            if (lines.id == wish.id) {
                VFSKIT_TRY(refuse_merged(config, file_name, lines, lines.end));
                remove_section(editor, config.file, lines);
            }
        }
        return {};
    }
    if (const auto* old = config.find(wish.id)) {
        return SectionEdit{editor, config, file_name, *old}.become(*wish.mapping,
                                                                   wish.writes_our_keys);
    }
    VFSKIT_TRY_ASSIGN(const auto lines, new_property_lines(*wish.mapping, wish.writes_our_keys));
    editor.append_section(wish.id, lines);
    return {};
}

} // namespace

Result<std::string> edit_directory_config(const DirectoryConfig& config,
                                          const std::string& file_name,
                                          const std::vector<SectionWish>& wishes) {
    LineEditor editor{config.file};
    for (const auto& wish : wishes) {
        VFSKIT_TRY(apply_wish(editor, config, file_name, wish));
    }
    if (editor.is_empty()) {
        return config.content;
    }
    auto content = editor.apply(directory_header_rule);
    VFSKIT_TRY(verify(content, file_name, expected_after(config, wishes)));
    return content;
}

} // namespace vfskit::store
