// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/virtio/descriptor_chain.h"
#include "core/virtio/dirty_log.h"
#include "core/virtio/guest_memory.h"

#include <cstdint>
#include <optional>
#include <string>

namespace vfskit::virtio {

struct RingAddresses {
    UserAddress descriptor_table{};
    UserAddress available{};
    UserAddress used{};
    /// Where used-ring writes are logged (VHOST_VRING_F_LOG). Without it they are logged where the
    /// used ring lies in the guest.
    std::optional<GuestAddress> used_log;

    bool operator==(const RingAddresses&) const = default;
};

struct RingFeatures {
    bool indirect_desc = false;
    bool event_idx = false;

    bool operator==(const RingFeatures&) const = default;
};

enum class PopStatus {
    chain,  ///< `chain` holds the next request
    empty,  ///< the driver offered nothing more
    broken, ///< the ring or the chain lies; nothing more is popped until it is set up again
};

/// The device's side of one split virtqueue. Owned by one thread; takes no lock and makes no system
/// call. What outlives a request here is next_avail() and next_used() and nothing else.
class Virtqueue {
public:
    /// `size` is a power of two up to max_queue_size (is_valid_size).
    Virtqueue(std::uint32_t size, RingFeatures features) : size_{size}, features_{features} {}
    static bool is_valid_size(std::uint32_t size);

    /// Finds the three parts of the ring. EFAULT when one is not whole in guest memory, EINVAL when
    /// one is not aligned. next_avail stays; next_used is read from the ring the first time.
    Result<void> map(const GuestMemory& memory, const RingAddresses& addresses);
    void unmap();
    [[nodiscard]] bool is_mapped() const { return used_ != nullptr; }

    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] RingFeatures features() const { return features_; }
    [[nodiscard]] std::uint16_t next_avail() const { return next_avail_; }
    void set_next_avail(std::uint16_t index);
    [[nodiscard]] std::uint16_t next_used() const { return next_used_; }

    /// Takes the next chain. Precondition: is_mapped(); `memory` is the one given to map().
    PopStatus pop(const GuestMemory& memory, DescriptorChain& chain);
    /// The available ring's index: one past the last chain offered. Precondition: is_mapped().
    [[nodiscard]] std::uint16_t offered_index() const;
    /// Chains offered and not popped, by the driver's own word: more than the ring holds if it
    /// lies. Precondition: is_mapped().
    [[nodiscard]] std::uint16_t available_count() const;
    [[nodiscard]] bool has_available() const;
    [[nodiscard]] bool is_broken() const { return !fault_.empty(); }
    /// Why it is broken, a sentence for the operator.
    [[nodiscard]] const std::string& fault() const { return fault_; }

    /// Puts a finished chain on the used ring; the driver sees it after show_used().
    void add_used(std::uint16_t head_index, std::uint32_t written, DirtyLog* log);
    /// Shows the driver every used entry added since.
    void show_used(DirtyLog* log);
    /// Whether the driver wants a notification of what it was shown since the last such question.
    /// To be asked before waiting for the driver.
    [[nodiscard]] bool wants_notification();

    /// Asks the driver for a kick at the next chain. Answers true when there is one already: then
    /// no kick may come and the caller pops again.
    [[nodiscard]] bool enable_notifications(DirtyLog* log);
    /// Tells the driver that kicks are not needed. A hint: kicks may come all the same.
    void disable_notifications(DirtyLog* log);

private:
    void mark_used(DirtyLog* log, std::size_t offset, std::size_t length) const;
    PopStatus fail(std::string fault);
    [[nodiscard]] std::uint16_t offered_head(std::uint16_t index) const;
    [[nodiscard]] DescriptorChain::Table table() const;
    void look_ahead(const GuestMemory& memory) const;

    std::uint32_t size_;
    RingFeatures features_;
    VirtqDesc* descriptors_ = nullptr;
    VirtqHeader* available_ = nullptr;
    VirtqHeader* used_ = nullptr;
    std::optional<GuestAddress> used_log_;
    std::uint16_t next_avail_ = 0;
    std::uint16_t seen_avail_ = 0;
    std::uint16_t next_used_ = 0;
    std::uint16_t signalled_used_ = 0;
    bool has_signalled_ = false;
    bool has_loaded_used_ = false;
    bool wants_kicks_ = true;
    std::string fault_;
};

} // namespace vfskit::virtio
