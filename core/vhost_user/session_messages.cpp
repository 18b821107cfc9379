// SPDX-License-Identifier: Apache-2.0
#include "core/base/bytes.h"
#include "core/vhost_user/session_impl.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace vfskit::vhost_user {
namespace {

constexpr std::uint64_t bit(unsigned position) {
    return std::uint64_t{1} << position;
}

constexpr std::uint64_t all_features =
    bit(VHOST_F_LOG_ALL) | bit(virtio::VIRTIO_F_INDIRECT_DESC) | bit(virtio::VIRTIO_F_EVENT_IDX) |
    bit(VHOST_USER_F_PROTOCOL_FEATURES) | bit(virtio::VIRTIO_F_VERSION_1);
static_assert(all_features == 0x174000000);

// STATUS is answered but not offered: a front-end that has it resets by status instead of
// RESET_DEVICE, a path that no deployed pair of QEMU and virtiofs back-end takes.
constexpr std::uint64_t base_protocol_features =
    bit(VHOST_USER_PROTOCOL_F_MQ) | bit(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
    bit(VHOST_USER_PROTOCOL_F_REPLY_ACK) | bit(VHOST_USER_PROTOCOL_F_BACKEND_REQ) |
    bit(VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD) | bit(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
    bit(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS);
static_assert((base_protocol_features | bit(VHOST_USER_PROTOCOL_F_DEVICE_STATE)) == 0x8a42b);

// What upstream answers; QEMU asks for no more than 512.
constexpr std::uint64_t max_mem_slots = 509;

template <class T>
Reply reply_with(const T& value) {
    base::ByteWriter writer;
    writer.write(value);
    return std::move(writer).take();
}

/// The payload as exactly one T.
template <class T>
Result<T> payload_as(const Message& message) {
    if (message.payload.size() != sizeof(T)) {
        return Error{EBADMSG,
                     fmt::format("The payload has {} bytes instead of {}",
                                 message.payload.size(),
                                 sizeof(T))};
    }
    base::ByteReader reader{message.payload};
    return reader.read<T>("payload");
}

Result<UniqueFd> only_fd(Message& message) {
    if (message.fds.size() != 1) {
        return Error{EBADMSG,
                     fmt::format("It came with {} descriptors instead of one", message.fds.size())};
    }
    return std::move(message.fds.front());
}

virtio::RegionLayout layout_of(const VhostUserMemoryRegion& wire) {
    return {virtio::GuestAddress{wire.guest_phys_addr},
            wire.memory_size,
            virtio::UserAddress{wire.userspace_addr},
            wire.mmap_offset};
}

Result<std::shared_ptr<virtio::DirtyLog>> map_log(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostUserLog>(message));
    VFSKIT_TRY_ASSIGN(const UniqueFd fd, only_fd(message));
    return virtio::DirtyLog::map(fd.get(), wire.mmap_size, wire.mmap_offset);
}

struct VringFd {
    std::uint64_t index;
    UniqueFd fd;
};

// SET_VRING_KICK, CALL and ERR: the index, and the descriptor unless bit 8 says that there is none.
Result<VringFd> vring_fd(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto value, payload_as<std::uint64_t>(message));
    VringFd result{value & VHOST_USER_VRING_IDX_MASK, UniqueFd{}};
    if ((value & VHOST_USER_VRING_NOFD_MASK) == 0) {
        VFSKIT_TRY_ASSIGN(result.fd, only_fd(message));
    }
    return result;
}

} // namespace

struct BackendSession::Impl::Entry {
    std::uint32_t request;
    Method method;
};

