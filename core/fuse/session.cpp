// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/session.h"

#include "core/base/request_path.h"
#include "core/fuse/dispatch.h"
#include "core/fuse/negotiation.h"
#include "core/fuse/scatter.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

namespace vfskit::fuse {

namespace {

using wire::InHeader;
using wire::OutHeader;

// Room for the headers of the largest WRITE; upstream draws the same line.
constexpr std::size_t header_allowance = 4096;
// Most requests fit: a header, a struct, two names.
constexpr std::size_t usual_request_size = 8192;

std::uint32_t raw(Opcode opcode) {
    return static_cast<std::uint32_t>(opcode);
}

/// The reply's header in front of `payload_size` bytes that are there already; the bytes used.
std::size_t finish_reply(std::span<const iovec> writable,
                         std::uint64_t unique,
                         Errno error,
                         std::size_t payload_size) {
    const OutHeader header{.len = static_cast<std::uint32_t>(sizeof(OutHeader) + payload_size),
                           .error = -static_cast<std::int32_t>(error),
                           .unique = unique};
    scatter(writable, 0, std::as_bytes(std::span{&header, 1}));
    return header.len;
}

std::size_t finish_error(std::span<const iovec> writable, std::uint64_t unique, Errno error) {
    return finish_reply(writable, unique, error, 0);
}

/// Keeps what a late reply needs, which is the request's own only until handle() returns.
class ParkedReply final : public Deferred {
public:
    ParkedReply(std::span<const iovec> writable,
                std::uint64_t unique,
                CompletionSink& sink,
                std::uint64_t token)
        : unique_{unique}, sink_{sink}, token_{token} {
        std::vector<iovec> storage;
        const auto header = slice(writable, 0, sizeof(OutHeader), storage);
        header_.assign(header.begin(), header.end());
    }
    ParkedReply(const ParkedReply&) = delete;
    ParkedReply& operator=(const ParkedReply&) = delete;
    ~ParkedReply() override {
        if (!is_completed_) {
            ParkedReply::complete(Errno{EIO});
        }
    }

    void complete(Outcome<void> outcome) override {
        if (std::exchange(is_completed_, true)) {
            return;
        }
        sink_.complete(token_, finish_error(header_, unique_, outcome.error()));
    }

private:
    std::vector<iovec> header_;
    std::uint64_t unique_;
    CompletionSink& sink_;
    std::uint64_t token_;
    bool is_completed_ = false;
};

class RequestDeferral final : public Deferral {
public:
    RequestDeferral(std::span<const iovec> writable,
                    std::uint64_t unique,
                    CompletionSink& sink,
                    std::uint64_t token)
        : writable_{writable}, unique_{unique}, sink_{sink}, token_{token} {}

