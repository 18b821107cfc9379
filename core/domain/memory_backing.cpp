// SPDX-License-Identifier: Apache-2.0
#include "core/domain/memory_backing.h"

#include "core/base/text.h"
#include "core/domain/memory_node.h"
#include "core/domain/refusal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <utility>

namespace vfskit::domain {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = kib * 1024;
constexpr std::uint64_t gib = mib * 1024;
constexpr std::uint64_t smallest_page = 4 * kib;
/// x86's and arm64's usual default; the host's own may differ, so advice names it.
constexpr std::uint64_t usual_huge_page = 2 * mib;

using xml::Node;

std::pair<std::uint64_t, std::string_view> in_largest_unit(std::uint64_t bytes) {
    constexpr std::pair<std::uint64_t, std::string_view> units[] = {
        {gib, "G"}, {mib, "M"}, {kib, "KiB"}};
    for (const auto& [size, name] : units) {
        if (bytes % size == 0) {
            return {bytes / size, name};
        }
    }
    return {bytes, "b"};
}

Result<void> check_pages(const MemoryRequest& request) {
    if (!request.page_bytes) {
        return {};
    }
    if (request.kind != MemoryKind::hugepages) {
        return refuse("page size", "A page size makes sense only with hugepages")
            .with_remedy("Leave it out, or ask for hugepages");
    }
    if (!std::has_single_bit(*request.page_bytes) || *request.page_bytes <= smallest_page) {
        return refuse("page size",
                      fmt::format("{} bytes is not the size of a huge page", *request.page_bytes))
            .with_remedy("Use a size of /sys/kernel/mm/hugepages, e.g. 2M or 1G");
    }
    return {};
}

Result<void> check_numa(const MemoryRequest& request, LibvirtVersion libvirt) {
    if (!request.numa) {
        const auto known = require(libvirt, LibvirtFeature::memory_without_numa);
        if (!known) {
            return Error{known.error().code(), known.error().message()}.with_remedy(
                "Ask for the NUMA form");
        }
        return require(libvirt, LibvirtFeature::shared_memory_access);
    }
    VFSKIT_TRY(require(libvirt, LibvirtFeature::numa_memory_access));
    if (!request.memory_bytes || !request.vcpus || *request.vcpus == 0) {
        return refuse("numa", "The NUMA form needs the domain's memory and its number of CPUs")
            .with_remedy("Give both");
    }
    if (*request.memory_bytes % kib != 0 || *request.memory_bytes == 0) {
        return refuse("memory",
                      fmt::format("{} bytes of memory is not a multiple of 1 KiB, libvirt's unit",
                                  *request.memory_bytes))
            .with_remedy("Give a multiple of 1 MiB");
    }
    return {};
}

Result<void> advise_pages(const MemoryRequest& request, MemoryPlan& plan) {
    const std::uint64_t page = request.page_bytes.value_or(usual_huge_page);
    const auto [number, unit] = in_largest_unit(page);
    if (!request.memory_bytes) {
        plan.notices.push_back(
            {fmt::format("The host must have free huge pages of {}{} for all of the "
                         "guest's memory",
                         number,
                         unit),
             "Allocate them: virsh allocpages"});
        return {};
    }
    if (*request.memory_bytes % page != 0) {
        return refuse("memory",
                      fmt::format("{} bytes of memory is not a multiple of the huge page of {}{}",
                                  *request.memory_bytes,
                                  number,
                                  unit))
            .with_remedy("Round the domain's memory up to whole pages, or use smaller pages");
    }
    plan.huge_pages = *request.memory_bytes / page;
    plan.notices.push_back(
        {fmt::format("The guest needs {} free huge pages of {}{} on the host{}",
                     *plan.huge_pages,
                     number,
                     unit,
                     request.page_bytes ? "" : ", if that is its default size"),
         fmt::format("Allocate them: virsh allocpages {}{} {}", number, unit, *plan.huge_pages)});
    return {};
}

void advise(const MemoryRequest& request, MemoryPlan& plan) {
    if (request.kind == MemoryKind::file) {
        plan.notices.push_back({"The guest's memory becomes a file in memory_backing_dir of "
                                "/etc/libvirt/qemu.conf, on disk unless that is a tmpfs",
                                "Set memory_backing_dir = \"/dev/shm\", or use memfd"});
    }
}

/// The request by itself: sizes that can be, elements that `libvirt` knows.
Result<void> check_memory(const MemoryRequest& request, LibvirtVersion libvirt) {
    VFSKIT_TRY(check_pages(request));
    VFSKIT_TRY(check_numa(request, libvirt));
    if (request.kind == MemoryKind::memfd) {
        const auto known = require(libvirt, LibvirtFeature::memfd);
        if (!known) {
            return Error{known.error().code(), known.error().message()}.with_remedy(
                "Ask for file-backed memory");
        }
    }
    return {};
}

} // namespace

