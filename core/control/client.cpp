// SPDX-License-Identifier: Apache-2.0
#include "core/control/client.h"

#include "core/control/server.h"
#include "core/control/socket_address.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace vfskit::control {

namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

/// The result's JSON, or the daemon's own error.
Result<std::string> open_reply(const std::string& line, std::uint64_t id, const std::string& path) {
    const auto reply = Json::parse(line, nullptr, false);
    const auto bad = [&] {
        return Error{EBADMSG,
                     fmt::format("What answers at '{}' does not speak this protocol", path)}
            .with_remedy("Give the control socket of a vfskit virtiofsd");
    };
    if (!reply.is_object() || !reply.contains("id") || reply["id"] != id) {
        return bad();
    }
    if (const auto error = reply.find("error"); error != reply.end()) {
        if (!error->is_object() || !error->contains("code") || !error->contains("message") ||
            !(*error)["code"].is_number_integer() || !(*error)["message"].is_string()) {
            return bad();
        }
        return Error{(*error)["code"].get<int>(), (*error)["message"].get<std::string>()};
    }
    const auto result = reply.find("result");
    if (result == reply.end()) {
        return bad();
    }
    return result->dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace

Result<Client> Client::connect(const std::string& path, std::chrono::milliseconds timeout) {
    VFSKIT_TRY_ASSIGN(const auto address, make_socket_address(path));
    UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) {
        return Error::from_errno(errno, "Cannot create a socket");
    }
    const auto deadline = Clock::now() + timeout;
    while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) <
           0) {
        const int cause = errno;
        // On a UNIX socket connect(2) succeeds or fails at once; EAGAIN means a full backlog, and
        // poll(2) does not tell when it has room.
        if ((cause == EAGAIN || cause == EINTR) && Clock::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
            continue;
        }
        auto error = Error::from_errno(
            cause, fmt::format("Cannot reach the daemon's control socket '{}'", path));
        if (cause == ENOENT || cause == ECONNREFUSED) {
            return std::move(error).with_remedy(
                "Check that the daemon runs and was given that socket");
        }
        return error;
    }
    return Client{std::move(socket), path, timeout};
}

Result<Status> Client::status() {
    VFSKIT_TRY_ASSIGN(const auto json, call("status"));
    return parse_status(json);
}

Result<std::string> Client::metrics() {
    VFSKIT_TRY_ASSIGN(const auto json, call("metrics"));
    const auto text = Json::parse(json, nullptr, false);
    if (!text.is_string()) {
        return Error{EBADMSG, fmt::format("The daemon at '{}' sent no metrics", path_)};
    }
    return text.get<std::string>();
}

Result<void> Client::set_log_level(LogLevel level) {
    VFSKIT_TRY(call("set-log-level", Json{{"level", to_string(level)}}.dump()));
    return {};
}

Result<MigrationReport> Client::migration_report() {
    VFSKIT_TRY_ASSIGN(const auto result, call("migration-report"));
    return parse_migration_report(result);
}

Result<std::string> Client::call(std::string_view method, std::string_view params_json) {
    const auto deadline = Clock::now() + timeout_;
    const auto id = next_id_++;
    Json request{{"id", id}, {"method", method}};
    if (!params_json.empty()) {
        request["params"] = Json::parse(params_json, nullptr, false);
        if (request["params"].is_discarded()) {
            return Error{EINVAL, fmt::format("The parameters of '{}' are not JSON", method)};
        }
    }
    VFSKIT_TRY(
        send_line(request.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", deadline));
    VFSKIT_TRY_ASSIGN(const auto line, receive_line(deadline));
    return open_reply(line, id, path_);
}

Result<void> Client::wait_for(short events, Clock::time_point deadline) {
    pollfd waiting{.fd = socket_.get(), .events = events, .revents = 0};
    while (true) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) {
            return Error{ETIMEDOUT, fmt::format("The daemon at '{}' does not answer", path_)};
        }
        const int ready =
            ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        if (ready > 0) {
            return {};
        }
        if (ready < 0 && errno != EINTR) {
            return Error::from_errno(errno,
                                     fmt::format("Cannot wait for the daemon at '{}'", path_));
        }
    }
}

Result<void> Client::send_line(std::string_view line, Clock::time_point deadline) {
    while (!line.empty()) {
        const auto sent = ::send(socket_.get(), line.data(), line.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            line.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            VFSKIT_TRY(wait_for(POLLOUT, deadline));
        } else if (errno != EINTR) {
            return Error::from_errno(errno, fmt::format("Cannot ask the daemon at '{}'", path_));
        }
    }
    return {};
}

Result<std::string> Client::receive_line(Clock::time_point deadline) {
    std::array<char, 16384> chunk;
    std::size_t searched = 0;
    while (true) {
        const auto end = received_.find('\n', searched);
        if (end != std::string::npos) {
            auto line = received_.substr(0, end);
            received_.erase(0, end + 1);
            return line;
        }
        searched = received_.size();
        if (received_.size() > max_reply_size) {
            return Error{EMSGSIZE,
                         fmt::format("The reply of the daemon at '{}' has no end", path_)};
        }
        VFSKIT_TRY(wait_for(POLLIN, deadline));
        const auto got = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
        if (got > 0) {
            received_.append(chunk.data(), static_cast<std::size_t>(got));
        } else if (got == 0) {
            return Error{ECONNRESET, fmt::format("The daemon at '{}' hung up", path_)}.with_remedy(
                "Ask as root or as the daemon's user, and check that the daemon still runs");
        } else if (errno != EAGAIN && errno != EINTR) {
            return Error::from_errno(errno, fmt::format("Cannot hear the daemon at '{}'", path_));
        }
    }
}

} // namespace vfskit::control
