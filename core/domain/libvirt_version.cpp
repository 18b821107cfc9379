// SPDX-License-Identifier: Apache-2.0
#include "core/domain/libvirt_version.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

namespace vfskit::domain {
namespace {

struct FeatureRow {
    LibvirtFeature feature;
    LibvirtVersion since;
    std::string_view spelling;
};

// Sources: libvirt's NEWS and formatdomain; `migration` is in neither, its patch was merged
// for 10.5.0 and libvirt's own test suite gates on that release.
constexpr FeatureRow features[] = {
    {LibvirtFeature::virtiofs, {6, 2, 0}, "<driver type='virtiofs'/>"},
    {LibvirtFeature::virtiofs_binary, {6, 2, 0}, "<binary> of a virtiofs filesystem"},
    {LibvirtFeature::virtiofs_queue, {6, 2, 0}, "<driver queue=…/> with virtiofs"},
    {LibvirtFeature::shared_memory_access, {3, 2, 0}, "<memoryBacking><access mode='shared'/>"},
    {LibvirtFeature::numa_memory_access, {1, 2, 9}, "<cell memAccess='shared'/>"},
    {LibvirtFeature::memfd, {4, 10, 0}, "<memoryBacking><source type='memfd'/>"},
    {LibvirtFeature::memory_without_numa, {6, 9, 0}, "shared memory without a NUMA cell"},
    {LibvirtFeature::driver_iommu, {3, 5, 0}, "<driver iommu=…/>"},
    {LibvirtFeature::driver_ats, {3, 5, 0}, "<driver ats=…/>"},
    {LibvirtFeature::driver_packed, {6, 3, 0}, "<driver packed=…/>"},
    {LibvirtFeature::driver_page_per_vq, {7, 9, 0}, "<driver page_per_vq=…/>"},
    {LibvirtFeature::boot_order, {7, 1, 0}, "<boot order=…/> of a virtiofs filesystem"},
    {LibvirtFeature::sandbox, {7, 2, 0}, "<sandbox mode=…/>"},
    {LibvirtFeature::source_socket, {7, 3, 0}, "<source socket=…/>"},
    {LibvirtFeature::hotplug, {7, 9, 0}, "attaching a share to a running guest"},
    {LibvirtFeature::thread_pool, {8, 5, 0}, "<thread_pool size=…/>"},
    {LibvirtFeature::idmap, {10, 0, 0}, "<idmap> with virtiofs"},
    {LibvirtFeature::migration, {10, 5, 0}, "migrating a guest that has a virtiofs share"},
    {LibvirtFeature::openfiles, {10, 6, 0}, "<openfiles max=…/>"},
    {LibvirtFeature::readonly, {11, 0, 0}, "<readonly/> with virtiofs"},
    {LibvirtFeature::ninep_accessmode, {0, 8, 5}, "accessmode="},
    {LibvirtFeature::ninep_wrpolicy, {0, 9, 10}, "<driver wrpolicy=…/>"},
    {LibvirtFeature::ninep_model, {5, 2, 0}, "<filesystem model=…>"},
    {LibvirtFeature::ninep_multidevs, {6, 3, 0}, "<filesystem multidevs=…>"},
    {LibvirtFeature::ninep_fmode, {6, 10, 0}, "<filesystem fmode=… dmode=…>"},
};

const FeatureRow& row_of(LibvirtFeature feature) {
    for (const FeatureRow& row : features) {
        if (row.feature == feature) {
            return row;
        }
    }
    assert(false && "a feature without a row");
    return features[0];
}

// LIBVIR_VERSION_NUMBER: major * 1 000 000 + minor * 1000 + release.
constexpr std::uint64_t smallest_encoded = 1000;

LibvirtVersion from_number(std::uint64_t number) {
    return {static_cast<unsigned>(number / 1'000'000),
            static_cast<unsigned>(number / 1000 % 1000),
            static_cast<unsigned>(number % 1000)};
}

Error not_a_version(std::string_view text) {
    return Error{EINVAL, fmt::format("'{}' is not a libvirt version", text)}.with_remedy(
        "Write it like 11.3.0, 11.3 or 11003000");
}

} // namespace

std::string to_string(LibvirtVersion version) {
    return fmt::format("{}.{}.{}", version.major, version.minor, version.release);
}

Result<LibvirtVersion> parse_libvirt_version(std::string_view text) {
    constexpr std::uint64_t largest_part = 999;
    const std::vector<std::string_view> parts = base::split(text, '.');
    if (parts.size() == 1) {
        const auto number = base::parse_unsigned(text, "libvirt version", 999'999'999);
        if (!number || *number < smallest_encoded) {
            return not_a_version(text);
        }
        return from_number(*number);
    }
    unsigned numbers[3] = {0, 0, 0};
    if (parts.size() > std::size(numbers)) {
        return not_a_version(text);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = base::parse_unsigned(parts[i], "libvirt version", largest_part);
        if (!number) {
            return not_a_version(text);
        }
        numbers[i] = static_cast<unsigned>(*number);
    }
    return LibvirtVersion{numbers[0], numbers[1], numbers[2]};
}

LibvirtVersion known_since(LibvirtFeature feature) {
    return row_of(feature).since;
}

std::string_view describe(LibvirtFeature feature) {
    return row_of(feature).spelling;
}

bool knows(LibvirtVersion version, LibvirtFeature feature) {
    return version >= known_since(feature);
}

Result<void> require(LibvirtVersion version, LibvirtFeature feature) {
    if (knows(version, feature)) {
        return {};
    }
    return Error{ENOTSUP,
                 fmt::format("libvirt {} does not know {}, which came with {}",
                             to_string(version),
                             describe(feature),
                             to_string(known_since(feature)))}
        .with_remedy("Leave it out, or name the libvirt version that the domain's host really has");
}

} // namespace vfskit::domain
