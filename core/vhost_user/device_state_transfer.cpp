// SPDX-License-Identifier: Apache-2.0
#include "core/vhost_user/device_state_transfer.h"

#include "core/vhost_user/service_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace vfskit::vhost_user {

Result<void> DeviceStateTransfer::start(TransferDirection direction, UniqueFd fd) {
    if (is_running()) {
        return Error{EBUSY, "The transfer of device state before this one was never checked"};
    }
    cancel_fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!cancel_fd_) {
        return Error::from_errno(errno, "Cannot make the transfer's eventfd");
    }
    // std::function copies what it holds, so the descriptor is shared.
    auto state_fd = std::make_shared<UniqueFd>(std::move(fd));
    auto outcome = std::make_shared<std::promise<Result<void>>>();
    outcome_ = outcome->get_future();
    const int cancel_fd = cancel_fd_.get();
    thread_ = start_service_thread("vfs-state", [this, direction, state_fd, outcome, cancel_fd] {
        outcome->set_value(direction == TransferDirection::save
                               ? handler_.save(std::move(*state_fd), cancel_fd)
                               : handler_.load(std::move(*state_fd), cancel_fd));
    });
    return {};
}

Result<void> DeviceStateTransfer::finish() {
    if (!is_running()) {
        return Error{EPROTO, "No transfer of device state was started"};
    }
    thread_.join();
    return outcome_.get();
}

void DeviceStateTransfer::cancel() {
    if (!is_running()) {
        return;
    }
    constexpr std::uint64_t one = 1;
    static_cast<void>(::write(cancel_fd_.get(), &one, sizeof one));
    thread_.join();
}

} // namespace vfskit::vhost_user