const BackendSession::Impl::Entry* BackendSession::Impl::find_entry(std::uint32_t request) {
    static constexpr std::array entries{
        Entry{VHOST_USER_GET_FEATURES, &Impl::get_features},
        Entry{VHOST_USER_SET_FEATURES, &Impl::set_features},
        Entry{VHOST_USER_SET_OWNER, &Impl::set_owner},
        Entry{VHOST_USER_RESET_OWNER, &Impl::reset_owner},
        Entry{VHOST_USER_SET_MEM_TABLE, &Impl::set_mem_table},
        Entry{VHOST_USER_SET_LOG_BASE, &Impl::set_log_base},
        Entry{VHOST_USER_SET_LOG_FD, &Impl::set_log_fd},
        Entry{VHOST_USER_SET_VRING_NUM, &Impl::set_vring_num},
        Entry{VHOST_USER_SET_VRING_ADDR, &Impl::set_vring_addr},
        Entry{VHOST_USER_SET_VRING_BASE, &Impl::set_vring_base},
        Entry{VHOST_USER_GET_VRING_BASE, &Impl::get_vring_base},
        Entry{VHOST_USER_SET_VRING_KICK, &Impl::set_vring_kick},
        Entry{VHOST_USER_SET_VRING_CALL, &Impl::set_vring_call},
        Entry{VHOST_USER_SET_VRING_ERR, &Impl::set_vring_err},
        Entry{VHOST_USER_GET_PROTOCOL_FEATURES, &Impl::get_protocol_features},
        Entry{VHOST_USER_SET_PROTOCOL_FEATURES, &Impl::set_protocol_features},
        Entry{VHOST_USER_GET_QUEUE_NUM, &Impl::get_queue_num},
        Entry{VHOST_USER_SET_VRING_ENABLE, &Impl::set_vring_enable},
        Entry{VHOST_USER_SET_BACKEND_REQ_FD, &Impl::set_backend_req_fd},
        Entry{VHOST_USER_GET_CONFIG, &Impl::get_config},
        Entry{VHOST_USER_SET_CONFIG, &Impl::set_config},
        Entry{VHOST_USER_GET_INFLIGHT_FD, &Impl::get_inflight_fd},
        Entry{VHOST_USER_RESET_DEVICE, &Impl::reset_device},
        Entry{VHOST_USER_GET_MAX_MEM_SLOTS, &Impl::get_max_mem_slots},
        Entry{VHOST_USER_ADD_MEM_REG, &Impl::add_mem_reg},
        Entry{VHOST_USER_REM_MEM_REG, &Impl::rem_mem_reg},
        Entry{VHOST_USER_SET_STATUS, &Impl::set_status},
        Entry{VHOST_USER_GET_STATUS, &Impl::get_status},
        Entry{VHOST_USER_SET_DEVICE_STATE_FD, &Impl::set_device_state_fd},
        Entry{VHOST_USER_CHECK_DEVICE_STATE, &Impl::check_device_state},
    };
    const auto* found = std::find_if(entries.begin(), entries.end(), [request](const Entry& entry) {
        return entry.request == request;
    });
    return found == entries.end() ? nullptr : found;
}

Result<Reply> BackendSession::Impl::dispatch(Message& message) {
    const Entry* entry = find_entry(message.request);
    if (entry == nullptr) {
        return Error{EOPNOTSUPP, "This back-end has no such message"};
    }
    return (this->*entry->method)(message);
}

// Features.

std::uint64_t BackendSession::Impl::offered_features() const {
    return all_features;
}

std::uint64_t BackendSession::Impl::offered_protocol_features() const {
    return base_protocol_features | (transfer_ ? bit(VHOST_USER_PROTOCOL_F_DEVICE_STATE) : 0) |
           (options_.config_space.empty() ? 0 : bit(VHOST_USER_PROTOCOL_F_CONFIG));
}

bool BackendSession::Impl::has_protocol_feature(unsigned position) const {
    return (acked_protocol_features_ & bit(position)) != 0;
}

Result<Reply> BackendSession::Impl::get_features(Message& /*message*/) {
    return reply_with(offered_features());
}

Result<Reply> BackendSession::Impl::set_features(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto features, payload_as<std::uint64_t>(message));
    if ((features & ~offered_features()) != 0) {
        return Error{EINVAL,
                     fmt::format("Features {:#x} were acknowledged and never offered",
                                 features & ~offered_features())};
    }
    const std::uint64_t changed = acked_features_ ^ features;
    acked_features_ = features;
    if ((changed & (bit(VHOST_F_LOG_ALL) | bit(VHOST_USER_F_PROTOCOL_FEATURES))) != 0) {
        update_rings();
    }
    if ((changed & bit(VHOST_F_LOG_ALL)) != 0) {
        (features & bit(VHOST_F_LOG_ALL)) != 0 ? observer_.migration_started()
                                               : observer_.migration_stopped();
    }
    return Reply{};
}

Result<Reply> BackendSession::Impl::get_protocol_features(Message& /*message*/) {
    return reply_with(offered_protocol_features());
}

Result<Reply> BackendSession::Impl::set_protocol_features(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto features, payload_as<std::uint64_t>(message));
    acked_protocol_features_ = features & offered_protocol_features();
    if (acked_protocol_features_ != features) {
        return Error{EINVAL,
                     fmt::format("Protocol features {:#x} were acknowledged and never offered",
                                 features & ~offered_protocol_features())};
    }
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_owner(Message& /*message*/) {
    return Reply{};
}

