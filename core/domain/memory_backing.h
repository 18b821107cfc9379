// SPDX-License-Identifier: Apache-2.0
// Guest memory that virtiofsd can map: every vhost-user device needs it shared.
#pragma once

#include "core/base/result.h"
#include "core/domain/libvirt_version.h"
#include "core/domain/notice.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::domain {

enum class MemoryKind {
    memfd,     ///< anonymous shared memory, no host setup
    file,      ///< a file in memory_backing_dir of qemu.conf
    hugepages, ///< hugetlbfs
};

std::string_view to_string(MemoryKind value); ///< memfd, file, hugepages
Result<MemoryKind> parse_memory_kind(std::string_view word);

/// Shared memory for one domain.
struct MemoryRequest {
    MemoryKind kind = MemoryKind::memfd;
    std::optional<std::uint64_t> page_bytes; ///< hugepages: absent is the host's default size
    /// As a NUMA cell with memAccess='shared': for libvirt before 6.9 and guests with NUMA. Needs
    /// memory_bytes and vcpus.
    bool numa = false;
    std::optional<std::uint64_t> memory_bytes; ///< the domain's memory
    std::optional<std::uint32_t> vcpus;
};

struct MemoryPlan {
    std::string
        memory_backing; ///< <memoryBacking>, indented by 2, with a line feed; may be empty (numa)
    std::string cpu;    ///< <cpu> with its NUMA cell; empty unless numa
    std::optional<std::uint64_t> huge_pages; ///< how many the host must have free
    std::vector<Notice> notices; ///< "Allocate 1024 pages …", with the command as remedy
};

/// ENOTSUP when the target's libvirt does not know an element; EINVAL for impossible sizes.
Result<MemoryPlan> plan_memory(const MemoryRequest& request, LibvirtVersion libvirt);

} // namespace vfskit::domain
