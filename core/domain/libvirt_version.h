// SPDX-License-Identifier: Apache-2.0
// Which libvirt knows which piece of domain XML.
#pragma once

#include "core/base/result.h"

#include <compare>
#include <string>
#include <string_view>

namespace vfskit::domain {

/// A release of libvirt, 11.3.0. Orders by age.
struct LibvirtVersion {
    unsigned major = 0;
    unsigned minor = 0;
    unsigned release = 0;

    // The check takes the 0 inside the defaulted operator for a pointer.
    // NOLINTNEXTLINE(modernize-use-nullptr)
    auto operator<=>(const LibvirtVersion&) const = default;
};

/// What XML is written for when nobody says otherwise: Debian 13's, the newest whose elements were
/// all tried.
inline constexpr LibvirtVersion default_libvirt_version{11, 3, 0};

/// "11.3.0".
std::string to_string(LibvirtVersion version);
/// "11.3.0", "11.3", or virConnectGetLibVersion's number 11003000. EINVAL shows the accepted forms.
Result<LibvirtVersion> parse_libvirt_version(std::string_view text);

/// A piece of domain XML, or a behaviour, that came with some version.
enum class LibvirtFeature {
    virtiofs,             ///< <driver type='virtiofs'/>
    virtiofs_binary,      ///< <binary path= xattr=>, <cache>, <lock>
    virtiofs_queue,       ///< <driver queue=>
    shared_memory_access, ///< <memoryBacking><access mode='shared'/>
    numa_memory_access,   ///< <cell memAccess='shared'/>
    memfd,                ///< <source type='memfd'/>
    memory_without_numa,  ///< a share needs no NUMA cell
    driver_iommu,         ///< <driver iommu=>
    driver_ats,           ///< <driver ats=>
    driver_packed,        ///< <driver packed=>
    driver_page_per_vq,   ///< <driver page_per_vq=>
    boot_order,           ///< <boot order=> in a virtiofs <filesystem>
    sandbox,              ///< <sandbox mode=>
    source_socket,        ///< <source socket=>
    hotplug,              ///< a share can be attached to a running guest
    thread_pool,          ///< <thread_pool size=>
    idmap,                ///< <idmap> with virtiofs, and with it session mode
    migration,            ///< a guest with a share can be migrated and saved
    openfiles,            ///< <openfiles max=>
    readonly,             ///< <readonly/> with virtiofs
    ninep_accessmode,     ///< accessmode=
    ninep_wrpolicy,       ///< <driver wrpolicy=>
    ninep_model,          ///< model=
    ninep_multidevs,      ///< multidevs=
    ninep_fmode,          ///< fmode= and dmode=
};

/// The first release that knows `feature`.
LibvirtVersion known_since(LibvirtFeature feature);
/// How the XML spells it: "<openfiles>".
std::string_view describe(LibvirtFeature feature);
/// True if `version` knows `feature`.
bool knows(LibvirtVersion version, LibvirtFeature feature);
/// ENOTSUP naming the feature and both versions when `version` is too old for it.
Result<void> require(LibvirtVersion version, LibvirtFeature feature);

} // namespace vfskit::domain
