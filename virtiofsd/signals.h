// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"

#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

namespace vfskit::virtiofsd {

/// Blocks SIGTERM, SIGINT and SIGHUP in the calling thread and in all that it makes from now on,
/// and ignores SIGPIPE and SIGXFSZ: a front-end that goes away and a file that would grow beyond
/// RLIMIT_FSIZE are error codes, not a death. Call it first.
void block_signals();

/// Waits for one of them on a thread of its own. Upstream ends at once; this one lets what is in
/// flight finish first, for `grace` at most.
class SignalWatcher {
public:
    /// `stop` asks the daemon to end; it is called on the watcher's thread, once. If the daemon has
    /// not gone after the grace period (a request hangs in a dead network filesystem), `give_up` is
    /// called, which must not return.
    SignalWatcher(std::function<void()> stop, std::function<void()> give_up);
    SignalWatcher(const SignalWatcher&) = delete;
    SignalWatcher& operator=(const SignalWatcher&) = delete;
    ~SignalWatcher();

    [[nodiscard]] bool was_told_to_stop() const { return told_.load(); }

private:
    void watch();

    std::function<void()> stop_;
    std::function<void()> give_up_;
    std::atomic<bool> told_{false};
    std::atomic<bool> done_{false};
    std::thread thread_;
};

} // namespace vfskit::virtiofsd
