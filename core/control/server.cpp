// SPDX-License-Identifier: Apache-2.0
#include "core/control/server.h"

#include "core/control/prometheus.h"
#include "core/control/socket_address.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

namespace vfskit::control {

namespace {

using Json = nlohmann::ordered_json;

/// Replies waiting for a client that does not read: above this it is disconnected.
constexpr std::size_t max_pending = std::size_t{4} << 20;

constexpr std::array<std::pair<LogLevel, std::string_view>, 5> level_words{
    {{LogLevel::error, "error"},
     {LogLevel::warn, "warn"},
     {LogLevel::info, "info"},
     {LogLevel::debug, "debug"},
     {LogLevel::trace, "trace"}}};

Json error_json(const Error& error) {
    return {{"code", error.code()}, {"message", error.describe()}};
}

/// Whether a process is behind the socket at `path`.
bool is_served(const sockaddr_un& address) {
    const UniqueFd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    return probe.is_valid() &&
           (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) ==
                0 ||
            errno == EAGAIN);
}

Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) < 0) {
        return {}; // bind(2) tells what else may be wrong
    }
    if (!S_ISSOCK(found.st_mode)) {
        return Error{EEXIST, fmt::format("'{}' exists and is not a socket", path)}.with_remedy(
            "Give another path for the control socket");
    }
    if (is_served(address)) {
        return Error{EADDRINUSE, fmt::format("Another process serves the socket '{}'", path)}
            .with_remedy("Stop it, or give another path for the control socket");
    }
    if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
        return Error::from_errno(errno, fmt::format("Cannot remove the stale socket '{}'", path));
    }
    return {};
}

struct Connection {
    UniqueFd socket;
    std::string received;
    std::string pending;
    bool is_finished = false; ///< close as soon as `pending` is sent
};

} // namespace

Result<MigrationReport> Handlers::migration_report() {
    return Error{ENOSYS, "This daemon does not report on migrations"};
}

Result<std::string> Handlers::call(std::string_view method, std::string_view) {
    return Error{ENOSYS, fmt::format("Method '{}' is not known", method)}.with_remedy(
        "Use status, metrics, set-log-level or migration-report");
}

std::string_view to_string(LogLevel level) {
    const auto* found = std::find_if(level_words.begin(), level_words.end(), [&](const auto& word) {
        return word.first == level;
    });
    return found == level_words.end() ? std::string_view{} : found->second;
}

Result<LogLevel> parse_log_level(std::string_view word) {
    for (const auto& [level, text] : level_words) {
        if (text == word) {
            return level;
        }
    }
    return Error{EINVAL, fmt::format("'{}' is not a log level", word)}.with_remedy(
        "Use error, warn, info, debug or trace");
}

Result<UniqueFd> listen_at(const std::string& path) {
    VFSKIT_TRY_ASSIGN(const auto address, make_socket_address(path));
    VFSKIT_TRY(remove_stale(path, address));
    UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!listener) {
        return Error::from_errno(errno, "Cannot create a socket");
    }
    // The mode of the descriptor is what bind(2) gives the file, so there is no moment when others
    // could connect, and the process's umask is left alone.
    if (::fchmod(listener.get(), 0600) < 0 ||
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0 ||
        ::listen(listener.get(), 64) < 0) {
        return Error::from_errno(errno, fmt::format("Cannot listen on '{}'", path));
    }
    return listener;
}

class Server::Loop {
public:
    Loop(UniqueFd listener, UniqueFd wake, Handlers& handlers, ServerOptions options)
        : listener_{std::move(listener)}, wake_{std::move(wake)}, handlers_{handlers},
          options_{std::move(options)}, thread_{[this] { run(); }} {}
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop() {
        const std::uint64_t one = 1;
        // An eventfd takes 8 bytes or, only when 2^64-1 wakes are pending, EAGAIN: awake either
        // way.
        static_cast<void>(::write(wake_.get(), &one, sizeof(one)) == sizeof(one));
        thread_.join();
    }

private:
    void run() {
        while (true) {
            auto waiting = poll_list();
            if (::poll(waiting.data(), waiting.size(), -1) < 0) {
                continue; // EINTR; the rest cannot happen with a valid list
            }
            if (waiting[0].revents != 0) {
                return;
            }
            for (std::size_t i = 0; i < connections_.size(); ++i) {
                serve(connections_[i], waiting[i + 2].revents);
            }
            std::erase_if(connections_, [](const auto& connection) { return !connection.socket; });
            if (waiting[1].revents != 0) {
                accept_one();
            }
        }
    }

    [[nodiscard]] std::vector<pollfd> poll_list() const {
        std::vector<pollfd> list{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
        // At the limit newcomers wait in the backlog.
        if (connections_.size() >= options_.max_connections) {
            list[1].fd = -1;
        }
        for (const auto& connection : connections_) {
            // One request at a time: a client that does not read its replies is not heard.
            const auto events = connection.pending.empty() ? POLLIN : POLLOUT;
            list.push_back({connection.socket.get(), static_cast<short>(events), 0});
        }
        return list;
    }

    void accept_one() {
        UniqueFd socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (!socket) {
            // Gone again, or out of descriptors: poll() would report it at once for ever.
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                std::this_thread::sleep_for(std::chrono::milliseconds{100});
            }
            return;
        }
        if (is_allowed(socket.get())) {
            connections_.push_back({std::move(socket), {}, {}, false});
        }
    }

