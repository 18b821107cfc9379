// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/session.h"

#include "core/base/bytes.h"
#include "core/vhost_user/session_impl.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace vfskit::vhost_user {
namespace {

// A front-end that sends nonsense in a loop must not fill the operator's disk.
constexpr unsigned reports_per_session = 1000;

std::span<const std::byte> bytes_of(const std::uint64_t& value) {
    return std::as_bytes(std::span{&value, 1});
}

// What a failed message of a kind that always has a reply is answered with.
enum class FailureReply { none, acknowledgement, device_state, check, empty };

FailureReply failure_reply(std::uint32_t request) {
    switch (request) {
    case VHOST_USER_SET_DEVICE_STATE_FD:
        return FailureReply::device_state;
    case VHOST_USER_CHECK_DEVICE_STATE:
        return FailureReply::check;
    // Spec, GET_CONFIG: "back-end uses zero length of payload to indicate an error". The others
    // have no error of their own; a reply of the wrong size is one that every front-end checks for.
    case VHOST_USER_GET_CONFIG:
    case VHOST_USER_GET_FEATURES:
    case VHOST_USER_GET_PROTOCOL_FEATURES:
    case VHOST_USER_GET_QUEUE_NUM:
    case VHOST_USER_GET_MAX_MEM_SLOTS:
    case VHOST_USER_GET_VRING_BASE:
    case VHOST_USER_GET_INFLIGHT_FD:
    case VHOST_USER_GET_STATUS:
    case VHOST_USER_POSTCOPY_ADVISE:
    case VHOST_USER_CREATE_CRYPTO_SESSION:
    case VHOST_USER_GET_SHARED_OBJECT:
        return FailureReply::empty;
    default:
        return FailureReply::acknowledgement;
    }
}

} // namespace

std::size_t queue_thread_count(std::size_t asked, unsigned cpus) {
    return asked != 0 ? asked : std::max(2U, cpus);
}

std::vector<std::byte> make_fs_config(std::string_view tag, std::uint32_t num_request_queues) {
    VirtioFsConfig config{};
    assert(tag.size() <= sizeof config.tag);
    std::copy(tag.begin(), tag.end(), config.tag);
    config.num_request_queues = num_request_queues;
    const auto bytes = std::as_bytes(std::span{&config, 1});
    return {bytes.begin(), bytes.end()};
}

BackendSession::BackendSession(UniqueFd socket,
                               const SessionOptions& options,
                               RequestHandler& handler,
                               DeviceStateHandler* device_state,
                               SessionObserver& observer,
                               LogSink& log)
    : impl_{std::make_unique<Impl>(
          std::move(socket), options, handler, device_state, observer, log)} {}

BackendSession::~BackendSession() = default;

Result<void> BackendSession::serve() {
    return impl_->serve();
}

void BackendSession::stop() {
    impl_->stop();
}

std::vector<QueueStatus> BackendSession::queue_status() const {
    return impl_->queue_status();
}

BackendSession::Impl::Impl(UniqueFd socket,
                           const SessionOptions& options,
                           RequestHandler& handler,
                           DeviceStateHandler* device_state,
                           SessionObserver& observer,
                           LogSink& log)
    : socket_{std::move(socket)}, stop_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      messages_{socket_.get()}, options_{options}, handler_{handler}, observer_{observer},
      log_{log}, memory_{std::make_shared<const virtio::GuestMemory>()},
      vrings_(std::clamp<std::size_t>(options.queue_count, 1, VHOST_USER_VRING_IDX_MASK + 1)) {
    if (device_state != nullptr) {
        transfer_.emplace(*device_state);
    }
    if (options_.pool_threads > 0) {
        pool_ = std::make_unique<WorkerPool>(options_.pool_threads, handler_);
    }
}

BackendSession::Impl::~Impl() {
    tear_down();
}

void BackendSession::Impl::stop() const {
    constexpr std::uint64_t one = 1;
    static_cast<void>(::write(stop_fd_.get(), &one, sizeof one));
}

