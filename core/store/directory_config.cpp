// SPDX-License-Identifier: Apache-2.0
#include "core/store/directory_config.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::store {

namespace {

// Bytes, not characters: Proxmox VE reads the file as Latin-1.
constexpr std::size_t max_description_bytes = 4096;

Error property_string_error(std::string message) {
    return Error{EINVAL, std::move(message)};
}

Result<void>
set_part(std::optional<std::string>& target, std::string_view key, std::string_view value) {
    if (target) {
        return property_string_error(
            fmt::format("duplicate key in comma-separated list property: {}", key));
    }
    target = std::string{value};
    return {};
}

class SectionReader {
public:
    SectionReader(DirectorySection& target,
                  std::string_view file_name,
                  std::vector<Notice>& notices)
        : target_{target}, file_name_{file_name}, notices_{notices} {}

    void read(const Section& section) {
        target_.mapping.id = std::string{section.id};
        for (const auto& property : section.properties) {
            if (auto used = use(property); !used) {
                warn(property.line,
                     property.key,
                     fmt::format("Proxmox VE drops '{}' of mapping '{}': {}",
                                 property.key,
                                 section.id,
                                 used.error().message()));
            }
        }
        for (const auto line : section.ignored) {
            warn(line,
                 "",
                 fmt::format("Proxmox VE ignores this line inside mapping '{}'", section.id));
        }
        target_.is_poison = target_.mapping.paths.empty();
        if (target_.is_poison) {
            warn(section.header,
                 "map",
                 fmt::format("Mapping '{}' has no valid 'map' line, so Proxmox VE can no longer "
                             "change this file",
                             section.id));
        }
    }

private:
    Result<void> use(const SectionProperty& property) {
        if (property.key == "map") {
            return use_map(property);
        }
        if (property.key == "description") {
            return use_description(property);
        }
        if (property.key == method_key) {
            return use_method(property);
        }
        if (property.key == relation_key) {
            return use_relation(property);
        }
        // Proxmox VE's section type is implied, but it takes the key as well.
        if (property.key == "type" && property.value == "dir" && !has_type_) {
            has_type_ = true;
            return {};
        }
        return Error{EINVAL,
                     property.key == "id" || property.key == "type" ? "unexpected property"
                                                                    : "unknown property type"};
    }

    static Result<std::string_view> value_of(const SectionProperty& property) {
        if (!property.value) {
            return Error{EINVAL, "got undefined value"};
        }
        if (property.value->find('\r') != std::string_view::npos) {
            return Error{EINVAL, "property contains a line feed"};
        }
        return *property.value;
    }

    Result<void> use_map(const SectionProperty& property) {
        VFSKIT_TRY_ASSIGN(const auto value, value_of(property));
        VFSKIT_TRY_ASSIGN(auto entry, parse_map_value(value));
        target_.mapping.paths.push_back(std::move(entry));
        target_.map_lines.push_back(property.line);
        return {};
    }

    Result<void> use_description(const SectionProperty& property) {
        if (target_.mapping.description) {
            return Error{EINVAL, "duplicate attribute"};
        }
        VFSKIT_TRY_ASSIGN(const auto value, value_of(property));
        if (value.size() > max_description_bytes) {
            return Error{EINVAL, "value may only be 4096 characters long"};
        }
        target_.mapping.description = std::string{value};
        target_.description_line = property.line;
        return {};
    }

    Result<void> use_method(const SectionProperty& property) {
        target_.method_lines.push_back(property.line);
        VFSKIT_TRY_ASSIGN(const auto value, value_of(property));
        VFSKIT_TRY_ASSIGN(const auto method, mapping::parse_migration_method(value));
        if (target_.mapping.live_migration_method) {
            return Error{EINVAL, "duplicate attribute"};
        }
        target_.mapping.live_migration_method = method;
        return {};
    }

    Result<void> use_relation(const SectionProperty& property) {
        target_.relation_lines.push_back(property.line);
        VFSKIT_TRY_ASSIGN(const auto value, value_of(property));
        VFSKIT_TRY_ASSIGN(const auto relation, mapping::parse_path_relation(value));
        if (target_.mapping.path_relation) {
            return Error{EINVAL, "duplicate attribute"};
        }
        target_.mapping.path_relation = relation;
        return {};
    }

    void warn(std::size_t line, std::string_view key, std::string message) {
        notices_.push_back(
            Notice{Place{std::string{file_name_}, line + 1, std::string{key}}, std::move(message)});
    }

