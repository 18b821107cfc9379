// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/service_thread.h"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace vfskit::vhost_user {

std::thread start_service_thread(const char* name, std::function<void()> body) {
    // Blocked before the thread exists, so that there is no instant at which it could take one.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread{std::move(body)};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread.native_handle(), name);
    return thread;
}

} // namespace vfskit::vhost_user
