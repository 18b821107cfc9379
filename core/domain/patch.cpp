// SPDX-License-Identifier: Apache-2.0
// Each step edits the text and reads the result anew: a domain is small, and so no step works on
// the tree of another.
#include "core/domain/patch.h"

#include "core/base/text.h"
#include "core/domain/domain_tree.h"
#include "core/domain/filesystem_node.h"
#include "core/domain/memory_node.h"
#include "core/domain/refusal.h"
#include "core/domain/xml_edit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>
#include <span>
#include <utility>

namespace vfskit::domain {
namespace {

using xml::Document;
using xml::Editor;
using xml::Element;
using xml::Node;

std::string_view target_of(const Element& filesystem) {
    const Element* const target = filesystem.find("target");
    return target == nullptr ? std::string_view{} : target->value_of("dir");
}

/// The domain's <filesystem> of that tag, or null. 9p allows a tag twice; which one is meant cannot
/// be told then.
Result<const Element*> find_by_tag(const Element& root, std::string_view tag) {
    const Element* found = nullptr;
    for (const Element* element : filesystem_elements(root)) {
        if (target_of(*element) != tag) {
            continue;
        }
        if (found != nullptr) {
            return Error{EINVAL, fmt::format("The domain has the tag '{}' twice", tag)}
                .at({.file = {}, .line = element->line, .key = "filesystem"})
                .with_remedy("Remove one with 'virsh edit' first");
        }
        found = element;
    }
    return found;
}

/// The last of `names` that `parent` has, so that a new element stands where libvirt would write
/// it.
const Element* last_of(const Element& parent, std::span<const std::string_view> names) {
    const Element* last = nullptr;
    for (const auto& child : parent.children) {
        if (child->ns.empty() &&
            std::find(names.begin(), names.end(), child->local) != names.end()) {
            last = child.get();
        }
    }
    return last;
}

// What stands before each in libvirt's own output.
constexpr std::string_view before_metadata[] = {"name", "uuid", "genid", "title", "description"};
constexpr std::string_view before_memory_backing[] = {"name",
                                                      "uuid",
                                                      "genid",
                                                      "title",
                                                      "description",
                                                      "metadata",
                                                      "memory",
                                                      "maxMemory",
                                                      "currentMemory",
                                                      "blkiotune",
                                                      "memtune"};
constexpr std::string_view before_cpu[] = {
    "name",     "uuid",      "genid",      "title",           "description",
    "metadata", "maxMemory", "memory",     "currentMemory",   "memoryBacking",
    "vcpu",     "vcpus",     "iothreads",  "cputune",         "numatune",
    "resource", "sysinfo",   "bootloader", "bootloader_args", "os",
    "features"};
constexpr std::string_view before_devices[] = {
    "name",     "uuid",      "genid",      "title",           "description",
    "metadata", "maxMemory", "memory",     "currentMemory",   "memoryBacking",
    "vcpu",     "vcpus",     "iothreads",  "cputune",         "numatune",
    "resource", "sysinfo",   "bootloader", "bootloader_args", "os",
    "features", "cpu",       "clock",      "on_poweroff",     "on_reboot",
    "on_crash", "pm"};
constexpr std::string_view before_filesystem[] = {
    "emulator", "disk", "controller", "lease", "filesystem"};

Node filesystem_for(const Element& existing, const Filesystem& filesystem) {
    Node wanted = filesystem_node(filesystem);
    const auto* const virtiofs = std::get_if<VirtiofsFilesystem>(&filesystem);
    const bool managed =
        virtiofs != nullptr && std::holds_alternative<ManagedDaemon>(virtiofs->daemon);
    const bool names_binary = std::any_of(wanted.children.begin(),
                                          wanted.children.end(),
                                          [](const Node& child) { return child.name == "binary"; });
    // The path that libvirt filled in stays; an empty wish keeps the element for it.
    if (managed && !names_binary && existing.find("binary") != nullptr) {
        wanted.children.push_back(Node{"binary", {}, {}});
    }
    return wanted;
}

/// What <metadata> says of a share: tag, dirid, options.
using ShareRecord = std::vector<std::pair<std::string, std::string>>;

ShareRecord record_of(const ShareEdit& edit) {
    const std::string& tag = tag_of(edit.filesystem);
    ShareRecord record{{"tag", tag}, {"dirid", edit.dirid.empty() ? tag : edit.dirid}};
    record.insert(record.end(), edit.options.begin(), edit.options.end());
    return record;
}

Node record_node(const std::string& prefix, const ShareRecord& record) {
    return Node{prefix.empty() ? "share" : prefix + ":share", record, {}};
}

void update_record(Editor& editor, const Element& known, const ShareRecord& record) {
    for (const auto& [name, value] : record) {
        if (known.value_of(name) != value) {
            editor.set_attribute(known, name, value);
        }
    }
    for (const auto& attribute : known.attributes) {
        const bool is_kept = std::any_of(record.begin(), record.end(), [&](const auto& wanted) {
            return wanted.first == attribute.name;
        });
        if (!is_kept) {
            editor.remove_attribute(known, attribute.name);
        }
    }
}

std::string prefix_of(const Element& element) {
    const std::size_t colon = element.name.find(':');
    return colon == std::string::npos ? "" : element.name.substr(0, colon);
}

class Patcher {
public:
    Patcher(Document document, LibvirtVersion libvirt)
        : document_{std::move(document)}, libvirt_{libvirt} {}

