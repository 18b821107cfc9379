// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/virtqueue.h"
#include "tests/support/fake_frontend.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::virtio {
namespace {

using test::Buffer;
using test::FakeQueue;
using test::GuestRam;

constexpr std::uint16_t ring_size = 8;
constexpr std::uint32_t page_size = 4096;

GuestAddress advance(GuestAddress address, std::uint64_t bytes) {
    return GuestAddress{to_integer(address) + bytes};
}

class VirtqueueTest : public testing::Test {
protected:
    void make(RingFeatures features, std::uint16_t size = ring_size) {
        driver_.emplace(ram_, size, features);
        memory_ = *GuestMemory::make({*MemoryRegion::map(ram_.layout(), ram_.fd())});
        ring_.emplace(size, features);
        const auto mapped = ring_->map(*memory_, driver_->addresses());
        ASSERT_TRUE(mapped) << mapped.error().describe();
    }
    PopStatus pop() { return ring_->pop(*memory_, chain_); }
    bool shows_and_notifies() {
        ring_->show_used(nullptr);
        return ring_->wants_notification();
    }
    Buffer buffer(std::uint32_t length) { return {ram_.allocate(length), length}; }
    void offer_raw(std::uint16_t index, VirtqDesc descriptor) {
        driver_->descriptor(index) = descriptor;
    }
    // Offers the chain that starts at descriptor 0 and says how the device takes it.
    PopStatus pop_raw() {
        driver_->offer(0);
        driver_->publish();
        return pop();
    }

    GuestRam ram_{1 << 22};
    std::optional<FakeQueue> driver_;
    std::shared_ptr<const GuestMemory> memory_;
    std::optional<Virtqueue> ring_;
    DescriptorChain chain_;
};

TEST_F(VirtqueueTest, PopsNothingFromAnEmptyRing) {
    make({});
    EXPECT_EQ(pop(), PopStatus::empty);
}

TEST_F(VirtqueueTest, SplitsAChainIntoReadableAndWritable) {
    make({});
    const auto in = buffer(5);
    ram_.write(in.address, "hello");
    const auto head = driver_->add({in, buffer(3)}, {buffer(16), buffer(4096)});
    driver_->publish();

    ASSERT_EQ(pop(), PopStatus::chain);

    EXPECT_EQ(chain_.head_index(), head);
    ASSERT_EQ(chain_.readable().size(), 2U);
    ASSERT_EQ(chain_.writable().size(), 2U);
    EXPECT_EQ(chain_.readable_size(), 8U);
    EXPECT_EQ(chain_.writable_size(), 4112U);
    EXPECT_EQ(std::memcmp(chain_.readable()[0].iov_base, "hello", 5), 0);
    EXPECT_EQ(pop(), PopStatus::empty);
}

TEST_F(VirtqueueTest, TakesAChainWithoutWritablePart) {
    make({});
    driver_->add({buffer(40)}, {});
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.readable().size(), 1U);
    EXPECT_TRUE(chain_.writable().empty());
}

TEST_F(VirtqueueTest, TakesAnIndirectChain) {
    make({.indirect_desc = true});
    const std::array in{buffer(40), buffer(16)};
    const std::array out{buffer(16)};
    driver_->add_indirect(in, out);
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.readable().size(), 2U);
    EXPECT_EQ(chain_.writable().size(), 1U);
}

TEST_F(VirtqueueTest, TakesAnIndirectChainLongerThanTheRing) {
    make({.indirect_desc = true});
    const std::vector<Buffer> pages(258, buffer(64));
    driver_->add_indirect({}, pages);
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.writable().size(), 258U);
    EXPECT_GE(chain_.capacity(), 258U);
    chain_.shrink();
    EXPECT_EQ(chain_.capacity(), 16U);
}

