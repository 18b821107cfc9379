// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vhost_user/device_state.h"
#include "core/vhost_user/wire.h"

#include <future>
#include <optional>
#include <thread>

namespace vfskit::vhost_user {

/// One transfer of device state at a time: SET_DEVICE_STATE_FD starts it on a thread,
/// CHECK_DEVICE_STATE waits for its end.
//
//   idle ──start──► running ──finish (result told once)──► idle
//                      └──────cancel (result dropped)────► idle
class DeviceStateTransfer {
public:
    explicit DeviceStateTransfer(DeviceStateHandler& handler) : handler_{handler} {}
    DeviceStateTransfer(const DeviceStateTransfer&) = delete;
    DeviceStateTransfer& operator=(const DeviceStateTransfer&) = delete;
    ~DeviceStateTransfer() { cancel(); }

    /// EBUSY while another one runs.
    Result<void> start(TransferDirection direction, UniqueFd fd);
    /// Waits for the end and answers how it went. EPROTO when none was started.
    Result<void> finish();
    void cancel();
    [[nodiscard]] bool is_running() const { return thread_.joinable(); }

private:
    DeviceStateHandler& handler_;
    UniqueFd cancel_fd_;
    std::future<Result<void>> outcome_;
    std::thread thread_;
};

} // namespace vfskit::vhost_user
