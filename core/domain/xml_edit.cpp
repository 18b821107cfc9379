// SPDX-License-Identifier: Apache-2.0
#include "core/domain/xml_edit.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::domain::xml {
namespace {

constexpr std::string_view blanks_in_line = " \t";
constexpr std::string_view default_step = "  "; // libvirt's own

bool contains(const std::vector<std::string_view>& list, std::string_view value) {
    return std::find(list.begin(), list.end(), value) != list.end();
}

const std::string* wanted_value(const Node& node, std::string_view attribute) {
    for (const auto& [name, value] : node.attributes) {
        if (name == attribute) {
            return &value;
        }
    }
    return nullptr;
}

std::string start_of(const Node& node) {
    std::string result = "<" + node.name;
    for (const auto& [name, value] : node.attributes) {
        result += fmt::format(" {}='{}'", name, escape(value));
    }
    return result;
}

} // namespace

std::string serialize(const Node& node, const Layout& layout) {
    if (node.children.empty()) {
        return start_of(node) + "/>";
    }
    const Layout inner{
        layout.line_end, layout.line_end.empty() ? "" : layout.indent + layout.step, layout.step};
    std::string result = start_of(node) + ">";
    for (const Node& child : node.children) {
        result += inner.line_end + inner.indent + serialize(child, inner);
    }
    const std::string last_indent = layout.line_end.empty() ? "" : layout.indent;
    return result + layout.line_end + last_indent + fmt::format("</{}>", node.name);
}

Editor::Editor(const Document& document) : text_{document.text()} {
    const std::size_t first_line = text_.find('\n', document.root().start_tag.end);
    if (first_line != std::string_view::npos) {
        line_end_ = text_[first_line - 1] == '\r' ? "\r\n" : "\n";
    }
    step_ = default_step;
    const auto& children = document.root().children;
    if (!children.empty() && is_on_own_line(children.front()->outer.begin)) {
        const std::string outer = indent_of(document.root());
        const std::string inner = indent_of(*children.front());
        if (inner.size() > outer.size()) {
            step_ = inner.substr(outer.size());
        }
    }
}

void Editor::replace(Span span, std::string replacement) {
    splices_.push_back({span, std::move(replacement)});
}

void Editor::write_attribute(const Element& element,
                             std::string_view name,
                             std::string_view value) {
    const std::size_t at = element.attributes.empty()
                               ? element.outer.begin + 1 + element.name.size()
                               : element.attributes.back().span.end;
    replace({at, at}, fmt::format(" {}='{}'", name, escape(value)));
}

void Editor::set_attribute(const Element& element, std::string_view name, std::string_view value) {
    const Attribute* const existing = element.attribute(name);
    if (existing == nullptr) {
        write_attribute(element, name, value);
    } else if (existing->value != value) {
        replace(existing->value_span, escape(value));
    }
}

void Editor::remove_attribute(const Element& element, std::string_view name) {
    if (const Attribute* const existing = element.attribute(name)) {
        const std::size_t before =
            text_.find_last_not_of(" \t\r\n", existing->span.begin - 1); // '<name' is before it
        replace({before + 1, existing->span.end}, "");
    }
}

bool Editor::is_on_own_line(std::size_t offset) const {
    const std::size_t before = text_.substr(0, offset).find_last_not_of(blanks_in_line);
    return before == std::string_view::npos || text_[before] == '\n';
}

std::string Editor::indent_of(const Element& element) const {
    const std::size_t line_begin = text_.substr(0, element.outer.begin).rfind('\n');
    const std::size_t begin = line_begin == std::string_view::npos ? 0 : line_begin + 1;
    const std::size_t end = text_.find_first_not_of(blanks_in_line, begin);
    return std::string{text_.substr(begin, end - begin)};
}

/// Where an element may be put that follows the one ending at `offset`: behind the comments that
/// stand on the same line, which speak of the one before.
std::size_t Editor::end_of_line_group(std::size_t offset) const {
    std::size_t at = offset;
    while (true) {
        const std::size_t next = text_.find_first_not_of(blanks_in_line, at);
        if (next == std::string_view::npos || !text_.substr(next).starts_with("<!--")) {
            break;
        }
        const std::size_t end = text_.find("-->", next + 4) + 3;
        if (text_.substr(next, end - next).find('\n') != std::string_view::npos) {
            break;
        }
        at = end;
    }
    return at;
}

