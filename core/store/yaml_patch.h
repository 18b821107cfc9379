// SPDX-License-Identifier: Apache-2.0
// Collects the smallest replacements of text that turn the mappings of a YAML file into others.
// Internal to the room store.
#pragma once

#include "core/store/store.h"
#include "core/store/yaml_reader.h"
#include "core/store/yaml_text.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Writes new lines in the manner of the file: its line ends, indentation, blank lines between
/// mappings, and quotes where a value had them.
class YamlPatcher {
public:
    explicit YamlPatcher(std::string_view text);

    /// Each mapping of the file, in order, so that new ones look like them.
    void learn(const YamlMapping& found);
    /// Makes `found` say what `wanted` says; keys that the format does not know stay.
    void change(const YamlMapping& found, const mapping::DirectoryMapping& wanted);
    /// Removes its lines with the comments inside; a comment above it stays.
    void remove(const YamlMapping& found);
    /// Puts new mappings behind the last one. Call it last.
    void append(const YamlFile& file, const std::vector<const mapping::DirectoryMapping*>& added);
    /// The text with all that applied.
    [[nodiscard]] std::string apply();

private:
    struct Patch {
        Span replaced;
        std::string text;
        bool is_lines = false; ///< whole new lines: the text before must end in a line end
    };
    struct Manner {
        std::string_view eol = "\n";
        std::size_t body_step = 2;
        std::size_t nodes_step = 2;
        bool has_blank_lines_between = false;
    };

    void change_block(const YamlMapping& found, const mapping::DirectoryMapping& wanted);
    void change_flow(const YamlMapping& found, const mapping::DirectoryMapping& wanted);
    void change_nodes(const YamlNodes& nodes, const mapping::DirectoryMapping& wanted);
    void change_block_nodes(const YamlNodes& nodes, const mapping::DirectoryMapping& wanted);
    void change_flow_nodes(const YamlNodes& nodes, const mapping::DirectoryMapping& wanted);
    void set_value(const YamlField& field, std::string_view value, bool in_flow);
    void insert_lines(std::size_t at, std::string lines);
    void append_block(std::string& lines,
                      const mapping::DirectoryMapping& mapping,
                      std::size_t indent) const;
    void append_line(std::string& lines,
                     std::size_t indent,
                     std::string_view key,
                     std::string_view value) const;
    [[nodiscard]] std::string
    make_line(std::size_t indent, std::string_view key, std::string_view value) const;

    std::string_view text_;
    Manner manner_;
    std::vector<Patch> patches_;
    Span last_; // the last mapping's lines
    std::size_t mapping_indent_ = 0;
    std::size_t learned_ = 0;
};

} // namespace vfskit::store
