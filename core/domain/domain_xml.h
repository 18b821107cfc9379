// SPDX-License-Identifier: Apache-2.0
// Reads a whole domain. Input is hostile until proved otherwise: no document type, no entities but
// the five of XML, no network, at most max_domain_bytes.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::domain {

/// Larger than any domain: libvirt's own RPC carries at most 4 MiB of XML.
inline constexpr std::size_t max_domain_bytes = std::size_t{4} << 20;

/// Our namespace in <metadata>: <shares xmlns=…><share tag= dirid=/></shares>.
inline constexpr std::string_view metadata_namespace = "urn:vfskit:domain:1";

/// A <filesystem> as the domain has it; values as they are, unknown ones included.
struct DomainFilesystem {
    std::size_t position = 0; ///< among the domain's filesystems; a migration compares by it
    std::size_t line = 0;
    std::string driver; ///< virtiofs, path, handle, …; "" when absent, which libvirt reads as path
    std::string tag;
    std::string dirid; ///< from our metadata, else the tag
    bool dirid_from_metadata = false;
    /// What our metadata says about the share besides tag and dirid, in the order of the document:
    /// the options of a daemon that vfskit starts, by their long names ("cache", "always").
    std::vector<std::pair<std::string, std::string>> recorded_options;
    std::optional<std::string> source_dir;
    std::optional<std::string> source_socket;
    std::optional<std::string> binary_path;
    std::optional<std::string> xattr; ///< <binary xattr=>: on, off
    std::optional<std::string> cache; ///< <cache mode=>: none, always
    std::optional<std::string> queue;
    std::optional<std::string> accessmode;
    std::optional<std::string> multidevs;
    std::optional<std::string> alias;
    /// The device address as written, "type='pci' domain='0x0000' …"; absent: libvirt will choose.
    std::optional<std::string> address;
    bool readonly = false;

    bool operator==(const DomainFilesystem&) const = default;
    [[nodiscard]] bool is_virtiofs() const { return driver == "virtiofs"; }
    /// Started by somebody else than libvirt.
    [[nodiscard]] bool is_external() const { return source_socket.has_value(); }
};

/// Whether virtiofsd could map the guest's memory, by the rule libvirt applies at define.
struct SharedMemory {
    bool shared = false;
    std::string reason; ///< what decides it: "<memoryBacking> has <access mode='shared'/>"
    std::optional<std::string> source_type; ///< <source type=> of <memoryBacking>
    bool hugepages = false;
    /// The size of the first <page> of <hugepages>; absent: the host's default size.
    std::optional<std::uint64_t> hugepage_bytes;
    bool hotplug = false; ///< <maxMemory> has slots
    std::size_t numa_cells = 0;

    bool operator==(const SharedMemory&) const = default;
};

struct Domain {
    std::string name;
    std::string uuid; ///< "" when the XML has none
    std::string type; ///< kvm, qemu, …
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::uint32_t> vcpus;
    std::vector<DomainFilesystem> filesystems; ///< in document order
    SharedMemory memory;
};

/// EINVAL names the line of malformed XML, a document type, another root element than <domain>, or
/// a broken value; EFBIG above max_domain_bytes.
Result<Domain> parse_domain(std::string_view xml);

} // namespace vfskit::domain
