// SPDX-License-Identifier: Apache-2.0
// XML as a tree whose elements know which bytes of the text they are, so that an edit can splice
// the text. libxml2 judges the document and decodes its values; it does not tell the offsets of
// attributes, so a scanner of our own finds those, and both must agree on every element and
// attribute.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::domain::xml {

/// Bytes [begin, end) of the document.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
};

struct Attribute {
    std::string name;  ///< as written, with its prefix
    std::string value; ///< decoded
    Span span;         ///< name to closing quote
    Span value_span;   ///< between the quotes
};

struct Element {
    std::string name;  ///< as written, with its prefix
    std::string local; ///< without prefix
    std::string ns;    ///< namespace URI, "" for libvirt's own elements
    std::string text;  ///< decoded text directly in it, CDATA included
    std::size_t line = 0;
    std::vector<Attribute> attributes; ///< in document order, without namespace declarations
    std::vector<std::unique_ptr<Element>> children;
    Span outer;     ///< from '<' to the '>' of its end
    Span start_tag; ///< from '<' to its '>'
    Span content;   ///< between the tags; empty and before the "/>" when self_closing
    bool self_closing = false;

    /// The first child of that name in no namespace, or null.
    [[nodiscard]] const Element* find(std::string_view child) const;
    /// All of them.
    [[nodiscard]] std::vector<const Element*> find_all(std::string_view child) const;
    [[nodiscard]] const Attribute* attribute(std::string_view attribute_name) const;
    /// The attribute's value, or "".
    [[nodiscard]] std::string_view value_of(std::string_view attribute_name) const;
};

/// Immutable. Input rules as in domain_xml.h.
class Document {
public:
    static Result<Document> parse(std::string text);

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const Element& root() const { return *root_; }

private:
    Document(std::string text, std::unique_ptr<Element> root)
        : text_{std::move(text)}, root_{std::move(root)} {}

    std::string text_;
    std::unique_ptr<Element> root_;
};

/// `value` for between quotes or tags: the five characters of XML, and control characters that
/// attribute normalisation would turn into blanks, as references.
std::string escape(std::string_view value);

/// True if XML 1.0 can carry `value`: UTF-8 without control characters but tab and line ends, and
/// without U+FFFE and U+FFFF.
bool is_xml_text(std::string_view value);

} // namespace vfskit::domain::xml
