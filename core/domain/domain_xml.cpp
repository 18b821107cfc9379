// SPDX-License-Identifier: Apache-2.0
#include "core/domain/domain_xml.h"

#include "core/base/text.h"
#include "core/domain/domain_tree.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace vfskit::domain {
namespace {

using xml::Element;

Error broken(const Element& element, std::string message) {
    return Error{EINVAL, std::move(message)}.at(
        {.file = {}, .line = element.line, .key = element.name});
}

// libvirt's virScaleInteger: a lone letter and the "iB" forms are powers of 1024, "B" forms of
// 1000.
std::optional<std::uint64_t> memory_unit(std::string_view unit) {
    std::string lower;
    for (const char c : unit) {
        lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    if (lower.empty()) {
        return 1024;
    }
    if (lower == "b" || lower == "byte" || lower == "bytes") {
        return 1;
    }
    constexpr std::string_view scales = "kmgt";
    const std::size_t power = scales.find(lower.front());
    const std::string_view rest = std::string_view{lower}.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) {
        return std::nullopt;
    }
    const std::uint64_t base = rest == "b" ? 1000 : 1024;
    std::uint64_t factor = base;
    for (std::size_t i = 0; i < power; ++i) {
        factor *= base;
    }
    return factor;
}

Result<std::optional<std::uint64_t>> read_memory(const Element& root) {
    const Element* const memory = root.find("memory");
    if (memory == nullptr) {
        return std::optional<std::uint64_t>{};
    }
    const auto factor = memory_unit(memory->value_of("unit"));
    if (!factor) {
        return broken(*memory, fmt::format("'{}' is not a unit", memory->value_of("unit")));
    }
    const auto number =
        base::parse_unsigned(base::trim(memory->text), "memory", UINT64_MAX / *factor);
    if (!number) {
        return broken(*memory, fmt::format("'{}' is not a size", base::trim(memory->text)));
    }
    return std::optional{*number * *factor};
}

Result<std::optional<std::uint32_t>> read_vcpus(const Element& root) {
    const Element* const vcpu = root.find("vcpu");
    if (vcpu == nullptr) {
        return std::optional<std::uint32_t>{};
    }
    const auto number = base::parse_unsigned(base::trim(vcpu->text), "vcpu", UINT32_MAX);
    if (!number) {
        return broken(*vcpu, fmt::format("'{}' is not a number of CPUs", base::trim(vcpu->text)));
    }
    return std::optional{static_cast<std::uint32_t>(*number)};
}

std::optional<std::string> optional_value(const Element* element, std::string_view attribute) {
    const xml::Attribute* const found =
        element == nullptr ? nullptr : element->attribute(attribute);
    return found == nullptr ? std::nullopt : std::optional{found->value};
}

std::optional<std::string> address_of(const Element& filesystem, const std::string& text) {
    const Element* const address = filesystem.find("address");
    if (address == nullptr || address->attributes.empty()) {
        return std::nullopt;
    }
    const std::size_t begin = address->attributes.front().span.begin;
    return text.substr(begin, address->attributes.back().span.end - begin);
}

std::vector<std::pair<std::string, std::string>> recorded_options(const Element& root,
                                                                  std::string_view tag) {
    std::vector<std::pair<std::string, std::string>> options;
    if (const Element* const record = find_share_record(root, tag)) {
        for (const auto& attribute : record->attributes) {
            if (attribute.name != "tag" && attribute.name != "dirid") {
                options.emplace_back(attribute.name, attribute.value);
            }
        }
    }
    return options;
}

DomainFilesystem
read_filesystem(const Element& element, const Element& root, const std::string& text) {
    DomainFilesystem result;
    result.line = element.line;
    const Element* const driver = element.find("driver");
    const Element* const source = element.find("source");
    result.driver = optional_value(driver, "type").value_or("");
    result.tag = optional_value(element.find("target"), "dir").value_or("");
    const auto dirid = find_recorded_dirid(root, result.tag);
    result.dirid = dirid.value_or(result.tag);
    result.dirid_from_metadata = dirid.has_value();
    result.recorded_options = recorded_options(root, result.tag);
    result.source_dir = optional_value(source, "dir");
    result.source_socket = optional_value(source, "socket");
    const Element* const binary = element.find("binary");
    result.binary_path = optional_value(binary, "path");
    result.xattr = optional_value(binary, "xattr");
    result.cache = optional_value(binary == nullptr ? nullptr : binary->find("cache"), "mode");
    result.queue = optional_value(driver, "queue");
    result.accessmode = optional_value(&element, "accessmode");
    result.multidevs = optional_value(&element, "multidevs");
    result.alias = optional_value(element.find("alias"), "name");
    result.address = address_of(element, text);
    result.readonly = element.find("readonly") != nullptr;
    return result;
}

/// <hugepages><page size= unit=/>: libvirt's default unit is KiB. What cannot be read counts as not
/// given.
std::optional<std::uint64_t> read_page_bytes(const Element* hugepages) {
    const Element* const page = hugepages == nullptr ? nullptr : hugepages->find("page");
    if (page == nullptr) {
        return std::nullopt;
    }
    const auto factor = memory_unit(page->value_of("unit"));
    if (!factor) {
        return std::nullopt;
    }
    const auto number =
        base::parse_unsigned(page->value_of("size"), "page size", UINT64_MAX / *factor);
    return number ? std::optional{*number * *factor} : std::nullopt;
}

/// With NUMA cells each must be shared, by itself or by the global access mode.
void judge_cells(const std::vector<const Element*>& cells, bool globally, SharedMemory& memory) {
    memory.shared = true;
    memory.reason = "every NUMA cell is shared";
    for (const Element* cell : cells) {
        const std::string_view access = cell->value_of("memAccess");
        if (access == "shared" || (access.empty() && globally)) {
            continue;
        }
        memory.shared = false;
        memory.reason = fmt::format("the NUMA cell at line {} {}",
                                    cell->line,
                                    access.empty() ? "has no memAccess='shared'"
                                                   : fmt::format("has memAccess='{}'", access));
        return;
    }
}

/// qemuValidateDomainDefVhostUserRequireSharedMemory: only the access decides, not the source.
SharedMemory read_shared_memory(const Element& root) {
    SharedMemory memory;
    const Element* const backing = root.find("memoryBacking");
    const Element* const access = backing == nullptr ? nullptr : backing->find("access");
    const bool globally = access != nullptr && access->value_of("mode") == "shared";
    if (backing != nullptr) {
        memory.source_type = optional_value(backing->find("source"), "type");
        const Element* const hugepages = backing->find("hugepages");
        memory.hugepages = hugepages != nullptr;
        memory.hugepage_bytes = read_page_bytes(hugepages);
    }
    const Element* const max_memory = root.find("maxMemory");
    memory.hotplug = max_memory != nullptr && !max_memory->value_of("slots").empty() &&
                     max_memory->value_of("slots") != "0";
    const std::vector<const Element*> cells = numa_cells(root);
    memory.numa_cells = cells.size();
    if (!cells.empty()) {
        judge_cells(cells, globally, memory);
    } else {
        memory.shared = globally;
        memory.reason = globally ? "<memoryBacking> has <access mode='shared'/>"
                                 : "<memoryBacking> has no <access mode='shared'/>";
    }
    return memory;
}

} // namespace

