// SPDX-License-Identifier: Apache-2.0
#include "core/store/doctor_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace vfskit::store {

namespace {

/// A header that was read as junk inside another section.
struct Swallowed {
    std::size_t line = 0;
    std::string_view id;
    std::string_view by;
    bool is_splittable = false;
};

/// The content with an empty line before each of `lines`.
std::string split_before(const DirectoryConfig& config, const std::vector<std::size_t>& lines) {
    LineEditor editor{config.file};
    for (const auto line : lines) {
        editor.insert(line, "");
    }
    return editor.apply(directory_header_rule);
}

/// Marks those headers that may all be split off at once: no id is defined elsewhere, and no
/// mapping is left without a path.
void choose_splittable(const DirectoryConfig& config, std::vector<Swallowed>& found) {
    std::map<std::string_view, int> count;
    for (const auto& swallowed : found) {
        ++count[swallowed.id];
    }
    std::size_t candidates = 0;
    for (auto& swallowed : found) {
        swallowed.is_splittable = count[swallowed.id] == 1 && config.find(swallowed.id) == nullptr;
        candidates += swallowed.is_splittable ? 1 : 0;
    }
    // One that is not split leaves its map lines to the one before it, so each round judges anew.
    for (std::size_t before = candidates + 1; candidates > 0 && candidates < before;) {
        before = candidates;
        std::vector<std::size_t> lines;
        for (const auto& swallowed : found) {
            if (swallowed.is_splittable) {
                lines.push_back(swallowed.line);
            }
        }
        const auto split = parse_directory_config(split_before(config, lines), "");
        const auto is_whole = [&](std::string_view id) {
            const auto* section = split->find(id);
            return section != nullptr && !section->is_poison;
        };
        candidates = 0;
        for (auto& swallowed : found) {
            swallowed.is_splittable =
                swallowed.is_splittable && is_whole(swallowed.id) && is_whole(swallowed.by);
            candidates += swallowed.is_splittable ? 1 : 0;
        }
    }
}

std::vector<Swallowed> find_swallowed(const DirectoryConfig& config) {
    std::vector<Swallowed> found;
    for (const auto& section : config.file.sections) {
        for (const auto line : section.ignored) {
            const auto word = header_word(config.file.lines[line]);
            if (word && directory_header_rule(*word)) {
                found.push_back(Swallowed{line, *word, section.id, false});
            }
        }
    }
    choose_splittable(config, found);
    return found;
}

std::vector<std::string> doubled_nodes(const mapping::DirectoryMapping& mapping) {
    std::set<std::string_view> seen;
    std::set<std::string> doubled;
    for (const auto& entry : mapping.paths) {
        if (!seen.insert(entry.node).second) {
            doubled.insert(entry.node);
        }
    }
    return {doubled.begin(), doubled.end()};
}

bool has_one_path(const mapping::DirectoryMapping& mapping, std::string_view node) {
    std::set<std::string_view> paths;
    for (const auto& entry : mapping.paths) {
        if (entry.node == node) {
            paths.insert(entry.path);
        }
    }
    return paths.size() == 1;
}

/// A line "0", which is false in Perl and so ends a section like an empty line does.
struct StrayEnd {
    std::string_view id;
    std::vector<std::size_t> zeros; ///< that line, and such lines further down
    std::vector<std::size_t> lost;  ///< property lines below, which belong to no section
    std::size_t end = 0;            ///< one past them
    bool is_mendable = false;
};

/// The lines from a section's end to the next section, if a "0" stands at that end.
StrayEnd stray_end(const DirectoryConfig& config, const DirectorySection& section) {
    const auto& file = config.file;
    StrayEnd found;
    found.id = section.mapping.id;
    found.end = file.sections[section.section].end;
    for (; found.end < file.lines.size(); ++found.end) {
        const auto line = file.lines[found.end];
        if (line == "0") {
            found.zeros.push_back(found.end);
        } else if (found.zeros.empty() || line.empty() || header_word(line)) {
            break;
        } else if (std::binary_search(file.ignored.begin(), file.ignored.end(), found.end)) {
            found.lost.push_back(found.end);
        }
    }
    return found;
}

/// With nothing lost below it, an empty line says the same; else its section goes on below it.
void mend_stray_end(LineEditor& editor, const DirectoryConfig& config, const StrayEnd& stray) {
    for (const auto line : stray.zeros) {
        editor.replace(line, stray.lost.empty() ? "" : "#0");
    }
    if (!stray.lost.empty() && stray.end < config.file.lines.size() &&
        !config.file.lines[stray.end].empty()) {
        editor.insert(stray.end, "");
    }
}

/// That mending gives this section its lines back and changes nothing else.
bool can_mend(const DirectoryConfig& config, std::size_t index, const StrayEnd& stray) {
    LineEditor editor{config.file};
    mend_stray_end(editor, config, stray);
    const auto mended = parse_directory_config(editor.apply(directory_header_rule), "");
    if (mended->sections.size() != config.sections.size()) {
        return false;
    }
    for (std::size_t i = 0; i < config.sections.size(); ++i) {
        if (i != index && mended->sections[i].mapping != config.sections[i].mapping) {
            return false;
        }
    }
    const auto& before = config.sections[index].mapping;
    const auto& after = mended->sections[index].mapping;
    return doubled_nodes(after) == doubled_nodes(before) &&
           (!before.description || before.description == after.description);
}

std::vector<StrayEnd> find_stray_ends(const DirectoryConfig& config) {
    std::vector<StrayEnd> found;
    for (std::size_t i = 0; i < config.sections.size(); ++i) {
        auto stray = stray_end(config, config.sections[i]);
        if (!stray.zeros.empty()) {
            stray.is_mendable = can_mend(config, i, stray);
            found.push_back(std::move(stray));
        }
    }
    return found;
}

class DirectoryExamination {
public:
    DirectoryExamination(const DirectoryConfig& config,
                         const std::string& file_name,
                         std::vector<Finding>& findings)
        : config_{config}, file_name_{file_name}, findings_{findings} {}