TEST_F(VirtqueueTest, TakesADescriptorBeforeAnIndirectTable) {
    make({.indirect_desc = true});
    const auto table = ram_.allocate(sizeof(VirtqDesc));
    ram_.at<VirtqDesc>(table) = {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_WRITE, 0};
    offer_raw(0, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_NEXT, 1});
    offer_raw(1, {to_integer(table), sizeof(VirtqDesc), VIRTQ_DESC_F_INDIRECT, 0});
    ASSERT_EQ(pop_raw(), PopStatus::chain);
    EXPECT_EQ(chain_.readable_size(), 8U);
    EXPECT_EQ(chain_.writable_size(), 8U);
}

TEST_F(VirtqueueTest, SplitsABufferThatSpansTwoRegions) {
    make({});
    GuestRam next{1 << 20, to_integer(ram_.end())};
    memory_ = *memory_->with(*MemoryRegion::map(next.layout(), next.fd()));
    offer_raw(0, {to_integer(ram_.end()) - 10, 30, VIRTQ_DESC_F_WRITE, 0});
    ASSERT_EQ(pop_raw(), PopStatus::chain);
    ASSERT_EQ(chain_.writable().size(), 2U);
    EXPECT_EQ(chain_.writable()[0].iov_len, 10U);
    EXPECT_EQ(chain_.writable()[1].iov_len, 20U);
}

TEST_F(VirtqueueTest, JoinsPagesThatFollowOneAnother) {
    make({});
    const auto pages = ram_.allocate(3 * page_size, page_size);
    driver_->add({buffer(40), {pages, page_size}},
                 {buffer(16),
                  {advance(pages, page_size), page_size},
                  {advance(pages, 2 * page_size), page_size}});
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.readable().size(), 2U); // the third buffer is the driver's to be written
    ASSERT_EQ(chain_.writable().size(), 2U);
    EXPECT_EQ(chain_.writable()[1].iov_base, memory_->find(advance(pages, page_size), 1).data());
    EXPECT_EQ(chain_.writable()[1].iov_len, 2 * page_size);
    EXPECT_EQ(chain_.writable_size(), 16 + 2 * page_size);
}

TEST_F(VirtqueueTest, LeavesHeadersThatFollowOneAnother) {
    make({});
    const auto headers = ram_.allocate(40 + 16 + page_size);
    driver_->add({{headers, 40}, {advance(headers, 40), 16}, {advance(headers, 56), page_size}},
                 {});
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.readable().size(), 3U);
}

// The kernel maps regions side by side for us that are no neighbours in the guest, by whose
// addresses the dirty log counts.
TEST_F(VirtqueueTest, DoesNotJoinPagesThatAreApartInTheGuest) {
    make({});
    const GuestRam more{8 * page_size};
    std::vector<GuestAddress> starts;
    for (std::uint64_t i = 0; i < 8; ++i) {
        const std::uint64_t address = 0x10000000 + i * 2 * page_size;
        const RegionLayout layout{
            GuestAddress{address}, page_size, UserAddress{address}, i * page_size};
        memory_ = *memory_->with(*MemoryRegion::map(layout, more.fd()));
        starts.push_back(layout.guest_address);
    }
    const auto host = [this](GuestAddress address) { return memory_->find(address, 1).data(); };
    std::ranges::sort(starts, {}, host);
    const auto neighbour = std::ranges::adjacent_find(
        starts, [&](auto one, auto other) { return host(one) + page_size == host(other); });
    ASSERT_NE(neighbour, starts.end()) << "no two regions lie side by side here";

    driver_->add({}, {{*neighbour, page_size}, {*std::next(neighbour), page_size}});
    driver_->publish();

    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_EQ(chain_.writable().size(), 2U);
}

