// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_frontend.h"

#include "core/virtio/fence.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>

namespace vfskit::test {
namespace {

using namespace vhost_user;
using virtio::GuestAddress;
using virtio::to_integer;

// Far from guest addresses and from anything the kernel maps for us.
constexpr std::uint64_t user_address_base = 0x600000000000;

[[noreturn]] void fail(const std::string& text) {
    throw std::runtime_error{"fake front-end: " + text};
}

GuestAddress advance(GuestAddress address, std::uint64_t bytes) {
    return GuestAddress{to_integer(address) + bytes};
}

UniqueFd make_eventfd() {
    UniqueFd fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!fd) {
        fail("no eventfd");
    }
    return fd;
}

template <class T>
std::atomic_ref<T> shared(T& value) {
    return std::atomic_ref<T>{value};
}

VhostUserMemoryRegion wire_region(const GuestRam& ram) {
    const auto& layout = ram.layout();
    return {to_integer(layout.guest_address),
            layout.size,
            to_integer(layout.user_address),
            layout.mmap_offset};
}

} // namespace

GuestRam::GuestRam(std::size_t size, std::uint64_t guest_address, std::uint64_t mmap_offset)
    : layout_{GuestAddress{guest_address},
              size,
              virtio::UserAddress{user_address_base + guest_address},
              mmap_offset},
      fd_{::memfd_create("guest-ram", MFD_CLOEXEC)} {
    const std::size_t length = size + mmap_offset;
    if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(length)) != 0) {
        fail("no guest memory");
    }
    void* mapping = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (mapping == MAP_FAILED) {
        fail("guest memory cannot be mapped");
    }
    mapping_ = static_cast<std::byte*>(mapping);
}

GuestRam::~GuestRam() {
    ::munmap(mapping_, layout_.size + layout_.mmap_offset);
}

GuestAddress GuestRam::allocate(std::size_t size, std::size_t alignment) {
    const std::uint64_t start = (used_ + alignment - 1) / alignment * alignment;
    if (start + size > layout_.size) {
        fail("guest memory is used up");
    }
    used_ = start + size;
    return advance(layout_.guest_address, start);
}

std::byte* GuestRam::host(GuestAddress address) const {
    return mapping_ + layout_.mmap_offset +
           (to_integer(address) - to_integer(layout_.guest_address));
}

virtio::UserAddress GuestRam::user(GuestAddress address) const {
    return virtio::UserAddress{to_integer(layout_.user_address) +
                               (to_integer(address) - to_integer(layout_.guest_address))};
}

GuestAddress GuestRam::end() const {
    return advance(layout_.guest_address, layout_.size);
}

void GuestRam::write(GuestAddress address, std::string_view text) const {
    std::memcpy(host(address), text.data(), text.size());
}

std::string GuestRam::read(GuestAddress address, std::size_t size) const {
    return {reinterpret_cast<const char*>(host(address)), size};
}

FakeQueue::FakeQueue(GuestRam& ram, std::uint16_t size, virtio::RingFeatures features)
    : ram_{ram}, size_{size}, features_{features}, table_{ram.allocate(
                                                       virtio::descriptor_table_bytes(size), 16)},
      available_{ram.allocate(virtio::available_ring_bytes(size), 4)},
      used_{ram.allocate(virtio::used_ring_bytes(size), 4)}, kick_fd_{make_eventfd()},
      call_fd_{make_eventfd()}, err_fd_{make_eventfd()} {}

virtio::RingAddresses FakeQueue::addresses() const {
    virtio::RingAddresses addresses;
    addresses.descriptor_table = ram_.user(table_);
    addresses.available = ram_.user(available_);
    addresses.used = ram_.user(used_);
    return addresses;
}

virtio::VirtqDesc& FakeQueue::descriptor(std::uint16_t index) const {
    return ram_.at<virtio::VirtqDesc>(advance(table_, index * sizeof(virtio::VirtqDesc)));
}

