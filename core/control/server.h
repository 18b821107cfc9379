// SPDX-License-Identifier: Apache-2.0
// The daemon's end of the control socket.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/control/migration_report.h"
#include "core/control/status.h"

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::control {

/// What the daemon can be asked. Called on the server's thread, one at a time; must not wait for
/// the guest or for storage.
class Handlers {
public:
    virtual ~Handlers() = default;
    virtual Status status() = 0;
    virtual Result<void> set_log_level(LogLevel level) = 0;
    /// The one answer that may take time, and may wait for storage: see Client::migration_report().
    /// ENOSYS by default.
    virtual Result<MigrationReport> migration_report();
    /// Methods beyond status, metrics, set-log-level and migration-report: JSON of the parameters
    /// in, JSON of the result out. ENOSYS by default.
    virtual Result<std::string> call(std::string_view method, std::string_view params);
};

struct ServerOptions {
    /// Who may ask besides root and the daemon's own user, as this process sees their ids (in a
    /// user namespace, root outside may appear as the overflow user).
    std::vector<uid_t> allowed_uids;
    std::size_t max_connections = 16;
};

/// Binds `path` (mode 0600; a stale socket is replaced, anything else there is EEXIST, a socket
/// that somebody serves EADDRINUSE) and listens. ENAMETOOLONG above 107 bytes.
Result<UniqueFd> listen_at(const std::string& path);

/// Serves a listening socket in a thread of its own until destroyed. Nothing a client does blocks
/// or ends the daemon: requests and pending replies are bounded, clients that break the bounds are
/// disconnected, slow ones only wait for themselves.
class Server {
public:
    /// A request line may have this many bytes.
    static constexpr std::size_t max_request_size = std::size_t{16} << 10;

    /// `handlers` must outlive it.
    static Result<std::unique_ptr<Server>>
    start(UniqueFd listener, Handlers& handlers, ServerOptions options = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

private:
    class Loop;
    explicit Server(std::unique_ptr<Loop> loop);
    std::unique_ptr<Loop> loop_;
};

/// The words of the protocol for log levels: error, warn, info, debug, trace.
[[nodiscard]] std::string_view to_string(LogLevel level);
/// EINVAL lists the words.
Result<LogLevel> parse_log_level(std::string_view word);

} // namespace vfskit::control
