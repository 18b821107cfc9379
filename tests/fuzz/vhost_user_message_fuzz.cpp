// SPDX-License-Identifier: Apache-2.0
// Sequences of messages to a session with rings that run. Most are what QEMU sends; any may come
// out of order, for any ring, with another payload, size or descriptor. The session must come to
// its end.
//
// Input, per message: kind (1 byte), queue (1), twist (1), value (4). Twist 0 is the message as it
// should be.
#include "core/vhost_user/session.h"
#include "tests/fuzz/input_bytes.h"
#include "tests/support/fake_frontend.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace {

using namespace vfskit;
using namespace vfskit::vhost_user;

constexpr std::uint16_t ring_size = 8;
constexpr int max_messages = 48;

class EchoHandler : public RequestHandler {
public:
    void handle(RequestSlot& request) override { request.complete(request.writable_size()); }
};

class QuietState : public DeviceStateHandler {
public:
    Result<void> save(UniqueFd fd, int /*cancel_fd*/) override {
        return ::write(fd.get(), "state", 5) == 5 ? Result<void>{} : Error{EIO, "No room"};
    }
    Result<void> load(UniqueFd /*fd*/, int /*cancel_fd*/) override { return {}; }
};

struct Guest {
    Guest() : log{::memfd_create("log", MFD_CLOEXEC)}, event{::eventfd(0, EFD_NONBLOCK)} {
        static_cast<void>(::ftruncate(log.get(), 4096));
        for (int i = 0; i < 3; ++i) {
            queues.push_back(std::make_unique<test::FakeQueue>(
                ram, ring_size, virtio::RingFeatures{true, true}));
            const test::Buffer in{ram.allocate(64), 64};
            const test::Buffer out{ram.allocate(64), 64};
            queues.back()->add({in}, {out});
            static_cast<void>(queues.back()->publish());
        }
    }

    test::GuestRam ram{1U << 16};
    test::GuestRam more{1U << 14, 0x200000};
    UniqueFd log;
    UniqueFd event;
    std::vector<std::unique_ptr<test::FakeQueue>> queues;
};

struct Twisted {
    std::vector<std::byte> payload;
    std::vector<int> fds;
};

template <class T>
Twisted with(const T& payload, std::vector<int> fds = {}) {
    const auto bytes = std::as_bytes(std::span{&payload, 1});
    return {{bytes.begin(), bytes.end()}, std::move(fds)};
}

VhostUserSingleMemoryRegion region(const test::GuestRam& ram) {
    return {0,
            {virtio::to_integer(ram.layout().guest_address),
             ram.layout().size,
             virtio::to_integer(ram.layout().user_address),
             0}};
}

VhostVringAddr addresses(const test::FakeQueue& queue, std::uint16_t index, bool logs) {
    const auto where = queue.addresses();
    return {index,
            logs ? 1U : 0U,
            virtio::to_integer(where.descriptor_table),
            virtio::to_integer(where.used),
            virtio::to_integer(where.available),
            0x1000};
}

