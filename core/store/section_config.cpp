// SPDX-License-Identifier: Apache-2.0
#include "core/store/section_config.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::store {

namespace {

bool is_comment(std::string_view line) {
    const auto first = std::find_if_not(line.begin(), line.end(), is_perl_space);
    return first != line.end() && *first == '#';
}

// What ends PVE's `while ($line = $nextline->())`.
bool is_false_in_perl(std::string_view line) {
    return line.empty() || line == "0";
}

std::string_view take_word(std::string_view& text) {
    const auto end = std::find_if(text.begin(), text.end(), is_perl_space);
    const auto word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(word.size());
    return word;
}

std::optional<SectionProperty> parse_property(std::string_view line, std::size_t index) {
    if (line.empty() || !is_perl_space(line.front())) {
        return std::nullopt;
    }
    auto rest = trim_perl_space(line);
    if (rest.empty()) {
        return std::nullopt;
    }
    SectionProperty property;
    property.line = index;
    property.key = take_word(rest);
    rest = trim_perl_space(rest);
    if (!rest.empty()) {
        property.value = rest;
    }
    return property;
}

std::vector<std::string_view> split_lines(std::string_view content) {
    std::vector<std::string_view> lines;
    while (!content.empty()) {
        const auto end = std::min(content.find('\n'), content.size());
        lines.push_back(content.substr(0, end));
        content.remove_prefix(std::min(end + 1, content.size()));
    }
    return lines;
}

class Parser {
public:
    Parser(std::string_view content, const HeaderRule& rule) : rule_{rule} {
        file_.lines = split_lines(content);
        file_.ends_with_line_feed = content.empty() || content.back() == '\n';
    }

    SectionFile parse() && {
        for (std::size_t i = 0; i < file_.lines.size(); ++i) {
            const auto line = file_.lines[i];
            if (is_comment(line)) {
                continue;
            }
            if (is_false_in_perl(line)) {
                close(i);
            } else if (file_.ends_inside_section) {
                add_to_section(i);
            } else if (const auto word = header_word(line)) {
                open(*word, i);
            } else {
                file_.ignored.push_back(i);
            }
        }
        if (file_.ends_inside_section) {
            file_.sections.back().end = file_.lines.size();
        }
        return std::move(file_);
    }

private:
    void open(std::string_view id, std::size_t line) {
        Section section;
        section.id = id;
        section.header = line;
        section.end = line + 1;
        if (auto valid = rule_(id); !valid) {
            section.problem = valid.error().message();
        }
        file_.sections.push_back(std::move(section));
        file_.ends_inside_section = true;
    }

    void close(std::size_t line) {
        if (file_.ends_inside_section) {
            file_.sections.back().end = line;
            file_.ends_inside_section = false;
        }
    }

    void add_to_section(std::size_t line) {
        auto& section = file_.sections.back();
        if (!section.problem.empty()) {
            return;
        }
        if (auto property = parse_property(file_.lines[line], line)) {
            section.properties.push_back(*property);
        } else {
            section.ignored.push_back(line);
        }
    }

    const HeaderRule& rule_;
    SectionFile file_;
};

} // namespace

bool is_perl_space(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

std::string_view trim_perl_space(std::string_view text) {
    while (!text.empty() && is_perl_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_perl_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

SectionFile parse_sections(std::string_view content, const HeaderRule& rule) {
    return Parser{content, rule}.parse();
}

std::optional<std::string_view> header_word(std::string_view line) {
    auto rest = line;
    const auto word = take_word(rest);
    if (word.empty() || !trim_perl_space(rest).empty()) {
        return std::nullopt;
    }
    return word;
}

void LineEditor::append_section(std::string_view id,
                                const std::vector<std::string>& property_lines) {
    appended_ += fmt::format("{}\n", id);
    for (const auto& line : property_lines) {
        appended_ += fmt::format("\t{}\n", line);
    }
    appended_ += "\n";
}

std::string LineEditor::edited_lines() const {
    std::string content;
    const auto add = [&content](std::string_view line) {
        content += line;
        content += '\n';
    };
    const auto count = file_->lines.size();
    for (std::size_t i = 0; i <= count; ++i) {
        if (const auto inserted = inserted_.find(i); inserted != inserted_.end()) {
            std::for_each(inserted->second.begin(), inserted->second.end(), add);
        }
        if (i == count) {
            break;
        }
        const auto replaced = replaced_.find(i);
        if (replaced == replaced_.end()) {
            add(file_->lines[i]);
            if (i + 1 == count && !file_->ends_with_line_feed && !inserted_.contains(count)) {
                content.pop_back();
            }
        } else if (replaced->second) {
            add(*replaced->second);
        }
    }
    return content;
}

std::string LineEditor::apply(const HeaderRule& rule) const {
    auto content = edited_lines();
    if (!appended_.empty()) {
        const auto before = parse_sections(content, rule);
        if (!before.ends_with_line_feed) {
            content += '\n';
        }
        if (before.ends_inside_section) {
            content += '\n';
        }
        content += appended_;
    }
    return content;
}

std::string_view indentation_of(const SectionFile& file, const Section& section) {
    if (section.properties.empty()) {
        return "\t";
    }
    const auto line = file.lines[section.properties.front().line];
    const auto end = std::find_if_not(line.begin(), line.end(), is_perl_space);
    return line.substr(0, static_cast<std::size_t>(end - line.begin()));
}

void remove_section(LineEditor& editor, const SectionFile& file, const Section& section) {
    for (auto line = section.header; line < section.end; ++line) {
        editor.remove(line);
    }
    if (section.end < file.lines.size()) {
        editor.remove(section.end);
    }
}

} // namespace vfskit::store