    void run() {
        for (const auto& swallowed : find_swallowed(config_)) {
            examine(swallowed);
        }
        for (const auto& stray : find_stray_ends(config_)) {
            examine(stray);
        }
        for (const auto& section : config_.sections) {
            examine(section);
        }
        for (const auto& notice : config_.notices) {
            if (!explained_lines_.contains(notice.place.line)) {
                add("VFS-M013",
                    notice.place.key.empty() ? Severity::note : Severity::warning,
                    file_name_,
                    notice.place.line,
                    notice.message,
                    "Correct or remove the line; the next write of any node deletes it");
            }
        }
    }

private:
    void examine(const Swallowed& swallowed) {
        explained_lines_.insert(swallowed.line + 1);
        add("VFS-M002",
            Severity::error,
            std::string{swallowed.id},
            swallowed.line + 1,
            fmt::format("The empty line before mapping '{}' is missing, so Proxmox VE reads its "
                        "lines as part of mapping '{}'",
                        swallowed.id,
                        swallowed.by),
            swallowed.is_splittable
                ? "Run 'vfsctl mapping doctor --fix', which puts the empty line there"
                : "Look at both mappings and separate them by hand: the id is defined elsewhere "
                  "too, or one of them would be left without a path",
            swallowed.is_splittable);
    }

