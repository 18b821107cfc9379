// SPDX-License-Identifier: Apache-2.0
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>

namespace vfskit::test {

using namespace fuse::wire;
using fuse::Reply;
using fuse::RequestBytes;
using virtio::to_integer;

namespace {

constexpr virtio::RingFeatures ring_features{true, true};
constexpr std::uint16_t ring_size = 64;
constexpr unsigned slots_per_queue = 32;
constexpr std::size_t request_area = 300U << 10;
constexpr std::size_t table_area = 64;
// Rings are made anew after a reset, so there is room for some dozens.
constexpr std::size_t ring_area = 4U << 20;

constexpr std::chrono::milliseconds zero{0};
constexpr std::chrono::milliseconds look_interval{200};

std::size_t ram_size(unsigned queues) {
    const std::size_t slot = request_area + SystemGuest::reply_area + table_area + 64;
    return (std::size_t{queues} * slots_per_queue * slot + ring_area + 0xfffff) &
           ~std::size_t{0xfffff};
}

} // namespace

SystemGuest::SystemGuest(const std::string& socket_path, const GuestSetup& setup)
    : ram_{std::make_unique<GuestRam>(ram_size(setup.request_queues + 1))},
      frontend_{FakeFrontend::connect(socket_path, patience)} {
    frontend_.negotiate();
    if (frontend_.add_region(*ram_) != 0) {
        throw std::runtime_error{"the daemon refused the guest's memory"};
    }
    for (unsigned i = 0; i <= setup.request_queues; ++i) {
        add_queue();
        start_queue(i);
    }
    if (setup.initializes && init(setup.init_flags).error() != 0) {
        throw std::runtime_error{"the daemon refused FUSE_INIT"};
    }
}

void SystemGuest::add_queue() {
    Queue& queue = queues_.emplace_back();
    queue.ring = std::make_unique<FakeQueue>(*ram_, ring_size, ring_features);
    for (unsigned i = 0; i < slots_per_queue; ++i) {
        Slot& slot = queue.slots.emplace_back();
        slot.request = ram_->allocate(request_area);
        slot.reply = ram_->allocate(reply_area);
        slot.table = ram_->allocate(table_area);
    }
}

void SystemGuest::start_queue(unsigned index, std::uint16_t base) {
    frontend_.start_queue(static_cast<std::uint16_t>(index), queue(index), base);
}

void SystemGuest::renew_queues() {
    for (unsigned i = 0; i < queues_.size(); ++i) {
        queues_[i].ring = std::make_unique<FakeQueue>(*ram_, ring_size, ring_features);
        for (Slot& slot : queues_[i].slots) {
            slot.is_busy = false;
            slot.written.reset();
        }
        start_queue(i);
    }
}

std::uint16_t SystemGuest::take_slot(Queue& queue) {
    for (std::size_t i = 0; i < queue.slots.size(); ++i) {
        if (!queue.slots[i].is_busy) {
            queue.slots[i].is_busy = true;
            queue.slots[i].written.reset();
            return static_cast<std::uint16_t>(i);
        }
    }
    throw std::runtime_error{"too many requests in flight"};
}

InHeader SystemGuest::header(Opcode opcode, std::uint64_t node, const RequestBytes& request) {
    InHeader header{};
    header.len = static_cast<std::uint32_t>(sizeof header + request.bytes().size());
    header.opcode = static_cast<std::uint32_t>(opcode);
    header.unique = next_unique_;
    next_unique_ += 2;
    header.nodeid = node;
    header.uid = uid;
    header.gid = gid;
    header.pid = 4711;
    header.total_extlen = request.extension_units();
    return header;
}

SystemGuest::Ticket
SystemGuest::send_bytes(const std::string& request, std::size_t room, unsigned index) {
    Queue& queue = queues_.at(index);
    if (request.size() > request_area || room > reply_area) {
        throw std::runtime_error{"a request of that size does not fit"};
    }
    const std::uint16_t number = take_slot(queue);
    Slot& slot = queue.slots[number];
    slot.room = room;
    ram_->write(slot.request, request);
    std::memset(ram_->host(slot.reply), 0, std::min(room, reply_area));
    auto* table = &ram_->at<virtio::VirtqDesc>(slot.table);
    std::uint16_t count = 0;
    const auto add = [&](virtio::GuestAddress address, std::size_t size, std::uint16_t flags) {
        if (size > 0) {
            table[count] = {to_integer(address),
                            static_cast<std::uint32_t>(size),
                            static_cast<std::uint16_t>(flags | virtio::VIRTQ_DESC_F_NEXT),
                            static_cast<std::uint16_t>(count + 1)};
            ++count;
        }
    };
    // As Linux does: the header in a buffer of its own, in and out.
    const std::size_t head_in = std::min(request.size(), sizeof(InHeader));
    const std::size_t head_out = std::min(room, sizeof(OutHeader));
    const auto behind = [](virtio::GuestAddress start, std::size_t bytes) {
        return virtio::GuestAddress{to_integer(start) + bytes};
    };
    add(slot.request, head_in, 0);
    add(behind(slot.request, head_in), request.size() - head_in, 0);
    add(slot.reply, head_out, virtio::VIRTQ_DESC_F_WRITE);
    add(behind(slot.reply, head_out), room - head_out, virtio::VIRTQ_DESC_F_WRITE);
    table[count - 1].flags &= static_cast<std::uint16_t>(~virtio::VIRTQ_DESC_F_NEXT);
    queue.ring->descriptor(number) = {to_integer(slot.table),
                                      static_cast<std::uint32_t>(count * sizeof(virtio::VirtqDesc)),
                                      virtio::VIRTQ_DESC_F_INDIRECT,
                                      0};
    queue.ring->offer(number);
    queue.ring->submit();
    return {index, number};
}

SystemGuest::Ticket SystemGuest::send(Opcode opcode,
                                      std::uint64_t node,
                                      const RequestBytes& request,
                                      std::size_t reply_room,
                                      unsigned queue) {
    const InHeader head = header(opcode, node, request);
    std::string bytes{reinterpret_cast<const char*>(&head), sizeof head};
    const std::size_t room = reply_room == 0 ? 0 : sizeof(OutHeader) + reply_room;
    return send_bytes(bytes + request.bytes(), room, queue);
}

std::optional<Reply> SystemGuest::wait(Ticket ticket, std::chrono::milliseconds timeout) {
    Queue& queue = queues_.at(ticket.queue);
    Slot& slot = queue.slots.at(ticket.slot);
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!slot.written) {
        const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        const auto used = queue.ring->wait_used(std::clamp(rest, zero, look_interval));
        if (!used) {
            if (rest <= zero) {
                return std::nullopt;
            }
            require_connection();
            continue;
        }
        Slot& done = queue.slots.at(used->head);
        if (!done.is_busy || done.written) {
            throw std::runtime_error{"the daemon answered a request that was not in flight"};
        }
        done.written = used->written;
    }
    return reply_of(slot);
}

