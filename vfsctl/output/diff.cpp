// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/output/diff.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace vfskit::vfsctl {

namespace {

enum class Step { kept, gone, added };

struct DiffLine {
    Step step;
    const std::string* text;
    std::size_t number; ///< in `after`, 1-based; of a line that went, where it was
};

// lengths[i][j]: the longest common subsequence of before[i..] and after[j..].
class CommonLengths {
public:
    CommonLengths(std::span<const std::string> before, std::span<const std::string> after)
        : width_{after.size() + 1}, lengths_((before.size() + 1) * width_, 0) {
        for (std::size_t i = before.size(); i-- > 0;) {
            for (std::size_t j = after.size(); j-- > 0;) {
                lengths_[i * width_ + j] = before[i] == after[j]
                                               ? at(i + 1, j + 1) + 1
                                               : std::max(at(i + 1, j), at(i, j + 1));
            }
        }
    }
    [[nodiscard]] std::uint32_t at(std::size_t i, std::size_t j) const {
        return lengths_[i * width_ + j];
    }

private:
    std::size_t width_;
    std::vector<std::uint32_t> lengths_;
};

void append_middle(std::vector<DiffLine>& lines,
                   std::span<const std::string> before,
                   std::span<const std::string> after,
                   std::size_t offset) {
    const CommonLengths lengths{before, after};
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < before.size() || j < after.size()) {
        const auto number = offset + j + 1;
        if (i < before.size() && j < after.size() && before[i] == after[j]) {
            lines.push_back({Step::kept, &after[j++], number});
            ++i;
        } else if (i < before.size() &&
                   (j == after.size() || lengths.at(i + 1, j) >= lengths.at(i, j + 1))) {
            lines.push_back({Step::gone, &before[i++], number});
        } else {
            lines.push_back({Step::added, &after[j++], number});
        }
    }
}

// What both begin and end with needs no table: a domain of 10 000 lines with one change is cheap.
std::vector<DiffLine> diff_lines(const std::vector<std::string>& before,
                                 const std::vector<std::string>& after) {
    const auto shorter = std::min(before.size(), after.size());
    std::size_t head = 0;
    while (head < shorter && before[head] == after[head]) {
        ++head;
    }
    std::size_t tail = 0;
    while (tail < shorter - head && *(before.rbegin() + static_cast<std::ptrdiff_t>(tail)) ==
                                        *(after.rbegin() + static_cast<std::ptrdiff_t>(tail))) {
        ++tail;
    }
    std::vector<DiffLine> lines;
    for (std::size_t i = 0; i < head; ++i) {
        lines.push_back({Step::kept, &after[i], i + 1});
    }
    append_middle(lines,
                  std::span{before}.subspan(head, before.size() - head - tail),
                  std::span{after}.subspan(head, after.size() - head - tail),
                  head);
    for (std::size_t i = after.size() - tail; i < after.size(); ++i) {
        lines.push_back({Step::kept, &after[i], i + 1});
    }
    return lines;
}

std::string render(const DiffLine& line, const Output& output) {
    switch (line.step) {
    case Step::kept:
        return fmt::format("  {}\n", printable(*line.text));
    case Step::gone:
        return output.paint(Color::red, "- " + printable(*line.text)) + "\n";
    case Step::added:
        return output.paint(Color::green, "+ " + printable(*line.text)) + "\n";
    }
    return {};
}

std::vector<std::string> lines_of(std::string_view text) {
    if (text.ends_with('\n')) {
        text.remove_suffix(1);
    }
    const auto parts = base::split(text, '\n');
    return {parts.begin(), parts.end()};
}

bool is_near_change(const std::vector<DiffLine>& lines, std::size_t index, std::size_t context) {
    const auto first = index < context ? 0 : index - context;
    const auto last = std::min(lines.size(), index + context + 1);
    return std::any_of(lines.begin() + static_cast<std::ptrdiff_t>(first),
                       lines.begin() + static_cast<std::ptrdiff_t>(last),
                       [](const DiffLine& line) { return line.step != Step::kept; });
}

} // namespace

std::string render_line_diff(const std::vector<std::string>& before,
                             const std::vector<std::string>& after,
                             const Output& output) {
    std::string text;
    for (const auto& line : diff_lines(before, after)) {
        text += render(line, output);
    }
    return text;
}

std::string render_short_diff(std::string_view before,
                              std::string_view after,
                              const Output& output,
                              std::size_t context) {
    const auto old_lines = lines_of(before);
    const auto new_lines = lines_of(after);
    const auto lines = diff_lines(old_lines, new_lines);
    std::string text;
    bool is_open = false;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const bool is_shown = is_near_change(lines, i, context);
        if (is_shown && !is_open) {
            text +=
                output.paint(Color::faint, fmt::format("@@ line {} @@", lines[i].number)) + "\n";
        }
        is_open = is_shown;
        if (is_shown) {
            text += render(lines[i], output);
        }
    }
    return text;
}

} // namespace vfskit::vfsctl