Layout Editor::layout_in(const Element& parent) const {
    for (const auto& child : parent.children) {
        if (is_on_own_line(child->outer.begin)) {
            return {line_end_, indent_of(*child), step_};
        }
    }
    if (!parent.children.empty() || !is_on_own_line(parent.outer.begin)) {
        return {"", "", ""};
    }
    return {line_end_, indent_of(parent) + step_, step_};
}

/// `<parent/>` and `<parent></parent>` become `<parent>node</parent>` with a line of its own for
/// the end tag; more nodes go behind the first.
void Editor::open_up(const Element& parent, const Node& node) {
    const Layout layout = layout_in(parent);
    const std::string child = layout.line_end + layout.indent + serialize(node, layout);
    for (const auto& [element, splice] : opened_) {
        if (element == &parent) {
            std::string& text = splices_[splice].replacement;
            text.insert(text.rfind("</") - (layout.line_end.empty() ? 0
                                                                    : layout.line_end.size() +
                                                                          indent_of(parent).size()),
                        child);
            return;
        }
    }
    const std::string end = layout.line_end.empty() ? "" : layout.line_end + indent_of(parent);
    opened_.emplace_back(&parent, splices_.size());
    replace({parent.content.begin, parent.outer.end},
            fmt::format("{}{}{}</{}>", parent.self_closing ? ">" : "", child, end, parent.name));
}

void Editor::insert_after(const Element& parent, const Element* sibling, const Node& node) {
    if (parent.content.begin == parent.content.end) {
        open_up(parent, node);
        return;
    }
    const Layout layout = layout_in(parent);
    const std::size_t at =
        sibling == nullptr ? parent.content.begin : end_of_line_group(sibling->outer.end);
    replace({at, at}, layout.line_end + layout.indent + serialize(node, layout));
}

void Editor::remove(const Element& element) {
    Span span = element.outer;
    const std::size_t after = text_.find_first_not_of(blanks_in_line, span.end);
    const bool ends_line =
        after != std::string_view::npos && (text_[after] == '\n' || text_[after] == '\r');
    if (ends_line && is_on_own_line(span.begin)) {
        const std::size_t line_feed = text_.substr(0, span.begin).rfind('\n');
        if (line_feed != std::string_view::npos) {
            span.begin = line_feed > 0 && text_[line_feed - 1] == '\r' ? line_feed - 1 : line_feed;
            span.end = after;
        }
    }
    replace(span, "");
}

void Editor::merge(const Element& element, const Node& wanted, const Owned& owned) {
    for (const auto& [name, value] : wanted.attributes) {
        set_attribute(element, name, value);
    }
    for (const std::string_view name : owned.attributes) {
        if (wanted_value(wanted, name) == nullptr && !contains(owned.sticky, name)) {
            remove_attribute(element, name);
        }
    }
    const Element* last = nullptr;
    for (const Owned& rule : owned.children) {
        const std::vector<const Element*> existing = element.find_all(rule.name);
        std::size_t met = 0;
        for (const Node& child : wanted.children) {
            if (child.name != rule.name) {
                continue;
            }
            if (met < existing.size()) {
                last = existing[met++];
                merge(*last, child, rule);
            } else {
                insert_after(element, last, child);
            }
        }
        for (; met < existing.size(); ++met) {
            remove(*existing[met]);
        }
    }
}

std::string Editor::apply() const {
    std::vector<Splice> ordered = splices_;
    // What is inserted before a byte comes before what replaces that byte.
    std::stable_sort(ordered.begin(), ordered.end(), [](const Splice& a, const Splice& b) {
        return std::pair{a.span.begin, a.span.end} < std::pair{b.span.begin, b.span.end};
    });
    std::string result;
    std::size_t done = 0;
    for (const Splice& splice : ordered) {
        result += text_.substr(done, splice.span.begin - done);
        result += splice.replacement;
        done = splice.span.end;
    }
    return result + std::string{text_.substr(done)};
}

} // namespace vfskit::domain::xml