// Spec: deprecated; "it is recommended that back-ends either ignore this message, or use it to
// disable all rings".
Result<Reply> BackendSession::Impl::reset_owner(Message& /*message*/) {
    for (const auto& vring : vrings_) {
        if (vring != nullptr) {
            VFSKIT_TRY(vring->set_enabled(false, shared()));
        }
    }
    return Reply{};
}

Result<Reply> BackendSession::Impl::reset_device(Message& /*message*/) {
    reset();
    return Reply{};
}

void BackendSession::Impl::reset() {
    stop_rings();
    const bool was_migrating = (acked_features_ & bit(VHOST_F_LOG_ALL)) != 0;
    acked_features_ = 0;
    device_status_ = 0;
    for (const auto& vring : vrings_) {
        if (vring != nullptr) {
            // Disabling a stopped ring is a note for its next start and cannot fail.
            static_cast<void>(vring->set_enabled(false, shared()));
        }
    }
    if (was_migrating) {
        observer_.migration_stopped();
    }
    observer_.device_reset();
}

Result<Reply> BackendSession::Impl::get_queue_num(Message& /*message*/) {
    return reply_with(static_cast<std::uint64_t>(vrings_.size()));
}

Result<Reply> BackendSession::Impl::set_status(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto status, payload_as<std::uint64_t>(message));
    if (status == 0) {
        reset();
    }
    device_status_ = status & 0xff;
    return Reply{};
}

Result<Reply> BackendSession::Impl::get_status(Message& /*message*/) {
    return reply_with(device_status_);
}

// Memory.

Result<Reply> BackendSession::Impl::get_max_mem_slots(Message& /*message*/) {
    return reply_with(max_mem_slots);
}

Result<Reply> BackendSession::Impl::set_mem_table(Message& message) {
    base::ByteReader reader{message.payload};
    VFSKIT_TRY_ASSIGN(const auto header, reader.read<VhostUserMemoryHeader>("region count"));
    if (header.nregions > VHOST_USER_MAX_RAM_SLOTS_BASELINE ||
        header.nregions != message.fds.size()) {
        return Error{EBADMSG,
                     fmt::format("The table has {} regions and {} descriptors",
                                 header.nregions,
                                 message.fds.size())};
    }
    std::vector<std::shared_ptr<const virtio::MemoryRegion>> regions;
    for (const UniqueFd& fd : message.fds) {
        VFSKIT_TRY_ASSIGN(const auto wire, reader.read<VhostUserMemoryRegion>("region"));
        VFSKIT_TRY_ASSIGN(auto region, virtio::MemoryRegion::map(layout_of(wire), fd.get()));
        regions.push_back(std::move(region));
    }
    VFSKIT_TRY_ASSIGN(auto memory, virtio::GuestMemory::make(std::move(regions)));
    set_memory(std::move(memory));
    return Reply{};
}

Result<Reply> BackendSession::Impl::add_mem_reg(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostUserSingleMemoryRegion>(message));
    VFSKIT_TRY_ASSIGN(const UniqueFd fd, only_fd(message));
    if (memory_->region_count() >= max_mem_slots) {
        return Error{ENOSPC, fmt::format("There are {} memory regions already", max_mem_slots)};
    }
    VFSKIT_TRY_ASSIGN(auto region, virtio::MemoryRegion::map(layout_of(wire.region), fd.get()));
    VFSKIT_TRY_ASSIGN(auto memory, memory_->with(std::move(region)));
    set_memory(std::move(memory));
    return Reply{};
}

// A descriptor that comes along is closed: the specification says that some front-ends send one.
Result<Reply> BackendSession::Impl::rem_mem_reg(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostUserSingleMemoryRegion>(message));
    VFSKIT_TRY_ASSIGN(auto memory, memory_->without(layout_of(wire.region)));
    set_memory(std::move(memory));
    return Reply{};
}

void BackendSession::Impl::set_memory(std::shared_ptr<const virtio::GuestMemory> memory) {
    memory_ = std::move(memory);
    update_rings();
}

Result<Reply> BackendSession::Impl::set_log_base(Message& message) {
    auto log = map_log(message);
    // One step from the old log to the new one: a request finished meanwhile is marked in one of
    // them. Without a new one the old is not ours to write any more; see check_transfer().
    log_base_ = log ? std::move(*log) : nullptr;
    update_rings();
    if (!log) {
        return std::move(log).error();
    }
    if (!has_protocol_feature(VHOST_USER_PROTOCOL_F_LOG_SHMFD)) {
        return Reply{};
    }
    return Reply{message.payload};
}