    std::unique_ptr<Deferred> park() override {
        auto reply = std::make_unique<ParkedReply>(writable_, unique_, sink_, token_);
        is_parked_ = true;
        return reply;
    }
    [[nodiscard]] bool is_parked() const override { return is_parked_; }

private:
    std::span<const iovec> writable_;
    std::uint64_t unique_;
    CompletionSink& sink_;
    std::uint64_t token_;
    bool is_parked_ = false;
};

/// EINVAL for a length that lies, ENOMEM for one that is over the bound.
Outcome<void> check_length(const InHeader& header, std::size_t readable, std::size_t max_write) {
    if (header.len < sizeof(InHeader) || header.len > readable) {
        return Errno{EINVAL};
    }
    if (header.len > max_write + header_allowance) {
        return Errno{ENOMEM};
    }
    return {};
}

/// Copies the request behind its header, of a WRITE only what is not data.
Arguments copy_arguments(const Buffers& buffers, const InHeader& header, CallScratch& scratch) {
    auto size = header.len - sizeof(InHeader);
    if (header.opcode == raw(Opcode::FUSE_WRITE)) {
        size = std::min(size, sizeof(wire::WriteIn));
    }
    if (scratch.request.size() < size) {
        scratch.request.resize(size);
    }
    const auto copy = std::span{scratch.request}.first(size);
    gather(buffers.readable, sizeof(InHeader), copy);
    return Arguments{copy};
}

Outcome<void> attach_request(Call& call, const Buffers& buffers, const InHeader& header) {
    call.arguments = copy_arguments(buffers, header, call.scratch);
    if (header.opcode == raw(Opcode::FUSE_WRITE)) {
        constexpr auto fixed = sizeof(InHeader) + sizeof(wire::WriteIn);
        call.write_data_size = header.len - std::min<std::size_t>(header.len, fixed);
        call.write_data =
            slice(buffers.readable, fixed, call.write_data_size, call.scratch.write_data);
        return {};
    }
    if (header.total_extlen > 0) {
        VFSKIT_TRY_ASSIGN(call.extensions,
                          call.arguments.split_tail(header.total_extlen * wire::record_align));
    }
    return {};
}

} // namespace

struct SessionWorker::Scratch : CallScratch {};

SessionWorker::SessionWorker(Session& session, std::unique_ptr<Worker> worker)
    : session_{session}, worker_{std::move(worker)}, scratch_{std::make_unique<Scratch>()} {
    scratch_->request.resize(usual_request_size);
}

SessionWorker::~SessionWorker() {
    const std::lock_guard lock{session_.workers_mutex_};
    std::erase(session_.workers_, this);
    statistics_.add_to(session_.retired_);
}

/// A request's presence. Two stores to the worker's own cache line and a load of a line that
/// hardly ever changes.
class Session::RequestScope {
public:
    RequestScope(Session& session, SessionWorker& worker) : worker_{worker} {
        // Sequentially consistent on purpose: either we see is_exclusive_, or its owner sees us.
        while (true) {
            worker_.is_busy_.store(true);
            if (!session.is_exclusive_.load()) {
                return;
            }
            worker_.is_busy_.store(false);
            session.is_exclusive_.wait(true);
        }
    }
    RequestScope(const RequestScope&) = delete;
    RequestScope& operator=(const RequestScope&) = delete;
    ~RequestScope() { worker_.is_busy_.store(false, std::memory_order_release); }

private:
    SessionWorker& worker_;
};

/// Alone with the session: no request runs, none starts.
class Session::ExclusiveScope {
public:
    explicit ExclusiveScope(Session& session) : session_{session}, lock_{session.exclusive_mutex_} {
        session_.is_exclusive_.store(true);
        const std::lock_guard workers_lock{session_.workers_mutex_};
        for (const auto* worker : session_.workers_) {
            wait_until_idle(*worker);
        }
    }
    ExclusiveScope(const ExclusiveScope&) = delete;
    ExclusiveScope& operator=(const ExclusiveScope&) = delete;
    ~ExclusiveScope() {
        session_.is_exclusive_.store(false);
        session_.is_exclusive_.notify_all();
    }

private:
    // Requests end in microseconds, or wait for a disk: polling is rare, and keeps notifying out of
    // every request.
    static void wait_until_idle(const SessionWorker& worker) {
        while (worker.is_busy_.load()) {
            std::this_thread::sleep_for(std::chrono::microseconds{50});
        }
    }

