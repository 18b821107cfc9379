// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/output/output.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// Columns under headings, aligned by display width, two blanks between them, no blanks at line
/// ends. On a terminal that is too narrow the last column is clipped with an ellipsis; a pipe gets
/// everything.
class Table {
public:
    explicit Table(std::vector<std::string> headings) : headings_{std::move(headings)} {}

    /// One row; as many cells as headings. Cells pass through printable().
    void add(const std::vector<std::string>& cells);
    /// The colour of the cells of one column in the row added last.
    void color_last(std::size_t column, Color color);
    [[nodiscard]] bool is_empty() const { return rows_.empty(); }

    /// The text, headings first; nothing for a table without rows.
    [[nodiscard]] std::string render(const Output& output) const;

private:
    struct Cell {
        std::string text;
        std::size_t width = 0; ///< display_width(text)
        Color color = Color::none;
    };
    using Row = std::vector<Cell>;
    [[nodiscard]] std::vector<std::size_t> widths() const;

    std::vector<std::string> headings_;
    std::vector<Row> rows_;
};

/// Cells of a terminal that UTF-8 `text` takes: 0 for combining marks, 2 for wide characters.
std::size_t display_width(std::string_view text);

/// `text` cut to at most `width` cells, the last one an ellipsis if anything was cut.
std::string clip(std::string_view text, std::size_t width);

} // namespace vfskit::vfsctl
