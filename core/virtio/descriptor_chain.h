// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/virtio/guest_memory.h"
#include "core/virtio/ring_layout.h"

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace vfskit::virtio {

/// Why a chain cannot be served. The text for the operator is describe(ChainFault).
enum class ChainFault {
    none,
    head_out_of_range,
    next_out_of_range,
    too_long,
    unmapped_buffer,
    readable_after_writable,
    indirect_not_negotiated,
    indirect_within_indirect,
    indirect_with_next,
    indirect_table_size,
    indirect_table_unmapped,
};
const char* describe(ChainFault fault);

/// One request as the driver offered it: what the device may read, then what it may write, as
/// iovecs in our address space, every byte of them checked to be guest memory. A buffer that spans
/// two regions becomes two iovecs; one of length 0 becomes none; one that continues a buffer of a
/// page or more becomes part of it (smaller ones are headers, at whose borders their reader cuts).
/// Reused for request after request: the storage grows to the longest chain seen and stays. Not
/// thread-safe.
class DescriptorChain {
public:
    [[nodiscard]] std::uint16_t head_index() const { return head_index_; }
    [[nodiscard]] std::span<const iovec> readable() const { return {entries(), split_}; }
    [[nodiscard]] std::span<const iovec> writable() const {
        return {entries() + split_, count_ - split_};
    }
    /// Sums of the lengths; at most 2^32 each.
    [[nodiscard]] std::uint64_t readable_size() const { return readable_size_; }
    [[nodiscard]] std::uint64_t writable_size() const { return writable_size_; }

    /// iovecs that fit without a further allocation; what shrink() gives back.
    [[nodiscard]] std::size_t capacity() const { return large_ ? large_capacity_ : small_.size(); }
    void shrink();

    struct Table {
        const VirtqDesc* descriptors; // at least `size` of them, in guest memory
        std::uint32_t size;
        bool allows_indirect;
    };
    /// Walks the chain that starts at `head`. Each descriptor is copied out of guest memory once
    /// and then judged, so a driver that rewrites it meanwhile gains nothing. After a fault the
    /// chain is empty. Cost: no lock, no allocation once the storage has grown.
    ChainFault decode(const GuestMemory& memory, const Table& table, std::uint16_t head);

    /// Steps on the way to the bytes of a chain that will be decoded soon. Each loads what the step
    /// before it asked the CPU to fetch and asks for what comes next. Hints: nothing is judged.
    static void fetch_descriptor(const Table& table, std::uint16_t head);
    static void fetch_table(const GuestMemory& memory, const Table& table, std::uint16_t head);
    static void fetch_buffers(const GuestMemory& memory, const Table& table, std::uint16_t head);

private:
    [[nodiscard]] const iovec* entries() const { return large_ ? large_.get() : small_.data(); }
    [[nodiscard]] iovec* entries() { return large_ ? large_.get() : small_.data(); }

    void clear(std::uint16_t head);
    ChainFault walk(const GuestMemory& memory,
                    const Table& table,
                    std::uint32_t first,
                    std::uint32_t limit,
                    bool within_indirect);
    ChainFault walk_indirect(const GuestMemory& memory, const Table& table, const VirtqDesc& outer);
    ChainFault add(const GuestMemory& memory, const VirtqDesc& descriptor);
    void push(std::span<std::byte> bytes, std::uint64_t guest_address);
    [[nodiscard]] bool continues_last(std::span<std::byte> bytes,
                                      std::uint64_t guest_address) const;
    void grow();

    // A FUSE request without data has four buffers, one with 4 KiB of data five.
    std::array<iovec, 16> small_;
    std::unique_ptr<iovec[]> large_;
    std::uint32_t large_capacity_ = 0;
    std::uint32_t count_ = 0;
    std::uint32_t split_ = 0;
    bool has_writable_ = false;
    std::uint16_t head_index_ = 0;
    std::uint64_t readable_size_ = 0;
    std::uint64_t writable_size_ = 0;
    std::uint64_t guest_end_ = 0; ///< of the last iovec
};

} // namespace vfskit::virtio
