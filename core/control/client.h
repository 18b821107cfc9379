// SPDX-License-Identifier: Apache-2.0
// The other end of the control socket, for commands.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/control/migration_report.h"
#include "core/control/status.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace vfskit::control {

/// One connection; one thread at a time. Every call waits at most `timeout` (ETIMEDOUT). After an
/// error of the transport the connection is of no more use; an error that the daemon answered
/// (its errno and sentence) leaves it usable.
class Client {
public:
    static constexpr std::size_t max_reply_size = std::size_t{16} << 20;

    /// ENOENT, ECONNREFUSED: no daemon there; EACCES.
    static Result<Client> connect(const std::string& path,
                                  std::chrono::milliseconds timeout = std::chrono::seconds{5});

    Result<Status> status();
    /// Prometheus text.
    Result<std::string> metrics();
    Result<void> set_log_level(LogLevel level);
    /// What would not be found again if the guest migrated now ("migration-report"): files that are
    /// open and deleted, or have no path that can be found, and locks on the host. Changes nothing.
    /// The daemon compares every file that the guest knows with the host, some 100 000 a second, so
    /// give the client a `timeout` that fits. ENOTCONN: no guest has mounted the share. ENOSYS: a
    /// daemon older than the request.
    Result<MigrationReport> migration_report();
    /// Any method: JSON of the parameters ("" = none) in, JSON of the result out.
    Result<std::string> call(std::string_view method, std::string_view params_json = {});

private:
    Client(UniqueFd socket, std::string path, std::chrono::milliseconds timeout)
        : socket_{std::move(socket)}, path_{std::move(path)}, timeout_{timeout} {}

    Result<void> send_line(std::string_view line, std::chrono::steady_clock::time_point deadline);
    Result<std::string> receive_line(std::chrono::steady_clock::time_point deadline);
    Result<void> wait_for(short events, std::chrono::steady_clock::time_point deadline);

    UniqueFd socket_;
    std::string path_;
    std::chrono::milliseconds timeout_;
    std::string received_;
    std::uint64_t next_id_ = 1;
};

} // namespace vfskit::control
