// SPDX-License-Identifier: Apache-2.0
// The inside of BackendSession, in a header of its own because its methods fill two files.
#pragma once

#include "core/vhost_user/device_state_transfer.h"
#include "core/vhost_user/message.h"
#include "core/vhost_user/queue_worker.h"
#include "core/vhost_user/session.h"
#include "core/vhost_user/vring.h"
#include "core/vhost_user/worker_pool.h"

#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace vfskit::vhost_user {

/// The payload of a reply, or nothing for a message that only may be acknowledged.
using Reply = std::optional<std::vector<std::byte>>;

class BackendSession::Impl {
public:
    Impl(UniqueFd socket,
         const SessionOptions& options,
         RequestHandler& handler,
         DeviceStateHandler* device_state,
         SessionObserver& observer,
         LogSink& log);
    ~Impl();

    Result<void> serve();
    void stop() const;
    [[nodiscard]] std::vector<QueueStatus> queue_status() const;

private:
    using Method = Result<Reply> (Impl::*)(Message&);
    struct Entry;

    // session.cpp: the loop, the answers, the end.
    Result<bool> wait_for_message() const;
    Result<void> answer(Message& message);
    Result<void> send_reply(std::uint32_t request, std::span<const std::byte> payload);
    Result<void> send_failure(const Message& message);
    void report(LogLevel level, const std::string& line);
    void tear_down();

    // session_messages.cpp: one method per message.
    static const Entry* find_entry(std::uint32_t request);
    Result<Reply> dispatch(Message& message);
    Result<Reply> get_features(Message& message);
    Result<Reply> set_features(Message& message);
    Result<Reply> get_protocol_features(Message& message);
    Result<Reply> set_protocol_features(Message& message);
    Result<Reply> set_owner(Message& message);
    Result<Reply> reset_owner(Message& message);
    Result<Reply> reset_device(Message& message);
    Result<Reply> get_queue_num(Message& message);
    Result<Reply> get_max_mem_slots(Message& message);
    Result<Reply> set_mem_table(Message& message);
    Result<Reply> add_mem_reg(Message& message);
    Result<Reply> rem_mem_reg(Message& message);
    Result<Reply> set_log_base(Message& message);
    Result<Reply> set_log_fd(Message& message);
    Result<Reply> set_vring_num(Message& message);
    Result<Reply> set_vring_addr(Message& message);
    Result<Reply> set_vring_base(Message& message);
    Result<Reply> get_vring_base(Message& message);
    Result<Reply> set_vring_kick(Message& message);
    Result<Reply> set_vring_call(Message& message);
    Result<Reply> set_vring_err(Message& message);
    Result<Reply> set_vring_enable(Message& message);
    Result<Reply> set_backend_req_fd(Message& message);
    Result<Reply> get_config(Message& message);
    Result<Reply> set_config(Message& message);
    Result<Reply> get_inflight_fd(Message& message);
    Result<Reply> set_status(Message& message);
    Result<Reply> get_status(Message& message);
    Result<Reply> set_device_state_fd(Message& message);
    Result<Reply> check_device_state(Message& message);

    [[nodiscard]] std::uint64_t offered_features() const;
    [[nodiscard]] std::uint64_t offered_protocol_features() const;
    [[nodiscard]] bool has_protocol_feature(unsigned bit) const;
    [[nodiscard]] Vring::Shared shared() const;
    void set_memory(std::shared_ptr<const virtio::GuestMemory> memory);
    void update_rings();
    void stop_rings();
    void reset();
    Result<Vring*> find_vring(std::uint64_t index);
    Result<QueueWorker*> find_worker(QueueIndex index);
    Result<void> check_transfer(TransferDirection direction) const;

    const UniqueFd socket_;
    const UniqueFd stop_fd_;
    MessageSocket messages_;
    const SessionOptions options_;
    RequestHandler& handler_;
    SessionObserver& observer_;
    LogSink& log_;

    std::uint64_t acked_features_ = 0;
    std::uint64_t acked_protocol_features_ = 0;
    std::uint64_t device_status_ = 0;
    std::shared_ptr<const virtio::GuestMemory> memory_;
    std::shared_ptr<virtio::DirtyLog> log_base_;
    UniqueFd backend_channel_;
    std::optional<DeviceStateTransfer> transfer_;
    unsigned reported_ = 0;

    // Destroyed in reverse: rings, then the pool and the threads that served them.
    SpareCpus spare_cpus_{std::thread::hardware_concurrency()};
    std::unique_ptr<QueueWorker> hiprio_worker_;
    std::vector<std::unique_ptr<QueueWorker>> request_workers_;
    std::unique_ptr<WorkerPool> pool_;
    // Protects the vector's elements against queue_status(); only the session's thread changes
    // them.
    mutable std::mutex vrings_mutex_;
    std::vector<std::unique_ptr<Vring>> vrings_;
};

} // namespace vfskit::vhost_user
