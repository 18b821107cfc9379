// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/descriptor_chain.h"

#include "core/base/request_path.h"

#include <algorithm>
#include <atomic>

namespace vfskit::virtio {
namespace {

// Spec 2.7.4.1: "A driver MUST NOT create a descriptor chain longer than the Queue Size". Drivers
// of small queues do it all the same with indirect tables, and QEMU's own devices accept up to
// 1024.
constexpr std::uint32_t least_indirect_limit = 1024;
// Spec 2.7.4: "the total length of a chain is at most 2^32 bytes".
constexpr std::uint64_t max_chain_bytes = std::uint64_t{1} << 32;

constexpr std::size_t least_continued = 4096;

// Guest memory changes under us: each field is loaded exactly once.
template <class T>
T load_once(const T& field) {
    return std::atomic_ref<T>{const_cast<T&>(field)}.load(std::memory_order_relaxed);
}

VirtqDesc copy_descriptor(const VirtqDesc& shared) {
    return {load_once(shared.addr),
            load_once(shared.len),
            load_once(shared.flags),
            load_once(shared.next)};
}

bool has_flag(const VirtqDesc& descriptor, std::uint16_t flag) {
    return (descriptor.flags & flag) != 0;
}

bool is_aligned(const std::byte* table) {
    return reinterpret_cast<std::uintptr_t>(table) % alignof(VirtqDesc) == 0;
}

void fetch(const void* bytes) {
    __builtin_prefetch(bytes);
}

void fetch_buffer(const GuestMemory& memory, const VirtqDesc& descriptor) {
    if (const auto bytes = memory.find(GuestAddress{descriptor.addr}, 1); !bytes.empty()) {
        fetch(bytes.data());
    }
}

} // namespace

const char* describe(ChainFault fault) {
    switch (fault) {
    case ChainFault::none:
        return "no fault";
    case ChainFault::head_out_of_range:
        return "its head is outside the descriptor table";
    case ChainFault::next_out_of_range:
        return "its next descriptor is outside the descriptor table";
    case ChainFault::too_long:
        return "it is too long or a loop";
    case ChainFault::unmapped_buffer:
        return "a buffer is outside guest memory";
    case ChainFault::readable_after_writable:
        return "a readable buffer follows a writable one";
    case ChainFault::indirect_not_negotiated:
        return "it is indirect, which was not negotiated";
    case ChainFault::indirect_within_indirect:
        return "an indirect table holds another one";
    case ChainFault::indirect_with_next:
        return "a descriptor follows an indirect one";
    case ChainFault::indirect_table_size:
        return "the size of its indirect table is not valid";
    case ChainFault::indirect_table_unmapped:
        return "its indirect table is outside guest memory or not aligned";
    }
    return "unknown fault";
}

void DescriptorChain::shrink() {
    large_.reset();
    large_capacity_ = 0;
    clear(0);
}

void DescriptorChain::clear(std::uint16_t head) {
    count_ = 0;
    split_ = 0;
    has_writable_ = false;
    head_index_ = head;
    readable_size_ = 0;
    writable_size_ = 0;
}

ChainFault
DescriptorChain::decode(const GuestMemory& memory, const Table& table, std::uint16_t head) {
    clear(head);
    if (head >= table.size) {
        return ChainFault::head_out_of_range;
    }
    const ChainFault fault = walk(memory, table, head, table.size, false);
    if (fault != ChainFault::none) {
        clear(head);
        return fault;
    }
    if (!has_writable_) {
        split_ = count_;
    }
    return ChainFault::none;
}

ChainFault DescriptorChain::walk(const GuestMemory& memory,
                                 const Table& table,
                                 std::uint32_t first,
                                 std::uint32_t limit,
                                 bool within_indirect) {
    std::uint32_t index = first;
    for (std::uint32_t steps = 0; steps < limit; ++steps) {
        const VirtqDesc descriptor = copy_descriptor(table.descriptors[index]);
        if (has_flag(descriptor, VIRTQ_DESC_F_INDIRECT)) {
            return within_indirect ? ChainFault::indirect_within_indirect
                                   : walk_indirect(memory, table, descriptor);
        }
        if (const ChainFault fault = add(memory, descriptor); fault != ChainFault::none) {
            return fault;
        }
        if (!has_flag(descriptor, VIRTQ_DESC_F_NEXT)) {
            return ChainFault::none;
        }
        if (descriptor.next >= table.size) {
            return ChainFault::next_out_of_range;
        }
        index = descriptor.next;
    }
    return ChainFault::too_long;
}

// Spec 2.7.5.3.2: a device handles "zero or more normal chained descriptors followed by a single
// descriptor with flags&VIRTQ_DESC_F_INDIRECT", and ignores the write-only flag of that one.
ChainFault DescriptorChain::walk_indirect(const GuestMemory& memory,
                                          const Table& table,
                                          const VirtqDesc& outer) {
    if (!table.allows_indirect) {
        return ChainFault::indirect_not_negotiated;
    }
    if (has_flag(outer, VIRTQ_DESC_F_NEXT)) {
        return ChainFault::indirect_with_next;
    }
    const auto entries_in_table = static_cast<std::uint32_t>(outer.len / sizeof(VirtqDesc));
    if (outer.len == 0 || outer.len % sizeof(VirtqDesc) != 0) {
        return ChainFault::indirect_table_size;
    }
    const auto bytes = memory.find_whole(GuestAddress{outer.addr}, outer.len);
    // Spec 2.7.5.3.1 asks for no alignment; the fields are loaded atomically, which needs it, and
    // every driver allocates tables aligned.
    if (!bytes || !is_aligned(bytes->data())) {
        return ChainFault::indirect_table_unmapped;
    }
    const Table inner{reinterpret_cast<const VirtqDesc*>(bytes->data()), entries_in_table, false};
    const std::uint32_t limit =
        std::min(entries_in_table, std::max(table.size, least_indirect_limit));
    return walk(memory, inner, 0, limit, true);
}

void DescriptorChain::fetch_descriptor(const Table& table, std::uint16_t head) {
    if (head < table.size) {
        fetch(&table.descriptors[head]);
    }
}

void DescriptorChain::fetch_table(const GuestMemory& memory,
                                  const Table& table,
                                  std::uint16_t head) {
    if (head >= table.size) {
        return;
    }
    // A request is a few descriptors, which may begin in the middle of a cache line.
    constexpr std::size_t cache_line = 64;
    const VirtqDesc outer = copy_descriptor(table.descriptors[head]);
    const auto bytes = memory.find(GuestAddress{outer.addr}, outer.len);
    if (has_flag(outer, VIRTQ_DESC_F_INDIRECT) && !bytes.empty()) {
        fetch(bytes.data());
        fetch(&bytes[std::min(bytes.size() - 1, cache_line)]);
    }
}

void DescriptorChain::fetch_buffers(const GuestMemory& memory,
                                    const Table& table,
                                    std::uint16_t head) {
    if (head >= table.size) {
        return;
    }
    const VirtqDesc outer = copy_descriptor(table.descriptors[head]);
    if (!has_flag(outer, VIRTQ_DESC_F_INDIRECT)) {
        fetch_buffer(memory, outer);
        return;
    }
    // The first two: a header and what follows it.
    constexpr std::size_t wanted = 2 * sizeof(VirtqDesc);
    const auto bytes = memory.find(GuestAddress{outer.addr}, wanted);
    if (bytes.size() == wanted && outer.len >= wanted && is_aligned(bytes.data())) {
        const auto* inner = reinterpret_cast<const VirtqDesc*>(bytes.data());
        fetch_buffer(memory, copy_descriptor(inner[0]));
        fetch_buffer(memory, copy_descriptor(inner[1]));
    }
}

ChainFault DescriptorChain::add(const GuestMemory& memory, const VirtqDesc& descriptor) {
    const bool is_writable = has_flag(descriptor, VIRTQ_DESC_F_WRITE);
    if (is_writable && !has_writable_) {
        has_writable_ = true;
        split_ = count_;
    }
    if (!is_writable && has_writable_) {
        return ChainFault::readable_after_writable;
    }
    (is_writable ? writable_size_ : readable_size_) += descriptor.len;
    if (readable_size_ + writable_size_ > max_chain_bytes) {
        return ChainFault::too_long;
    }
    std::uint64_t address = descriptor.addr;
    std::uint64_t rest = descriptor.len;
    while (rest > 0) {
        const auto bytes = memory.find(GuestAddress{address}, rest);
        if (bytes.empty()) {
            return ChainFault::unmapped_buffer;
        }
        push(bytes, address);
        address += bytes.size();
        rest -= bytes.size();
    }
    return ChainFault::none;
}

void DescriptorChain::push(std::span<std::byte> bytes, std::uint64_t guest_address) {
    if (continues_last(bytes, guest_address)) {
        entries()[count_ - 1].iov_len += bytes.size();
    } else {
        if (count_ == capacity()) {
            grow();
        }
        entries()[count_] = {bytes.data(), bytes.size()};
        ++count_;
    }
    guest_end_ = guest_address + bytes.size();
}

// Guests send data page by page. Copying to or from 256 pages costs the kernel much more than
// copying to or from one buffer of 1 MiB. The guest's addresses count too: a dirty log marks by
// them.
bool DescriptorChain::continues_last(std::span<std::byte> bytes,
                                     std::uint64_t guest_address) const {
    if (count_ == (has_writable_ ? split_ : 0) || guest_address != guest_end_) {
        return false;
    }
    const iovec& last = entries()[count_ - 1];
    return last.iov_len >= least_continued &&
           static_cast<std::byte*>(last.iov_base) + last.iov_len == bytes.data();
}

VFSKIT_OUT_OF_LINE void DescriptorChain::grow() {
    const auto wanted = static_cast<std::uint32_t>(capacity() * 4);
    std::unique_ptr<iovec[]> grown{new iovec[wanted]};
    std::copy_n(entries(), count_, grown.get());
    large_ = std::move(grown);
    large_capacity_ = wanted;
}

} // namespace vfskit::virtio
