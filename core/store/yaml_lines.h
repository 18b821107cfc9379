// SPDX-License-Identifier: Apache-2.0
// A cursor over the content lines of a YAML text. Internal to the room store.
#pragma once

#include "core/store/yaml_reader.h"

#include <cstddef>
#include <string_view>

namespace vfskit::store {

/// One line: [begin, end) without its line end, `next` behind it.
struct YamlLine {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t next = 0;
    std::size_t indent = 0;
    std::size_t number = 0; ///< 1-based
};

/// Goes from content line to content line; lines that are blank or hold only a comment lie between.
class YamlLines {
public:
    explicit YamlLines(std::string_view text);

    [[nodiscard]] bool at_end() const { return at_end_; }
    [[nodiscard]] const YamlLine& line() const { return line_; }
    /// To the next content line, or the end. False for a tab in front of its content, which YAML
    /// forbids as indentation, and yaml-cpp also where there is none.
    bool advance();
    /// Makes the line that `position` is in the current one.
    void move_to(std::size_t position);
    /// From the current line over all that follow and are blank or indented deeper than `indent`,
    /// without blank ones at the end; the last of them becomes current.
    Span take_block(std::size_t indent);

private:
    void load(std::size_t begin);
    [[nodiscard]] bool is_content() const;

    std::string_view text_;
    YamlLine line_;
    bool at_end_ = false;
};

/// Behind the lines at `position` that are comments indented deeper than `indent`.
std::size_t skip_inner_comments(std::string_view text, std::size_t position, std::size_t indent);

} // namespace vfskit::store