std::string_view to_string(MemoryKind value) {
    switch (value) {
    case MemoryKind::memfd:
        return "memfd";
    case MemoryKind::file:
        return "file";
    case MemoryKind::hugepages:
        return "hugepages";
    }
    return {};
}

Result<MemoryKind> parse_memory_kind(std::string_view word) {
    constexpr std::array<std::string_view, 3> words{"memfd", "file", "hugepages"};
    for (const MemoryKind kind : {MemoryKind::memfd, MemoryKind::file, MemoryKind::hugepages}) {
        if (to_string(kind) == word) {
            return kind;
        }
    }
    const auto near = base::nearest(word, words);
    return Error{EINVAL, fmt::format("'{}' is not a kind of memory", word)}.with_remedy(
        near ? fmt::format("Did you mean '{}'?", *near) : "Use one of: memfd, file, hugepages");
}

xml::Node memory_backing_node(const MemoryRequest& request) {
    Node backing{"memoryBacking", {}, {}};
    if (request.kind == MemoryKind::hugepages) {
        Node hugepages{"hugepages", {}, {}};
        if (request.page_bytes) {
            const auto [number, unit] = in_largest_unit(*request.page_bytes);
            hugepages.children.push_back(Node{"page", {}, {}}
                                             .with("size", std::to_string(number))
                                             .with("unit", std::string{unit}));
        }
        backing.children.push_back(std::move(hugepages));
    }
    if (request.kind != MemoryKind::hugepages) {
        backing.children.push_back(
            Node{"source", {}, {}}.with("type", std::string{to_string(request.kind)}));
    }
    backing.children.push_back(Node{"access", {}, {}}.with("mode", "shared"));
    return backing;
}

xml::Node numa_node(const MemoryRequest& request) {
    const std::uint32_t vcpus = request.vcpus.value_or(1);
    const auto [number, unit] = in_largest_unit(request.memory_bytes.value_or(0));
    Node cell = Node{"cell", {}, {}}
                    .with("id", "0")
                    .with("cpus", vcpus == 1 ? "0" : fmt::format("0-{}", vcpus - 1))
                    .with("memory", std::to_string(number))
                    .with("unit", std::string{unit})
                    .with("memAccess", "shared");
    return Node{"numa", {}, {std::move(cell)}};
}

Result<MemoryPlan> plan_memory(const MemoryRequest& request, LibvirtVersion libvirt) {
    VFSKIT_TRY(check_memory(request, libvirt));
    MemoryPlan plan;
    const xml::Layout layout{"\n", "", "  "};
    plan.memory_backing = xml::serialize(memory_backing_node(request), layout) + "\n";
    if (request.numa) {
        plan.cpu = xml::serialize(Node{"cpu", {}, {numa_node(request)}}, layout) + "\n";
    }
    advise(request, plan);
    if (request.kind == MemoryKind::hugepages) {
        VFSKIT_TRY(advise_pages(request, plan));
    }
    return plan;
}

} // namespace vfskit::domain
