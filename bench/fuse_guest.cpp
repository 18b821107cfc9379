// SPDX-License-Identifier: Apache-2.0
#include "bench/fuse_guest.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace vfskit::bench {
namespace {

using namespace fuse::wire;
using virtio::to_integer;

constexpr std::uint16_t ring_size = 128;
constexpr std::size_t small_area = 4096;
constexpr std::uint32_t page = 4096;

// Guests send data in single pages.
std::size_t table_entries(std::uint32_t data_size) {
    return 8 + data_size / page;
}

std::size_t place_bytes(std::uint32_t data_size) {
    return data_size + 4 * small_area + table_entries(data_size) * sizeof(virtio::VirtqDesc) + page;
}

std::size_t ram_bytes(const GuestOptions& options) {
    const std::size_t places = std::size_t{options.queues} * options.depth;
    return (places * place_bytes(options.data_size) + (options.queues + 1) * std::size_t{65536} +
            0xfffff) &
           ~std::size_t{0xfffff};
}

// Descriptors behind one another in an indirect table.
class TableWriter {
public:
    explicit TableWriter(virtio::VirtqDesc* table) : table_{table} {}
    void add(virtio::GuestAddress address, std::uint32_t length, bool is_writable) {
        std::uint64_t at = to_integer(address);
        while (length > 0) {
            const std::uint32_t part = std::min(length, page);
            const auto flags = static_cast<std::uint16_t>(
                virtio::VIRTQ_DESC_F_NEXT | (is_writable ? virtio::VIRTQ_DESC_F_WRITE : 0));
            table_[count_] = {at, part, flags, static_cast<std::uint16_t>(count_ + 1)};
            ++count_;
            at += part;
            length -= part;
        }
    }
    std::uint32_t finish() {
        table_[count_ - 1].flags &= static_cast<std::uint16_t>(~virtio::VIRTQ_DESC_F_NEXT);
        return static_cast<std::uint32_t>(count_ * sizeof(virtio::VirtqDesc));
    }

private:
    virtio::VirtqDesc* table_;
    std::size_t count_ = 0;
};

void require(const Reply& reply, const char* what) {
    if (reply.error != 0) {
        throw std::runtime_error{fmt::format("{} failed: {}", what, std::strerror(-reply.error))};
    }
}

} // namespace

FuseGuest::FuseGuest(const std::string& socket_path, const GuestOptions& options, Arrival arrival)
    : options_{options}, cpus_{options.queues}, ram_{std::make_unique<test::GuestRam>(
                                                    ram_bytes(options))},
      frontend_{test::FakeFrontend::connect(socket_path)} {
    constexpr virtio::RingFeatures features{true, true};
    frontend_.negotiate();
    const std::uint64_t offered = frontend_.get(vhost_user::VHOST_USER_GET_QUEUE_NUM);
    options_.queues = static_cast<unsigned>(std::min<std::uint64_t>(options_.queues, offered - 1));
    const unsigned sharing = (cpus_ + options_.queues - 1) / options_.queues;
    const unsigned places = std::min<unsigned>(options_.depth * sharing, ring_size);
    if (frontend_.add_region(*ram_) != 0) {
        throw std::runtime_error{"the daemon refused the guest's memory"};
    }
    hiprio_ = std::make_unique<test::FakeQueue>(*ram_, ring_size, features);
    for (unsigned q = 0; q < options_.queues; ++q) {
        Queue& queue = queues_.emplace_back();
        queue.ring = std::make_unique<test::FakeQueue>(*ram_, ring_size, features);
        for (unsigned i = 0; i < places; ++i) {
            Place& place = queue.places.emplace_back();
            place.header = ram_->allocate(small_area, small_area);
            place.body = ram_->allocate(small_area, small_area);
            place.reply = ram_->allocate(small_area, small_area);
            place.data = ram_->allocate(options_.data_size, page);
            place.table =
                ram_->allocate(table_entries(options_.data_size) * sizeof(virtio::VirtqDesc));
            place.slot.queue = q;
            place.slot.number = i;
            place.slot.body = ram_->host(place.body);
            place.slot.data = ram_->host(place.data);
        }
    }
    if (arrival == Arrival::boots) {
        start_queues();
        init();
    }
}

void FuseGuest::start_queues() {
    frontend_.start_queue(0, *hiprio_);
    for (std::size_t q = 0; q < queues_.size(); ++q) {
        frontend_.start_queue(static_cast<std::uint16_t>(q + 1), *queues_[q].ring);
    }
    // Its answer says that the queues are enabled; upstream loses a kick that comes earlier.
    static_cast<void>(frontend_.get(vhost_user::VHOST_USER_GET_FEATURES));
}

void FuseGuest::resume() {
    start_queues();
}

void FuseGuest::begin_migration() {
    const std::uint64_t bits_per_byte = 8;
    const std::uint64_t size = to_integer(ram_->end()) / page / bits_per_byte + page;
    log_.reset(::memfd_create("dirty-log", MFD_CLOEXEC));
    if (!log_ || ::ftruncate(log_.get(), static_cast<off_t>(size)) != 0) {
        throw std::runtime_error{"no memory for the dirty log"};
    }
    frontend_.send(
        vhost_user::VHOST_USER_SET_LOG_BASE, vhost_user::VhostUserLog{size, 0}, {log_.get()});
    static_cast<void>(frontend_.receive(vhost_user::VHOST_USER_SET_LOG_BASE));
    frontend_.set_features(test::FakeFrontend::usual_features | test::FakeFrontend::log_all);
}

