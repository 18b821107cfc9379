// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/guest_memory.h"

#include "core/base/request_path.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace vfskit::virtio {
namespace {

bool wraps(std::uint64_t start, std::uint64_t size) {
    return start > std::numeric_limits<std::uint64_t>::max() - size;
}

bool overlap(std::uint64_t a, std::uint64_t a_size, std::uint64_t b, std::uint64_t b_size) {
    return a < b + b_size && b < a + a_size;
}

Result<void> check_layout(const RegionLayout& layout) {
    if (layout.size == 0) {
        return Error{EINVAL, "The memory region is empty"};
    }
    if (wraps(to_integer(layout.guest_address), layout.size) ||
        wraps(to_integer(layout.user_address), layout.size) ||
        wraps(layout.mmap_offset, layout.size)) {
        return Error{EINVAL, "The memory region wraps round the end of its address space"};
    }
    return {};
}

// The page size of what backs the fd: mmap wants offsets, and munmap lengths, in multiples of it,
// which matters for hugetlbfs.
Result<std::uint64_t> backing_page_size(int fd, const RegionLayout& layout) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) {
        return Error::from_errno(errno, "Cannot inspect the memory region's file");
    }
    // Devices (dax) have no size to compare with.
    if (S_ISREG(info.st_mode) &&
        layout.mmap_offset + layout.size > static_cast<std::uint64_t>(info.st_size)) {
        return Error{EINVAL,
                     fmt::format("The memory region needs {} bytes of its file, which has {}",
                                 layout.mmap_offset + layout.size,
                                 info.st_size)};
    }
    constexpr std::uint64_t smallest = 4096;
    const auto block = static_cast<std::uint64_t>(info.st_blksize);
    const bool is_power_of_two = block != 0 && (block & (block - 1)) == 0;
    return is_power_of_two ? std::max(block, smallest) : smallest;
}

} // namespace

Result<std::shared_ptr<const MemoryRegion>> MemoryRegion::map(const RegionLayout& layout, int fd) {
    VFSKIT_TRY(check_layout(layout));
    VFSKIT_TRY_ASSIGN(const std::uint64_t page, backing_page_size(fd, layout));
    const std::uint64_t start = layout.mmap_offset & ~(page - 1);
    const std::uint64_t skipped = layout.mmap_offset - start;
    if (wraps(layout.size, skipped + page)) {
        return Error{EINVAL, "The memory region is larger than any address space"};
    }
    const std::uint64_t length = (layout.size + skipped + page - 1) & ~(page - 1);
    void* mapping = ::mmap(nullptr,
                           length,
                           PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE,
                           fd,
                           static_cast<off_t>(start));
    if (mapping == MAP_FAILED) {
        return Error::from_errno(errno, fmt::format("Cannot map {} bytes of guest memory", length));
    }
    // A core dump of the daemon must not carry the guest's memory. Advice: failing is harmless.
    static_cast<void>(::madvise(mapping, length, MADV_DONTDUMP));
    auto* host = static_cast<std::byte*>(mapping) + skipped;
    return std::shared_ptr<const MemoryRegion>{new MemoryRegion{layout, mapping, length, host}};
}

MemoryRegion::~MemoryRegion() {
    static_cast<void>(::munmap(mapping_, mapping_length_));
}

Result<std::shared_ptr<const GuestMemory>>
GuestMemory::make(std::vector<std::shared_ptr<const MemoryRegion>> regions) {
    auto memory = std::make_shared<GuestMemory>();
    std::sort(regions.begin(), regions.end(), [](const auto& a, const auto& b) {
        return a->layout().guest_address < b->layout().guest_address;
    });
    for (const auto& region : regions) {
        const RegionLayout& one = region->layout();
        for (const auto& earlier : memory->regions_) {
            const RegionLayout& other = earlier->layout();
            if (overlap(to_integer(one.guest_address),
                        one.size,
                        to_integer(other.guest_address),
                        other.size) ||
                overlap(to_integer(one.user_address),
                        one.size,
                        to_integer(other.user_address),
                        other.size)) {
                return Error{
                    EEXIST,
                    fmt::format("The memory region at guest address {:#x} overlaps another",
                                to_integer(one.guest_address))};
            }
        }
        memory->regions_.push_back(region);
        memory->ranges_.push_back({to_integer(one.guest_address), one.size, region->host()});
        if (one.size > memory->largest_.size) {
            memory->largest_ = memory->ranges_.back();
        }
    }
    return std::shared_ptr<const GuestMemory>{std::move(memory)};
}

Result<std::shared_ptr<const GuestMemory>>
GuestMemory::with(std::shared_ptr<const MemoryRegion> region) const {
    auto regions = regions_;
    regions.push_back(std::move(region));
    return make(std::move(regions));
}

Result<std::shared_ptr<const GuestMemory>> GuestMemory::without(const RegionLayout& layout) const {
    auto regions = regions_;
    const auto found = std::find_if(regions.begin(), regions.end(), [&](const auto& region) {
        const RegionLayout& one = region->layout();
        return one.guest_address == layout.guest_address &&
               one.user_address == layout.user_address && one.size == layout.size;
    });
    if (found == regions.end()) {
        return Error{ENOENT,
                     fmt::format("There is no memory region at guest address {:#x} to remove",
                                 to_integer(layout.guest_address))};
    }
    regions.erase(found);
    return make(std::move(regions));
}

VFSKIT_OUT_OF_LINE std::span<std::byte> GuestMemory::find_elsewhere(GuestAddress address,
                                                                    std::size_t size) const {
    // virtio-mem makes up to 256 regions of one size.
    const std::uint64_t guest = to_integer(address);
    const auto after = std::upper_bound(
        ranges_.begin(), ranges_.end(), guest, [](std::uint64_t sought, const Range& range) {
            return sought < range.guest_start;
        });
    if (after == ranges_.begin()) {
        return {};
    }
    const Range& range = *std::prev(after);
    const std::uint64_t offset = guest - range.guest_start;
    return offset < range.size ? range.bytes(offset, size) : std::span<std::byte>{};
}

std::optional<std::span<std::byte>> GuestMemory::find_whole(GuestAddress address,
                                                            std::size_t size) const {
    const auto bytes = find(address, size);
    if (bytes.data() == nullptr || bytes.size() != size) {
        return std::nullopt;
    }
    return bytes;
}

std::optional<std::span<std::byte>> GuestMemory::find_whole(UserAddress address,
                                                            std::size_t size) const {
    const std::uint64_t user = to_integer(address);
    for (const auto& region : regions_) {
        const std::uint64_t start = to_integer(region->layout().user_address);
        if (user < start || user - start >= region->layout().size) {
            continue;
        }
        const std::uint64_t offset = user - start;
        if (size > region->layout().size - offset) {
            return std::nullopt;
        }
        return std::span<std::byte>{region->host() + offset, size};
    }
    return std::nullopt;
}

std::optional<GuestAddress> GuestMemory::guest_address_of(const void* host) const {
    const auto wanted = reinterpret_cast<std::uintptr_t>(host);
    for (const Range& range : ranges_) {
        const auto start = reinterpret_cast<std::uintptr_t>(range.host);
        if (wanted >= start && wanted - start < range.size) {
            return GuestAddress{range.guest_start + (wanted - start)};
        }
    }
    return std::nullopt;
}

} // namespace vfskit::virtio