    [[nodiscard]] bool is_allowed(int socket) const {
        ucred peer{};
        socklen_t size = sizeof(peer);
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
            return false;
        }
        const auto& more = options_.allowed_uids;
        return peer.uid == 0 || peer.uid == ::geteuid() ||
               std::find(more.begin(), more.end(), peer.uid) != more.end();
    }

    void serve(Connection& connection, short events) {
        if ((events & POLLOUT) != 0) {
            flush(connection);
        } else if (events != 0) {
            receive(connection);
        }
        if (connection.socket) {
            answer_lines(connection);
        }
    }

    static void receive(Connection& connection) {
        std::array<char, 4096> chunk;
        const auto got = ::recv(connection.socket.get(), chunk.data(), chunk.size(), 0);
        if (got > 0) {
            connection.received.append(chunk.data(), static_cast<std::size_t>(got));
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            connection.socket.reset();
        }
    }

    void answer_lines(Connection& connection) {
        while (connection.socket && connection.pending.empty() && !connection.is_finished) {
            const auto end = connection.received.find('\n');
            if (end == std::string::npos) {
                break;
            }
            const auto line = connection.received.substr(0, end);
            connection.received.erase(0, end + 1);
            connection.pending = answer(line) + "\n";
            flush(connection);
        }
        if (connection.received.size() > max_request_size && connection.pending.empty()) {
            const Error error{EMSGSIZE,
                              fmt::format("A request may have {} bytes", max_request_size)};
            connection.received.clear();
            connection.pending = Json{{"id", nullptr}, {"error", error_json(error)}}.dump() + "\n";
            connection.is_finished = true;
            flush(connection);
        }
    }

    static void flush(Connection& connection) {
        auto& pending = connection.pending;
        while (!pending.empty()) {
            const auto sent =
                ::send(connection.socket.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
            if (sent >= 0) {
                pending.erase(0, static_cast<std::size_t>(sent));
            } else if (errno == EAGAIN && pending.size() <= max_pending) {
                return;
            } else if (errno != EINTR) {
                connection.socket.reset();
                return;
            }
        }
        if (connection.is_finished) {
            connection.socket.reset();
        }
    }

    std::string answer(const std::string& line) {
        const auto request = Json::parse(line, nullptr, false);
        Json id = nullptr;
        if (request.is_object() && request.contains("id") && request["id"].is_primitive()) {
            id = request["id"];
        }
        auto result = answer_request(request);
        Json reply{{"id", id}};
        if (result) {
            reply["result"] = std::move(*result);
        } else {
            reply["error"] = error_json(result.error());
        }
        return reply.dump(-1, ' ', false, Json::error_handler_t::replace);
    }

    Result<Json> answer_request(const Json& request) {
        if (!request.is_object() || !request.contains("method") || !request["method"].is_string()) {
            return Error{EINVAL, "A request is one line of JSON with 'id' and 'method'"};
        }
        const auto method = request["method"].get<std::string>();
        const auto params = request.value("params", Json::object());
        if (method == "status") {
            return Json::parse(to_json(handlers_.status()));
        }
        if (method == "metrics") {
            return Json(to_prometheus(handlers_.status()));
        }
        if (method == "migration-report") {
            VFSKIT_TRY_ASSIGN(const auto report, handlers_.migration_report());
            return Json::parse(to_json(report));
        }
        if (method == "set-log-level") {
            return set_log_level(params);
        }
        VFSKIT_TRY_ASSIGN(
            const auto result,
            handlers_.call(method, params.dump(-1, ' ', false, Json::error_handler_t::replace)));
        auto json = Json::parse(result, nullptr, false);
        if (json.is_discarded()) {
            return Error{EIO, fmt::format("Method '{}' gave no JSON", method)};
        }
        return json;
    }

    Result<Json> set_log_level(const Json& params) {
        if (!params.is_object() || !params.contains("level") || !params["level"].is_string()) {
            return Error{EINVAL, "set-log-level needs a 'level'"};
        }
        VFSKIT_TRY_ASSIGN(const auto level, parse_log_level(params["level"].get<std::string>()));
        VFSKIT_TRY(handlers_.set_log_level(level));
        return Json::object();
    }

    UniqueFd listener_;
    UniqueFd wake_;
    Handlers& handlers_;
    const ServerOptions options_;
    std::vector<Connection> connections_;
    std::thread thread_; // last: it uses all of the above
};

Server::Server(std::unique_ptr<Loop> loop) : loop_{std::move(loop)} {}
Server::~Server() = default;

Result<std::unique_ptr<Server>>
Server::start(UniqueFd listener, Handlers& handlers, ServerOptions options) {
    UniqueFd wake{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!wake) {
        return Error::from_errno(errno, "Cannot create an eventfd for the control socket");
    }
    auto loop =
        std::make_unique<Loop>(std::move(listener), std::move(wake), handlers, std::move(options));
    return std::unique_ptr<Server>{new Server{std::move(loop)}};
}

} // namespace vfskit::control