std::uint16_t FakeQueue::fill(std::span<const Buffer> readable, std::span<const Buffer> writable) {
    const std::size_t count = readable.size() + writable.size();
    if (count == 0 || count > size_) {
        fail("a chain of that length does not fit");
    }
    // Descriptors are given out in turn: whoever keeps more chains in flight than fit overwrites.
    const std::uint16_t head = next_descriptor_;
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_writable = i >= readable.size();
        const Buffer& buffer = is_writable ? writable[i - readable.size()] : readable[i];
        const auto next = static_cast<std::uint16_t>((next_descriptor_ + 1) % size_);
        const bool has_next = i + 1 < count;
        descriptor(next_descriptor_) = {
            to_integer(buffer.address),
            buffer.length,
            static_cast<std::uint16_t>((is_writable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                                       (has_next ? virtio::VIRTQ_DESC_F_NEXT : 0)),
            has_next ? next : std::uint16_t{0}};
        next_descriptor_ = next;
    }
    return head;
}

std::uint16_t FakeQueue::add(std::span<const Buffer> readable, std::span<const Buffer> writable) {
    const std::uint16_t head = fill(readable, writable);
    offer(head);
    return head;
}

std::uint16_t FakeQueue::add(std::initializer_list<Buffer> readable,
                             std::initializer_list<Buffer> writable) {
    return add(std::span{readable.begin(), readable.size()},
               std::span{writable.begin(), writable.size()});
}

std::uint16_t FakeQueue::add_indirect(std::span<const Buffer> readable,
                                      std::span<const Buffer> writable) {
    const std::size_t count = readable.size() + writable.size();
    const GuestAddress table = ram_.allocate(count * sizeof(virtio::VirtqDesc), 16);
    auto* entries = &ram_.at<virtio::VirtqDesc>(table);
    for (std::size_t i = 0; i < count; ++i) {
        const bool is_writable = i >= readable.size();
        const Buffer& buffer = is_writable ? writable[i - readable.size()] : readable[i];
        const bool has_next = i + 1 < count;
        entries[i] = {to_integer(buffer.address),
                      buffer.length,
                      static_cast<std::uint16_t>((is_writable ? virtio::VIRTQ_DESC_F_WRITE : 0) |
                                                 (has_next ? virtio::VIRTQ_DESC_F_NEXT : 0)),
                      static_cast<std::uint16_t>(has_next ? i + 1 : 0)};
    }
    const std::uint16_t head = next_descriptor_;
    descriptor(head) = {to_integer(table),
                        static_cast<std::uint32_t>(count * sizeof(virtio::VirtqDesc)),
                        virtio::VIRTQ_DESC_F_INDIRECT,
                        0};
    next_descriptor_ = static_cast<std::uint16_t>((head + 1) % size_);
    offer(head);
    return head;
}

void FakeQueue::offer(std::uint16_t head) {
    auto* ring = &ram_.at<std::uint16_t>(advance(available_, sizeof(virtio::VirtqHeader)));
    shared(ring[next_avail_ % size_]).store(head, std::memory_order_relaxed);
    ++next_avail_;
}

bool FakeQueue::publish() {
    auto& header = ram_.at<virtio::VirtqHeader>(available_);
    shared(header.idx).store(next_avail_, std::memory_order_release);
    virtio::full_fence();
    const std::uint16_t before = published_;
    published_ = next_avail_;
    auto& used = ram_.at<virtio::VirtqHeader>(used_);
    if (!features_.event_idx) {
        return (shared(used.flags).load(std::memory_order_relaxed) &
                virtio::VIRTQ_USED_F_NO_NOTIFY) == 0;
    }
    auto& avail_event = ram_.at<std::uint16_t>(
        advance(used_, sizeof(virtio::VirtqHeader) + size_ * sizeof(virtio::VirtqUsedElem)));
    const std::uint16_t event = shared(avail_event).load(std::memory_order_relaxed);
    return static_cast<std::uint16_t>(next_avail_ - event - 1) <
           static_cast<std::uint16_t>(next_avail_ - before);
}

