// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

namespace vfskit::virtiofsd {

namespace {

// Sleeping and being woken costs some 15 us of CPU time here and twice that until the request is
// served; KVM waits 200 us for a halted virtual CPU by default. Where the guest has no other CPU to
// run on, waiting for it is in vain.
constexpr std::chrono::microseconds usual_poll_limit{50};

vhost_user::SessionOptions session_options(const Options& options) {
    vhost_user::SessionOptions result;
    if (std::thread::hardware_concurrency() > 1) {
        result.poll_limit = usual_poll_limit;
    }
    result.pool_threads = options.thread_pool_size;
    if (options.tag) {
        result.config_space = vhost_user::make_fs_config(*options.tag, 1);
    }
    return result;
}

} // namespace

Server::Server(const Options& options,
               Entrance& entrance,
               fuse::Session& session,
               StateHandler& state_handler,
               LogSink& log)
    : options_{options}, entrance_{entrance}, session_{session},
      state_handler_{state_handler}, bridge_{session, options.thread_pool_size > 0}, log_{log},
      stop_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

Result<void> Server::run() {
    for (;;) {
        log_.write(LogLevel::info, "Waiting for vhost-user socket connection...");
        VFSKIT_TRY_ASSIGN(auto connection, accept());
        if (!connection) {
            return {};
        }
        log_.write(LogLevel::info, "Client connected, servicing requests");
        auto served = serve_one(std::move(connection));
        if (!options_.keep_listening || is_stopped()) {
            return served;
        }
        if (!served) {
            log_.write(LogLevel::error, served.error().describe());
        }
    }
}

void Server::stop() {
    ::eventfd_write(stop_event_.get(), 1);
    const std::lock_guard lock{mutex_};
    if (current_ != nullptr) {
        current_->stop();
    }
}

std::optional<std::vector<vhost_user::QueueStatus>> Server::queue_status() {
    const std::lock_guard lock{mutex_};
    if (current_ == nullptr) {
        return std::nullopt;
    }
    return current_->queue_status();
}

bool Server::is_stopped() const {
    pollfd polled{stop_event_.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) > 0;
}

// A connection, or nothing when stop() came first.
Result<UniqueFd> Server::accept() {
    for (;;) {
        std::array<pollfd, 2> polled{
            {{entrance_.listener.fd.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
        if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for a connection");
        }
        if (polled[1].revents != 0) {
            return UniqueFd{};
        }
        UniqueFd connection{::accept4(entrance_.listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (connection) {
            return connection;
        }
        if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
            return Error::from_errno(errno, "Cannot accept a connection");
        }
    }
}

Result<void> Server::serve_one(UniqueFd connection) {
    if (!options_.keep_listening) {
        // A second front-end fails at once instead of waiting in the backlog for ever.
        entrance_.listener.fd.reset();
    }
    vhost_user::BackendSession backend{std::move(connection),
                                       session_options(options_),
                                       bridge_,
                                       &state_handler_,
                                       state_handler_,
                                       log_};
    set_current(&backend);
    auto served = backend.serve();
    set_current(nullptr);
    // The guest may have gone to a daemon that has not fetched what it needs from us yet.
    state_handler_.front_end_gone(stop_event_.get());
    session_.reset();
    log_.write(LogLevel::info,
               options_.keep_listening ? "Client disconnected"
                                       : "Client disconnected, shutting down");
    return served;
}

void Server::set_current(vhost_user::BackendSession* backend) {
    const std::lock_guard lock{mutex_};
    current_ = backend;
}

} // namespace vfskit::virtiofsd
