// SPDX-License-Identifier: Apache-2.0
// What the front-end offered of the guest's memory. A GuestMemory never changes: adding or removing
// a region makes a new one that shares the mappings of the old. So readers hold a pointer and take
// no lock, and a mapping lives until the last request that may touch it is gone.
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/virtio/address.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace vfskit::virtio {

/// Where a region lies in the three address spaces. `mmap_offset` counts bytes into the fd.
struct RegionLayout {
    GuestAddress guest_address{};
    std::uint64_t size = 0;
    UserAddress user_address{};
    std::uint64_t mmap_offset = 0;

    bool operator==(const RegionLayout&) const = default;
};

/// One mapped region; unmapped by the destructor. Immutable, usable from every thread.
class MemoryRegion {
public:
    /// Maps `size` bytes at `mmap_offset` of `fd` (which may be closed afterwards). EINVAL for a
    /// layout that wraps round, is empty, or is longer than the file: touching pages past the end
    /// of the file would kill the process with SIGBUS.
    static Result<std::shared_ptr<const MemoryRegion>> map(const RegionLayout& layout, int fd);

    MemoryRegion(const MemoryRegion&) = delete;
    MemoryRegion& operator=(const MemoryRegion&) = delete;
    ~MemoryRegion();

    [[nodiscard]] const RegionLayout& layout() const { return layout_; }
    [[nodiscard]] std::byte* host() const { return host_; }

private:
    MemoryRegion(const RegionLayout& layout, void* mapping, std::size_t length, std::byte* host)
        : layout_{layout}, mapping_{mapping}, mapping_length_{length}, host_{host} {}

    RegionLayout layout_;
    void* mapping_;
    std::size_t mapping_length_;
    std::byte* host_;
};

class GuestMemory {
public:
    GuestMemory() = default;

    /// A memory of exactly these regions. EEXIST when two overlap in guest or in user addresses.
    static Result<std::shared_ptr<const GuestMemory>>
    make(std::vector<std::shared_ptr<const MemoryRegion>> regions);
    /// This memory and one region more. EEXIST when it overlaps.
    [[nodiscard]] Result<std::shared_ptr<const GuestMemory>>
    with(std::shared_ptr<const MemoryRegion> region) const;
    /// This memory without the region of that guest address, user address and size (the identity
    /// that the specification gives for REM_MEM_REG). ENOENT when there is none.
    [[nodiscard]] Result<std::shared_ptr<const GuestMemory>>
    without(const RegionLayout& layout) const;

    /// The bytes from `address` on that are contiguous in our address space, at most `size`; empty
    /// when the guest has no memory there.
    [[nodiscard]] std::span<std::byte> find(GuestAddress address, std::size_t size) const {
        // Each descriptor comes here, and in a guest without hot-plugged memory nearly every
        // address is in the largest region.
        const std::uint64_t offset = to_integer(address) - largest_.guest_start;
        if (offset < largest_.size) {
            return largest_.bytes(offset, size);
        }
        return find_elsewhere(address, size);
    }
    /// All `size` bytes at `address`, or nothing when they are not all there in one region.
    [[nodiscard]] std::optional<std::span<std::byte>> find_whole(GuestAddress address,
                                                                 std::size_t size) const;
    [[nodiscard]] std::optional<std::span<std::byte>> find_whole(UserAddress address,
                                                                 std::size_t size) const;
    /// Back from our pointer to the guest's address; nothing for a pointer outside every region.
    [[nodiscard]] std::optional<GuestAddress> guest_address_of(const void* host) const;

    [[nodiscard]] std::size_t region_count() const { return ranges_.size(); }

private:
    // What a lookup needs of a region.
    struct Range {
        std::uint64_t guest_start = 0;
        std::uint64_t size = 0;
        std::byte* host = nullptr;

        [[nodiscard]] std::span<std::byte> bytes(std::uint64_t offset, std::size_t wanted) const {
            return {host + offset, std::min<std::uint64_t>(wanted, size - offset)};
        }
    };

    [[nodiscard]] std::span<std::byte> find_elsewhere(GuestAddress address, std::size_t size) const;

    Range largest_;             // of no size when there is none
    std::vector<Range> ranges_; // all, sorted by guest_start
    std::vector<std::shared_ptr<const MemoryRegion>> regions_;
};

} // namespace vfskit::virtio