TEST_F(VirtqueueTest, LooksAheadAtLiesWithoutHarm) {
    make({.indirect_desc = true});
    constexpr std::uint64_t nowhere = 0xdead00000000;
    const auto table = ram_.allocate(2 * sizeof(VirtqDesc));
    ram_.at<VirtqDesc>(table) = {nowhere, 8, VIRTQ_DESC_F_NEXT, 9};
    offer_raw(0, {to_integer(ram_.allocate(8)), 8, 0, 0});
    offer_raw(1, {nowhere, 4096, VIRTQ_DESC_F_INDIRECT, 0});
    offer_raw(2, {to_integer(table) + 1, 4096, VIRTQ_DESC_F_INDIRECT, 0});
    offer_raw(3, {to_integer(table), 2 * sizeof(VirtqDesc), VIRTQ_DESC_F_INDIRECT, 0});
    offer_raw(4, {to_integer(table), 0, VIRTQ_DESC_F_INDIRECT, 0});
    for (const std::uint16_t lie : std::initializer_list<std::uint16_t>{1, 2, 3, 4, ring_size}) {
        ring_->set_next_avail(driver_->available_index());
        for (const std::uint16_t head : {std::uint16_t{0}, std::uint16_t{0}, lie}) {
            driver_->offer(head);
        }
        driver_->publish();
        EXPECT_EQ(pop(), PopStatus::chain);
        EXPECT_EQ(pop(), PopStatus::chain);
    }
}

TEST_F(VirtqueueTest, LeavesOutBuffersOfLengthZero) {
    make({});
    offer_raw(0, {0, 0, VIRTQ_DESC_F_NEXT, 1});
    offer_raw(1, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_WRITE, 0});
    ASSERT_EQ(pop_raw(), PopStatus::chain);
    EXPECT_TRUE(chain_.readable().empty());
    EXPECT_EQ(chain_.writable_size(), 8U);
}

