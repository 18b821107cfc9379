// SPDX-License-Identifier: Apache-2.0
// Where a migration meets the filesystem: the front-end's pipe on one side, the room device_state
// on the other.
#pragma once

#include "core/base/log.h"
#include "core/control/migration_report.h"
#include "core/device_state/descriptor_client.h"
#include "core/device_state/descriptor_server.h"
#include "core/device_state/load.h"
#include "core/device_state/preparation.h"
#include "core/device_state/save.h"
#include "core/fuse/session.h"
#include "core/passthrough/passthrough_fs.h"
#include "core/vhost_user/device_state.h"
#include "core/vhost_user/session.h"

#include <string>
#include <utility>
#include <vector>

namespace vfskit::virtiofsd {

/// --migration-…: `save` and `confirm_paths` matter on the source, `on_error` on the destination.
struct MigrationOptions {
    device_state::SaveOptions save;
    /// Check every path again when the guest stands still.
    bool confirm_paths = false;
    device_state::OnError on_error = device_state::OnError::abort;
};

/// Both ends of --migration-mode=fd-passing: this daemon's door, and the way to those of others.
/// Made inside the walls.
class FdPassing {
public:
    FdPassing(UniqueFd listener,
              std::string socket_name,
              UniqueFd directory,
              passthrough::PassthroughFs& filesystem,
              LogSink& log)
        : uids_{device_state::own_uids(listener.get())}, directory_{std::move(directory)},
          server_{std::move(listener), std::move(socket_name), filesystem, log} {}

    [[nodiscard]] device_state::DescriptorServer& server() { return server_; }
    [[nodiscard]] device_state::SourceAddress source_address(int cancel_fd) const {
        device_state::SourceAddress address;
        address.directory_fd = directory_.get();
        address.allowed_uids = uids_;
        address.cancel_fd = cancel_fd;
        return address;
    }

private:
    const std::vector<uid_t> uids_;
    const UniqueFd directory_;
    device_state::DescriptorServer server_;
};

/// Saves and loads, and listens to what happens to the device, for a migration that begins can be
/// prepared while the guest runs.
class StateHandler final : public vhost_user::DeviceStateHandler,
                           public vhost_user::SessionObserver {
public:
    /// The references must outlive it. `fd_passing`: null where the mode is another.
    StateHandler(fuse::Session& session,
                 passthrough::PassthroughFs& filesystem,
                 MigrationOptions options,
                 FdPassing* fd_passing,
                 LogSink& log);

    Result<void> save(UniqueFd fd, int cancel_fd) override;
    Result<void> load(UniqueFd fd, int cancel_fd) override;

    /// For the control socket, while the guest runs. ENOTCONN: no guest has mounted the share.
    Result<control::MigrationReport> report();

    /// The front-end has disconnected. Where a destination was offered our descriptors it gets a
    /// moment to take them: a QEMU that needs no answer from there is ended sooner than that.
    /// Returns at once when `stop_fd` is readable.
    void front_end_gone(int stop_fd);

    void device_reset() override;
    void ring_started() override;
    void migration_started() override;
    void migration_stopped() override;

private:
    struct HeldLocks {
        std::size_t posix = 0;
        std::size_t flocks = 0;
    };
    HeldLocks count_locks();
    Result<void> check_locks();
    Result<void> send(UniqueFd fd, int cancel_fd);
    Result<void> take_over(std::span<const std::byte> bytes, int cancel_fd);
    void withdraw();
    void tell_of_deleted_files(const device_state::Suspects& suspects,
                               const std::atomic<bool>& cancelled);

    fuse::Session& session_;
    passthrough::PassthroughFs& filesystem_;
    const MigrationOptions options_;
    FdPassing* const fd_passing_;
    LogSink& log_;
    device_state::Preparation preparation_;
};

} // namespace vfskit::virtiofsd
