// SPDX-License-Identifier: Apache-2.0
// Front-ends, one after the other, on the daemon's listening socket.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/fuse/session.h"
#include "core/vhost_user/session.h"
#include "virtiofsd/bridge.h"
#include "virtiofsd/daemon.h"
#include "virtiofsd/options.h"
#include "virtiofsd/state_handler.h"

#include <mutex>
#include <optional>
#include <vector>

namespace vfskit::virtiofsd {

/// Serves the share to one front-end at a time. run() belongs to one thread; everything else may be
/// called from any. The references must outlive it.
class Server {
public:
    Server(const Options& options,
           Entrance& entrance,
           fuse::Session& session,
           StateHandler& state_handler,
           LogSink& log);

    /// Returns when the front-end has gone (with --keep-listening: never for that reason), or after
    /// stop(). A conversation that broke off is an Error.
    Result<void> run();
    void stop();

    /// Of the front-end that is connected; nothing when none is.
    [[nodiscard]] std::optional<std::vector<vhost_user::QueueStatus>> queue_status();

private:
    [[nodiscard]] bool is_stopped() const;
    Result<UniqueFd> accept();
    Result<void> serve_one(UniqueFd connection);
    void set_current(vhost_user::BackendSession* backend);

    const Options& options_;
    Entrance& entrance_;
    fuse::Session& session_;
    StateHandler& state_handler_;
    Bridge bridge_;
    LogSink& log_;
    UniqueFd stop_event_;
    std::mutex mutex_; // protects current_ against stop() and queue_status()
    vhost_user::BackendSession* current_ = nullptr;
};

} // namespace vfskit::virtiofsd
