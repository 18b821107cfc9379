// SPDX-License-Identifier: Apache-2.0
#include "core/virtio/virtqueue.h"

#include "core/base/request_path.h"
#include "core/virtio/fence.h"

#include <fmt/core.h>

#include <atomic>
#include <cerrno>

namespace vfskit::virtio {
namespace {

template <class T>
T load(const T* field, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref<T>{*const_cast<T*>(field)}.load(order);
}

template <class T>
void store(T* field, T value, std::memory_order order = std::memory_order_relaxed) {
    std::atomic_ref<T>{*field}.store(value, order);
}

std::uint16_t* available_entries(VirtqHeader* ring) {
    return reinterpret_cast<std::uint16_t*>(ring + 1);
}

VirtqUsedElem* used_entries(VirtqHeader* ring) {
    return reinterpret_cast<VirtqUsedElem*>(ring + 1);
}

Result<void*> find_part(const GuestMemory& memory,
                        const char* name,
                        UserAddress address,
                        std::size_t size,
                        std::size_t alignment) {
    const auto bytes = memory.find_whole(address, size);
    if (!bytes) {
        return Error{EFAULT,
                     fmt::format("The {} at user address {:#x} ({} bytes) is not in guest memory",
                                 name,
                                 to_integer(address),
                                 size)};
    }
    if (reinterpret_cast<std::uintptr_t>(bytes->data()) % alignment != 0) {
        return Error{EINVAL,
                     fmt::format("The {} at user address {:#x} is not aligned to {} bytes",
                                 name,
                                 to_integer(address),
                                 alignment)};
    }
    return static_cast<void*>(bytes->data());
}

constexpr std::uint16_t distance(std::uint16_t from, std::uint16_t to) {
    return static_cast<std::uint16_t>(to - from);
}

// Spec 2.7.10: the driver wants a notification when the index passed `event` since the last one.
constexpr bool is_event_passed(std::uint16_t event, std::uint16_t now, std::uint16_t before) {
    return distance(static_cast<std::uint16_t>(event + 1), now) < distance(before, now);
}

} // namespace

bool Virtqueue::is_valid_size(std::uint32_t size) {
    return size != 0 && size <= max_queue_size && (size & (size - 1)) == 0;
}

Result<void> Virtqueue::map(const GuestMemory& memory, const RingAddresses& addresses) {
    VFSKIT_TRY_ASSIGN(void* table,
                      find_part(memory,
                                "descriptor table",
                                addresses.descriptor_table,
                                descriptor_table_bytes(size_),
                                alignof(VirtqDesc)));
    VFSKIT_TRY_ASSIGN(void* available,
                      find_part(memory,
                                "available ring",
                                addresses.available,
                                available_ring_bytes(size_),
                                alignof(VirtqHeader)));
    VFSKIT_TRY_ASSIGN(
        void* used,
        find_part(
            memory, "used ring", addresses.used, used_ring_bytes(size_), alignof(VirtqUsedElem)));
    descriptors_ = static_cast<VirtqDesc*>(table);
    available_ = static_cast<VirtqHeader*>(available);
    used_ = static_cast<VirtqHeader*>(used);
    used_log_ = addresses.used_log ? addresses.used_log : memory.guest_address_of(used);
    seen_avail_ = next_avail_;
    wants_kicks_ = true;
    if (!has_loaded_used_) {
        // SET_VRING_BASE gives the available index only; what was used is in guest memory.
        next_used_ = load(&used_->idx);
        has_loaded_used_ = true;
    }
    return {};
}

void Virtqueue::unmap() {
    descriptors_ = nullptr;
    available_ = nullptr;
    used_ = nullptr;
}

void Virtqueue::set_next_avail(std::uint16_t index) {
    next_avail_ = index;
    seen_avail_ = index;
}

std::uint16_t Virtqueue::offered_index() const {
    return load(&available_->idx, std::memory_order_acquire);
}

std::uint16_t Virtqueue::available_count() const {
    return distance(next_avail_, offered_index());
}

bool Virtqueue::has_available() const {
    return seen_avail_ != next_avail_ || available_count() != 0;
}

PopStatus Virtqueue::pop(const GuestMemory& memory, DescriptorChain& chain) {
    if (is_broken()) {
        return PopStatus::broken;
    }
    if (seen_avail_ == next_avail_) {
        // Pairs with the driver's release of idx: the entries and descriptors before it are
        // visible.
        seen_avail_ = load(&available_->idx, std::memory_order_acquire);
        if (seen_avail_ == next_avail_) {
            return PopStatus::empty;
        }
        order_through_guest();
        if (distance(next_avail_, seen_avail_) > size_) {
            return fail(fmt::format("The driver offers {} chains in a ring of {}",
                                    distance(next_avail_, seen_avail_),
                                    size_));
        }
    }
    const std::uint16_t head = offered_head(next_avail_);
    const ChainFault fault = chain.decode(memory, table(), head);
    if (fault != ChainFault::none) {
        return fail(fmt::format("Descriptor chain {} cannot be served: {}", head, describe(fault)));
    }
    ++next_avail_;
    look_ahead(memory);
    return PopStatus::chain;
}

std::uint16_t Virtqueue::offered_head(std::uint16_t index) const {
    return load(&available_entries(available_)[index & (size_ - 1)]);
}

DescriptorChain::Table Virtqueue::table() const {
    return {descriptors_, size_, features_.indirect_desc};
}

// The driver wrote descriptors, tables and requests on another CPU, and reading each of them waits
// for that CPU's cache. So while a request is served, the next ones come nearer by one step each.
void Virtqueue::look_ahead(const GuestMemory& memory) const {
    const std::uint16_t offered = distance(next_avail_, seen_avail_);
    const auto head = [this](unsigned steps) {
        return offered_head(static_cast<std::uint16_t>(next_avail_ + steps));
    };
    if (offered > 2) {
        DescriptorChain::fetch_descriptor(table(), head(2));
    }
    if (offered > 1) {
        DescriptorChain::fetch_table(memory, table(), head(1));
    }
    if (offered > 0) {
        DescriptorChain::fetch_buffers(memory, table(), head(0));
    }
}

VFSKIT_OUT_OF_LINE PopStatus Virtqueue::fail(std::string fault) {
    fault_ = std::move(fault);
    return PopStatus::broken;
}

void Virtqueue::mark_used(DirtyLog* log, std::size_t offset, std::size_t length) const {
    if (log != nullptr && used_log_) {
        log->mark(GuestAddress{to_integer(*used_log_) + offset}, length);
    }
}

void Virtqueue::add_used(std::uint16_t head_index, std::uint32_t written, DirtyLog* log) {
    const std::uint32_t position = next_used_ & (size_ - 1);
    VirtqUsedElem* entry = &used_entries(used_)[position];
    store(&entry->id, std::uint32_t{head_index});
    store(&entry->len, written);
    ++next_used_;
    mark_used(log, sizeof(VirtqHeader) + position * sizeof(VirtqUsedElem), sizeof(VirtqUsedElem));
}

void Virtqueue::show_used(DirtyLog* log) {
    order_through_guest();
    store(&used_->idx, next_used_, std::memory_order_release);
    mark_used(log, offsetof(VirtqHeader, idx), sizeof(used_->idx));
}

bool Virtqueue::wants_notification() {
    // The driver writes its wish and then reads idx; we write idx and then read its wish. Without a
    // full fence both could read the old value and the driver would sleep on a finished request.
    full_fence();
    if (!features_.event_idx) {
        return (load(&available_->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
    }
    const std::uint16_t before = signalled_used_;
    const bool had_signalled = has_signalled_;
    signalled_used_ = next_used_;
    has_signalled_ = true;
    const std::uint16_t used_event = load(&available_entries(available_)[size_]);
    return !had_signalled || is_event_passed(used_event, next_used_, before);
}

bool Virtqueue::enable_notifications(DirtyLog* log) {
    wants_kicks_ = true;
    if (features_.event_idx) {
        auto* avail_event = reinterpret_cast<std::uint16_t*>(used_entries(used_) + size_);
        store(avail_event, next_avail_);
        mark_used(log, sizeof(VirtqHeader) + size_ * sizeof(VirtqUsedElem), sizeof(std::uint16_t));
    } else {
        store(&used_->flags, std::uint16_t{0});
        mark_used(log, offsetof(VirtqHeader, flags), sizeof(used_->flags));
    }
    // As in wants_notification(): our wish first, then the driver's index.
    full_fence();
    return has_available();
}

void Virtqueue::disable_notifications(DirtyLog* log) {
    // With EVENT_IDX an avail_event that lies behind is enough: the driver kicks only on passing
    // it.
    if (!wants_kicks_ || features_.event_idx) {
        return;
    }
    wants_kicks_ = false;
    store(&used_->flags, VIRTQ_USED_F_NO_NOTIFY);
    mark_used(log, offsetof(VirtqHeader, flags), sizeof(used_->flags));
}

} // namespace vfskit::virtio