TEST_F(VirtqueueTest, BreaksOnALoop) {
    make({});
    offer_raw(0, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_NEXT, 1});
    offer_raw(1, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_NEXT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
    EXPECT_NE(ring_->fault().find("loop"), std::string::npos);
    EXPECT_EQ(pop(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnAHeadOutsideTheTable) {
    make({});
    driver_->offer(ring_size);
    driver_->publish();
    EXPECT_EQ(pop(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnANextOutsideTheTable) {
    make({});
    offer_raw(0, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_NEXT, ring_size});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnABufferOutsideMemory) {
    make({});
    offer_raw(0, {to_integer(ram_.end()) - 4, 8, VIRTQ_DESC_F_WRITE, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnABufferThatWrapsRound) {
    make({});
    offer_raw(0, {~0ULL - 3, 8, VIRTQ_DESC_F_WRITE, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnReadableAfterWritable) {
    make({});
    offer_raw(0, {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1});
    offer_raw(1, {to_integer(ram_.allocate(8)), 8, 0, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnIndirectThatWasNotNegotiated) {
    make({});
    driver_->add_indirect(std::array{buffer(8)}, {});
    driver_->publish();
    EXPECT_EQ(pop(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnIndirectWithinIndirect) {
    make({.indirect_desc = true});
    const auto table = ram_.allocate(sizeof(VirtqDesc));
    ram_.at<VirtqDesc>(table) = {to_integer(table), sizeof(VirtqDesc), VIRTQ_DESC_F_INDIRECT, 0};
    offer_raw(0, {to_integer(table), sizeof(VirtqDesc), VIRTQ_DESC_F_INDIRECT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnAnIndirectTableOfOddSize) {
    make({.indirect_desc = true});
    offer_raw(0, {to_integer(ram_.allocate(64)), 17, VIRTQ_DESC_F_INDIRECT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnAnEmptyIndirectTable) {
    make({.indirect_desc = true});
    offer_raw(0, {to_integer(ram_.allocate(64)), 0, VIRTQ_DESC_F_INDIRECT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnAnIndirectTableOutsideMemory) {
    make({.indirect_desc = true});
    offer_raw(0, {to_integer(ram_.end()) - 16, 32, VIRTQ_DESC_F_INDIRECT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnIndirectWithNext) {
    make({.indirect_desc = true});
    offer_raw(0,
              {to_integer(ram_.allocate(64)),
               sizeof(VirtqDesc),
               VIRTQ_DESC_F_INDIRECT | VIRTQ_DESC_F_NEXT,
               1});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnALoopWithinAnIndirectTable) {
    make({.indirect_desc = true});
    const auto table = ram_.allocate(sizeof(VirtqDesc));
    ram_.at<VirtqDesc>(table) = {to_integer(ram_.allocate(8)), 8, VIRTQ_DESC_F_NEXT, 0};
    offer_raw(0, {to_integer(table), sizeof(VirtqDesc), VIRTQ_DESC_F_INDIRECT, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksOnAChainOfMoreThanFourGigabytes) {
    make({});
    GuestRam large{std::size_t{3} << 30, 0x100000000};
    memory_ = *memory_->with(*MemoryRegion::map(large.layout(), large.fd()));
    offer_raw(0, {0x100000000, 3U << 30, VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_NEXT, 1});
    offer_raw(1, {0x100000000, 3U << 30, VIRTQ_DESC_F_WRITE, 0});
    EXPECT_EQ(pop_raw(), PopStatus::broken);
}

TEST_F(VirtqueueTest, BreaksWhenMoreIsOfferedThanTheRingHolds) {
    make({});
    driver_->set_available_index(ring_size + 1);
    EXPECT_EQ(pop(), PopStatus::broken);
}

TEST_F(VirtqueueTest, SurvivesTheWrapAroundOfItsIndexes) {
    make({});
    const auto in = buffer(8);
    for (int i = 0; i < 0x10000 + 100; ++i) {
        const auto head = driver_->add({in}, {});
        driver_->publish();
        ASSERT_EQ(pop(), PopStatus::chain);
        ring_->add_used(chain_.head_index(), static_cast<std::uint32_t>(i), nullptr);
        ring_->show_used(nullptr);
        const auto used = driver_->take_used();
        ASSERT_TRUE(used);
        ASSERT_EQ(used->head, head);
        ASSERT_EQ(used->written, static_cast<std::uint32_t>(i));
    }
    EXPECT_EQ(ring_->next_avail(), 100);
}

TEST_F(VirtqueueTest, ShowsNothingUntilItPublishes) {
    make({});
    driver_->add({buffer(8)}, {});
    driver_->publish();
    ASSERT_EQ(pop(), PopStatus::chain);
    ring_->add_used(chain_.head_index(), 0, nullptr);
    EXPECT_FALSE(driver_->take_used());
    EXPECT_TRUE(shows_and_notifies());
    EXPECT_TRUE(driver_->take_used());
}

TEST_F(VirtqueueTest, DoesNotNotifyADriverThatRefuses) {
    make({});
    driver_->refuse_calls();
    ring_->add_used(0, 0, nullptr);
    EXPECT_FALSE(shows_and_notifies());
    driver_->ask_for_call();
    ring_->add_used(0, 0, nullptr);
    EXPECT_TRUE(shows_and_notifies());
}

TEST_F(VirtqueueTest, NotifiesOnlyWhenTheUsedEventIsPassed) {
    make({.event_idx = true});
    driver_->ask_for_call(2); // at the third entry
    ring_->add_used(0, 0, nullptr);
    EXPECT_TRUE(shows_and_notifies()); // the first one after a start is always told
    ring_->add_used(0, 0, nullptr);
    EXPECT_FALSE(shows_and_notifies());
    ring_->add_used(0, 0, nullptr);
    EXPECT_TRUE(shows_and_notifies());
    ring_->add_used(0, 0, nullptr);
    EXPECT_FALSE(shows_and_notifies());
}

TEST_F(VirtqueueTest, NotifiesOnceOfAllThatItHasShown) {
    make({.event_idx = true});
    ring_->add_used(0, 0, nullptr);
    EXPECT_TRUE(shows_and_notifies());
    driver_->ask_for_call(1); // at the second entry
    for (int i = 0; i < 3; ++i) {
        ring_->add_used(0, 0, nullptr);
        ring_->show_used(nullptr);
    }
    EXPECT_TRUE(ring_->wants_notification());
    EXPECT_FALSE(ring_->wants_notification());
}

TEST_F(VirtqueueTest, AsksForAKickAtTheNextChainOnly) {
    make({.event_idx = true});
    EXPECT_FALSE(ring_->enable_notifications(nullptr));
    driver_->add({buffer(8)}, {});
    EXPECT_TRUE(driver_->publish());
    driver_->add({buffer(8)}, {});
    EXPECT_FALSE(driver_->publish()); // avail_event was not moved
    ASSERT_EQ(pop(), PopStatus::chain);
    ASSERT_EQ(pop(), PopStatus::chain);
    EXPECT_FALSE(ring_->enable_notifications(nullptr));
    driver_->add({buffer(8)}, {});
    EXPECT_TRUE(driver_->publish());
    EXPECT_TRUE(ring_->enable_notifications(nullptr)); // it is there already
}

TEST_F(VirtqueueTest, RefusesKicksByFlagWithoutEventIdx) {
    make({});
    ring_->disable_notifications(nullptr);
    driver_->add({buffer(8)}, {});
    EXPECT_FALSE(driver_->publish());
    EXPECT_TRUE(ring_->enable_notifications(nullptr));
    driver_->add({buffer(8)}, {});
    EXPECT_TRUE(driver_->publish());
}

TEST_F(VirtqueueTest, GoesOnFromTheUsedIndexInMemory) {
    make({});
    ring_->add_used(3, 0, nullptr);
    ring_->show_used(nullptr);
    Virtqueue again{ring_size, {}};
    ASSERT_TRUE(again.map(*memory_, driver_->addresses()));
    EXPECT_EQ(again.next_used(), 1);
}

TEST_F(VirtqueueTest, RefusesARingOutsideMemory) {
    make({});
    auto addresses = driver_->addresses();
    addresses.used = ram_.user(ram_.end());
    EXPECT_EQ(ring_->map(*memory_, addresses).error().code(), EFAULT);
}

TEST_F(VirtqueueTest, RefusesAMisalignedRing) {
    make({});
    auto addresses = driver_->addresses();
    addresses.available = UserAddress{to_integer(addresses.available) + 1};
    EXPECT_EQ(ring_->map(*memory_, addresses).error().code(), EINVAL);
}

TEST(Virtqueue, KnowsWhichSizesCanBe) {
    EXPECT_TRUE(Virtqueue::is_valid_size(1));
    EXPECT_TRUE(Virtqueue::is_valid_size(1024));
    EXPECT_TRUE(Virtqueue::is_valid_size(32768));
    EXPECT_FALSE(Virtqueue::is_valid_size(0));
    EXPECT_FALSE(Virtqueue::is_valid_size(3));
    EXPECT_FALSE(Virtqueue::is_valid_size(65536));
}

TEST_F(VirtqueueTest, LogsWhatItWritesToTheUsedRing) {
    make({});
    UniqueFd fd{::memfd_create("log", MFD_CLOEXEC)};
    ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
    const auto log = *DirtyLog::map(fd.get(), 4096, 0);
    const auto page_is_marked = [&](GuestAddress address) {
        std::uint8_t byte = 0;
        const auto page = to_integer(address) / 4096;
        EXPECT_EQ(::pread(fd.get(), &byte, 1, static_cast<off_t>(page / 8)), 1);
        return ((byte >> (page % 8)) & 1) != 0;
    };

    ring_->add_used(0, 0, log.get());
    ring_->show_used(log.get());
    EXPECT_TRUE(page_is_marked(driver_->used_ring()));

    // With VHOST_VRING_F_LOG, where the front-end says.
    auto addresses = driver_->addresses();
    addresses.used_log = GuestAddress{77 * 4096};
    ASSERT_TRUE(ring_->map(*memory_, addresses));
    EXPECT_FALSE(page_is_marked(GuestAddress{77 * 4096}));
    ring_->add_used(0, 0, log.get());
    EXPECT_TRUE(page_is_marked(GuestAddress{77 * 4096}));
}

} // namespace
} // namespace vfskit::virtio
