// SPDX-License-Identifier: Apache-2.0
// Plays QEMU towards a vhost-user back-end: guest memory in memfds, split queues with a driver's
// side, eventfds, the messages. For unit tests, fuzzers and the load generator; works against any
// back-end. What cannot happen in a sound test (no memory, no socket) throws std::runtime_error.
#pragma once

#include "core/base/unique_fd.h"
#include "core/vhost_user/message.h"
#include "core/vhost_user/request.h"
#include "core/virtio/guest_memory.h"
#include "core/virtio/ring_layout.h"
#include "core/virtio/virtqueue.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::test {

/// One memory region with an allocator that only goes forward. Its guest, user and host addresses
/// all differ, so that mixing them up fails.
class GuestRam {
public:
    explicit GuestRam(std::size_t size,
                      std::uint64_t guest_address = 0x100000,
                      std::uint64_t mmap_offset = 0);
    GuestRam(const GuestRam&) = delete;
    GuestRam& operator=(const GuestRam&) = delete;
    ~GuestRam();

    [[nodiscard]] const virtio::RegionLayout& layout() const { return layout_; }
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] virtio::GuestAddress allocate(std::size_t size, std::size_t alignment = 16);
    [[nodiscard]] std::byte* host(virtio::GuestAddress address) const;
    [[nodiscard]] virtio::UserAddress user(virtio::GuestAddress address) const;
    [[nodiscard]] virtio::GuestAddress end() const;

    template <class T>
    T& at(virtio::GuestAddress address) const {
        return *reinterpret_cast<T*>(host(address));
    }
    void write(virtio::GuestAddress address, std::string_view text) const;
    [[nodiscard]] std::string read(virtio::GuestAddress address, std::size_t size) const;

private:
    virtio::RegionLayout layout_;
    UniqueFd fd_;
    std::byte* mapping_ = nullptr;
    std::uint64_t used_ = 0;
};

struct Buffer {
    virtio::GuestAddress address{};
    std::uint32_t length = 0;
};

struct UsedEntry {
    std::uint32_t head = 0;
    std::uint32_t written = 0;
};

/// The driver's side of one queue.
class FakeQueue {
public:
    FakeQueue(GuestRam& ram, std::uint16_t size, virtio::RingFeatures features = {});

    [[nodiscard]] std::uint16_t size() const { return size_; }
    [[nodiscard]] virtio::RingAddresses addresses() const;
    [[nodiscard]] int kick_fd() const { return kick_fd_.get(); }
    [[nodiscard]] int call_fd() const { return call_fd_.get(); }
    [[nodiscard]] int err_fd() const { return err_fd_.get(); }
    [[nodiscard]] GuestRam& ram() const { return ram_; }

    /// Puts a chain on the available ring; the device sees it after publish(). Its head.
    std::uint16_t add(std::span<const Buffer> readable, std::span<const Buffer> writable);
    std::uint16_t add(std::initializer_list<Buffer> readable,
                      std::initializer_list<Buffer> writable);
    /// The same by one descriptor and a table of its own.
    std::uint16_t add_indirect(std::span<const Buffer> readable, std::span<const Buffer> writable);
    /// Offers a chain that was built before (and came back) again.
    void offer(std::uint16_t head);
    /// Shows the device what was added. Answers whether it wants a kick.
    bool publish();
    void kick() const;
    /// publish(), and kick() if wanted.
    void submit();

    [[nodiscard]] std::optional<UsedEntry> take_used();
    [[nodiscard]] bool has_used() const { return used_index() != next_used_; }
    /// Waits for the call fd; asks for a call first. Nothing at the end of `timeout`.
    [[nodiscard]] std::optional<UsedEntry>
    wait_used(std::chrono::milliseconds timeout = std::chrono::seconds{10});
    /// Asks to be called for the next used entry (EVENT_IDX), or after `later` more.
    void ask_for_call(std::uint16_t later = 0);
    /// Calls are not wanted at all.
    void refuse_calls();
    /// Resets the call eventfd and answers how often it was signalled.
    [[nodiscard]] std::uint64_t take_calls() const;

    // For lies.
    [[nodiscard]] virtio::VirtqDesc& descriptor(std::uint16_t index) const;
    void set_available_index(std::uint16_t index) const;
    [[nodiscard]] std::uint16_t available_index() const { return next_avail_; }
    [[nodiscard]] std::uint16_t used_index() const;
    [[nodiscard]] virtio::GuestAddress used_ring() const { return used_; }
    [[nodiscard]] virtio::GuestAddress descriptor_table() const { return table_; }

private:
    std::uint16_t fill(std::span<const Buffer> readable, std::span<const Buffer> writable);