void FuseGuest::stop() {
    for (std::size_t q = 0; q <= queues_.size(); ++q) {
        static_cast<void>(frontend_.stop_queue(static_cast<std::uint16_t>(q)));
    }
}

UniqueFd FuseGuest::transfer(vhost_user::TransferDirection direction) {
    const bool saves = direction == vhost_user::TransferDirection::save;
    std::array<int, 2> raw{-1, -1};
    if (::pipe2(raw.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error{"no pipe"};
    }
    UniqueFd reader{raw[0]};
    UniqueFd writer{raw[1]};
    frontend_.send(
        vhost_user::VHOST_USER_SET_DEVICE_STATE_FD,
        vhost_user::VhostUserTransferDeviceState{static_cast<std::uint32_t>(direction), 0},
        {saves ? writer.get() : reader.get()});
    constexpr std::uint64_t error_bits = 0xff;
    if ((frontend_.receive_as<std::uint64_t>(vhost_user::VHOST_USER_SET_DEVICE_STATE_FD) &
         error_bits) != 0) {
        throw std::runtime_error{"the daemon refuses to move its state"};
    }
    return saves ? std::move(reader) : std::move(writer);
}

UniqueFd FuseGuest::save() {
    return transfer(vhost_user::TransferDirection::save);
}

UniqueFd FuseGuest::load() {
    return transfer(vhost_user::TransferDirection::load);
}

void FuseGuest::check_state() {
    if (frontend_.get(vhost_user::VHOST_USER_CHECK_DEVICE_STATE) != 0) {
        throw std::runtime_error{"the daemon could not move its state"};
    }
}

void FuseGuest::init() {
    const Reply reply = call([](Slot& slot, Request& request) {
        InitIn in{};
        in.major = FUSE_KERNEL_VERSION;
        in.minor = 38;
        in.max_readahead = 1U << 20;
        const std::uint64_t flags = FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_INIT_EXT |
                                    FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO;
        in.flags = static_cast<std::uint32_t>(flags);
        request.opcode = Opcode::FUSE_INIT;
        request.nodeid = 0;
        request.body_size = slot.put(in);
        request.reply_size = sizeof(InitOut);
    });
    require(reply, "FUSE_INIT");
    InitOut out{};
    std::memcpy(&out, reply.body, sizeof out);
    max_write_ = out.max_write;
}

void FuseGuest::prepare(Queue& queue, Place& place) {
    const Request& request = place.request;
    InHeader header{};
    header.len = static_cast<std::uint32_t>(sizeof header) + request.body_size + request.data_in;
    header.opcode = static_cast<std::uint32_t>(request.opcode);
    header.unique = unique_ + place.slot.number;
    header.nodeid = request.nodeid;
    std::memcpy(ram_->host(place.header), &header, sizeof header);
    TableWriter table{&ram_->at<virtio::VirtqDesc>(place.table)};
    table.add(place.header, sizeof header, false);
    table.add(place.body, request.body_size, false);
    table.add(place.data, request.data_in, false);
    if (!request.is_silent) {
        table.add(place.reply, sizeof(OutHeader), true);
        table.add(virtio::GuestAddress{to_integer(place.reply) + sizeof(OutHeader)},
                  request.reply_size,
                  true);
        table.add(place.data, request.data_out, true);
    }
    const auto head = static_cast<std::uint16_t>(place.slot.number);
    queue.ring->descriptor(head) = {
        to_integer(place.table), table.finish(), virtio::VIRTQ_DESC_F_INDIRECT, 0};
    queue.ring->offer(head);
}

Reply FuseGuest::reply_of(const Place& place, std::uint32_t written) const {
    if (place.request.is_silent) {
        return {};
    }
    OutHeader header{};
    const std::byte* bytes = ram_->host(place.reply);
    std::memcpy(&header, bytes, sizeof header);
    const std::uint32_t fixed = sizeof header + place.request.reply_size;
    if (written < sizeof header) {
        throw std::runtime_error{"the daemon sent a reply without a header"};
    }
    return {header.error,
            bytes + sizeof header,
            place.slot.data,
            written > fixed ? written - fixed : 0};
}

Reply FuseGuest::call(const std::function<void(Slot&, Request&)>& fill) {
    Queue& queue = queues_.front();
    Place& place = queue.places.front();
    place.request = {};
    fill(place.slot, place.request);
    prepare(queue, place);
    queue.ring->submit();
    const auto used = queue.ring->wait_used();
    if (!used) {
        throw std::runtime_error{"the daemon does not answer"};
    }
    return reply_of(place, used->written);
}

std::uint64_t FuseGuest::lookup(std::uint64_t parent, const std::string& name) {
    const Reply reply = call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_LOOKUP;
        request.nodeid = parent;
        request.body_size = slot.put_name(name);
        request.reply_size = sizeof(EntryOut);
    });
    require(reply, "FUSE_LOOKUP");
    EntryOut entry{};
    std::memcpy(&entry, reply.body, sizeof entry);
    return entry.nodeid;
}

