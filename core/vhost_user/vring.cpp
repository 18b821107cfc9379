// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/vring.h"

#include "core/vhost_user/queue_worker.h"

#include <fmt/core.h>

#include <cerrno>

namespace vfskit::vhost_user {
namespace {

std::shared_ptr<const UniqueFd> share(UniqueFd fd) {
    return fd ? std::make_shared<const UniqueFd>(std::move(fd)) : nullptr;
}

} // namespace

Result<void> Vring::set_size(std::uint32_t size) {
    if (is_started()) {
        return Error{EBUSY, "The size of a started ring cannot change"};
    }
    if (!virtio::Virtqueue::is_valid_size(size)) {
        return Error{EINVAL, fmt::format("A ring of {} descriptors cannot be", size)};
    }
    size_ = size;
    return {};
}

Result<void> Vring::set_base(std::uint32_t base) {
    if (is_started()) {
        return Error{EBUSY, "The base of a started ring cannot change"};
    }
    if (base > 0xffff) {
        return Error{EINVAL, fmt::format("A ring cannot begin at index {}", base)};
    }
    base_ = static_cast<std::uint16_t>(base);
    return {};
}

Result<void> Vring::set_addresses(const virtio::RingAddresses& addresses, const Shared& shared) {
    if (size_ != 0 && shared.memory != nullptr) {
        virtio::Virtqueue probe{size_, shared.features};
        VFSKIT_TRY(probe.map(*shared.memory, addresses));
    }
    addresses_ = addresses;
    update(shared);
    return try_start(shared);
}

Result<void> Vring::set_kick(UniqueFd fd, const Shared& shared) {
    if (is_started() && !fd) {
        return Error{EBUSY, "The kick fd of a started ring cannot be taken away"};
    }
    if (fd) {
        VFSKIT_TRY(served_.worker().watch(fd.get()));
    }
    drop_kick();
    kick_fd_ = std::move(fd);
    has_kick_ = true;
    // The guest may have kicked the old one just before.
    update(shared);
    return try_start(shared);
}

void Vring::set_call(UniqueFd fd, const Shared& shared) {
    call_fd_ = share(std::move(fd));
    update(shared);
}

void Vring::set_err(UniqueFd fd, const Shared& shared) {
    err_fd_ = share(std::move(fd));
    update(shared);
}

Result<void> Vring::set_enabled(bool is_enabled, const Shared& shared) {
    VFSKIT_TRY(life_.apply(is_enabled ? RingEvent::enable : RingEvent::disable));
    update(shared);
    return {};
}

void Vring::update(const Shared& shared) {
    if (!is_started()) {
        return;
    }
    auto settings = std::make_shared<RingSettings>();
    settings->memory = shared.memory;
    settings->log = shared.log;
    settings->addresses = *addresses_;
    settings->call_fd = call_fd_;
    settings->err_fd = err_fd_;
    settings->is_enabled = life_.state() == RingState::started_enabled;
    served_.update(std::move(settings));
}

Result<void> Vring::try_start(const Shared& shared) {
    if (is_started() || !has_kick_ || size_ == 0 || !addresses_) {
        return {};
    }
    if (shared.starts_enabled) {
        VFSKIT_TRY(life_.apply(RingEvent::enable));
    }
    VFSKIT_TRY(life_.apply(RingEvent::start));
    update(shared);
    const RingStart start{size_, shared.features, base_, !kick_fd_};
    served_.worker().post([served = &served_, start] {
        served->start(start);
        served->worker().attach(*served);
    });
    return {};
}

void Vring::begin_stop() {
    if (!is_started()) {
        return;
    }
    std::promise<std::uint16_t> stopped;
    stopped_ = stopped.get_future();
    served_.request_stop();
    auto shared_promise = std::make_shared<std::promise<std::uint16_t>>(std::move(stopped));
    served_.worker().post(
        [served = &served_, shared_promise] { served->stop(std::move(*shared_promise)); });
}

std::uint16_t Vring::finish_stop() {
    if (stopped_) {
        base_ = stopped_->get();
        stopped_.reset();
    }
    // A stop is allowed in every state.
    static_cast<void>(life_.apply(RingEvent::stop));
    drop_kick();
    return base_;
}

void Vring::drop_kick() {
    if (kick_fd_) {
        served_.worker().unwatch(kick_fd_.get());
        kick_fd_.reset();
    }
    has_kick_ = false;
}

} // namespace vfskit::vhost_user