void SystemGuest::require_connection() const {
    pollfd polled{frontend_.fd(), POLLRDHUP, 0};
    if (::poll(&polled, 1, 0) > 0) {
        throw std::runtime_error{"the daemon closed the connection"};
    }
}

Reply SystemGuest::reply_of(Slot& slot) {
    slot.is_busy = false;
    Reply reply;
    reply.used = *slot.written;
    if (reply.used > slot.room) {
        throw std::runtime_error{"the daemon wrote more than there was room for"};
    }
    if (reply.used >= sizeof(OutHeader)) {
        std::memcpy(&reply.header, ram_->host(slot.reply), sizeof(OutHeader));
        const virtio::GuestAddress body{to_integer(slot.reply) + sizeof(OutHeader)};
        reply.payload = ram_->read(body, reply.used - sizeof(OutHeader));
    }
    return reply;
}

Reply SystemGuest::finish(Ticket ticket) {
    auto reply = wait(ticket);
    if (!reply) {
        throw std::runtime_error{"the daemon does not answer"};
    }
    return std::move(*reply);
}

Reply SystemGuest::call(Opcode opcode,
                        std::uint64_t node,
                        const RequestBytes& request,
                        std::size_t reply_room) {
    return finish(send(opcode, node, request, reply_room));
}

Reply SystemGuest::init(std::uint64_t flags) {
    InitIn in{};
    in.major = FUSE_KERNEL_VERSION;
    in.minor = 38;
    in.max_readahead = 1U << 20;
    in.flags = static_cast<std::uint32_t>(flags);
    in.flags2 = static_cast<std::uint32_t>(flags >> 32);
    return call(Opcode::FUSE_INIT, 0, RequestBytes{}.add(in));
}

std::uint64_t SystemGuest::lookup(std::uint64_t parent, const std::string& name) {
    const auto reply = call(Opcode::FUSE_LOOKUP, parent, RequestBytes{}.name(name));
    return reply.error() == 0 ? reply.as<EntryOut>().nodeid : 0;
}

Reply SystemGuest::create(const std::string& name, std::uint32_t flags, std::uint32_t mode) {
    CreateIn in{};
    in.flags = flags | O_CREAT;
    in.mode = S_IFREG | mode;
    return call(Opcode::FUSE_CREATE, FUSE_ROOT_ID, RequestBytes{}.add(in).name(name));
}

std::uint64_t SystemGuest::open(std::uint64_t node, std::uint32_t flags, Opcode how) {
    const auto reply = call(how, node, RequestBytes{}.add(OpenIn{flags, 0}));
    if (reply.error() != 0) {
        throw std::runtime_error{"the daemon cannot open a file of the share"};
    }
    return reply.as<OpenOut>().fh;
}

Reply SystemGuest::write(std::uint64_t node, std::uint64_t fh, std::string_view text) {
    WriteIn in{};
    in.fh = fh;
    in.size = static_cast<std::uint32_t>(text.size());
    return call(Opcode::FUSE_WRITE, node, RequestBytes{}.add(in).raw(text));
}

Reply SystemGuest::read(std::uint64_t node,
                        std::uint64_t fh,
                        std::uint64_t offset,
                        std::uint32_t size) {
    ReadIn in{};
    in.fh = fh;
    in.offset = offset;
    in.size = size;
    return call(Opcode::FUSE_READ, node, RequestBytes{}.add(in), size);
}

Reply SystemGuest::mkdir(std::uint64_t parent, const std::string& name) {
    return call(Opcode::FUSE_MKDIR, parent, RequestBytes{}.add(MkdirIn{0755, 0}).name(name));
}

bool SystemGuest::is_served() {
    const auto reply =
        wait(send(Opcode::FUSE_GETATTR, FUSE_ROOT_ID, RequestBytes{}.add(GetattrIn{})));
    return reply && reply->error() == 0 && reply->used > sizeof(OutHeader);
}

} // namespace vfskit::test