std::uint64_t FuseGuest::open(std::uint64_t nodeid, std::uint32_t flags) {
    const Reply reply = call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_OPEN;
        request.nodeid = nodeid;
        request.body_size = slot.put(OpenIn{flags, 0});
        request.reply_size = sizeof(OpenOut);
    });
    require(reply, "FUSE_OPEN");
    OpenOut out{};
    std::memcpy(&out, reply.body, sizeof out);
    return out.fh;
}

std::uint64_t FuseGuest::open_dir(std::uint64_t nodeid) {
    const Reply reply = call([&](Slot& slot, Request& request) {
        request.opcode = Opcode::FUSE_OPENDIR;
        request.nodeid = nodeid;
        request.body_size = slot.put(OpenIn{0, 0});
        request.reply_size = sizeof(OpenOut);
    });
    // A daemon with NO_OPENDIR_SUPPORT answers ENOSYS: then handle 0 does.
    if (reply.error == -ENOSYS) {
        return 0;
    }
    require(reply, "FUSE_OPENDIR");
    OpenOut out{};
    std::memcpy(&out, reply.body, sizeof out);
    return out.fh;
}

void FuseGuest::start(Queue& queue, Place& place, const Workload& workload) {
    place.request = {};
    workload.next(place.slot, place.request);
    prepare(queue, place);
    ++queue.in_flight;
}

// What one CPU of the guest does at its queue. The others that use it do the same.
class FuseGuest::Run {
public:
    Run(FuseGuest& guest, Queue& queue, const Workload& workload, const std::atomic<bool>& ends)
        : guest_{guest}, queue_{queue}, workload_{workload}, ends_{ends}, polls_{
                                                                              guest.options_.wait ==
                                                                              WaitMode::poll} {}

    std::uint64_t run() {
        while (!is_over_) {
            const bool has_to_wait = serve();
            if (has_to_wait && !polls_) {
                pollfd waited{queue_.ring->call_fd(), POLLIN, 0};
                ::poll(&waited, 1, 1000);
            }
        }
        // The others may wait for a call that does not come any more.
        constexpr std::uint64_t one = 1;
        static_cast<void>(::write(queue_.ring->call_fd(), &one, sizeof one));
        return finished_;
    }

private:
    // Takes what is finished and sends the next. Answers whether there is nothing more to do now.
    bool serve() {
        std::unique_lock lock{queue_.mutex, std::try_to_lock};
        if (!lock) {
            if (polls_) {
                return false;
            }
            lock.lock();
        }
        if (!polls_) {
            static_cast<void>(queue_.ring->take_calls());
        }
        const bool has_taken = take_finished();
        is_over_ = queue_.in_flight == 0;
        if (polls_) {
            // The index of the refusal is relative. Not in each round: the device reads that line.
            if (has_taken) {
                queue_.ring->refuse_calls();
            }
            return false;
        }
        queue_.ring->ask_for_call();
        return !is_over_ && !queue_.ring->has_used();
    }

    bool take_finished() {
        bool has_new = false;
        bool has_taken = false;
        while (const auto used = queue_.ring->take_used()) {
            Place& place = queue_.places.at(used->head);
            --queue_.in_flight;
            has_taken = true;
            finished_ += workload_.done(place.slot, guest_.reply_of(place, used->written));
            // A cycle of several steps is brought to its end, so that nothing stays open.
            if (!ends_ || place.slot.step != 0) {
                guest_.start(queue_, place, workload_);
                has_new = true;
            }
        }
        if (has_new) {
            queue_.ring->submit();
        }
        return has_taken;
    }

    FuseGuest& guest_;
    Queue& queue_;
    const Workload& workload_;
    const std::atomic<bool>& ends_;
    const bool polls_;
    std::uint64_t finished_ = 0;
    bool is_over_ = false;
};

double FuseGuest::run(const Workload& workload, double seconds) {
    std::atomic<bool> ends{false};
    std::atomic<std::uint64_t> finished{0};
    std::vector<std::thread> threads;
    std::string failure;
    const auto begin = std::chrono::steady_clock::now();
    for (Queue& queue : queues_) {
        if (options_.wait == WaitMode::poll) {
            queue.ring->refuse_calls();
        }
        for (Place& place : queue.places) {
            place.slot.step = 0;
            place.slot.counter = 0;
            start(queue, place, workload);
        }
        queue.ring->submit();
    }
    for (unsigned cpu = 0; cpu < cpus_; ++cpu) {
        threads.emplace_back([&, cpu] {
            try {
                finished += Run{*this, queues_[cpu % queues_.size()], workload, ends}.run();
            } catch (const std::exception& error) {
                failure = error.what();
            }
        });
    }
    std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
    ends = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    if (!failure.empty()) {
        throw std::runtime_error{workload.name + ": " + failure};
    }
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(finished) / elapsed.count();
}

} // namespace vfskit::bench