std::vector<QueueStatus> BackendSession::Impl::queue_status() const {
    const std::lock_guard lock{vrings_mutex_};
    std::vector<QueueStatus> all;
    for (const auto& vring : vrings_) {
        if (vring == nullptr) {
            continue;
        }
        const ServedQueue::Counters counters = vring->served().counters();
        all.push_back({vring->index(),
                       counters.is_processed,
                       counters.is_broken,
                       counters.size,
                       counters.in_flight,
                       counters.requests,
                       counters.batches,
                       counters.notifications});
    }
    return all;
}

Result<void> BackendSession::Impl::serve() {
    Result<void> outcome;
    Message message;
    while (true) {
        auto has_message = wait_for_message();
        if (has_message && *has_message) {
            has_message = messages_.read(message);
        }
        if (!has_message) {
            outcome = std::move(has_message).error();
            break;
        }
        if (!*has_message) {
            break;
        }
        if (outcome = answer(message); !outcome) {
            break;
        }
    }
    message.fds.clear();
    tear_down();
    // The front-end learns it now, not when the session is destroyed.
    static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
    return outcome;
}

// False when the session was told to stop.
Result<bool> BackendSession::Impl::wait_for_message() const {
    std::array<pollfd, 2> waited{{{socket_.get(), POLLIN, 0}, {stop_fd_.get(), POLLIN, 0}}};
    while (::poll(waited.data(), waited.size(), -1) < 0) {
        if (errno != EINTR) {
            return Error::from_errno(errno, "Cannot wait for the front-end");
        }
    }
    return waited[1].revents == 0;
}

Result<void> BackendSession::Impl::answer(Message& message) {
    auto reply = dispatch(message);
    if (!reply) {
        report(LogLevel::warn,
               fmt::format("{}: {}", describe_request(message.request), reply.error().describe()));
        return send_failure(message);
    }
    if (*reply) {
        return send_reply(message.request, **reply);
    }
    if (message.needs_reply() && has_protocol_feature(VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
        return send_reply(message.request, bytes_of(0));
    }
    return {};
}

Result<void> BackendSession::Impl::send_reply(std::uint32_t request,
                                              std::span<const std::byte> payload) {
    auto sent = messages_.write(request, VHOST_USER_VERSION | VHOST_USER_REPLY_MASK, payload);
    // Gone before it got its answer: the next read tells the end.
    if (!sent && (sent.error().code() == EPIPE || sent.error().code() == ECONNRESET)) {
        return {};
    }
    return sent;
}

Result<void> BackendSession::Impl::send_failure(const Message& message) {
    FailureReply kind = failure_reply(message.request);
    if (message.request == VHOST_USER_SET_LOG_BASE &&
        has_protocol_feature(VHOST_USER_PROTOCOL_F_LOG_SHMFD)) {
        kind = FailureReply::empty;
    }
    if (kind == FailureReply::acknowledgement &&
        !(message.needs_reply() && has_protocol_feature(VHOST_USER_PROTOCOL_F_REPLY_ACK))) {
        kind = FailureReply::none;
    }
    switch (kind) {
    case FailureReply::none:
        return {};
    case FailureReply::acknowledgement:
    case FailureReply::check:
        return send_reply(message.request, bytes_of(1));
    case FailureReply::device_state:
        return send_reply(message.request, bytes_of(1 | VHOST_USER_VRING_NOFD_MASK));
    case FailureReply::empty:
        return send_reply(message.request, {});
    }
    return {};
}

void BackendSession::Impl::report(LogLevel level, const std::string& line) {
    if (reported_ < reports_per_session) {
        ++reported_;
        log_.write(level, line);
    }
}

void BackendSession::Impl::tear_down() {
    if (transfer_) {
        transfer_->cancel();
    }
    stop_rings();
    {
        const std::lock_guard lock{vrings_mutex_};
        vrings_.clear();
    }
    request_workers_.clear();
    hiprio_worker_.reset();
    pool_.reset();
    memory_ = std::make_shared<const virtio::GuestMemory>();
    log_base_.reset();
}

void BackendSession::Impl::stop_rings() {
    // All at once: the slowest request decides how long it takes, not the sum.
    for (const auto& vring : vrings_) {
        if (vring != nullptr) {
            vring->begin_stop();
        }
    }
    for (const auto& vring : vrings_) {
        if (vring != nullptr) {
            static_cast<void>(vring->finish_stop());
        }
    }
}

} // namespace vfskit::vhost_user
