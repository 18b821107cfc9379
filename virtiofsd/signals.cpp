// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/signals.h"

#include <cerrno>
#include <ctime>

namespace vfskit::virtiofsd {

namespace {

constexpr int grace_seconds = 3;

// Ours alone: the watcher's destructor sends it to its thread.
constexpr int wake_signal = SIGUSR1;

sigset_t end_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, wake_signal}) {
        ::sigaddset(&set, signal);
    }
    return set;
}

} // namespace

void block_signals() {
    const sigset_t set = end_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);
}

SignalWatcher::SignalWatcher(std::function<void()> stop, std::function<void()> give_up)
    : stop_{std::move(stop)}, give_up_{std::move(give_up)}, thread_{[this] { watch(); }} {}

SignalWatcher::~SignalWatcher() {
    done_.store(true);
    ::pthread_kill(thread_.native_handle(), wake_signal);
    thread_.join();
}

void SignalWatcher::watch() {
    const sigset_t set = end_signals();
    siginfo_t info{};
    while (::sigwaitinfo(&set, &info) < 0 || (info.si_signo == wake_signal && !done_.load())) {
    }
    if (done_.load()) {
        return;
    }
    told_.store(true);
    stop_();
    const timespec grace{grace_seconds, 0};
    while (!done_.load()) {
        const int signal = ::sigtimedwait(&set, nullptr, &grace);
        if (signal < 0 && errno == EAGAIN && !done_.load()) {
            give_up_();
        }
    }
}

} // namespace vfskit::virtiofsd
