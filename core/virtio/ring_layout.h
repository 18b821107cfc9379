// SPDX-License-Identifier: Apache-2.0
// The split virtqueue as it lies in guest memory (virtio 1.2, section 2.7). Constants keep the
// spelling of the specification.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vfskit::virtio {

// NOLINTBEGIN(readability-identifier-naming): the specification's spelling.

inline constexpr std::uint16_t VIRTQ_DESC_F_NEXT = 1;
inline constexpr std::uint16_t VIRTQ_DESC_F_WRITE = 2;
inline constexpr std::uint16_t VIRTQ_DESC_F_INDIRECT = 4;
inline constexpr std::uint16_t VIRTQ_AVAIL_F_NO_INTERRUPT = 1;
inline constexpr std::uint16_t VIRTQ_USED_F_NO_NOTIFY = 1;

inline constexpr unsigned VIRTIO_F_INDIRECT_DESC = 28;
inline constexpr unsigned VIRTIO_F_EVENT_IDX = 29;
inline constexpr unsigned VIRTIO_F_VERSION_1 = 32;
// NOLINTEND(readability-identifier-naming)

/// Spec 2.7: "Queue Size value is always a power of 2. The maximum Queue Size value is 32768."
inline constexpr std::uint32_t max_queue_size = 32768;

struct VirtqDesc {
    std::uint64_t addr;
    std::uint32_t len;
    std::uint16_t flags;
    std::uint16_t next;
};
static_assert(sizeof(VirtqDesc) == 16);

struct VirtqUsedElem {
    std::uint32_t id;
    std::uint32_t len;
};
static_assert(sizeof(VirtqUsedElem) == 8);

/// Flags and idx; then `size` ring entries; then the event field, which exists with EVENT_IDX only
/// but is part of the size in every case (spec 2.7: 6 + 2*N and 6 + 8*N bytes).
struct VirtqHeader {
    std::uint16_t flags;
    std::uint16_t idx;
};
static_assert(sizeof(VirtqHeader) == 4);

constexpr std::size_t descriptor_table_bytes(std::uint32_t size) {
    return std::size_t{size} * sizeof(VirtqDesc);
}
constexpr std::size_t available_ring_bytes(std::uint32_t size) {
    return sizeof(VirtqHeader) + std::size_t{size} * sizeof(std::uint16_t) + sizeof(std::uint16_t);
}
constexpr std::size_t used_ring_bytes(std::uint32_t size) {
    return sizeof(VirtqHeader) + std::size_t{size} * sizeof(VirtqUsedElem) + sizeof(std::uint16_t);
}

} // namespace vfskit::virtio
