// SPDX-License-Identifier: Apache-2.0
#include "core/domain/xml_tree.h"

#include "core/base/text.h"
#include "core/domain/domain_xml.h"
#include "core/domain/libxml.h"

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

namespace vfskit::domain::xml {
namespace {

constexpr std::string_view blanks = " \t\r\n";

std::string to_std(const xmlChar* text) {
    return text == nullptr ? std::string{} : reinterpret_cast<const char*>(text);
}

Error not_xml(std::size_t line, std::string message) {
    return Error{EINVAL, std::move(message)}.at({.file = {}, .line = line, .key = {}});
}

std::size_t line_at(std::string_view text, std::size_t offset) {
    return 1 + static_cast<std::size_t>(std::count(
                   text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

/// Where the prolog (byte order mark, blanks, comments, processing instructions) ends. Good for
/// malformed text too: it runs before libxml2 sees the document, so that no document type ever
/// does.
std::size_t end_of_prolog(std::string_view text) {
    std::size_t at = text.starts_with(base::byte_order_mark) ? base::byte_order_mark.size() : 0;
    while (at < text.size()) {
        const std::string_view rest = text.substr(at);
        std::size_t length = 0;
        if (blanks.find(rest.front()) != std::string_view::npos) {
            length = 1;
        } else if (rest.starts_with("<?")) {
            length = rest.find("?>");
        } else if (rest.starts_with("<!--")) {
            length = rest.find("-->", 4);
        } else {
            return at;
        }
        if (length == std::string_view::npos) {
            return text.size();
        }
        at += rest.front() != '<' ? length : length + (rest[1] == '?' ? 2 : 3);
    }
    return at;
}

Result<void> check_bytes(std::string_view text) {
    if (text.size() > max_domain_bytes) {
        return Error{EFBIG,
                     fmt::format("The XML has {} bytes, more than the {} that a domain can have",
                                 text.size(),
                                 max_domain_bytes)};
    }
    if (!base::is_valid_utf8(text)) {
        return Error{EINVAL, "The XML is not valid UTF-8"}.with_remedy(
            "Convert it: iconv -t UTF-8, or xmllint --encode UTF-8");
    }
    const std::size_t prolog = end_of_prolog(text);
    // A document type is how entity bombs and external entities come in. libvirt never writes one.
    if (text.substr(prolog).starts_with("<!")) {
        return not_xml(line_at(text, prolog), "The XML has a document type, which no domain needs")
            .with_remedy("Remove the <!DOCTYPE …> line");
    }
    return {};
}

Result<LibxmlPtr<xmlDoc>> parse_with_libxml(std::string_view text) {
    xmlInitParser();
    const LibxmlPtr<xmlParserCtxt> context{xmlNewParserCtxt()};
    if (!context) {
        return Error{ENOMEM, "Not enough memory for the XML parser"};
    }
    LibxmlPtr<xmlDoc> document{
        xmlCtxtReadMemory(context.get(),
                          text.data(),
                          static_cast<int>(text.size()),
                          nullptr,
                          nullptr,
                          XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)};
    if (!document || xmlDocGetRootElement(document.get()) == nullptr) {
        const xmlError* error = xmlCtxtGetLastError(context.get());
        const int line = error == nullptr ? 0 : error->line;
        return not_xml(static_cast<std::size_t>(std::max(line, 0)),
                       "The text is not well-formed XML: " + message_of(error));
    }
    const std::string encoding = to_std(document->encoding);
    if (!encoding.empty() && strcasecmp(encoding.c_str(), "UTF-8") != 0 &&
        strcasecmp(encoding.c_str(), "US-ASCII") != 0) {
        return not_xml(1, fmt::format("The XML says that its encoding is '{}'", encoding))
            .with_remedy("Convert it: xmllint --encode UTF-8");
    }
    return document;
}

/// Walks text that libxml2 found well-formed and without document type, and finds elements and
/// their attributes. Under that condition '<' begins markup, and a quoted attribute value ends at
/// its quote.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_{text} {}

    /// The root element with spans and names; null if the text is not what was promised.
    std::unique_ptr<Element> scan() {
        while (at_ < text_.size() && step()) {
        }
        return open_.empty() ? std::move(root_) : nullptr;
    }

private:
    bool step() {
        const std::size_t next = text_.find('<', at_);
        if (next == std::string_view::npos) {
            at_ = text_.size();
            return true;
        }
        count_lines(next);
        at_ = next;
        const std::string_view rest = text_.substr(at_);
        if (rest.starts_with("<!--")) {
            return skip_past("-->", 4);
        }
        if (rest.starts_with("<![CDATA[")) {
            return skip_past("]]>", 9);
        }
        if (rest.starts_with("<?")) {
            return skip_past("?>", 2);
        }
        return rest.starts_with("</") ? end_tag() : start_tag();
    }

    void count_lines(std::size_t end) {
        line_ += static_cast<std::size_t>(
            std::count(text_.begin() + static_cast<std::ptrdiff_t>(counted_),
                       text_.begin() + static_cast<std::ptrdiff_t>(end),
                       '\n'));
        counted_ = end;
    }

    bool skip_past(std::string_view terminator, std::size_t from) {
        const std::size_t end = text_.find(terminator, at_ + from);
        if (end == std::string_view::npos) {
            return false;
        }
        at_ = end + terminator.size();
        return true;
    }

    void skip_blanks() { at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size()); }

    std::string name() {
        const std::size_t end = std::min(text_.find_first_of(" \t\r\n=/>", at_), text_.size());
        std::string result{text_.substr(at_, end - at_)};
        at_ = end;
        return result;
    }

    bool start_tag() {
        auto element = std::make_unique<Element>();
        element->outer.begin = element->start_tag.begin = at_;
        element->line = line_;
        ++at_;
        element->name = name();
        if (!attributes(*element) || at_ >= text_.size()) {
            return false;
        }
        element->self_closing = text_[at_] == '/';
        element->content = {at_, at_};
        at_ += element->self_closing ? 2 : 1;
        element->start_tag.end = element->outer.end = at_;
        if (!element->self_closing) {
            element->content = {at_, at_};
        }
        return adopt(std::move(element));
    }

    bool attributes(Element& element) {
        for (skip_blanks(); at_ < text_.size() && text_[at_] != '>' && text_[at_] != '/';
             skip_blanks()) {
            Attribute attribute;
            attribute.span.begin = at_;
            attribute.name = name();
            skip_blanks();
            ++at_; // '='
            skip_blanks();
            if (attribute.name.empty() || at_ >= text_.size()) {
                return false;
            }
            const std::size_t end = text_.find(text_[at_], at_ + 1);
            if (end == std::string_view::npos) {
                return false;
            }
            attribute.value_span = {at_ + 1, end};
            attribute.span.end = at_ = end + 1;
            if (attribute.name != "xmlns" && !attribute.name.starts_with("xmlns:")) {
                element.attributes.push_back(std::move(attribute));
            }
        }
        return true;
    }

    bool adopt(std::unique_ptr<Element> element) {
        Element* const raw = element.get();
        if (!open_.empty()) {
            open_.back()->children.push_back(std::move(element));
        } else if (root_) {
            return false;
        } else {
            root_ = std::move(element);
        }
        if (!raw->self_closing) {
            open_.push_back(raw);
        }
        return true;
    }

    bool end_tag() {
        const std::size_t begin = at_;
        if (open_.empty() || !skip_past(">", 2)) {
            return false;
        }
        open_.back()->content.end = begin;
        open_.back()->outer.end = at_;
        open_.pop_back();
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t counted_ = 0;
    std::size_t line_ = 1;
    std::unique_ptr<Element> root_;
    std::vector<Element*> open_;
};

bool has_name(const std::string& written, const xmlChar* local, const xmlNs* ns) {
    const std::string prefix = ns == nullptr ? std::string{} : to_std(ns->prefix);
    return written == (prefix.empty() ? to_std(local) : prefix + ":" + to_std(local));
}

bool fill_attributes(Element& element, const xmlNode& node) {
    const xmlAttr* attribute = node.properties;
    for (Attribute& ours : element.attributes) {
        if (attribute == nullptr || !has_name(ours.name, attribute->name, attribute->ns)) {
            return false;
        }
        xmlChar* const value = xmlNodeListGetString(node.doc, attribute->children, 1);
        ours.value = to_std(value);
        xmlFree(value);
        attribute = attribute->next;
    }
    return attribute == nullptr;
}

/// Puts libxml2's decoded values into the scanned tree; false when the two disagree. Recursion is
/// bounded by libxml2's own limit of 256 levels.
bool fill(Element& element, const xmlNode& node) {
    if (!has_name(element.name, node.name, node.ns) || !fill_attributes(element, node)) {
        return false;
    }
    element.local = to_std(node.name);
    element.ns = node.ns == nullptr ? std::string{} : to_std(node.ns->href);
    auto next = element.children.begin();
    for (const xmlNode* child = node.children; child != nullptr; child = child->next) {
        if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) {
            element.text += to_std(child->content);
        } else if (child->type == XML_ELEMENT_NODE) {
            if (next == element.children.end() || !fill(**next, *child)) {
                return false;
            }
            ++next;
        }
    }
    return next == element.children.end();
}

} // namespace

const Element* Element::find(std::string_view child) const {
    const auto found = std::find_if(children.begin(), children.end(), [&](const auto& candidate) {
        return candidate->ns.empty() && candidate->local == child;
    });
    return found == children.end() ? nullptr : found->get();
}

std::vector<const Element*> Element::find_all(std::string_view child) const {
    std::vector<const Element*> result;
    for (const auto& candidate : children) {
        if (candidate->ns.empty() && candidate->local == child) {
            result.push_back(candidate.get());
        }
    }
    return result;
}

const Attribute* Element::attribute(std::string_view attribute_name) const {
    const auto found =
        std::find_if(attributes.begin(), attributes.end(), [&](const Attribute& one) {
            return one.name == attribute_name;
        });
    return found == attributes.end() ? nullptr : &*found;
}

std::string_view Element::value_of(std::string_view attribute_name) const {
    const Attribute* const found = attribute(attribute_name);
    return found == nullptr ? std::string_view{} : std::string_view{found->value};
}

Result<Document> Document::parse(std::string text) {
    static_assert(max_domain_bytes <= INT_MAX, "libxml2 takes the length as int");
    VFSKIT_TRY(check_bytes(text));
    VFSKIT_TRY_ASSIGN(const LibxmlPtr<xmlDoc> document, parse_with_libxml(text));
    std::unique_ptr<Element> root = Scanner{text}.scan();
    if (!root || !fill(*root, *xmlDocGetRootElement(document.get()))) {
        return Error{EINVAL,
                     "The XML is well-formed, but its elements could not be located in the text"}
            .with_remedy("Normalise it with 'xmllint --format' and report the original as a bug");
    }
    return Document{std::move(text), std::move(root)};
}

std::string escape(std::string_view value) {
    std::string result;
    result.reserve(value.size());
    for (const char c : value) {
        switch (c) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '\'':
            result += "&apos;";
            break;
        case '"':
            result += "&quot;";
            break;
        case '\t':
        case '\n':
        case '\r':
            result += fmt::format("&#{};", static_cast<int>(c));
            break;
        default:
            result += c;
        }
    }
    return result;
}

bool is_xml_text(std::string_view value) {
    const bool controls = std::any_of(value.begin(), value.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 && c != '\t' && c != '\n' && c != '\r';
    });
    return !controls && base::is_valid_utf8(value) &&
           value.find("\xEF\xBF\xBE") == std::string_view::npos &&
           value.find("\xEF\xBF\xBF") == std::string_view::npos;
}

} // namespace vfskit::domain::xml
