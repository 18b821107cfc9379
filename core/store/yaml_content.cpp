// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_content.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace vfskit::store {

namespace {

std::size_t line_at(std::string_view text, std::size_t position) {
    return 1 + static_cast<std::size_t>(std::count(
                   text.begin(), text.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
}

// Behind the blocks at `at` whose only control characters are tabs and line ends.
const char* skip_harmless(const char* at, const char* end) {
    constexpr std::ptrdiff_t block_size = 64;
    for (; end - at > block_size; at += block_size) {
        // Without a branch: the compiler takes sixteen bytes at a time.
        unsigned suspicious = 0;
        for (std::ptrdiff_t i = 0; i < block_size; ++i) {
            const auto c = static_cast<unsigned char>(at[i]);
            const unsigned is_control = unsigned{c < 0x20} | unsigned{c == 0x7F};
            const unsigned is_line_end =
                unsigned{c == '\n'} | (unsigned{c == '\r'} & unsigned{at[i + 1] == '\n'});
            suspicious |= is_control & ~(is_line_end | unsigned{c == '\t'});
        }
        if (suspicious != 0) {
            break;
        }
    }
    return at;
}

// Neither reader is asked about bytes that YAML does not allow at all.
Result<void> check_bytes(std::string_view text, const std::string& file) {
    if (!base::is_valid_utf8(text)) {
        std::size_t begin = 0;
        for (const auto line : base::split(text, '\n')) {
            if (!base::is_valid_utf8(line)) {
                break;
            }
            begin += line.size() + 1;
        }
        return Error{EBADMSG, "The line is not valid UTF-8"}
            .at({file, line_at(text, std::min(begin, text.size())), {}})
            .with_remedy("Convert the file, for example with 'iconv -f latin1 -t utf-8'");
    }
    // A carriage return alone is a line break to yaml-cpp 0.8 and a blank to 0.7: a file must not
    // mean two things.
    const auto is_forbidden = [&text](const char& c) {
        if (c == '\r') {
            return &c + 1 == text.data() + text.size() || *(&c + 1) != '\n';
        }
        return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
    };
    const char* found = text.data();
    const char* const end = found + text.size();
    while (found != end && !is_forbidden(*found)) {
        found = skip_harmless(found + 1, end);
    }
    if (found != end) {
        return Error{EBADMSG,
                     fmt::format("The line contains the control character 0x{:02x}",
                                 static_cast<unsigned char>(*found))}
            .at({file, line_at(text, static_cast<std::size_t>(found - text.data())), {}})
            .with_remedy("Remove it, or write it as an escape in double quotes");
    }
    return {};
}

template <class T>
bool take_word(const std::optional<YamlField>& field,
               std::optional<T>& target,
               Result<T> (*parse)(std::string_view)) {
    if (!field) {
        return true;
    }
    auto parsed = parse(field->text);
    if (parsed) {
        target = *parsed;
    }
    return parsed.has_value();
}

} // namespace

std::optional<mapping::DirectoryMapping> make_mapping(const YamlMapping& found) {
    mapping::DirectoryMapping mapping;
    mapping.id = found.id;
    mapping.paths.reserve(found.nodes->entries.size());
    for (const auto& entry : found.nodes->entries) {
        mapping.paths.push_back({std::string{entry.key}, std::string{entry.text}});
    }
    if (found.description) {
        mapping.description = std::string{found.description->text};
    }
    if (!take_word(found.live_migration_method,
                   mapping.live_migration_method,
                   &mapping::parse_migration_method) ||
        !take_word(found.path_relation, mapping.path_relation, &mapping::parse_path_relation) ||
        !mapping::validate(mapping, mapping::Rules::pve)) {
        return std::nullopt;
    }
    return mapping;
}

Result<YamlContent> read_yaml(std::string_view text, const std::string& file) {
    VFSKIT_TRY(check_bytes(text, file));
    YamlContent content;
    const auto reading = read_yaml_quickly(text, [&](const YamlMapping& found) {
        auto mapping = make_mapping(found);
        if (mapping) {
            content.mappings.push_back(std::move(*mapping));
        }
        return mapping.has_value();
    });
    if (!reading.file) {
        return read_yaml_fully(text, file);
    }
    for (const auto& unknown : reading.file->unknown) {
        content.notices.push_back(
            unknown_key_notice(file, unknown.line, unknown.key, unknown.mapping));
    }
    std::stable_sort(content.notices.begin(),
                     content.notices.end(),
                     [](const Notice& a, const Notice& b) { return a.place.line < b.place.line; });
    return content;
}

} // namespace vfskit::store
