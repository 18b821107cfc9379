// SPDX-License-Identifier: Apache-2.0
// Chains, direct and indirect, as a driver writes them, with any field wrong. Whatever comes off
// the ring lies wholly in guest memory, and a second look at the same ring sees the same.
//
// Input: flags (1 byte), chains offered (1), then descriptors of 6 bytes: place (2), length (2),
// flags (1), next (1). The first 16 are the ring's table, the next 16 an indirect table.
#include "core/virtio/virtqueue.h"
#include "tests/fuzz/input_bytes.h"
#include "tests/support/fake_frontend.h"

#include <cstdlib>

namespace {

using namespace vfskit;
using namespace vfskit::virtio;

constexpr std::uint16_t ring_size = 16;
constexpr std::size_t region_size = 1U << 16;

struct World {
    World()
        : memory{*GuestMemory::make({*MemoryRegion::map(low.layout(), low.fd()),
                                     *MemoryRegion::map(high.layout(), high.fd())})},
          indirect_table{low.allocate(ring_size * sizeof(VirtqDesc))} {}

    // Adjacent in the guest, so that buffers can span both; nothing behind the second.
    test::GuestRam low{region_size, 0x10000};
    test::GuestRam high{region_size, 0x20000};
    std::shared_ptr<const GuestMemory> memory;
    GuestAddress indirect_table;
};

std::uint64_t place(const World& world, std::uint16_t selector) {
    // Mostly inside the two regions; some before, across the end, behind, and at the end of all.
    if (selector == 0xffff) {
        return ~std::uint64_t{0} - 7;
    }
    if (selector == 0xfffe) {
        return to_integer(world.indirect_table);
    }
    return 0x10000 - 0x100 + std::uint64_t{selector} * 2;
}

VirtqDesc take_descriptor(const World& world, test::InputBytes& input) {
    VirtqDesc descriptor{};
    descriptor.addr = place(world, input.take<std::uint16_t>());
    descriptor.len = input.take<std::uint16_t>();
    const auto flags = input.take<std::uint8_t>();
    descriptor.flags = flags & 7;
    if ((flags & 0x80) != 0) {
        descriptor.len <<= 16;
    }
    if ((flags & 0x40) != 0) {
        descriptor.len = sizeof(VirtqDesc) * (descriptor.len % (2 * ring_size));
    }
    descriptor.next = static_cast<std::uint16_t>(input.take<std::uint8_t>() % (ring_size + 4));
    return descriptor;
}

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void check(const World& world, const DescriptorChain& chain) {
    std::uint64_t total = 0;
    for (const auto part : {chain.readable(), chain.writable()}) {
        for (const iovec& buffer : part) {
            const auto address = world.memory->guest_address_of(buffer.iov_base);
            require(address && buffer.iov_len > 0);
            const auto whole = world.memory->find_whole(*address, buffer.iov_len);
            require(whole && whole->data() == buffer.iov_base);
            total += buffer.iov_len;
        }
    }
    require(total == chain.readable_size() + chain.writable_size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    static test::GuestRam ring_ram{region_size, 0x40000};
    static const auto memory =
        *world.memory->with(*MemoryRegion::map(ring_ram.layout(), ring_ram.fd()));
    static test::FakeQueue first{ring_ram, ring_size, {true, true}};

    test::InputBytes input{data, size};
    const auto flags = input.take<std::uint8_t>();
    const RingFeatures features{(flags & 1) != 0, (flags & 2) != 0};
    const std::uint16_t offered =
        static_cast<std::uint16_t>(input.take<std::uint8_t>() % (ring_size + 2));
    for (std::uint16_t i = 0; i < ring_size; ++i) {
        first.descriptor(i) = take_descriptor(world, input);
    }
    auto* inner = &world.low.at<VirtqDesc>(world.indirect_table);
    for (std::size_t i = 0; i < ring_size; ++i) {
        inner[i] = take_descriptor(world, input);
    }

    Virtqueue ring{ring_size, features};
    const std::uint16_t start = first.available_index();
    ring.set_next_avail(start);
    require(static_cast<bool>(ring.map(*memory, first.addresses())));
    for (std::uint16_t i = 0; i < offered; ++i) {
        first.offer(static_cast<std::uint16_t>(input.take<std::uint8_t>() % (ring_size + 1)));
    }
    static_cast<void>(first.publish());

    DescriptorChain chain;
    PopStatus status = PopStatus::chain;
    std::uint16_t popped = 0;
    while ((status = ring.pop(*memory, chain)) == PopStatus::chain) {
        check(world, chain);
        ring.add_used(chain.head_index(), 0, nullptr);
        ring.show_used(nullptr);
        static_cast<void>(ring.wants_notification());
        ++popped;
    }
    require(popped <= ring_size);
    require((status == PopStatus::broken) == ring.is_broken());
    static_cast<void>(ring.enable_notifications(nullptr));
    return 0;
}