void FakeQueue::kick() const {
    constexpr std::uint64_t one = 1;
    static_cast<void>(::write(kick_fd_.get(), &one, sizeof one));
}

void FakeQueue::submit() {
    if (publish()) {
        kick();
    }
}

std::uint16_t FakeQueue::used_index() const {
    return shared(ram_.at<virtio::VirtqHeader>(used_).idx).load(std::memory_order_acquire);
}

std::optional<UsedEntry> FakeQueue::take_used() {
    if (used_index() == next_used_) {
        return std::nullopt;
    }
    auto* entries = &ram_.at<virtio::VirtqUsedElem>(advance(used_, sizeof(virtio::VirtqHeader)));
    const virtio::VirtqUsedElem entry = entries[next_used_ % size_];
    ++next_used_;
    return UsedEntry{entry.id, entry.len};
}

std::optional<UsedEntry> FakeQueue::wait_used(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
        ask_for_call();
        if (auto used = take_used()) {
            return used;
        }
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (rest.count() <= 0) {
            return std::nullopt;
        }
        pollfd waited{call_fd_.get(), POLLIN, 0};
        ::poll(&waited, 1, static_cast<int>(rest.count()));
        static_cast<void>(take_calls());
    }
}

void FakeQueue::ask_for_call(std::uint16_t later) {
    if (features_.event_idx) {
        auto& used_event = ram_.at<std::uint16_t>(
            advance(available_, sizeof(virtio::VirtqHeader) + size_ * sizeof(std::uint16_t)));
        shared(used_event)
            .store(static_cast<std::uint16_t>(next_used_ + later), std::memory_order_relaxed);
    } else {
        shared(ram_.at<virtio::VirtqHeader>(available_).flags).store(0, std::memory_order_relaxed);
    }
    virtio::full_fence();
}

void FakeQueue::refuse_calls() {
    if (features_.event_idx) {
        ask_for_call(static_cast<std::uint16_t>(0x7fff));
        return;
    }
    shared(ram_.at<virtio::VirtqHeader>(available_).flags)
        .store(virtio::VIRTQ_AVAIL_F_NO_INTERRUPT, std::memory_order_seq_cst);
}

std::uint64_t FakeQueue::take_calls() const {
    std::uint64_t count = 0;
    return ::read(call_fd_.get(), &count, sizeof count) == sizeof count ? count : 0;
}

void FakeQueue::set_available_index(std::uint16_t index) const {
    shared(ram_.at<virtio::VirtqHeader>(available_).idx).store(index, std::memory_order_release);
}

std::pair<UniqueFd, UniqueFd> FakeFrontend::make_sockets() {
    int raw[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw) != 0) {
        fail("no socket pair");
    }
    return {UniqueFd{raw[0]}, UniqueFd{raw[1]}};
}

UniqueFd FakeFrontend::connect(const std::string& path, std::chrono::milliseconds timeout) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        fail("the socket path is too long: " + path);
    }
    std::copy(path.begin(), path.end(), address.sun_path);
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (true) {
        UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            return fd;
        }
        if (std::chrono::steady_clock::now() > deadline) {
            fail("nobody listens at " + path);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
}

void FakeFrontend::require(bool condition, const char* text) {
    if (!condition) {
        fail(text);
    }
}

void FakeFrontend::send(std::uint32_t request,
                        std::span<const std::byte> payload,
                        std::span<const int> fds,
                        std::uint32_t extra_flags) {
    const auto sent = messages_.write(request, VHOST_USER_VERSION | extra_flags, payload, fds);
    if (!sent) {
        fail(sent.error().describe());
    }
}

