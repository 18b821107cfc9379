// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/guest_memory.h"
#include "tests/support/fake_frontend.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::virtio {
namespace {

using test::GuestRam;

std::shared_ptr<const MemoryRegion> map(const GuestRam& ram) {
    auto region = MemoryRegion::map(ram.layout(), ram.fd());
    EXPECT_TRUE(region) << region.error().describe();
    return *region;
}

std::shared_ptr<const GuestMemory> memory_of(const GuestRam& ram) {
    return *GuestMemory::make({map(ram)});
}

TEST(GuestMemory, TranslatesGuestAndUserAddressesToTheSameBytes) {
    GuestRam ram{1 << 20, 0x100000, 0x2000};
    const auto address = ram.allocate(16);
    ram.write(address, "hello");
    const auto memory = memory_of(ram);

    const auto by_guest = memory->find_whole(address, 5);
    const auto by_user = memory->find_whole(ram.user(address), 5);

    ASSERT_TRUE(by_guest);
    ASSERT_TRUE(by_user);
    EXPECT_EQ(by_guest->data(), by_user->data());
    EXPECT_EQ(std::memcmp(by_guest->data(), "hello", 5), 0);
    EXPECT_EQ(memory->guest_address_of(by_guest->data()), address);
}

TEST(GuestMemory, FindsNothingOutsideItsRegions) {
    GuestRam ram{1 << 20, 0x100000};
    const auto memory = memory_of(ram);

    EXPECT_TRUE(memory->find(GuestAddress{0xfffff}, 1).empty());
    EXPECT_TRUE(memory->find(GuestAddress{0x200000}, 1).empty());
    EXPECT_TRUE(memory->find(GuestAddress{~0ULL}, 1).empty());
    EXPECT_FALSE(memory->find_whole(GuestAddress{0x1ffff0}, 17));
    EXPECT_TRUE(memory->find_whole(GuestAddress{0x1ffff0}, 16));
    EXPECT_FALSE(memory->find_whole(GuestAddress{0x1ffff0}, ~std::size_t{0}));
    EXPECT_FALSE(memory->find_whole(UserAddress{0}, 1));
    EXPECT_FALSE(memory->guest_address_of(&ram));
}

TEST(GuestMemory, CutsAtTheEndOfARegion) {
    GuestRam ram{1 << 20, 0x100000};
    const auto memory = memory_of(ram);
    EXPECT_EQ(memory->find(GuestAddress{0x1ffff0}, 100).size(), 16U);
}

TEST(GuestMemory, FindsEveryRegionOfMany) {
    // The largest in the middle, a gap above each, given out of order.
    std::vector<std::unique_ptr<GuestRam>> rams;
    std::vector<std::shared_ptr<const MemoryRegion>> regions;
    for (const std::uint64_t number : {7U, 2U, 5U, 0U, 3U, 6U, 1U, 4U}) {
        const std::size_t size = number == 3 ? 0x20000 : 0x10000;
        rams.push_back(std::make_unique<GuestRam>(size, 0x100000 + number * 0x100000));
        regions.push_back(map(*rams.back()));
    }
    const auto memory = *GuestMemory::make(regions);
    for (const auto& region : regions) {
        const RegionLayout& layout = region->layout();
        const std::uint64_t start = to_integer(layout.guest_address);
        EXPECT_EQ(memory->find(GuestAddress{start}, 10).data(), region->host());
        const auto end = memory->find(GuestAddress{start + layout.size - 1}, 10);
        ASSERT_EQ(end.size(), 1U);
        EXPECT_EQ(end.data(), region->host() + layout.size - 1);
        EXPECT_TRUE(memory->find(GuestAddress{start - 1}, 10).empty());
        EXPECT_TRUE(memory->find(GuestAddress{start + layout.size}, 10).empty());
    }
    EXPECT_TRUE(GuestMemory{}.find(GuestAddress{0}, 10).empty());
}

TEST(GuestMemory, RefusesOverlappingRegions) {
    GuestRam low{1 << 20, 0x100000};
    GuestRam high{1 << 20, 0x1ff000};
    const auto memory = memory_of(low)->with(map(high));
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().code(), EEXIST);
}

TEST(GuestMemory, KeepsTheMappingForWhoeverStillHoldsTheOldOne) {
    GuestRam low{1 << 20, 0x100000};
    GuestRam high{1 << 20, 0x200000};
    const auto address = high.allocate(16);
    const auto both = *memory_of(low)->with(map(high));

    const auto one = both->without(high.layout());

    ASSERT_TRUE(one);
    EXPECT_EQ((*one)->region_count(), 1U);
    EXPECT_FALSE((*one)->find_whole(address, 1));
    const auto bytes = both->find_whole(address, 5);
    ASSERT_TRUE(bytes);
    std::memcpy(bytes->data(), "still", 5);
    EXPECT_EQ(high.read(address, 5), "still");
}

TEST(GuestMemory, SaysWhenThereIsNoRegionToRemove) {
    GuestRam low{1 << 20, 0x100000};
    RegionLayout other = low.layout();
    other.size -= 4096;
    EXPECT_EQ(memory_of(low)->without(other).error().code(), ENOENT);
}

TEST(MemoryRegion, RefusesALayoutLongerThanItsFile) {
    GuestRam ram{1 << 20};
    RegionLayout layout = ram.layout();
    layout.size += 1;
    EXPECT_EQ(MemoryRegion::map(layout, ram.fd()).error().code(), EINVAL);
}

TEST(MemoryRegion, RefusesLayoutsThatWrapRound) {
    GuestRam ram{1 << 20};
    RegionLayout layout = ram.layout();
    layout.guest_address = GuestAddress{~0ULL - 100};
    EXPECT_EQ(MemoryRegion::map(layout, ram.fd()).error().code(), EINVAL);
    layout = ram.layout();
    layout.mmap_offset = ~0ULL - 100;
    EXPECT_EQ(MemoryRegion::map(layout, ram.fd()).error().code(), EINVAL);
    layout = ram.layout();
    layout.size = 0;
    EXPECT_EQ(MemoryRegion::map(layout, ram.fd()).error().code(), EINVAL);
}

TEST(MemoryRegion, MapsAnOffsetWithinAPage) {
    GuestRam ram{1 << 16, 0x100000, 0x1010};
    const auto address = ram.allocate(16);
    ram.write(address, "odd");
    const auto region = map(ram);
    EXPECT_EQ(std::memcmp(region->host(), "odd", 3), 0);
}

} // namespace
} // namespace vfskit::virtio
