// SPDX-License-Identifier: Apache-2.0
// What the daemon tells and does when it is asked over the control socket.
#pragma once

#include "core/control/server.h"
#include "core/fuse/session.h"
#include "virtiofsd/logging.h"
#include "virtiofsd/options.h"
#include "virtiofsd/server.h"
#include "virtiofsd/state_handler.h"

#include <sys/types.h>

#include <chrono>

namespace vfskit::virtiofsd {

/// Nothing here waits for the guest; only migration_report() may wait for storage. Called on the
/// control server's thread; the references must outlive it. `pid` is ours as the host sees it.
class ControlHandlers final : public control::Handlers {
public:
    ControlHandlers(const Options& options,
                    pid_t pid,
                    Server& server,
                    fuse::Session& session,
                    StateHandler& state_handler,
                    DaemonLog& log)
        : options_{options}, pid_{pid}, server_{server}, session_{session},
          state_handler_{state_handler}, log_{log} {}

    control::Status status() override;
    Result<void> set_log_level(LogLevel level) override;
    Result<control::MigrationReport> migration_report() override { return state_handler_.report(); }

private:
    void add_gauges(control::Status& status) const;
    void add_queues(control::Status& status);
    void add_operations(control::Status& status) const;

    const Options& options_;
    pid_t pid_;
    Server& server_;
    fuse::Session& session_;
    StateHandler& state_handler_;
    DaemonLog& log_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

} // namespace vfskit::virtiofsd