Message FakeFrontend::receive(std::uint32_t request) {
    Message message;
    const auto is_open = messages_.read(message);
    if (!is_open) {
        fail(is_open.error().describe());
    }
    require(*is_open, "the back-end closed the connection");
    if (message.request != request ||
        message.flags != (VHOST_USER_VERSION | VHOST_USER_REPLY_MASK)) {
        fail("expected a reply to " + describe_request(request) + " and got " +
             describe_request(message.request));
    }
    return message;
}

void FakeFrontend::negotiate(std::uint64_t features, std::uint64_t protocol_features) {
    static_cast<void>(get(VHOST_USER_GET_FEATURES));
    const std::uint64_t offered = get(VHOST_USER_GET_PROTOCOL_FEATURES);
    send(VHOST_USER_SET_PROTOCOL_FEATURES, protocol_features & offered);
    static_cast<void>(get(VHOST_USER_GET_QUEUE_NUM));
    static_cast<void>(get(VHOST_USER_GET_MAX_MEM_SLOTS));
    send(VHOST_USER_SET_OWNER);
    set_features(features);
}

void FakeFrontend::set_features(std::uint64_t features) {
    send(VHOST_USER_SET_FEATURES, features);
}

std::uint64_t FakeFrontend::add_region(const GuestRam& ram) {
    return acknowledge(
        VHOST_USER_ADD_MEM_REG, VhostUserSingleMemoryRegion{0, wire_region(ram)}, {ram.fd()});
}

std::uint64_t FakeFrontend::remove_region(const GuestRam& ram) {
    return acknowledge(VHOST_USER_REM_MEM_REG, VhostUserSingleMemoryRegion{0, wire_region(ram)});
}

void FakeFrontend::set_mem_table(std::initializer_list<const GuestRam*> regions) {
    struct {
        VhostUserMemoryHeader header;
        VhostUserMemoryRegion regions[VHOST_USER_MAX_RAM_SLOTS_BASELINE];
    } table{};
    std::vector<int> fds;
    for (const GuestRam* ram : regions) {
        table.regions[table.header.nregions++] = wire_region(*ram);
        fds.push_back(ram->fd());
    }
    const auto bytes = std::as_bytes(std::span{&table, 1});
    send(VHOST_USER_SET_MEM_TABLE,
         bytes.first(sizeof table.header + fds.size() * sizeof table.regions[0]),
         fds);
}

void FakeFrontend::set_vring_addr(std::uint16_t index, const FakeQueue& queue, bool logs) {
    const auto addresses = queue.addresses();
    send(VHOST_USER_SET_VRING_ADDR,
         VhostVringAddr{index,
                        logs ? 1U << VHOST_VRING_F_LOG : 0U,
                        to_integer(addresses.descriptor_table),
                        to_integer(addresses.used),
                        to_integer(addresses.available),
                        to_integer(queue.used_ring())});
}

void FakeFrontend::start_queue(std::uint16_t index, const FakeQueue& queue, std::uint16_t base) {
    send(VHOST_USER_SET_VRING_NUM, VhostVringState{index, queue.size()});
    send(VHOST_USER_SET_VRING_BASE, VhostVringState{index, base});
    set_vring_addr(index, queue);
    send(VHOST_USER_SET_VRING_KICK, std::uint64_t{index}, {queue.kick_fd()});
    send(VHOST_USER_SET_VRING_CALL, std::uint64_t{index}, {queue.call_fd()});
    send(VHOST_USER_SET_VRING_ERR, std::uint64_t{index}, {queue.err_fd()});
    set_enabled(index, true);
}

void FakeFrontend::set_enabled(std::uint16_t index, bool is_enabled) {
    send(VHOST_USER_SET_VRING_ENABLE, VhostVringState{index, is_enabled ? 1U : 0U});
}

std::uint16_t FakeFrontend::stop_queue(std::uint16_t index) {
    send(VHOST_USER_GET_VRING_BASE, VhostVringState{index, 0});
    return static_cast<std::uint16_t>(receive_as<VhostVringState>(VHOST_USER_GET_VRING_BASE).num);
}

} // namespace vfskit::test