    DirectorySection& target_;
    std::string_view file_name_;
    std::vector<Notice>& notices_;
    bool has_type_ = false;
};

void note_doubles(DirectoryConfig& config, const std::string& file_name) {
    for (auto& section : config.sections) {
        const auto& lines = config.file.sections[section.section];
        const auto winner = config.effective.at(lines.id);
        section.is_superseded = &config.sections[winner] != &section;
        if (section.is_superseded) {
            const auto last = config.file.sections[config.sections[winner].section].header + 1;
            config.notices.push_back(
                Notice{Place{file_name, lines.header + 1, {}},
                       fmt::format("Mapping '{}' is defined again in line {}; this definition "
                                   "does not count and Proxmox VE deletes it at its next write",
                                   lines.id,
                                   last)});
        }
    }
}

void note_lines_outside(DirectoryConfig& config, const std::string& file_name) {
    for (const auto line : config.file.ignored) {
        config.notices.push_back(Notice{Place{file_name, line + 1, {}},
                                        "Proxmox VE ignores this line: it belongs to no section"});
    }
    for (const auto& section : config.file.sections) {
        if (!section.problem.empty()) {
            config.notices.push_back(
                Notice{Place{file_name, section.header + 1, {}},
                       fmt::format("Proxmox VE skips this whole section: {}", section.problem)});
        }
    }
}

} // namespace

Result<mapping::NodePath> parse_map_value(std::string_view value) {
    std::optional<std::string> node;
    std::optional<std::string> path;
    for (const auto part : base::split(value, ',')) {
        if (trim_perl_space(part).empty()) {
            continue;
        }
        const auto equals = part.find('=');
        if (equals == std::string_view::npos) {
            return property_string_error(
                "value without key, but schema does not define a default key");
        }
        const auto key = part.substr(0, equals);
        const auto text = part.substr(equals + 1);
        if (key.empty() || text.empty()) {
            return property_string_error("missing key in comma-separated list property");
        }
        if (key == "node") {
            VFSKIT_TRY(set_part(node, key, text));
        } else if (key == "path") {
            VFSKIT_TRY(set_part(path, key, text));
        } else {
            return property_string_error(
                fmt::format("invalid key in comma-separated list property: {}", key));
        }
    }
    if (!node || !path) {
        return property_string_error(
            fmt::format("{}: property is missing and it is not optional", node ? "path" : "node"));
    }
    VFSKIT_TRY(mapping::validate_node(*node, mapping::Rules::pve));
    VFSKIT_TRY(mapping::validate_path(*path, mapping::Rules::pve));
    return mapping::NodePath{std::move(*node), std::move(*path)};
}

Result<std::string> format_map_value(const mapping::NodePath& entry) {
    // A blank at the end of a line is lost, one before a comma is not.
    const bool ends_with_blank = !entry.path.empty() && is_perl_space(entry.path.back());
    auto value = ends_with_blank ? fmt::format("path={},node={}", entry.path, entry.node)
                                 : fmt::format("node={},path={}", entry.node, entry.path);
    const bool has_line_end = value.find_first_of("\r\n") != std::string::npos;
    const auto read_back = parse_map_value(value);
    if (has_line_end || !read_back || *read_back != entry) {
        return Error{EINVAL,
                     fmt::format("Proxmox VE cannot store the path '{}' of node '{}'",
                                 entry.path,
                                 entry.node)}
            .at({{}, 0, "map"})
            .with_remedy("Use a path without commas, line breaks and '=' or parentheses after the "
                         "first slash");
    }
    return value;
}

const DirectorySection* DirectoryConfig::find(std::string_view id) const {
    const auto found = effective.find(id);
    return found == effective.end() ? nullptr : &sections[found->second];
}

Result<void> directory_header_rule(std::string_view word) {
    return mapping::validate_dirid(word, mapping::Rules::pve);
}

std::unique_ptr<DirectoryConfig> parse_directory_config(std::string content,
                                                        const std::string& file_name) {
    auto config = std::make_unique<DirectoryConfig>(std::move(content));
    config->file = parse_sections(config->content, directory_header_rule);
    for (std::size_t i = 0; i < config->file.sections.size(); ++i) {
        const auto& section = config->file.sections[i];
        if (!section.problem.empty()) {
            continue;
        }
        config->effective[section.id] = config->sections.size();
        config->sections.emplace_back().section = i;
        SectionReader{config->sections.back(), file_name, config->notices}.read(section);
    }
    note_doubles(*config, file_name);
    note_lines_outside(*config, file_name);
    std::stable_sort(config->notices.begin(),
                     config->notices.end(),
                     [](const Notice& a, const Notice& b) { return a.place.line < b.place.line; });
    return config;
}

} // namespace vfskit::store