    void examine(const StrayEnd& stray) {
        for (const auto line : stray.lost) {
            explained_lines_.insert(line + 1);
        }
        const bool is_harmless = stray.lost.empty();
        add("VFS-M018",
            is_harmless ? Severity::note : Severity::error,
            std::string{stray.id},
            stray.zeros.front() + 1,
            is_harmless
                ? fmt::format("The line '0' ends mapping '{}' for Proxmox VE, as an empty line "
                              "does, because '0' is false in Perl",
                              stray.id)
                : fmt::format("The line '0' ends mapping '{}' for Proxmox VE, because '0' is false "
                              "in Perl, so it loses the {} below",
                              stray.id,
                              stray.lost.size() == 1 ? std::string{"line"}
                                                     : fmt::format("{} lines", stray.lost.size())),
            !stray.is_mendable ? "Decide which of the lines count and remove the '0': a node or "
                                 "the description would stand there twice"
            : is_harmless      ? "Run 'vfsctl mapping doctor --fix', which empties the line"
                               : "Run 'vfsctl mapping doctor --fix', which makes the '0' a comment",
            stray.is_mendable);
    }

    void examine(const DirectorySection& section) {
        const auto header = config_.file.sections[section.section].header;
        const auto& id = section.mapping.id;
        if (section.is_superseded) {
            explained_lines_.insert(header + 1);
            add("VFS-M010",
                Severity::warning,
                id,
                header + 1,
                fmt::format("Mapping '{}' is defined again further down; only the last definition "
                            "counts",
                            id),
                "Run 'vfsctl mapping doctor --fix', which turns this one into comments",
                true);
            return;
        }
        if (section.is_poison) {
            explained_lines_.insert(header + 1);
            const bool is_fixable = is_alone(section);
            add("VFS-M001",
                Severity::error,
                id,
                header + 1,
                fmt::format("Mapping '{}' has no valid 'map' line; Proxmox VE cannot write the "
                            "file as long as it is there",
                            id),
                is_fixable ? "Give it a path with 'vfsctl mapping set', or run 'vfsctl mapping "
                             "doctor --fix', which turns it into comments"
                           : "Give it a path with 'vfsctl mapping set', or remove it",
                is_fixable);
            return;
        }
        for (const auto& node : doubled_nodes(section.mapping)) {
            examine_double(section, node, header + 1);
        }
    }

    /// Without it no other definition of the id and no other mapping's header comes to light.
    [[nodiscard]] bool is_alone(const DirectorySection& section) const {
        const bool has_double =
            std::any_of(config_.sections.begin(), config_.sections.end(), [&](const auto& other) {
                return &other != &section && other.mapping.id == section.mapping.id;
            });
        return !has_double && !is_merged(section);
    }

    /// Whether another mapping's header stands in it, so that some lines may be that one's.
    [[nodiscard]] bool is_merged(const DirectorySection& section) const {
        const auto& ignored = config_.file.sections[section.section].ignored;
        return std::any_of(ignored.begin(), ignored.end(), [&](std::size_t line) {
            return header_word(config_.file.lines[line]).has_value();
        });
    }

    void
    examine_double(const DirectorySection& section, const std::string& node, std::size_t line) {
        const bool is_same = has_one_path(section.mapping, node);
        add("VFS-M003",
            Severity::error,
            section.mapping.id,
            line,
            fmt::format("Mapping '{}' has node '{}' more than once{}; VMs that use it do not start "
                        "there",
                        section.mapping.id,
                        node,
                        is_same ? ", always with the same path" : " with different paths"),
            is_same ? "Run 'vfsctl mapping doctor --fix', which keeps the first line"
            : is_merged(section)
                ? "Separate the merged mappings first: another one's lines stand in it"
                : fmt::format("Say with 'vfsctl mapping set {} --path {}:/PATH' which path is "
                              "right, or run 'vfsctl mapping doctor --fix', which keeps the first, "
                              "'{}', and makes the others comments",
                              section.mapping.id,
                              node,
                              find_path(section.mapping, node).value_or("")),
            is_same || !is_merged(section));
    }

    void add(std::string code,
             Severity severity,
             std::string subject,
             std::size_t line,
             std::string message,
             std::string remedy,
             bool fixable = false) {
        findings_.push_back(Finding{std::move(code),
                                    severity,
                                    std::move(subject),
                                    Place{file_name_, line, {}},
                                    std::move(message),
                                    std::move(remedy),
                                    fixable});
    }

