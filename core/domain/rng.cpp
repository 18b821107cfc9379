// SPDX-License-Identifier: Apache-2.0
#include "core/domain/rng.h"

#include "core/domain/libxml.h"
#include "core/domain/xml_edit.h"
#include "core/domain/xml_tree.h"

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/relaxng.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>

namespace vfskit::domain {
namespace {

using xml::LibxmlPtr;

/// The first complaint; the ones after it follow from it.
struct Complaint {
    std::size_t line = 0;
    std::string message;
};

// libxml2 2.12 made the argument const.
#if LIBXML_VERSION >= 21200
using StructuredError = const xmlError*;
#else
using StructuredError = xmlError*;
#endif

extern "C" void vfskit_domain_keep_complaint(void* data, StructuredError error) {
    auto& complaint = *static_cast<Complaint*>(data);
    if (complaint.message.empty()) {
        complaint.message = xml::message_of(error);
        complaint.line = error->line > 0 ? static_cast<std::size_t>(error->line) : 0;
    }
}

Result<void> check_schema_file(const std::string& path) {
    if (::access(path.c_str(), R_OK) == 0) {
        return {};
    }
    return Error::from_errno(errno, fmt::format("libvirt's grammar '{}' cannot be read", path))
        .with_remedy(
            "Install it: libvirt-common on Debian 13 and backports, libvirt0 on Debian 12, "
            "libvirt-libs on Fedora");
}

Result<LibxmlPtr<xmlRelaxNG>> compile(LibxmlPtr<xmlRelaxNGParserCtxt> context) {
    if (!context) {
        return Error{ENOMEM, "Not enough memory for the grammar"};
    }
    Complaint complaint;
    xmlRelaxNGSetParserStructuredErrors(context.get(), vfskit_domain_keep_complaint, &complaint);
    LibxmlPtr<xmlRelaxNG> grammar{xmlRelaxNGParse(context.get())};
    if (!grammar) {
        return Error{EINVAL, "libvirt's grammar cannot be used: " + complaint.message}.with_remedy(
            "Reinstall the package with libvirt's schemas");
    }
    return grammar;
}

struct FragmentRule {
    std::string_view element;
    /// libvirt's name of the definition. <memoryBacking> has none of its own: "resources" is
    /// everything around memory and CPUs, all optional.
    std::string_view definition;
};

FragmentRule rule_of(Fragment fragment) {
    switch (fragment) {
    case Fragment::filesystem:
        return {"filesystem", "filesystem"};
    case Fragment::memory_backing:
        return {"memoryBacking", "resources"};
    case Fragment::cpu:
        return {"cpu", "guestcpu"};
    }
    return {};
}

constexpr std::string_view wrapper = "fragment";

/// The grammar of a domain with another start: one definition inside a wrapper element, because a
/// start cannot be an interleave, which "resources" is.
std::string wrapper_grammar(std::string_view definition, const std::string& schema_dir) {
    const xml::Node inner{"ref", {{"name", std::string{definition}}}, {}};
    const xml::Node grammar{
        "grammar",
        {{"xmlns", "http://relaxng.org/ns/structure/1.0"},
         {"datatypeLibrary", "http://www.w3.org/2001/XMLSchema-datatypes"}},
        {{"include", {{"href", schema_dir + "/domaincommon.rng"}}, {}},
         {"start", {}, {{"element", {{"name", std::string{wrapper}}}, {inner}}}}}};
    return xml::serialize(grammar, {"\n", "", "  "});
}

/// The element of `text` in the wrapper, on the lines it had.
Result<std::string> wrap(std::string_view text, std::string_view element) {
    VFSKIT_TRY_ASSIGN(const xml::Document document, xml::Document::parse(std::string{text}));
    const xml::Element& root = document.root();
    if (root.name != element) {
        return Error{EINVAL, fmt::format("The element is <{}>, not <{}>", root.name, element)}.at(
            {.file = {}, .line = root.line, .key = {}});
    }
    return fmt::format("<{0}>{1}{2}</{0}>",
                       wrapper,
                       std::string(root.line - 1, '\n'),
                       text.substr(root.outer.begin, root.outer.end - root.outer.begin));
}

Result<void> validate_against(xmlRelaxNG& grammar, std::string_view text) {
    VFSKIT_TRY_ASSIGN(const xml::Document checked, xml::Document::parse(std::string{text}));
    const LibxmlPtr<xmlDoc> document{xmlReadMemory(checked.text().data(),
                                                   static_cast<int>(checked.text().size()),
                                                   nullptr,
                                                   nullptr,
                                                   XML_PARSE_NONET)};
    const LibxmlPtr<xmlRelaxNGValidCtxt> context{xmlRelaxNGNewValidCtxt(&grammar)};
    if (!document || !context) {
        return Error{ENOMEM, "Not enough memory to validate the XML"};
    }
    Complaint complaint;
    xmlRelaxNGSetValidStructuredErrors(context.get(), vfskit_domain_keep_complaint, &complaint);
    if (xmlRelaxNGValidateDoc(context.get(), document.get()) != 0) {
        return Error{EINVAL,
                     "The XML does not validate against libvirt's grammar: " + complaint.message}
            .at({.file = {}, .line = complaint.line, .key = {}});
    }
    return {};
}

} // namespace

Result<void> validate_domain_xml(std::string_view xml, const std::string& schema_dir) {
    const std::string path = schema_dir + "/domain.rng";
    VFSKIT_TRY(check_schema_file(path));
    VFSKIT_TRY_ASSIGN(
        const LibxmlPtr<xmlRelaxNG> grammar,
        compile(LibxmlPtr<xmlRelaxNGParserCtxt>{xmlRelaxNGNewParserCtxt(path.c_str())}));
    return validate_against(*grammar, xml);
}

Result<void>
validate_domain_fragment(std::string_view xml, Fragment fragment, const std::string& schema_dir) {
    VFSKIT_TRY(check_schema_file(schema_dir + "/domaincommon.rng"));
    const FragmentRule rule = rule_of(fragment);
    VFSKIT_TRY_ASSIGN(const std::string wrapped, wrap(xml, rule.element));
    const std::string text = wrapper_grammar(rule.definition, schema_dir);
    VFSKIT_TRY_ASSIGN(const LibxmlPtr<xmlRelaxNG> grammar,
                      compile(LibxmlPtr<xmlRelaxNGParserCtxt>{
                          xmlRelaxNGNewMemParserCtxt(text.data(), static_cast<int>(text.size()))}));
    return validate_against(*grammar, wrapped);
}

} // namespace vfskit::domain