    Session& session_;
    std::unique_lock<std::mutex> lock_;
};

Session::Session(Filesystem& filesystem, const Options& options, LogSink& log)
    : filesystem_{filesystem}, options_{options},
      cache_rules_{make_cache_rules(options.cache)}, log_{log}, retired_{make_statistics_table()} {}

Session::~Session() {
    assert(workers_.empty());
}

std::unique_ptr<SessionWorker> Session::make_worker() {
    std::unique_ptr<SessionWorker> worker{new SessionWorker{*this, filesystem_.make_worker()}};
    const std::lock_guard lock{workers_mutex_};
    workers_.push_back(worker.get());
    return worker;
}

std::optional<std::size_t> Session::handle(const Buffers& buffers,
                                           SessionWorker& worker,
                                           CompletionSink& sink,
                                           std::uint64_t token) {
    InHeader header;
    if (gather(buffers.readable, 0, std::as_writable_bytes(std::span{&header, 1})) <
        sizeof(header)) {
        worker.statistics_.record_unanswerable();
        return 0;
    }
    if (header.opcode == raw(Opcode::FUSE_INIT) || header.opcode == raw(Opcode::FUSE_DESTROY)) {
        return handle_exclusively(buffers, header, worker);
    }
    const RequestScope scope{*this, worker};
    return serve(buffers, header, worker, sink, token);
}

std::optional<std::size_t> Session::serve(const Buffers& buffers,
                                          const InHeader& header,
                                          SessionWorker& worker,
                                          CompletionSink& sink,
                                          std::uint64_t token) {
    worker.clock_.start();
    const auto& operation = find_operation(header.opcode);
    const auto room = total_size(buffers.writable);
    if (room < sizeof(OutHeader) && !operation.is_silent) {
        worker.statistics_.record_unanswerable();
        return 0;
    }
    RequestDeferral deferral{buffers.writable, header.unique, sink, token};
    const auto outcome = run(operation, buffers, header, worker, deferral);
    worker.statistics_.record(header.opcode, !outcome.has_value(), worker.clock_.stop());
    if (deferral.is_parked()) {
        return std::nullopt;
    }
    if (operation.is_silent) {
        return 0;
    }
    return finish_reply(
        buffers.writable, header.unique, outcome.error(), outcome ? *outcome : std::size_t{0});
}

Outcome<std::size_t> Session::run(const Operation& operation,
                                  const Buffers& buffers,
                                  const InHeader& header,
                                  SessionWorker& worker,
                                  Deferral& deferral) {
    VFSKIT_TRY(check_length(header, total_size(buffers.readable), options_.max_write));
    if (!negotiated_.is_initialized()) {
        return Errno{EBADF};
    }
    auto& scratch = *worker.scratch_;
    Call call{.filesystem = filesystem_,
              .options = options_,
              .cache_rules = cache_rules_,
              .negotiated = negotiated_,
              .context = {.worker = *worker.worker_,
                          .unique = Unique{header.unique},
                          .uid = GuestUid{header.uid},
                          .gid = GuestGid{header.gid},
                          .pid = header.pid},
              .node = NodeId{header.nodeid},
              .scratch = scratch,
              .deferral = deferral};
    if (!operation.is_silent) {
        call.payload = slice(buffers.writable, sizeof(OutHeader), SIZE_MAX, scratch.payload);
        call.payload_room = total_size(call.payload);
        if (call.payload_room < operation.least_payload) {
            return Errno{EINVAL};
        }
    }
    try {
        VFSKIT_TRY(attach_request(call, buffers, header));
        const auto outcome = operation.handler(call);
        count_data(header.opcode, outcome, call, worker.statistics_);
        return outcome;
    } catch (const std::bad_alloc&) {
        return Errno{ENOMEM};
    }
}

VFSKIT_OUT_OF_LINE std::size_t
Session::handle_exclusively(const Buffers& buffers, const InHeader& header, SessionWorker& worker) {
    worker.clock_.start();
    const auto outcome = header.opcode == raw(Opcode::FUSE_INIT)
                             ? serve_init(buffers, header, *worker.scratch_)
                             : serve_destroy();
    worker.statistics_.record(header.opcode, !outcome.has_value(), worker.clock_.stop());
    if (total_size(buffers.writable) < sizeof(OutHeader)) {
        return 0; // DESTROY needs no reply, INIT without room for one has changed nothing
    }
    return finish_reply(
        buffers.writable, header.unique, outcome.error(), outcome ? *outcome : std::size_t{0});
}

Outcome<std::size_t>
Session::serve_init(const Buffers& buffers, const InHeader& header, CallScratch& scratch) {
    VFSKIT_TRY(check_length(header, total_size(buffers.readable), options_.max_write));
    if (total_size(buffers.writable) < sizeof(OutHeader) + sizeof(wire::InitOut)) {
        return Errno{EINVAL};
    }
    auto arguments = copy_arguments(buffers, header, scratch);
    const auto size = std::min(arguments.remaining(), sizeof(wire::InitIn));
    VFSKIT_TRY_ASSIGN(
        auto guest,
        arguments.read_prefix<wire::InitIn>(std::max(size, wire::FUSE_COMPAT_INIT_IN_SIZE)));
    VFSKIT_TRY_ASSIGN(const auto negotiation, negotiate(options_, guest));
    {
        const ExclusiveScope scope{*this};
        filesystem_.destroy();
        negotiated_ = negotiation.state;
        if (negotiated_.is_initialized()) {
            filesystem_.init(negotiated_);
        }
    }
    for (const auto warning : negotiation.warnings) {
        log_.write(LogLevel::warn, warning);
    }
    scatter(buffers.writable, sizeof(OutHeader), std::as_bytes(std::span{&negotiation.reply, 1}));
    return sizeof(negotiation.reply);
}

Outcome<std::size_t> Session::serve_destroy() {
    reset();
    return std::size_t{0};
}

void Session::reset() {
    const ExclusiveScope scope{*this};
    filesystem_.destroy();
    negotiated_ = {};
}

NegotiatedState Session::export_state() const {
    // Not ExclusiveScope: nobody writes while this mutex is held, and reading beside requests is
    // harmless.
    const std::lock_guard lock{exclusive_mutex_};
    return negotiated_;
}

void Session::import_state(const NegotiatedState& state) {
    const ExclusiveScope scope{*this};
    negotiated_ = state;
    if (negotiated_.is_initialized()) {
        filesystem_.init(negotiated_);
    }
}

Statistics Session::statistics() const {
    const std::lock_guard lock{workers_mutex_};
    auto sum = retired_;
    for (const auto* worker : workers_) {
        worker->statistics_.add_to(sum);
    }
    drop_unseen_opcodes(sum);
    return sum;
}

void Session::count_data(std::uint32_t opcode,
                         const Outcome<std::size_t>& outcome,
                         const Call& call,
                         StatisticsShard& statistics) {
    if (!outcome) {
        return;
    }
    if (opcode == raw(Opcode::FUSE_READ)) {
        statistics.record_read(*outcome);
    } else if (opcode == raw(Opcode::FUSE_WRITE)) {
        statistics.record_written(call.data_moved);
    }
}

} // namespace vfskit::fuse