// Its eventfd would tell the front-end that the log was written to; nobody listens to it.
Result<Reply> BackendSession::Impl::set_log_fd(Message& message) {
    VFSKIT_TRY(only_fd(message));
    return Reply{};
}

// Rings.

Vring::Shared BackendSession::Impl::shared() const {
    const bool is_logging = (acked_features_ & bit(VHOST_F_LOG_ALL)) != 0;
    return {memory_,
            is_logging ? log_base_ : nullptr,
            {(acked_features_ & bit(virtio::VIRTIO_F_INDIRECT_DESC)) != 0,
             (acked_features_ & bit(virtio::VIRTIO_F_EVENT_IDX)) != 0},
            (acked_features_ & bit(VHOST_USER_F_PROTOCOL_FEATURES)) == 0};
}

void BackendSession::Impl::update_rings() {
    const Vring::Shared now = shared();
    for (const auto& vring : vrings_) {
        if (vring != nullptr) {
            vring->update(now);
        }
    }
}

Result<Vring*> BackendSession::Impl::find_vring(std::uint64_t index) {
    if (index >= vrings_.size()) {
        return Error{EINVAL,
                     fmt::format("There is no queue {}; the device has {}", index, vrings_.size())};
    }
    auto& vring = vrings_[index];
    if (vring == nullptr) {
        const auto queue = static_cast<QueueIndex>(index);
        VFSKIT_TRY_ASSIGN(QueueWorker * worker, find_worker(queue));
        const std::lock_guard lock{vrings_mutex_};
        vring = std::make_unique<Vring>(queue, handler_, pool_.get(), *worker, log_);
    }
    return vring.get();
}

// Threads are made when a queue first needs one: a guest with one request queue costs two.
Result<QueueWorker*> BackendSession::Impl::find_worker(QueueIndex index) {
    const auto start = [this](const char* name,
                              std::unique_ptr<QueueWorker>& worker,
                              std::chrono::microseconds poll_limit) {
        Result<QueueWorker*> result{worker.get()};
        if (worker == nullptr) {
            auto started = QueueWorker::start(name, handler_, spare_cpus_, poll_limit);
            if (!started) {
                return Result<QueueWorker*>{std::move(started).error()};
            }
            worker = std::move(*started);
            result = worker.get();
        }
        return result;
    };
    if (index == hiprio_queue) {
        // Nobody waits for the answer to a FORGET.
        return start("vfs-hiprio", hiprio_worker_, std::chrono::microseconds{0});
    }
    const std::size_t wanted =
        queue_thread_count(options_.queue_threads, std::thread::hardware_concurrency());
    request_workers_.resize(std::max<std::size_t>(request_workers_.size(), wanted));
    return start(
        "vfs-queue", request_workers_[(to_integer(index) - 1U) % wanted], options_.poll_limit);
}

