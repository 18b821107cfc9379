// SPDX-License-Identifier: Apache-2.0
// What does the FUSE session itself cost per request? GETATTRs with their buffers as Linux lays
// them out, in batches as a busy ring has them, on one thread and on all, over a Filesystem that
// answers at once and over MemoryFs, which takes a lock and looks into a map. Beside it what the
// session's parts cost alone: reading the clock, and the exchange that tells an INIT or a reset
// that a request runs.
#include "core/base/ticks.h"
#include "core/fuse/session.h"
#include "tests/support/fuse_guest.h"
#include "tests/support/memory_fs.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using namespace vfskit;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t requests = 2'000'000;
constexpr int rounds = 5;
constexpr std::uint64_t batch = 16;

/// Answers GETATTR without looking.
class InstantFs final : public fuse::MemoryFs {
public:
    fuse::Outcome<fuse::wire::Attr> getattr(fuse::Context& /*ctx*/,
                                            fuse::NodeId /*node*/,
                                            std::optional<fuse::HandleId> /*handle*/) override {
        return fuse::wire::Attr{};
    }
};

class NoSink final : public fuse::CompletionSink {
public:
    void complete(std::uint64_t /*token*/, std::size_t /*used*/) override {}
};

/// One GETATTR of the root and the room for its reply.
class Getattr {
public:
    Getattr() {
        header_.len = sizeof(header_) + sizeof(arguments_);
        header_.opcode = static_cast<std::uint32_t>(fuse::wire::Opcode::FUSE_GETATTR);
        header_.nodeid = fuse::wire::FUSE_ROOT_ID;
    }
    Getattr(const Getattr&) = delete;
    Getattr& operator=(const Getattr&) = delete;

    [[nodiscard]] fuse::Buffers buffers() const {
        return {.readable = readable_, .writable = writable_};
    }
    [[nodiscard]] bool is_answered() const {
        return reply_.error == 0 && reply_.len == sizeof(reply_) + sizeof(attr_);
    }

private:
    fuse::wire::InHeader header_{};
    fuse::wire::GetattrIn arguments_{};
    fuse::wire::OutHeader reply_{};
    fuse::wire::AttrOut attr_{};
    iovec readable_[2] = {{&header_, sizeof(header_)}, {&arguments_, sizeof(arguments_)}};
    iovec writable_[2] = {{&reply_, sizeof(reply_)}, {&attr_, sizeof(attr_)}};
};

/// The fastest of some rounds, in nanoseconds per call: a busy machine only adds.
template <class Call>
double best_of_rounds(std::uint64_t calls, Call call) {
    double best = 1e18;
    for (int round = 0; round < rounds; ++round) {
        const auto start = Clock::now();
        for (std::uint64_t i = 0; i < calls; ++i) {
            call();
        }
        const std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
        best = std::min(best, elapsed.count() / static_cast<double>(calls));
    }
    return best;
}

enum class Batches { untold, told };

double serve_getattrs(fuse::Session& session, Batches batches, bool& all_answered) {
    const auto worker = session.make_worker();
    Getattr request;
    NoSink sink;
    std::uint64_t served = 0;
    const double best = best_of_rounds(requests, [&] {
        static_cast<void>(session.handle(request.buffers(), *worker, sink, 0));
        if (++served % batch == 0 && batches == Batches::told) {
            worker->end_batch();
        }
    });
    all_answered = request.is_answered();
    return best;
}

/// Nanoseconds per request of the slowest of `threads` threads.
double serve_on(fuse::Session& session, unsigned threads, Batches batches, bool& all_answered) {
    std::vector<double> best(threads, 0);
    std::atomic<unsigned> answered{0};
    std::vector<std::thread> running;
    for (unsigned i = 0; i < threads; ++i) {
        running.emplace_back([&, i] {
            bool is_answered = false;
            best[i] = serve_getattrs(session, batches, is_answered);
            answered += is_answered ? 1 : 0;
        });
    }
    for (auto& thread : running) {
        thread.join();
    }
    all_answered = all_answered && answered == threads;
    return *std::max_element(best.begin(), best.end());
}

bool measure(const char* name, fuse::Filesystem& filesystem, unsigned threads, Batches batches) {
    fuse::Session session{filesystem, {}};
    bool all_answered = fuse::FuseGuest{session}.init().error() == 0;
    const double best = serve_on(session, threads, batches, all_answered);
    fmt::print("GETATTR, {:8} {} thread(s), batches {:6}: {:7.1f} ns per request\n",
               name,
               threads,
               batches == Batches::told ? "told" : "untold",
               best);
    return all_answered;
}

void measure_parts() {
    std::atomic<bool> flag{false};
    std::int64_t sum = 0;
    fmt::print("one read of steady_clock: {:.1f} ns\n",
               best_of_rounds(requests, [&] { sum += Clock::now().time_since_epoch().count(); }));
    fmt::print("one read of the ticks, as a time: {:.1f} ns\n",
               best_of_rounds(requests, [&] { sum += time_of_ticks(ticks_now()).count(); }));
    fmt::print("one exchange of a flag: {:.1f} ns{}\n",
               best_of_rounds(requests, [&] { flag.store(true); }),
               sum == 0 ? " (no clock)" : "");
}

} // namespace

int main() {
    const auto cpus = std::max(1U, std::thread::hardware_concurrency());
    fmt::print("{} CPUs, g++ {}, the best of {} rounds of {} requests\n",
               cpus,
               __VERSION__,
               rounds,
               requests);
    InstantFs instant;
    fuse::MemoryFs memory;
    bool is_good = true;
    for (const auto batches : {Batches::untold, Batches::told}) {
        is_good = measure("instant", instant, 1, batches) && is_good;
        is_good = measure("instant", instant, cpus, batches) && is_good;
        is_good = measure("MemoryFs", memory, 1, batches) && is_good;
    }
    measure_parts();
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