    GuestRam& ram_;
    std::uint16_t size_;
    virtio::RingFeatures features_;
    virtio::GuestAddress table_;
    virtio::GuestAddress available_;
    virtio::GuestAddress used_;
    UniqueFd kick_fd_;
    UniqueFd call_fd_;
    UniqueFd err_fd_;
    std::uint16_t next_descriptor_ = 0;
    std::uint16_t next_avail_ = 0;
    std::uint16_t published_ = 0;
    std::uint16_t next_used_ = 0;
};

/// The front-end's end of the socket. Not thread-safe.
class FakeFrontend {
public:
    static constexpr std::uint64_t usual_features = 0x170000000; // all that is offered but LOG_ALL
    static constexpr std::uint64_t log_all = 1ULL << 26;
    static constexpr std::uint64_t usual_protocol_features = 0x8a42b;

    explicit FakeFrontend(UniqueFd socket) : socket_{std::move(socket)}, messages_{socket_.get()} {}
    /// Two ends of a socket pair; the second is for the back-end.
    static std::pair<UniqueFd, UniqueFd> make_sockets();
    /// Waits until a back-end listens at `path`.
    static UniqueFd connect(const std::string& path,
                            std::chrono::milliseconds timeout = std::chrono::seconds{10});

    void send(std::uint32_t request,
              std::span<const std::byte> payload = {},
              std::span<const int> fds = {},
              std::uint32_t extra_flags = 0);
    template <class T>
    void send(std::uint32_t request, const T& payload, std::initializer_list<int> fds = {}) {
        send(request, std::as_bytes(std::span{&payload, 1}), std::span{fds.begin(), fds.size()});
    }
    /// Sends with NEED_REPLY and answers the acknowledgement: 0 is success.
    template <class T>
    [[nodiscard]] std::uint64_t
    acknowledge(std::uint32_t request, const T& payload, std::initializer_list<int> fds = {}) {
        send(request,
             std::as_bytes(std::span{&payload, 1}),
             std::span{fds.begin(), fds.size()},
             vhost_user::VHOST_USER_NEED_REPLY_MASK);
        return receive_as<std::uint64_t>(request);
    }
    [[nodiscard]] std::uint64_t acknowledge(std::uint32_t request) {
        send(request, {}, {}, vhost_user::VHOST_USER_NEED_REPLY_MASK);
        return receive_as<std::uint64_t>(request);
    }
    /// The next reply; throws when the back-end closed or answered another request.
    [[nodiscard]] vhost_user::Message receive(std::uint32_t request);
    template <class T>
    [[nodiscard]] T receive_as(std::uint32_t request) {
        const auto message = receive(request);
        T value{};
        require(message.payload.size() == sizeof value, "the reply has the wrong size");
        std::memcpy(&value, message.payload.data(), sizeof value);
        return value;
    }
    [[nodiscard]] std::uint64_t get(std::uint32_t request) {
        send(request);
        return receive_as<std::uint64_t>(request);
    }
    /// Closes the connection.
    void disconnect() { socket_.reset(); }
    [[nodiscard]] int fd() const { return socket_.get(); }

    /// What QEMU sends when it realizes the device.
    void negotiate(std::uint64_t features = usual_features,
                   std::uint64_t protocol_features = usual_protocol_features);
    void set_features(std::uint64_t features);
    [[nodiscard]] std::uint64_t add_region(const GuestRam& ram);
    [[nodiscard]] std::uint64_t remove_region(const GuestRam& ram);
    void set_mem_table(std::initializer_list<const GuestRam*> regions);
    /// All messages that start ring `index`, disabled as the specification wants, then enabled.
    void start_queue(std::uint16_t index, const FakeQueue& queue, std::uint16_t base = 0);
    void set_vring_addr(std::uint16_t index, const FakeQueue& queue, bool logs = false);
    void set_enabled(std::uint16_t index, bool is_enabled);
    /// GET_VRING_BASE: waits for the drain.
    [[nodiscard]] std::uint16_t stop_queue(std::uint16_t index);

private:
    static void require(bool condition, const char* text);

    UniqueFd socket_;
    vhost_user::MessageSocket messages_;
};

} // namespace vfskit::test
