// SPDX-License-Identifier: Apache-2.0
// A guest's FUSE driver towards a daemon's socket: requests one by one or several in flight, sound
// or broken ones.
#pragma once

#include "tests/support/fake_frontend.h"
#include "tests/support/fuse_guest.h"
#include "tests/system/daemon/daemon_process.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vfskit::test {

struct GuestSetup {
    unsigned request_queues = 1;
    std::uint64_t init_flags = fuse::wire::FUSE_INIT_EXT | fuse::wire::FUSE_MAX_PAGES |
                               fuse::wire::FUSE_DO_READDIRPLUS | fuse::wire::FUSE_ASYNC_DIO |
                               fuse::wire::FUSE_CREATE_SUPP_GROUP;
    bool initializes = true; ///< sends FUSE_INIT
};

/// A guest that says in FUSE_INIT that it has these, too.
inline GuestSetup with_flags(std::uint64_t more) {
    GuestSetup setup;
    setup.init_flags |= more;
    return setup;
}

/// Not thread-safe. What cannot happen with a sound daemon throws std::runtime_error.
class SystemGuest {
public:
    using Opcode = fuse::wire::Opcode;
    static constexpr std::size_t reply_area = 300U << 10;

    explicit SystemGuest(const std::string& socket_path, const GuestSetup& setup = {});

    /// A request in flight.
    struct Ticket {
        unsigned queue = 0;
        std::uint16_t slot = 0;
    };

    fuse::Reply call(Opcode opcode,
                     std::uint64_t node,
                     const fuse::RequestBytes& request = {},
                     std::size_t reply_room = 4096);
    Ticket send(Opcode opcode,
                std::uint64_t node,
                const fuse::RequestBytes& request = {},
                std::size_t reply_room = 4096,
                unsigned queue = 1);
    /// Any bytes, the header among them, and room for any reply, header included.
    Ticket send_bytes(const std::string& request, std::size_t room, unsigned queue = 1);
    /// Nothing at the end of `timeout`.
    std::optional<fuse::Reply> wait(Ticket ticket, std::chrono::milliseconds timeout = patience);
    /// wait(), and a daemon that does not answer is an exception.
    fuse::Reply finish(Ticket ticket);

    fuse::Reply init(std::uint64_t flags);
    /// Node id; 0 when it failed.
    std::uint64_t lookup(std::uint64_t parent, const std::string& name);
    fuse::Reply create(const std::string& name, std::uint32_t flags, std::uint32_t mode = 0644);
    std::uint64_t open(std::uint64_t node, std::uint32_t flags, Opcode how = Opcode::FUSE_OPEN);
    fuse::Reply write(std::uint64_t node, std::uint64_t fh, std::string_view text);
    fuse::Reply
    read(std::uint64_t node, std::uint64_t fh, std::uint64_t offset, std::uint32_t size);
    fuse::Reply mkdir(std::uint64_t parent, const std::string& name);
    /// Whether the daemon answers a GETATTR of the root.
    bool is_served();

    [[nodiscard]] fuse::wire::InHeader
    header(Opcode opcode, std::uint64_t node, const fuse::RequestBytes& request);
    [[nodiscard]] FakeFrontend& frontend() { return frontend_; }
    [[nodiscard]] FakeQueue& queue(unsigned index) { return *queues_.at(index).ring; }
    [[nodiscard]] unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
    void start_queue(unsigned index, std::uint16_t base = 0);
    /// A ring as a driver makes it after a reset; what was in flight is forgotten.
    void renew_queues();

    std::uint32_t uid = 0;
    std::uint32_t gid = 0;

private:
    struct Slot {
        virtio::GuestAddress request{};
        virtio::GuestAddress reply{};
        virtio::GuestAddress table{};
        std::size_t room = 0;
        bool is_busy = false;
        std::optional<std::uint32_t> written;
    };
    struct Queue {
        std::unique_ptr<FakeQueue> ring;
        std::vector<Slot> slots;
    };

    void add_queue();
    std::uint16_t take_slot(Queue& queue);
    fuse::Reply reply_of(Slot& slot);
    void require_connection() const;

    std::unique_ptr<GuestRam> ram_;
    FakeFrontend frontend_;
    std::vector<Queue> queues_;
    std::uint64_t next_unique_ = 2;
};

/// Serves a fresh share to a guest.
struct Served {
    explicit Served(const std::vector<std::string>& options = {}, const GuestSetup& setup = {})
        : daemon{{.arguments = place.arguments(options)}}, guest{place.socket(), setup} {}

    Place place;
    DaemonProcess daemon;
    SystemGuest guest;
};

} // namespace vfskit::test