    Result<void> put(const ShareEdit& edit) {
        const std::string& tag = tag_of(edit.filesystem);
        VFSKIT_TRY(this->edit([&](const Element& root, Editor& editor) -> Result<void> {
            VFSKIT_TRY_ASSIGN(const Element* existing, find_by_tag(root, tag));
            if (existing != nullptr) {
                editor.merge(*existing,
                             filesystem_for(*existing, edit.filesystem),
                             filesystem_ownership(edit.filesystem));
                return {};
            }
            insert_filesystem(root, editor, filesystem_node(edit.filesystem));
            return {};
        }));
        return record(record_of(edit));
    }

    Result<void> remove(const std::string& tag) {
        VFSKIT_TRY(edit([&](const Element& root, Editor& editor) -> Result<void> {
            VFSKIT_TRY_ASSIGN(const Element* existing, find_by_tag(root, tag));
            if (existing == nullptr) {
                return unknown_tag(root, tag);
            }
            editor.remove(*existing);
            return {};
        }));
        return forget(tag);
    }

    Result<void> ensure_memory(const MemoryRequest& request, bool is_explicit) {
        VFSKIT_TRY_ASSIGN(const Domain domain, read_domain(document_));
        if (domain.memory.shared && !is_explicit) {
            return {};
        }
        MemoryRequest complete = request;
        complete.memory_bytes = domain.memory_bytes;
        complete.vcpus = domain.vcpus;
        complete.numa = request.numa && domain.memory.numa_cells == 0;
        VFSKIT_TRY_ASSIGN(MemoryPlan plan, plan_for(complete, domain));
        if (is_explicit) {
            notices_ = std::move(plan.notices);
        }
        const bool was_shared = domain.memory.shared;
        VFSKIT_TRY(set_memory_backing(complete, is_explicit));
        VFSKIT_TRY(share_numa(complete));
        if (!was_shared) {
            notices_.push_back(
                {"The guest's memory becomes shared, which a running guest cannot take over: " +
                     domain.memory.reason,
                 "Shut the guest down and start it again, a reboot is not enough"});
        }
        return {};
    }

    [[nodiscard]] const std::string& text() const { return document_.text(); }
    std::vector<Notice> take_notices() { return std::move(notices_); }

private:
    using Step = std::function<Result<void>(const Element& root, Editor& editor)>;

    Result<void> edit(const Step& step) {
        Editor editor{document_};
        VFSKIT_TRY(step(document_.root(), editor));
        VFSKIT_TRY_ASSIGN(document_, parse_domain_document(editor.apply()));
        return {};
    }

    static Error unknown_tag(const Element& root, const std::string& tag) {
        std::vector<std::string_view> tags;
        for (const Element* element : filesystem_elements(root)) {
            tags.push_back(target_of(*element));
        }
        const auto near = base::nearest(tag, tags);
        return refuse(ENOENT,
                      "filesystem",
                      fmt::format("The domain has no filesystem with the tag '{}'", tag))
            .with_remedy(near           ? fmt::format("Did you mean '{}'?", *near)
                         : tags.empty() ? "It has none at all"
                                        : fmt::format("It has: {}", fmt::join(tags, ", ")));
    }

