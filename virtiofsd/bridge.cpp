// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/bridge.h"

#include "core/base/request_path.h"

#include <cstring>
#include <memory>

namespace vfskit::virtiofsd {

namespace {

// One per serving thread; the threads end before the session does.
thread_local std::unique_ptr<fuse::SessionWorker> thread_worker;

// Above this a copy from the page cache alone takes longer than showing the earlier replies costs
// (a used-ring update and an interrupt, some 5 us).
constexpr std::uint64_t large_transfer = 128U << 10;

} // namespace

void Bridge::thread_started() {
    thread_worker = session_.make_worker();
}

vhost_user::RequestCost Bridge::cost_of(const vhost_user::RequestSlot& request) {
    using fuse::wire::Opcode;
    using vhost_user::RequestCost;
    struct {
        std::uint32_t length;
        Opcode opcode;
    } start{};
    const auto readable = request.readable();
    if (readable.empty() || readable[0].iov_len < sizeof(start)) {
        return RequestCost::quick;
    }
    std::memcpy(&start, readable[0].iov_base, sizeof(start));
    const auto is = [&](auto... opcodes) { return ((start.opcode == opcodes) || ...); };
    if (is(Opcode::FUSE_READ, Opcode::FUSE_WRITE)) {
        const bool is_large = request.readable_size() + request.writable_size() > large_transfer;
        return has_pool_ || is_large ? RequestCost::slow : RequestCost::quick;
    }
    return is(Opcode::FUSE_FSYNC,
              Opcode::FUSE_FSYNCDIR,
              Opcode::FUSE_SYNCFS,
              Opcode::FUSE_FALLOCATE,
              Opcode::FUSE_COPY_FILE_RANGE,
              Opcode::FUSE_COPY_FILE_RANGE_64)
               ? RequestCost::slow
               : RequestCost::quick;
}

VFSKIT_REQUEST_PATH void Bridge::handle(vhost_user::RequestSlot& request) {
    const auto used = session_.handle({request.readable(), request.writable()},
                                      *thread_worker,
                                      *this,
                                      reinterpret_cast<std::uintptr_t>(&request));
    if (used) {
        request.complete(*used);
    }
}

void Bridge::batch_ended(vhost_user::QueueIndex /*queue*/) {
    thread_worker->end_batch();
}

void Bridge::complete(std::uint64_t token, std::size_t used) {
    // The token is the slot's address, given to the session in handle().
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    reinterpret_cast<vhost_user::RequestSlot*>(token)->complete(used);
}

// A lock that a guest waits for would keep its ring busy for ever. Not EINTR: Linux takes it from
// a FUSE lock for its own ERESTARTSYS (fuse_setlk()), and where no signal is pending the program
// gets errno 512, which no manual page knows. ENOLCK is in fcntl(2)'s list.
void Bridge::drain(vhost_user::QueueIndex /*queue*/) {
    session_.cancel_parked(fuse::Errno{ENOLCK});
}

void Bridge::device_reset() {
    session_.reset();
}

} // namespace vfskit::virtiofsd
