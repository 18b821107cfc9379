// SPDX-License-Identifier: Apache-2.0
// A guest's FUSE driver without a kernel: talks to any virtiofs daemon through the fake front-end,
// many requests in flight on many queues.
#pragma once

#include "core/fuse/wire.h"
#include "core/vhost_user/wire.h"
#include "tests/support/fake_frontend.h"

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace vfskit::bench {

enum class WaitMode { poll, event };
/// How a guest comes to a daemon: it boots, or it arrives from another one with its state.
enum class Arrival { boots, migrates };

/// One request to build: header fields and what follows, in the order of the wire.
struct Request {
    fuse::wire::Opcode opcode{};
    std::uint64_t nodeid = fuse::wire::FUSE_ROOT_ID;
    std::uint32_t body_size = 0;  ///< bytes behind the header, already in Slot::body
    std::uint32_t data_in = 0;    ///< bytes of the slot's data area to send
    std::uint32_t reply_size = 0; ///< fixed part of the reply behind the header
    std::uint32_t data_out = 0;   ///< bytes of the slot's data area to fill
    bool is_silent = false;       ///< has no reply at all, as FORGET
};

struct Reply {
    std::int32_t error = 0;
    const std::byte* body = nullptr; ///< fixed part
    const std::byte* data = nullptr;
    std::uint32_t data_size = 0;
};

/// One place for a request in flight, and what a workload keeps between its steps.
struct Slot {
    unsigned queue = 0;
    unsigned number = 0;
    std::byte* body = nullptr;
    std::byte* data = nullptr;

    unsigned step = 0;
    std::uint64_t nodeid = 0;
    std::uint64_t fh = 0;
    std::uint64_t counter = 0;

    template <class T>
    std::uint32_t put(const T& value, std::uint32_t offset = 0) const {
        std::memcpy(body + offset, &value, sizeof value);
        return offset + static_cast<std::uint32_t>(sizeof value);
    }
    std::uint32_t put_name(const std::string& name, std::uint32_t offset = 0) const {
        std::memcpy(body + offset, name.c_str(), name.size() + 1);
        return offset + static_cast<std::uint32_t>(name.size() + 1);
    }
};

/// What to send next from a slot, and how many operations its reply finished.
struct Workload {
    std::string name;
    std::function<void(Slot&, Request&)> next;
    std::function<std::uint64_t(Slot&, const Reply&)> done;
};

struct GuestOptions {
    unsigned queues = 1; ///< request queues, and CPUs that use them
    unsigned depth = 32; ///< requests in flight for each CPU
    std::uint32_t data_size = 1U << 20;
    WaitMode wait = WaitMode::poll;
};

class FuseGuest {
public:
    /// Connects, negotiates, starts the queues and sends FUSE_INIT. Fewer queues when the daemon
    /// has fewer: several CPUs share one then. A guest that migrates waits before the queues for
    /// resume().
    FuseGuest(const std::string& socket_path,
              const GuestOptions& options,
              Arrival arrival = Arrival::boots);

    [[nodiscard]] unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
    [[nodiscard]] std::uint32_t max_write() const { return max_write_; }

    /// Keeps all slots of all queues busy for `seconds`, one thread per CPU. Operations per second.
    double run(const Workload& workload, double seconds);

    // One request at a time, for the preparation. Throw on an error.
    std::uint64_t lookup(std::uint64_t parent, const std::string& name);
    std::uint64_t open(std::uint64_t nodeid, std::uint32_t flags);
    std::uint64_t open_dir(std::uint64_t nodeid);
    /// Whatever `fill` asks for; its reply, valid until the next request.
    Reply call(const std::function<void(Slot&, Request&)>& fill);

    // A migration, with the messages that QEMU sends. Throw on an error.
    /// The source's: the daemon has to mark what it writes.
    void begin_migration();
    /// The guest stands still.
    void stop();
    /// The end of the pipe at which the daemon's state comes out.
    UniqueFd save();
    /// The end of the pipe into which the state goes.
    UniqueFd load();
    /// Waits for what save() or load() began.
    void check_state();
    /// The destination's: the guest goes on.
    void resume();

private:
    struct Place {
        Slot slot;
        virtio::GuestAddress header{};
        virtio::GuestAddress body{};
        virtio::GuestAddress reply{};
        virtio::GuestAddress data{};
        virtio::GuestAddress table{};
        Request request;
    };
    struct Queue {
        std::unique_ptr<test::FakeQueue> ring;
        std::vector<Place> places;
        std::size_t in_flight = 0;
        /// As a guest's driver locks a queue: protects all of the above while run() runs.
        std::mutex mutex;
    };
    class Run;

    void init();
    void prepare(Queue& queue, Place& place);
    void start_queues();
    UniqueFd transfer(vhost_user::TransferDirection direction);
    Reply reply_of(const Place& place, std::uint32_t written) const;
    void start(Queue& queue, Place& place, const Workload& workload);

    GuestOptions options_;
    unsigned cpus_;
    std::unique_ptr<test::GuestRam> ram_;
    test::FakeFrontend frontend_;
    std::unique_ptr<test::FakeQueue> hiprio_;
    std::deque<Queue> queues_;
    UniqueFd log_;
    std::uint32_t max_write_ = 0;
    std::uint64_t unique_ = 2;
};

} // namespace vfskit::bench