    static void insert_filesystem(const Element& root, Editor& editor, const Node& node) {
        if (const Element* devices = root.find("devices")) {
            editor.insert_after(*devices, last_of(*devices, before_filesystem), node);
        } else {
            editor.insert_after(root, last_of(root, before_devices), Node{"devices", {}, {node}});
        }
    }

    Result<void> record(const ShareRecord& record) {
        return edit([&](const Element& root, Editor& editor) -> Result<void> {
            if (const Element* known = find_share_record(root, record.front().second)) {
                update_record(editor, *known, record);
                return {};
            }
            if (const Element* shares = find_shares_record(root)) {
                const Element* const last =
                    shares->children.empty() ? nullptr : shares->children.back().get();
                editor.insert_after(*shares, last, record_node(prefix_of(*shares), record));
                return {};
            }
            const Node shares{"vfskit:shares",
                              {{"xmlns:vfskit", std::string{metadata_namespace}}},
                              {record_node("vfskit", record)}};
            if (const Element* metadata = root.find("metadata")) {
                const Element* const last =
                    metadata->children.empty() ? nullptr : metadata->children.back().get();
                editor.insert_after(*metadata, last, shares);
            } else {
                editor.insert_after(
                    root, last_of(root, before_metadata), Node{"metadata", {}, {shares}});
            }
            return {};
        });
    }

    /// Takes the tag's record away, and with the last one everything that only it needed.
    Result<void> forget(const std::string& tag) {
        return edit([&](const Element& root, Editor& editor) -> Result<void> {
            const Element* const known = find_share_record(root, tag);
            if (known == nullptr) {
                return {};
            }
            const Element& shares = *find_shares_record(root);
            const Element& metadata = *root.find("metadata");
            if (shares.children.size() > 1) {
                editor.remove(*known);
            } else if (metadata.children.size() > 1 || has_comment(metadata)) {
                editor.remove(shares);
            } else {
                editor.remove(metadata);
            }
            return {};
        });
    }

    [[nodiscard]] bool has_comment(const Element& element) const {
        const std::string_view text = document_.text();
        return text.substr(element.content.begin, element.content.end - element.content.begin)
                   .find("<!--") != std::string_view::npos;
    }

    /// A domain with NUMA cells of its own needs no cell from us, however old the libvirt.
    Result<MemoryPlan> plan_for(const MemoryRequest& request, const Domain& domain) const {
        const LibvirtVersion without_numa = known_since(LibvirtFeature::memory_without_numa);
        return plan_memory(
            request, domain.memory.numa_cells > 0 ? std::max(libvirt_, without_numa) : libvirt_);
    }

    Result<void> set_memory_backing(const MemoryRequest& request, bool is_explicit) {
        return edit([&](const Element& root, Editor& editor) -> Result<void> {
            const Element* const backing = root.find("memoryBacking");
            Node wanted = memory_backing_node(request);
            if (backing == nullptr) {
                editor.insert_after(root, last_of(root, before_memory_backing), wanted);
                return {};
            }
            const bool keep_source = !is_explicit && keeps_source(*backing);
            xml::Owned owned{"memoryBacking", {}, {}, {}};
            if (!keep_source) {
                owned.children.push_back(owned_hugepages(request));
                owned.children.push_back({"source", {"type"}, {}, {}});
            }
            owned.children.push_back({"access", {"mode"}, {}, {}});
            warn_of_private(*backing);
            editor.merge(*backing, wanted, owned);
            return {};
        });
    }

    /// Huge pages without a size leave the sizes that the domain already asks for: without its
    /// <page> the guest would get the host's default size.
    static xml::Owned owned_hugepages(const MemoryRequest& request) {
        xml::Owned hugepages{"hugepages", {}, {}, {}};
        if (request.kind != MemoryKind::hugepages || request.page_bytes) {
            hugepages.children.push_back({"page", {"size", "unit", "nodeset"}, {"nodeset"}, {}});
        }
        return hugepages;
    }

