// SPDX-License-Identifier: Apache-2.0
#include "core/domain/rewrite.h"

#include "core/domain/domain_tree.h"
#include "core/domain/xml_edit.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace vfskit::domain {
namespace {

using xml::Element;

/// Rewrites one <filesystem>: what it changes goes to `editor` and, in words, to `rewrites`.
class Rewriter {
public:
    Rewriter(const DomainFilesystem& filesystem,
             const Element& element,
             xml::Editor& editor,
             std::vector<Rewrite>& rewrites)
        : filesystem_{filesystem}, element_{element}, editor_{editor}, rewrites_{rewrites} {}

    Result<void> rewrite(const NodeShare& share) {
        VFSKIT_TRY(check(share));
        const Element& source = *element_.find("source");
        set_or_remove(source, "dir", "source dir", filesystem_.source_dir, share.source_dir);
        set_or_remove(
            source, "socket", "source socket", filesystem_.source_socket, share.source_socket);
        if (filesystem_.is_virtiofs()) {
            rewrite_binary(share);
        }
        return {};
    }

private:
    Error refuse(std::string message) const {
        return Error{EINVAL, std::move(message)}.at(
            {.file = {}, .line = filesystem_.line, .key = "filesystem"});
    }

    Result<void> check_path(const std::string& path) const {
        if (!path.empty() && path.front() == '/' && xml::is_xml_text(path)) {
            return {};
        }
        return refuse(fmt::format(
                          "The path '{}' for the share '{}' is not an absolute path that XML can "
                          "carry",
                          path,
                          filesystem_.tag))
            .with_remedy("Correct the mapping of this node");
    }

    Result<void> check(const NodeShare& share) const {
        if (element_.find("source") == nullptr) {
            return refuse(fmt::format("The filesystem '{}' has no <source>", filesystem_.tag));
        }
        if (share.source_dir.has_value() == share.source_socket.has_value()) {
            return refuse(fmt::format(
                              "The share '{}' needs either a directory or a socket on this node",
                              filesystem_.tag))
                .with_remedy("Give exactly one");
        }
        if (share.source_socket && !filesystem_.is_virtiofs()) {
            return refuse(
                       fmt::format("The 9p filesystem '{}' cannot have a socket", filesystem_.tag))
                .with_remedy("Give the directory of this node");
        }
        VFSKIT_TRY(check_path(share.source_dir ? *share.source_dir : *share.source_socket));
        if (const auto* binary = std::get_if<SetBinary>(&share.binary)) {
            VFSKIT_TRY(check_path(binary->path));
        }
        return {};
    }

    void set_or_remove(const Element& element,
                       std::string_view attribute,
                       std::string what,
                       const std::optional<std::string>& from,
                       const std::optional<std::string>& to) {
        if (from == to) {
            return;
        }
        if (to) {
            editor_.set_attribute(element, attribute, *to);
        } else {
            editor_.remove_attribute(element, attribute);
        }
        rewrites_.push_back({filesystem_.tag,
                             filesystem_.dirid,
                             std::move(what),
                             from.value_or(""),
                             to.value_or("")});
    }

    void rewrite_binary(const NodeShare& share) {
        if (std::holds_alternative<KeepBinary>(share.binary)) {
            return;
        }
        std::optional<std::string> wanted;
        if (const auto* set = std::get_if<SetBinary>(&share.binary)) {
            wanted = set->path;
        }
        if (const Element* binary = element_.find("binary")) {
            set_or_remove(*binary, "path", "binary path", filesystem_.binary_path, wanted);
        } else if (wanted) {
            editor_.insert_after(
                element_, element_.find("driver"), xml::Node{"binary", {{"path", *wanted}}, {}});
            rewrites_.push_back({filesystem_.tag, filesystem_.dirid, "binary path", "", *wanted});
        }
    }

    const DomainFilesystem& filesystem_;
    const Element& element_;
    xml::Editor& editor_;
    std::vector<Rewrite>& rewrites_;
};

bool is_host_directory(const DomainFilesystem& filesystem) {
    return filesystem.is_virtiofs() || filesystem.driver.empty() || filesystem.driver == "path";
}

} // namespace

Result<RewriteResult> rewrite_for_node(std::string_view xml, const NodeShareLookup& lookup) {
    VFSKIT_TRY_ASSIGN(const xml::Document document, parse_domain_document(std::string{xml}));
    VFSKIT_TRY_ASSIGN(const Domain domain, read_domain(document));
    const std::vector<const Element*> elements = filesystem_elements(document.root());
    xml::Editor editor{document};
    RewriteResult result;
    for (const DomainFilesystem& filesystem : domain.filesystems) {
        if (!is_host_directory(filesystem)) {
            continue;
        }
        VFSKIT_TRY_ASSIGN(const std::optional<NodeShare> share, lookup(filesystem));
        if (share) {
            Rewriter rewriter{filesystem, *elements[filesystem.position], editor, result.rewrites};
            VFSKIT_TRY(rewriter.rewrite(*share));
        }
    }
    result.xml = result.changed() ? editor.apply() : std::string{xml};
    return result;
}

} // namespace vfskit::domain