Twisted
make_payload(std::uint32_t request, std::uint16_t queue, std::uint32_t value, Guest& guest) {
    const test::FakeQueue& ring = *guest.queues[queue % guest.queues.size()];
    switch (request) {
    case VHOST_USER_SET_FEATURES:
        return with(std::uint64_t{0x170000000} | ((value & 1) != 0 ? 1U << 26 : 0U));
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        return with(std::uint64_t{0x8a42b});
    case VHOST_USER_SET_MEM_TABLE: {
        struct {
            VhostUserMemoryHeader header;
            VhostUserMemoryRegion region;
        } table{{1, 0}, region(guest.ram).region};
        return with(table, {guest.ram.fd()});
    }
    case VHOST_USER_ADD_MEM_REG:
    case VHOST_USER_REM_MEM_REG: {
        const auto& ram = (value & 1) != 0 ? guest.more : guest.ram;
        return with(region(ram), {ram.fd()});
    }
    case VHOST_USER_SET_LOG_BASE:
        return with(VhostUserLog{4096, 0}, {guest.log.get()});
    case VHOST_USER_SET_LOG_FD:
    case VHOST_USER_SET_BACKEND_REQ_FD:
        return with(std::uint64_t{0}, {guest.event.get()});
    case VHOST_USER_SET_VRING_NUM:
        return with(VhostVringState{queue, ring_size});
    case VHOST_USER_SET_VRING_ADDR:
        return with(addresses(ring, queue, (value & 1) != 0));
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_GET_VRING_BASE:
        return with(VhostVringState{queue, 0});
    case VHOST_USER_SET_VRING_ENABLE:
        return with(VhostVringState{queue, value & 1});
    case VHOST_USER_SET_VRING_KICK:
        return with(std::uint64_t{queue}, {ring.kick_fd()});
    case VHOST_USER_SET_VRING_CALL:
        return with(std::uint64_t{queue}, {ring.call_fd()});
    case VHOST_USER_SET_VRING_ERR:
        return with(std::uint64_t{queue}, {ring.err_fd()});
    case VHOST_USER_GET_CONFIG:
    case VHOST_USER_SET_CONFIG: {
        struct {
            VhostUserConfigHeader header;
            std::uint8_t bytes[40];
        } config{{0, 40, 0}, {}};
        return with(config);
    }
    case VHOST_USER_GET_INFLIGHT_FD:
        return with(VhostUserInflight{0, 0, 2, ring_size, 0});
    case VHOST_USER_SET_STATUS:
        return with(std::uint64_t{value & 0xf});
    case VHOST_USER_SET_DEVICE_STATE_FD:
        return with(VhostUserTransferDeviceState{value & 1, 0}, {guest.log.get()});
    default:
        return {};
    }
}

void twist(Twisted& message, std::uint8_t how, std::uint32_t value, const Guest& guest) {
    switch (how % 8) {
    case 1: // another value somewhere
        if (message.payload.size() >= 4) {
            const std::size_t at = (how / 8U) * 4U % (message.payload.size() - 3);
            std::memcpy(message.payload.data() + at, &value, 4);
        }
        break;
    case 2:
        message.payload.resize(value % 64);
        break;
    case 3:
        message.fds.clear();
        break;
    case 4:
        message.fds.push_back(guest.event.get());
        break;
    case 5:
        message.fds.assign(1, guest.log.get());
        break;
    case 6: // the flag for "no descriptor"
        if (message.payload.size() == 8) {
            message.payload[1] |= std::byte{1};
            message.fds.clear();
        }
        break;
    default:
        break;
    }
}

void send_all(test::InputBytes& input, test::FakeFrontend& frontend, Guest& guest) {
    for (int i = 0; i < max_messages && !input.is_at_end(); ++i) {
        const auto kind = input.take<std::uint8_t>();
        const std::uint16_t queue = input.take<std::uint8_t>();
        const auto how = input.take<std::uint8_t>();
        const auto value = input.take<std::uint32_t>();
        const std::uint32_t request = kind % 48;
        Twisted message = make_payload(request, queue, value, guest);
        twist(message, how, value, guest);
        message.fds.resize(std::min(message.fds.size(), MessageSocket::max_fds));
        frontend.send(request,
                      message.payload,
                      message.fds,
                      (kind & 0x80) != 0 ? VHOST_USER_NEED_REPLY_MASK : 0);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    test::InputBytes input{data, size};
    Guest guest;
    auto [ours, theirs] = test::FakeFrontend::make_sockets();
    SessionOptions options;
    options.queue_threads = 1;
    options.config_space = make_fs_config("fuzz", 1);
    options.pool_threads = input.take<std::uint8_t>() % 2;
    EchoHandler handler;
    QuietState state;
    SessionObserver observer;
    // All messages fit into the socket's buffer, and so do the replies: one thread plays both ends.
    test::FakeFrontend frontend{std::move(ours)};
    send_all(input, frontend, guest);
    static_cast<void>(::shutdown(frontend.fd(), SHUT_WR));
    BackendSession session{
        std::move(theirs), options, handler, &state, observer, base::null_log_sink()};
    static_cast<void>(session.serve());
    return 0;
}
