// SPDX-License-Identifier: Apache-2.0
#include "core/mapping/mapping.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

namespace vfskit::mapping {

namespace {

constexpr std::size_t max_node_bytes = 63;
constexpr std::size_t max_path_bytes = 4095; // PATH_MAX without its NUL
constexpr std::size_t max_description_bytes = 4096;
constexpr std::string_view path_symbols = ";,=()";

constexpr std::array<std::string_view, 3> method_words{"find-paths", "file-handles", "fd-passing"};
constexpr std::array<std::string_view, 2> relation_words{"same-directory", "replicas"};

// Not isalpha(): these rules do not depend on the locale.
bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
// A table: it is asked for every character of every node's name.
constexpr auto letters_and_digits = [] {
    std::array<bool, 256> table{};
    for (unsigned char c = 0; c < 0x80; ++c) {
        table[c] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    }
    return table;
}();
bool is_letter_or_digit(char c) {
    return letters_and_digits[static_cast<unsigned char>(c)];
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// A value as an error shows it: in quotes, control characters and foreign bytes escaped, not
// endless.
std::string show(std::string_view value) {
    constexpr std::size_t enough = 100;
    const bool utf8 = base::is_valid_utf8(value);
    std::string shown = "'";
    for (const char c : value.substr(0, enough)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
            shown += "\\n";
        } else if (is_control(c) || (byte >= 0x80 && (!utf8 || value.size() > enough))) {
            shown += fmt::format("\\x{:02x}", byte);
        } else {
            shown += c;
        }
    }
    shown += value.size() > enough ? "…'" : "'";
    return shown;
}

Error invalid(std::string_view key, std::string message) {
    return Error{EINVAL, std::move(message)}.at({{}, 0, std::string{key}});
}

// Perl's `$` matches before one line feed at the end as well.
std::string_view without_final_line_feed(std::string_view text) {
    if (!text.empty() && text.back() == '\n') {
        text.remove_suffix(1);
    }
    return text;
}

bool matches_configid(std::string_view id) {
    return id.size() >= 2 && is_letter(id.front()) && std::all_of(id.begin(), id.end(), [](char c) {
               return is_letter_or_digit(c) || c == '_' || c == '-';
           });
}

bool matches_node_name(std::string_view node) {
    return !node.empty() && is_letter_or_digit(node.front()) && is_letter_or_digit(node.back()) &&
           std::all_of(
               node.begin(), node.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

// Proxmox VE's regex has no end anchor: the character after the slash is all it looks at.
bool is_pve_path(std::string_view path) {
    return path.size() >= 2 && path[0] == '/' &&
           (is_letter_or_digit(path[1]) || path_symbols.find(path[1]) == std::string_view::npos);
}

template <class Enum>
Result<Enum>
parse_word(std::string_view word, std::string_view key, std::span<const std::string_view> words) {
    const auto found = std::find(words.begin(), words.end(), word);
    if (found != words.end()) {
        return static_cast<Enum>(found - words.begin());
    }
    const auto near = base::nearest(word, words);
    return invalid(key, fmt::format("{} is not one of {}", show(word), fmt::join(words, ", ")))
        .with_remedy(near ? fmt::format("Did you mean '{}'?", *near)
                          : fmt::format("Use one of {}", fmt::join(words, ", ")));
}

Result<void> check_strict_components(std::string_view path) {
    for (const auto component : base::split(path.substr(1), '/')) {
        if (component.empty() || component == "." || component == "..") {
            return invalid("path",
                           fmt::format("Path {} has {}",
                                       show(path),
                                       component.empty()
                                           ? std::string{"an empty component (\"//\" "
                                                         "or a slash at the end)"}
                                           : fmt::format("a component \"{}\"", component)))
                .with_remedy("Write the path without it, as realpath prints it");
        }
    }
    return {};
}

Result<void> check_strict_path(std::string_view path) {
    if (path.size() > max_path_bytes) {
        return invalid("path",
                       fmt::format("Path {} has {} bytes, the kernel takes at most {}",
                                   show(path),
                                   path.size(),
                                   max_path_bytes))
            .with_remedy("Share a directory with a shorter path, or bind-mount it to one");
    }
    if (const auto at = path.find_first_of(path_symbols); at != std::string_view::npos) {
        return invalid("path",
                       fmt::format("Path {} contains '{}', which Proxmox VE or virtiofsd would "
                                   "take for a separator",
                                   show(path),
                                   path[at]))
            .with_remedy("Rename the directory, or bind-mount it to a path without any of ;,=()");
    }
    if (std::any_of(path.begin(), path.end(), is_control)) {
        return invalid("path", fmt::format("Path {} contains a control character", show(path)))
            .with_remedy("Rename the directory");
    }
    if (is_blank(path.back())) {
        return invalid(
                   "path",
                   fmt::format("Path {} ends with a blank, which a re-read would lose", show(path)))
            .with_remedy("Rename the directory, or remove the blank");
    }
    if (!base::is_valid_utf8(path)) {
        return invalid("path", fmt::format("Path {} is not valid UTF-8", show(path)))
            .with_remedy("Rename the directory: XML, JSON and YAML cannot carry its name");
    }
    return check_strict_components(path);
}

} // namespace

std::string_view to_string(MigrationMethod method) {
    return method_words[static_cast<std::size_t>(method)];
}

std::string_view to_string(PathRelation relation) {
    return relation_words[static_cast<std::size_t>(relation)];
}

Result<MigrationMethod> parse_migration_method(std::string_view word) {
    return parse_word<MigrationMethod>(word, "live-migration-method", method_words);
}

Result<PathRelation> parse_path_relation(std::string_view word) {
    return parse_word<PathRelation>(word, "path-relation", relation_words);
}

std::optional<std::string_view> find_path(const DirectoryMapping& mapping, std::string_view node) {
    for (const auto& entry : mapping.paths) {
        if (entry.node == node) {
            return entry.path;
        }
    }
    return std::nullopt;
}

Result<void> validate_dirid(std::string_view id, Rules rules) {
    const bool is_pve = rules == Rules::pve;
    if (!matches_configid(is_pve ? without_final_line_feed(id) : id)) {
        return invalid("id",
                       fmt::format("{} is not an id: it begins with a letter and goes on with at "
                                   "least one letter, digit, '_' or '-'",
                                   show(id)))
            .with_remedy("Choose an id such as 'media' or 'home-1'");
    }
    if (!is_pve && id.size() > max_tag_bytes) {
        return invalid("id",
                       fmt::format("Id {} has {} bytes, a virtiofs tag has at most {}, and the id "
                                   "is the tag",
                                   show(id),
                                   id.size(),
                                   max_tag_bytes))
            .with_remedy("Choose a shorter id");
    }
    return {};
}

Result<void> validate_node(std::string_view node, Rules rules) {
    const bool is_pve = rules == Rules::pve;
    if (!matches_node_name(is_pve ? without_final_line_feed(node) : node)) {
        return invalid("node",
                       fmt::format("{} is not a node name: letters, digits and inner hyphens, "
                                   "without a domain",
                                   show(node)))
            .with_remedy("Use the node's short host name, as 'uname -n' prints it up to the first "
                         "dot");
    }
    if (!is_pve && node.size() > max_node_bytes) {
        return invalid("node",
                       fmt::format("Node name {} has {} bytes, a host label has at most {}",
                                   show(node),
                                   node.size(),
                                   max_node_bytes))
            .with_remedy("Use the node's short host name");
    }
    return {};
}

Result<void> validate_path(std::string_view path, Rules rules) {
    if (!is_pve_path(path)) {
        return invalid("path",
                       fmt::format("{} is not an absolute path to a directory below '/'; the "
                                   "symbols ;,=() are not allowed in it",
                                   show(path)))
            .with_remedy("Give a path such as '/srv/media'");
    }
    return rules == Rules::pve ? Result<void>{} : check_strict_path(path);
}

Result<void> validate_description(std::string_view description, Rules rules) {
    if (description.size() > max_description_bytes) {
        return invalid("description",
                       fmt::format("The description has {} bytes, the limit is {}",
                                   description.size(),
                                   max_description_bytes))
            .with_remedy("Shorten it");
    }
    if (description.find('\n') != std::string_view::npos) {
        return invalid("description",
                       fmt::format("Description {} contains a line feed", show(description)))
            .with_remedy("Write it on one line");
    }
    if (rules == Rules::pve) {
        return {};
    }
    if (description.empty() || is_blank(description.front()) || is_blank(description.back())) {
        return invalid("description",
                       fmt::format("Description {} is empty, or begins or ends with a blank, "
                                   "which a re-read would lose",
                                   show(description)))
            .with_remedy("Remove the blanks, or give no description");
    }
    if (!base::is_valid_utf8(description)) {
        return invalid("description",
                       fmt::format("Description {} is not valid UTF-8", show(description)))
            .with_remedy("Type it again in a UTF-8 terminal");
    }
    if (std::any_of(description.begin(), description.end(), is_control)) {
        return invalid(
                   "description",
                   fmt::format("Description {} contains a control character", show(description)))
            .with_remedy("Remove it");
    }
    return {};
}

namespace {

// Numbered nodes in their order, as nearly every mapping has them: pve2 is before pve10.
bool is_before(std::string_view a, std::string_view b) {
    return a.size() < b.size() || (a.size() == b.size() && a < b);
}

Result<void> check_doubles(const std::vector<NodePath>& paths) {
    const auto is_out_of_order = [](const NodePath& a, const NodePath& b) {
        return !is_before(a.node, b.node);
    };
    if (std::adjacent_find(paths.begin(), paths.end(), is_out_of_order) == paths.end()) {
        return {};
    }
    std::vector<std::string_view> nodes;
    nodes.reserve(paths.size());
    for (const auto& entry : paths) {
        nodes.push_back(entry.node);
    }
    std::sort(nodes.begin(), nodes.end());
    const auto twice = std::adjacent_find(nodes.begin(), nodes.end());
    if (twice != nodes.end()) {
        return invalid("node",
                       fmt::format("Node '{}' has {} paths",
                                   *twice,
                                   std::count(nodes.begin(), nodes.end(), *twice)))
            .with_remedy("Give one path per node");
    }
    return {};
}

Result<void> validate_paths(const DirectoryMapping& mapping, Rules rules) {
    if (mapping.paths.empty()) {
        return invalid("nodes", "No node has a path")
            .with_remedy("Give the path of the directory on at least one node");
    }
    for (const auto& entry : mapping.paths) {
        // The common case without a Result for every node of a cluster.
        if (rules == Rules::pve && matches_node_name(entry.node) && is_pve_path(entry.path)) {
            continue;
        }
        VFSKIT_TRY(validate_node(entry.node, rules));
        if (auto valid = validate_path(entry.path, rules); !valid) {
            return std::move(valid).error().under(fmt::format("Node '{}'", entry.node));
        }
    }
    return check_doubles(mapping.paths);
}

Result<void> validate_parts(const DirectoryMapping& mapping, Rules rules) {
    VFSKIT_TRY(validate_paths(mapping, rules));
    if (mapping.description) {
        VFSKIT_TRY(validate_description(*mapping.description, rules));
    }
    return {};
}

} // namespace

// A handle or a descriptor of one directory means nothing in a copy of it.
Result<void> validate_method(const DirectoryMapping& mapping) {
    const auto method = mapping.live_migration_method;
    if (!method || *method == MigrationMethod::find_paths ||
        mapping.path_relation != PathRelation::replicas) {
        return {};
    }
    return Error{
        EINVAL,
        fmt::format(
            "The method {} needs the same directory on every node, and the paths are replicas",
            to_string(*method))}
        .at({"", 0, "live-migration-method"})
        .with_remedy("Use find-paths, or say that the paths are the same-directory");
}

Result<void> validate(const DirectoryMapping& mapping, Rules rules) {
    VFSKIT_TRY(validate_dirid(mapping.id, rules));
    auto valid = validate_parts(mapping, rules);
    if (valid && rules == Rules::strict) {
        valid = validate_method(mapping);
    }
    if (!valid) {
        return std::move(valid).error().under(fmt::format("Mapping '{}'", mapping.id));
    }
    return {};
}

} // namespace vfskit::mapping
