// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_lines.h"

#include "core/base/text.h"

#include <algorithm>

namespace vfskit::store {

namespace {

YamlLine line_at(std::string_view text, std::size_t begin, std::size_t number) {
    YamlLine line;
    line.begin = begin;
    line.number = number;
    const auto feed = text.find('\n', begin);
    line.next = feed == std::string_view::npos ? text.size() : feed + 1;
    line.end = feed == std::string_view::npos ? text.size() : feed;
    if (line.end > begin && text[line.end - 1] == '\r' && feed != std::string_view::npos) {
        --line.end;
    }
    std::size_t at = begin;
    while (at < line.end && text[at] == ' ') {
        ++at;
    }
    line.indent = at - begin;
    return line;
}

bool is_blank_line(std::string_view text, const YamlLine& line) {
    return text.substr(line.begin, line.end - line.begin).find_first_not_of(" \t") ==
           std::string_view::npos;
}

} // namespace

YamlLines::YamlLines(std::string_view text) : text_{text} {
    line_.next = text.starts_with(base::byte_order_mark) ? base::byte_order_mark.size() : 0;
}

void YamlLines::load(std::size_t begin) {
    line_ = line_at(text_, begin, line_.number + 1);
}

bool YamlLines::is_content() const {
    const std::size_t first = line_.begin + line_.indent;
    return first < line_.end && text_[first] != '#';
}

bool YamlLines::advance() {
    while (line_.next < text_.size()) {
        load(line_.next);
        if (is_content()) {
            return text_[line_.begin + line_.indent] != '\t';
        }
    }
    at_end_ = true;
    return true;
}

void YamlLines::move_to(std::size_t position) {
    while (line_.next <= position && line_.next < text_.size()) {
        load(line_.next);
    }
}

Span YamlLines::take_block(std::size_t indent) {
    const std::size_t begin = line_.begin;
    YamlLine last = line_;
    for (YamlLine line = line_; line.next < text_.size();) {
        line = line_at(text_, line.next, line.number + 1);
        if (is_blank_line(text_, line)) {
            continue;
        }
        if (line.indent <= indent) {
            break;
        }
        last = line;
    }
    line_ = last;
    return {begin, last.next};
}

std::size_t skip_inner_comments(std::string_view text, std::size_t position, std::size_t indent) {
    while (position < text.size()) {
        const YamlLine line = line_at(text, position, 0);
        const std::size_t first = line.begin + line.indent;
        if (line.indent <= indent || first >= line.end || text[first] != '#') {
            break;
        }
        position = line.next;
    }
    return position;
}

} // namespace vfskit::store
