// SPDX-License-Identifier: Apache-2.0
// One guest's conversation with one Filesystem.
#pragma once

#include "core/base/log.h"
#include "core/base/ticks.h"
#include "core/fuse/filesystem.h"
#include "core/fuse/options.h"
#include "core/fuse/statistics.h"

#include <sys/uio.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace vfskit::fuse {

/// One request as it lies in guest memory: what we may read and what we may write. The guest may
/// change both at any moment; the session copies what it judges. The iovecs themselves are ours.
struct Buffers {
    std::span<const iovec> readable;
    std::span<const iovec> writable;
};

/// Told when a request that waited is answered.
class CompletionSink {
public:
    /// `token` is what was given to handle(), `used` the bytes written to the writable buffers. On
    /// any thread, exactly once per waiting request, maybe before handle() returned.
    virtual void complete(std::uint64_t token, std::size_t used) = 0;

protected:
    ~CompletionSink() = default;
};

class SessionWorker;
struct Call;
struct CallScratch;
struct Operation;

/// Threads: handle() on any number of threads, each with its own SessionWorker; the rest on any
/// thread. Requests take no lock; INIT, DESTROY, reset() and import_state() wait until all other
/// requests are finished and hold new ones back meanwhile.
///
/// No request makes it throw or abort, whatever its bytes: the answer is an errno, or nothing where
/// not even a header fits. Allocates only where a request parks, and when a request is larger than
/// any before it on that worker.
class Session {
public:
    /// `filesystem` and `log` must outlive it.
    Session(Filesystem& filesystem, const Options& options, LogSink& log = base::null_log_sink());
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// For the calling thread, which makes the Filesystem's Worker too. Must be destroyed before
    /// the session.
    [[nodiscard]] std::unique_ptr<SessionWorker> make_worker();

    /// Serves one request. Returns the bytes written to the writable buffers (0 for requests
    /// without a reply), or nullopt if it waits: then `sink` is told later, and the buffers' memory
    /// (not the iovecs) must stay accessible until then.
    std::optional<std::size_t> handle(const Buffers& buffers,
                                      SessionWorker& worker,
                                      CompletionSink& sink,
                                      std::uint64_t token);

    /// As if the guest had sent DESTROY: the device was reset.
    void reset();
    /// Completes what is parked with `reason`, because its queue stops or its memory goes away.
    void cancel_parked(Errno reason) { filesystem_.cancel_parked(reason); }

    /// For migration and takeover. Import replaces what was negotiated and tells the Filesystem,
    /// without dropping what it holds.
    [[nodiscard]] NegotiatedState export_state() const;
    void import_state(const NegotiatedState& state);

    [[nodiscard]] Statistics statistics() const;
    [[nodiscard]] Gauges gauges() const { return filesystem_.gauges(); }
    [[nodiscard]] const Options& options() const { return options_; }

private:
    friend class SessionWorker;
    class RequestScope;
    class ExclusiveScope;

    std::optional<std::size_t> serve(const Buffers& buffers,
                                     const wire::InHeader& header,
                                     SessionWorker& worker,
                                     CompletionSink& sink,
                                     std::uint64_t token);
    Outcome<std::size_t> run(const Operation& operation,
                             const Buffers& buffers,
                             const wire::InHeader& header,
                             SessionWorker& worker,
                             Deferral& deferral);
    std::size_t
    handle_exclusively(const Buffers& buffers, const wire::InHeader& header, SessionWorker& worker);
    Outcome<std::size_t>
    serve_init(const Buffers& buffers, const wire::InHeader& header, CallScratch& scratch);
    Outcome<std::size_t> serve_destroy();
    static void count_data(std::uint32_t opcode,
                           const Outcome<std::size_t>& outcome,
                           const Call& call,
                           StatisticsShard& statistics);

    Filesystem& filesystem_;
    const Options options_;
    const CacheRules cache_rules_;
    LogSink& log_;

    /// Written under ExclusiveScope, read inside RequestScope.
    NegotiatedState negotiated_;

    /// Protects workers_ and retired_. Taken when a thread comes or goes, never per request, and
    /// inside exclusive_mutex_.
    mutable std::mutex workers_mutex_;
    std::vector<SessionWorker*> workers_;
    Statistics retired_;

    /// Held by the one that has the session for itself.
    mutable std::mutex exclusive_mutex_;
    std::atomic<bool> is_exclusive_{false};
};

/// One thread's request times, in ticks: a read of steady_clock would be a fifth of what the
/// session costs a GETATTR (24 of 109 ns measured; bench_fuse_dispatch prints both clocks).
class RequestClock {
public:
    void start() { started_ = ended_ == 0 ? ticks_now() : ended_; }
    /// Since start(). Zero where the thread moved to a CPU whose ticks lag behind.
    std::chrono::nanoseconds stop() {
        const std::uint64_t now = ticks_now();
        ended_ = has_batches_ ? now : 0;
        return time_of_ticks(now > started_ ? now - started_ : 0);
    }
    /// Until the first call nobody knows whether the thread waits between two requests.
    void end_batch() {
        has_batches_ = true;
        ended_ = 0;
    }

private:
    std::uint64_t started_ = 0;
    std::uint64_t ended_ = 0; ///< of the batch's last request; 0: none
    bool has_batches_ = false;
};

/// What one thread needs to serve requests: the Filesystem's Worker, scratch memory, counters.
class SessionWorker {
public:
    ~SessionWorker();
    SessionWorker(const SessionWorker&) = delete;
    SessionWorker& operator=(const SessionWorker&) = delete;

    /// Says, on the worker's own thread, that it may now wait for requests. A thread that says so
    /// after each batch reads the clock once per request and not twice: within a batch a request
    /// begins, for the statistics, where the one before it ended.
    void end_batch() { clock_.end_batch(); }

private:
    friend class Session;
    SessionWorker(Session& session, std::unique_ptr<Worker> worker);

    Session& session_;
    std::unique_ptr<Worker> worker_;

    struct Scratch;
    std::unique_ptr<Scratch> scratch_;
    StatisticsShard statistics_;
    RequestClock clock_;
    /// True while a request runs; on a cache line of its own, as another thread polls it.
    alignas(64) std::atomic<bool> is_busy_{false};
};

} // namespace vfskit::fuse