    const DirectoryConfig& config_;
    const std::string& file_name_;
    std::vector<Finding>& findings_;
    std::set<std::size_t> explained_lines_; ///< 1-based, with a finding of their own
};

void comment_out(LineEditor& editor, const DirectoryConfig& config, const Section& section) {
    for (auto line = section.header; line < section.end; ++line) {
        const auto text = config.file.lines[line];
        if (!trim_perl_space(text).starts_with('#')) {
            editor.replace(line, fmt::format("#{}", text));
        }
    }
}

/// The first path of each node stays. What says the same again goes, what says something else
/// becomes a comment.
void keep_first_paths(LineEditor& editor,
                      const DirectoryConfig& config,
                      const DirectorySection& section) {
    std::map<std::string_view, std::string_view> first;
    for (std::size_t i = 0; i < section.mapping.paths.size(); ++i) {
        const auto& entry = section.mapping.paths[i];
        const auto line = section.map_lines[i];
        const auto [known, is_first] = first.emplace(entry.node, entry.path);
        if (is_first) {
            continue;
        }
        if (known->second == entry.path) {
            editor.remove(line);
            continue;
        }
        editor.insert(line,
                      fmt::format("# Taken out by 'vfsctl mapping doctor': node '{}' stands above "
                                  "with another path",
                                  entry.node));
        editor.replace(line, fmt::format("#{}", config.file.lines[line]));
    }
}

void mend(LineEditor& editor, const DirectoryConfig& config, const Finding& finding) {
    const auto line = finding.place.line - 1;
    if (finding.code == "VFS-M002") {
        editor.insert(line, "");
        return;
    }
    if (finding.code == "VFS-M018") {
        for (const auto& stray : find_stray_ends(config)) {
            if (stray.zeros.front() == line) {
                mend_stray_end(editor, config, stray);
            }
        }
        return;
    }
    for (const auto& section : config.sections) {
        const auto& lines = config.file.sections[section.section];
        if (lines.header != line) {
            continue;
        }
        if (finding.code == "VFS-M003") {
            keep_first_paths(editor, config, section);
        } else {
            comment_out(editor, config, lines);
        }
    }
}

/// That no mapping vanished and no section became poison.
Result<void> check_mended(const DirectoryConfig& before,
                          const DirectoryConfig& after,
                          const std::string& file_name) {
    for (const auto& [id, index] : before.effective) {
        if (before.sections[index].is_poison) {
            continue;
        }
        const auto* section = after.find(id);
        if (section == nullptr || section->is_poison) {
            return Error{EINVAL, fmt::format("Mending would lose mapping '{}'", id)}
                .at({file_name, 0, {}})
                .with_remedy("Mend the file by hand");
        }
    }
    return {};
}

} // namespace

void examine_directory(const DirectoryConfig& config,
                       const std::string& file_name,
                       std::vector<Finding>& findings) {
    DirectoryExamination{config, file_name, findings}.run();
}

Result<std::string>
mend_directory(std::string content, const std::string& file_name, const FindingFilter& wanted) {
    // Joining and splitting first: they give mappings back, and what it lays bare the later kinds
    // mend.
    for (const std::string_view code :
         {"VFS-M018", "VFS-M002", "VFS-M010", "VFS-M001", "VFS-M003"}) {
        const auto config = parse_directory_config(content, file_name);
        std::vector<Finding> findings;
        examine_directory(*config, file_name, findings);
        LineEditor editor{config->file};
        std::set<std::size_t> mended_lines; // one section may have several doubled nodes
        for (const auto& finding : findings) {
            if (finding.code == code && finding.fixable && wanted(finding) &&
                mended_lines.insert(finding.place.line).second) {
                mend(editor, *config, finding);
            }
        }
        if (editor.is_empty()) {
            continue;
        }
        content = editor.apply(directory_header_rule);
        VFSKIT_TRY(check_mended(*config, *parse_directory_config(content, file_name), file_name));
    }
    return content;
}

} // namespace vfskit::store