    /// Where the memory comes from is not ours to change unless asked to, but for anonymous memory,
    /// which libvirt would turn into a file on disk once it is shared.
    static bool keeps_source(const Element& backing) {
        const Element* const source = backing.find("source");
        return backing.find("hugepages") != nullptr ||
               (source != nullptr && source->value_of("type") != "anonymous");
    }

    void warn_of_private(const Element& element) {
        const Element* const access = element.find("access");
        if (access != nullptr && access->value_of("mode") == "private") {
            notices_.push_back({"<access mode='private'/> of <memoryBacking> becomes shared", ""});
        }
    }

    Result<void> share_numa(const MemoryRequest& request) {
        return edit([&](const Element& root, Editor& editor) -> Result<void> {
            for (const Element* cell : numa_cells(root)) {
                // A cell that says nothing follows <memoryBacking>.
                if (cell->value_of("memAccess") == "private") {
                    editor.set_attribute(*cell, "memAccess", "shared");
                    notices_.push_back(
                        {fmt::format("The NUMA cell {} becomes shared", cell->value_of("id")), ""});
                }
            }
            if (!request.numa) {
                return {};
            }
            if (const Element* cpu = root.find("cpu")) {
                const Element* const last =
                    cpu->children.empty() ? nullptr : cpu->children.back().get();
                editor.insert_after(*cpu, last, numa_node(request));
            } else {
                editor.insert_after(
                    root, last_of(root, before_cpu), Node{"cpu", {}, {numa_node(request)}});
            }
            return {};
        });
    }

    Document document_;
    LibvirtVersion libvirt_;
    std::vector<Notice> notices_;
};

Result<void> check_request(const PatchRequest& request, const Target& target) {
    std::set<std::string_view> tags;
    for (const ShareEdit& edit : request.put) {
        VFSKIT_TRY(validate(edit.filesystem, target));
        if (!xml::is_xml_text(edit.dirid)) {
            return refuse("filesystem",
                          fmt::format("The dirid of the share '{}' cannot be written as XML",
                                      tag_of(edit.filesystem)));
        }
        if (!tags.insert(tag_of(edit.filesystem)).second) {
            return refuse("filesystem",
                          fmt::format("The tag '{}' is given twice", tag_of(edit.filesystem)))
                .with_remedy("Give each share a tag of its own");
        }
    }
    for (const std::string& tag : request.remove) {
        if (!tags.insert(tag).second) {
            return refuse("filesystem", fmt::format("The tag '{}' is given twice", tag))
                .with_remedy("Add, update or remove a share, one at a time");
        }
    }
    return {};
}

bool has_virtiofs(const PatchRequest& request) {
    return std::any_of(request.put.begin(), request.put.end(), [](const ShareEdit& edit) {
        return std::holds_alternative<VirtiofsFilesystem>(edit.filesystem);
    });
}

} // namespace

Result<PatchResult>
patch_domain(std::string_view xml, const PatchRequest& request, const Target& target) {
    VFSKIT_TRY(check_request(request, target));
    VFSKIT_TRY_ASSIGN(Document document, parse_domain_document(std::string{xml}));
    Patcher patcher{std::move(document), target.libvirt};
    for (const std::string& tag : request.remove) {
        VFSKIT_TRY(patcher.remove(tag));
    }
    for (const ShareEdit& edit : request.put) {
        VFSKIT_TRY(patcher.put(edit));
    }
    if (request.memory || has_virtiofs(request)) {
        VFSKIT_TRY(patcher.ensure_memory(request.memory.value_or(MemoryRequest{}),
                                         request.memory.has_value()));
    }
    PatchResult result;
    result.xml = patcher.text();
    result.changed = result.xml != xml;
    result.notices = patcher.take_notices();
    return result;
}

Result<std::string> shares_record(std::string_view xml) {
    VFSKIT_TRY_ASSIGN(const Document document, parse_domain_document(std::string{xml}));
    const Element* const shares = find_shares_record(document.root());
    if (shares == nullptr) {
        return std::string{};
    }
    Node plain{"shares", {}, {}};
    for (const auto& share : shares->children) {
        Node& copy = plain.children.emplace_back(Node{"share", {}, {}});
        for (const auto& attribute : share->attributes) {
            copy.with(attribute.name, attribute.value);
        }
    }
    return xml::serialize(plain, {});
}

} // namespace vfskit::domain
