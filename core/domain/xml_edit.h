// SPDX-License-Identifier: Apache-2.0
// Edits of a Document's text: elements to write, and splices that leave all other bytes alone.
#pragma once

#include "core/domain/xml_tree.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::domain::xml {

/// An element to be written.
struct Node {
    std::string name;
    std::vector<std::pair<std::string, std::string>> attributes;
    std::vector<Node> children;

    Node& with(std::string attribute, std::string value) {
        attributes.emplace_back(std::move(attribute), std::move(value));
        return *this;
    }
    [[nodiscard]] bool is_empty() const { return attributes.empty() && children.empty(); }
};

/// How elements stand in a text: each on its line, indented, or all in one line.
struct Layout {
    std::string line_end; ///< "\n", "\r\n", or "" for no lines
    std::string indent;   ///< blanks before the element itself
    std::string step;     ///< blanks more per level
};

/// `node` as text: no blanks before it, no line end after it.
std::string serialize(const Node& node, const Layout& layout);

/// What an update may touch in an element and which of its children. Everything else belongs to
/// somebody else and stays.
struct Owned {
    std::string_view name;
    std::vector<std::string_view> attributes;
    /// Owned attributes that stay when the wanted element does not name them.
    std::vector<std::string_view> sticky;
    std::vector<Owned> children;
};

/// Collects edits of one document, which must outlive it, and applies them at once.
class Editor {
public:
    explicit Editor(const Document& document);

    void set_attribute(const Element& element, std::string_view name, std::string_view value);
    void remove_attribute(const Element& element, std::string_view name);
    /// As `parent`'s child right after `sibling`, which is one of its children; null: as its first.
    void insert_after(const Element& parent, const Element* sibling, const Node& node);
    /// With its line, if nothing else is on it.
    void remove(const Element& element);
    /// Makes `element` say what `wanted` says, within what is owned. Equal values are not touched.
    void merge(const Element& element, const Node& wanted, const Owned& owned);

    /// The text with all edits.
    [[nodiscard]] std::string apply() const;

private:
    struct Splice {
        Span span;
        std::string replacement;
    };

    void replace(Span span, std::string replacement);
    void write_attribute(const Element& element, std::string_view name, std::string_view value);
    [[nodiscard]] std::size_t end_of_line_group(std::size_t offset) const;
    [[nodiscard]] bool is_on_own_line(std::size_t offset) const;
    [[nodiscard]] std::string indent_of(const Element& element) const;
    [[nodiscard]] Layout layout_in(const Element& parent) const;
    void open_up(const Element& parent, const Node& node);

    std::string_view text_;
    std::string line_end_;
    std::string step_;
    std::vector<Splice> splices_;
    std::vector<std::pair<const Element*, std::size_t>>
        opened_; ///< self-closing parents, their splice
};

} // namespace vfskit::domain::xml
