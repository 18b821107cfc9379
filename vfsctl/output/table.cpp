// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/table.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace vfskit::vfsctl {

namespace {

constexpr std::size_t gap = 2;
// Below this a clipped column tells nothing; the terminal may wrap instead.
constexpr std::size_t narrowest_clip = 8;

using Range = std::pair<char32_t, char32_t>;
// wcwidth(3) answers for the locale of the process, which is often "C" under ssh and cron; the
// blocks that matter are few. Unicode: combining marks, zero width; East Asian Wide, emoji.
constexpr std::array<Range, 7> zero_width{{{0x0300, 0x036F},
                                           {0x1AB0, 0x1AFF},
                                           {0x1DC0, 0x1DFF},
                                           {0x200B, 0x200F},
                                           {0x20D0, 0x20FF},
                                           {0xFE00, 0xFE0F},
                                           {0xFE20, 0xFE2F}}};
constexpr std::array<Range, 9> double_width{{{0x1100, 0x115F},
                                             {0x2E80, 0x303E},
                                             {0x3041, 0xA4CF},
                                             {0xAC00, 0xD7A3},
                                             {0xF900, 0xFAFF},
                                             {0xFE30, 0xFE6F},
                                             {0xFF00, 0xFF60},
                                             {0x1F300, 0x1FAFF},
                                             {0x20000, 0x3FFFD}}};

template <std::size_t N>
bool is_in(char32_t c, const std::array<Range, N>& ranges) {
    return std::ranges::any_of(ranges, [c](Range r) { return c >= r.first && c <= r.second; });
}

std::size_t width_of(char32_t c) {
    if (c < zero_width.front().first) {
        return 1;
    }
    if (is_in(c, zero_width)) {
        return 0;
    }
    return is_in(c, double_width) ? 2 : 1;
}

struct CodePoint {
    char32_t value;
    std::size_t bytes;
};

// Of valid UTF-8; a stray byte counts as itself.
CodePoint first_code_point(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text.front());
    const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes == 1 || bytes > text.size()) {
        return {lead, 1};
    }
    char32_t value = lead & (0x7FU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        value = (value << 6) | (static_cast<unsigned char>(text[i]) & 0x3FU);
    }
    return {value, bytes};
}

void trim_right(std::string& line) {
    line.erase(line.find_last_not_of(' ') + 1);
}

} // namespace

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const auto [value, bytes] = first_code_point(text);
        width += width_of(value);
        text.remove_prefix(bytes);
    }
    return width;
}

std::string clip(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) {
        return std::string{text};
    }
    std::string kept;
    std::size_t used = 0;
    for (std::string_view rest = text; !rest.empty();) {
        const auto [value, bytes] = first_code_point(rest);
        if (used + width_of(value) + 1 > width) {
            break;
        }
        used += width_of(value);
        kept += rest.substr(0, bytes);
        rest.remove_prefix(bytes);
    }
    return kept + "…";
}

void Table::add(const std::vector<std::string>& cells) {
    Row row(headings_.size());
    for (std::size_t i = 0; i < std::min(cells.size(), row.size()); ++i) {
        row[i].text = printable(cells[i]);
        row[i].width = display_width(row[i].text);
    }
    rows_.push_back(std::move(row));
}

void Table::color_last(std::size_t column, Color color) {
    rows_.back()[column].color = color;
}

std::vector<std::size_t> Table::widths() const {
    std::vector<std::size_t> widths;
    std::ranges::transform(headings_, std::back_inserter(widths), display_width);
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].width);
        }
    }
    return widths;
}

std::string Table::render(const Output& output) const {
    if (rows_.empty()) {
        return {};
    }
    const auto wide = widths();
    const std::size_t last = wide.size() - 1;
    std::size_t before_last = 0;
    for (std::size_t i = 0; i < last; ++i) {
        before_last += wide[i] + gap;
    }
    const bool is_clipped = output.columns() >= before_last + narrowest_clip;
    const std::size_t room = is_clipped ? output.columns() - before_last : wide[last];

    std::string line;
    for (std::size_t i = 0; i < last; ++i) {
        line += headings_[i];
        line.append(wide[i] - display_width(headings_[i]) + gap, ' ');
    }
    line += headings_[last];
    trim_right(line);
    std::string text = output.paint(Color::bold, line) + "\n";
    for (const auto& row : rows_) {
        line.clear();
        for (std::size_t i = 0; i < last; ++i) {
            line += output.paint(row[i].color, row[i].text);
            // The padding stays outside the colour.
            line.append(wide[i] - row[i].width + gap, ' ');
        }
        const auto& cell = row[last];
        line += output.paint(cell.color, cell.width > room ? clip(cell.text, room) : cell.text);
        trim_right(line);
        text += line;
        text += '\n';
    }
    return text;
}

} // namespace vfskit::vfsctl
