// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vhost_user/ring_state.h"
#include "core/vhost_user/served_queue.h"

#include <future>
#include <memory>
#include <optional>

namespace vfskit::vhost_user {

/// One ring as the front-end configures it. Belongs to the session's thread; hands what it knows to
/// a ServedQueue while it is started.
class Vring {
public:
    Vring(QueueIndex index,
          RequestHandler& handler,
          WorkerPool* pool,
          QueueWorker& worker,
          LogSink& log)
        : served_{index, handler, pool, worker, log} {}

    [[nodiscard]] QueueIndex index() const { return served_.index(); }
    [[nodiscard]] RingState state() const { return life_.state(); }
    [[nodiscard]] bool is_started() const { return life_.is_started(); }
    [[nodiscard]] const ServedQueue& served() const { return served_; }

    /// What the rings share. Kept by the session; given with every call that needs it.
    struct Shared {
        std::shared_ptr<const virtio::GuestMemory> memory;
        std::shared_ptr<virtio::DirtyLog> log;
        virtio::RingFeatures features;
        /// Without VHOST_USER_F_PROTOCOL_FEATURES rings start enabled.
        bool starts_enabled = false;
    };

    /// EINVAL for a size that no ring has, EBUSY while started.
    Result<void> set_size(std::uint32_t size);
    /// EBUSY while started.
    Result<void> set_base(std::uint32_t base);
    /// May come while started: that is how logging of the used ring begins and ends.
    Result<void> set_addresses(const virtio::RingAddresses& addresses, const Shared& shared);
    /// An invalid fd: the ring is polled. Starts the ring when its size and addresses are known,
    /// else they start it.
    Result<void> set_kick(UniqueFd fd, const Shared& shared);
    void set_call(UniqueFd fd, const Shared& shared);
    void set_err(UniqueFd fd, const Shared& shared);
    Result<void> set_enabled(bool is_enabled, const Shared& shared);
    /// The shared part changed.
    void update(const Shared& shared);
    /// Starts the ring if it can.
    Result<void> try_start(const Shared& shared);

    /// Begins to stop; nothing more is taken off the ring. finish_stop() waits for what is in
    /// flight and answers the next available index. In two steps, so that many rings drain
    /// together.
    void begin_stop();
    std::uint16_t finish_stop();

private:
    void drop_kick();

    RingLife life_;
    std::uint32_t size_ = 0;
    std::uint16_t base_ = 0;
    std::optional<virtio::RingAddresses> addresses_;
    bool has_kick_ = false;
    UniqueFd kick_fd_;
    std::shared_ptr<const UniqueFd> call_fd_;
    std::shared_ptr<const UniqueFd> err_fd_;
    std::optional<std::future<std::uint16_t>> stopped_;
    ServedQueue served_;
};

} // namespace vfskit::vhost_user