Result<Reply> BackendSession::Impl::set_vring_num(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostVringState>(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    VFSKIT_TRY(vring->set_size(wire.num));
    VFSKIT_TRY(vring->try_start(shared()));
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_vring_addr(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostVringAddr>(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    virtio::RingAddresses addresses;
    addresses.descriptor_table = virtio::UserAddress{wire.desc_user_addr};
    addresses.available = virtio::UserAddress{wire.avail_user_addr};
    addresses.used = virtio::UserAddress{wire.used_user_addr};
    if ((wire.flags & (1U << VHOST_VRING_F_LOG)) != 0) {
        addresses.used_log = virtio::GuestAddress{wire.log_guest_addr};
    }
    VFSKIT_TRY(vring->set_addresses(addresses, shared()));
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_vring_base(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostVringState>(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    VFSKIT_TRY(vring->set_base(wire.num));
    return Reply{};
}

Result<Reply> BackendSession::Impl::get_vring_base(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostVringState>(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    vring->begin_stop();
    return reply_with(VhostVringState{wire.index, vring->finish_stop()});
}

Result<Reply> BackendSession::Impl::set_vring_kick(Message& message) {
    VFSKIT_TRY_ASSIGN(auto wire, vring_fd(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    observer_.ring_started();
    VFSKIT_TRY(vring->set_kick(std::move(wire.fd), shared()));
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_vring_call(Message& message) {
    VFSKIT_TRY_ASSIGN(auto wire, vring_fd(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    vring->set_call(std::move(wire.fd), shared());
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_vring_err(Message& message) {
    VFSKIT_TRY_ASSIGN(auto wire, vring_fd(message));
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    vring->set_err(std::move(wire.fd), shared());
    return Reply{};
}

Result<Reply> BackendSession::Impl::set_vring_enable(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostVringState>(message));
    if (wire.num > 1) {
        return Error{EINVAL,
                     fmt::format("A ring is enabled by 1 or disabled by 0, not {}", wire.num)};
    }
    VFSKIT_TRY_ASSIGN(Vring * vring, find_vring(wire.index));
    VFSKIT_TRY(vring->set_enabled(wire.num == 1, shared()));
    return Reply{};
}

// Everything else.

Result<Reply> BackendSession::Impl::set_backend_req_fd(Message& message) {
    VFSKIT_TRY_ASSIGN(backend_channel_, only_fd(message));
    return Reply{};
}

Result<Reply> BackendSession::Impl::get_config(Message& message) {
    base::ByteReader reader{message.payload};
    VFSKIT_TRY_ASSIGN(const auto wire, reader.read<VhostUserConfigHeader>("header"));
    if (options_.config_space.empty() || wire.size != reader.remaining() ||
        wire.size > VHOST_USER_MAX_CONFIG_SIZE || wire.offset > VHOST_USER_MAX_CONFIG_SIZE) {
        return Error{EINVAL,
                     fmt::format("{} bytes at {} of the configuration space cannot be read",
                                 wire.size,
                                 wire.offset)};
    }
    std::vector<std::byte> bytes(wire.size);
    const auto& space = options_.config_space;
    if (wire.offset < space.size()) {
        const std::size_t count = std::min<std::size_t>(wire.size, space.size() - wire.offset);
        std::copy_n(space.begin() + wire.offset, count, bytes.begin());
    }
    base::ByteWriter writer;
    writer.write(wire);
    writer.write_bytes(bytes);
    return Reply{std::move(writer).take()};
}

Result<Reply> BackendSession::Impl::set_config(Message& /*message*/) {
    return Error{EROFS, "The configuration space of a virtio-fs device is read-only"};
}

// Not offered. A front-end that asks all the same hears that there is nothing to keep.
Result<Reply> BackendSession::Impl::get_inflight_fd(Message& message) {
    VFSKIT_TRY_ASSIGN(auto wire, payload_as<VhostUserInflight>(message));
    wire.mmap_size = 0;
    wire.mmap_offset = 0;
    return reply_with(wire);
}

Result<void> BackendSession::Impl::check_transfer(TransferDirection direction) const {
    const bool has_started_ring =
        std::any_of(vrings_.begin(), vrings_.end(), [](const auto& vring) {
            return vring != nullptr && vring->is_started();
        });
    if (has_started_ring) {
        return Error{EBUSY, "The device state moves only while every ring is stopped"};
    }
    const bool is_logging = (acked_features_ & bit(VHOST_F_LOG_ALL)) != 0;
    if (direction == TransferDirection::save && is_logging && log_base_ == nullptr) {
        return Error{EIO,
                     "What was written to guest memory could not be logged, so that the "
                     "destination would run with old pages"};
    }
    return {};
}

Result<Reply> BackendSession::Impl::set_device_state_fd(Message& message) {
    VFSKIT_TRY_ASSIGN(const auto wire, payload_as<VhostUserTransferDeviceState>(message));
    VFSKIT_TRY_ASSIGN(UniqueFd fd, only_fd(message));
    if (!transfer_) {
        return Error{EOPNOTSUPP, "This device has no state to move"};
    }
    if (wire.direction > static_cast<std::uint32_t>(TransferDirection::load) ||
        wire.phase != static_cast<std::uint32_t>(TransferPhase::stopped)) {
        return Error{
            EINVAL, fmt::format("Direction {} in phase {} is unknown", wire.direction, wire.phase)};
    }
    const auto direction = static_cast<TransferDirection>(wire.direction);
    VFSKIT_TRY(check_transfer(direction));
    VFSKIT_TRY(transfer_->start(direction, std::move(fd)));
    // "No descriptor returned": the front-end's own is used.
    return reply_with(VHOST_USER_VRING_NOFD_MASK);
}

Result<Reply> BackendSession::Impl::check_device_state(Message& /*message*/) {
    if (!transfer_) {
        return Error{EOPNOTSUPP, "This device has no state to move"};
    }
    VFSKIT_TRY(transfer_->finish());
    return reply_with(std::uint64_t{0});
}

} // namespace vfskit::vhost_user
