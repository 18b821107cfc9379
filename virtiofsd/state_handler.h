// SPDX-License-Identifier: Apache-2.0
// Where a migration meets the filesystem: the front-end's pipe on one side, the room device_state
// on the other.
#pragma once

#include "core/base/log.h"
#include "core/control/migration_report.h"
#include "core/device_state/load.h"
#include "core/device_state/place_check.h"
#include "core/device_state/save.h"
#include "core/fuse/session.h"
#include "core/passthrough/passthrough_fs.h"
#include "core/vhost_user/device_state.h"
#include "core/vhost_user/session.h"

namespace vfskit::virtiofsd {

/// --migration-…: `save` and `confirm_paths` matter on the source, `on_error` on the destination.
struct MigrationOptions {
    device_state::SaveOptions save;
    /// Check every path again when the guest stands still.
    bool confirm_paths = false;
    device_state::OnError on_error = device_state::OnError::abort;
};

/// Saves and loads, and listens to what happens to the device, for a migration that begins can be
/// prepared while the guest runs.
class StateHandler final : public vhost_user::DeviceStateHandler,
                           public vhost_user::SessionObserver {
public:
    /// The references must outlive it.
    StateHandler(fuse::Session& session,
                 passthrough::PassthroughFs& filesystem,
                 MigrationOptions options,
                 LogSink& log);

    Result<void> save(UniqueFd fd, int cancel_fd) override;
    Result<void> load(UniqueFd fd, int cancel_fd) override;

    /// For the control socket, while the guest runs. ENOTCONN: no guest has mounted the share.
    Result<control::MigrationReport> report();

    void device_reset() override;
    void migration_started() override;
    void migration_stopped() override;

private:
    struct HeldLocks {
        std::size_t posix = 0;
        std::size_t flocks = 0;
    };
    HeldLocks count_locks();
    Result<void> check_locks();
    device_state::Suspects find_suspects();
    Result<void> take_over(std::span<const std::byte> bytes);

    fuse::Session& session_;
    passthrough::PassthroughFs& filesystem_;
    const MigrationOptions options_;
    LogSink& log_;
    device_state::PlaceCheck place_check_;
};

} // namespace vfskit::virtiofsd