const Element* find_shares_record(const Element& root) {
    const Element* const metadata = root.find("metadata");
    if (metadata == nullptr) {
        return nullptr;
    }
    for (const auto& child : metadata->children) {
        if (child->ns == metadata_namespace && child->local == "shares") {
            return child.get();
        }
    }
    return nullptr;
}

const Element* find_share_record(const Element& root, std::string_view tag) {
    const Element* const shares = find_shares_record(root);
    if (shares == nullptr) {
        return nullptr;
    }
    for (const auto& child : shares->children) {
        if (child->ns == metadata_namespace && child->local == "share" &&
            child->value_of("tag") == tag) {
            return child.get();
        }
    }
    return nullptr;
}

std::optional<std::string> find_recorded_dirid(const Element& root, std::string_view tag) {
    const Element* const record = find_share_record(root, tag);
    return record == nullptr ? std::nullopt : optional_value(record, "dirid");
}

std::vector<const Element*> filesystem_elements(const Element& root) {
    const Element* const devices = root.find("devices");
    return devices == nullptr ? std::vector<const Element*>{} : devices->find_all("filesystem");
}

std::vector<const Element*> numa_cells(const Element& root) {
    const Element* const cpu = root.find("cpu");
    const Element* const numa = cpu == nullptr ? nullptr : cpu->find("numa");
    return numa == nullptr ? std::vector<const Element*>{} : numa->find_all("cell");
}

Result<xml::Document> parse_domain_document(std::string text) {
    VFSKIT_TRY_ASSIGN(xml::Document document, xml::Document::parse(std::move(text)));
    const Element& root = document.root();
    if (root.local != "domain" || !root.ns.empty()) {
        return broken(root, fmt::format("The root element is <{}>, not <domain>", root.name))
            .with_remedy("Give the output of 'virsh dumpxml'");
    }
    return document;
}

Result<Domain> read_domain(const xml::Document& document) {
    const Element& root = document.root();
    Domain domain;
    domain.type = root.value_of("type");
    if (const Element* name = root.find("name")) {
        domain.name = base::trim(name->text);
    }
    if (const Element* uuid = root.find("uuid")) {
        domain.uuid = base::trim(uuid->text);
    }
    VFSKIT_TRY_ASSIGN(domain.memory_bytes, read_memory(root));
    VFSKIT_TRY_ASSIGN(domain.vcpus, read_vcpus(root));
    for (const Element* element : filesystem_elements(root)) {
        DomainFilesystem filesystem = read_filesystem(*element, root, document.text());
        filesystem.position = domain.filesystems.size();
        domain.filesystems.push_back(std::move(filesystem));
    }
    domain.memory = read_shared_memory(root);
    return domain;
}

Result<Domain> parse_domain(std::string_view xml) {
    VFSKIT_TRY_ASSIGN(const xml::Document document, parse_domain_document(std::string{xml}));
    return read_domain(document);
}

} // namespace vfskit::domain
