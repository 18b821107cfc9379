// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/daemon.h"

#include "core/base/text.h"
#include "core/control/server.h"
#include "core/fuse/session.h"
#include "core/passthrough/passthrough_fs.h"
#include "core/vhost_user/session.h"
#include "virtiofsd/bridge.h"
#include "virtiofsd/capabilities.h"
#include "virtiofsd/seccomp.h"
#include "virtiofsd/signals.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <vector>

namespace vfskit::virtiofsd {

Result<void> check_shared_dir(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) {
            return Error{ENOENT, fmt::format("{} does not exist", path)}.with_remedy(
                "Create the directory, or correct --shared-dir");
        }
        return Error::from_errno(errno, fmt::format("Cannot use '{}'", path));
    }
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
        return Error{ENOTDIR, fmt::format("{} is neither a directory nor a regular file", path)};
    }
    return {};
}

namespace {

Result<void> open_control(const Options& options, Entrance& entrance) {
    if (options.control_socket) {
        VFSKIT_TRY_ASSIGN(auto fd, control::listen_at(*options.control_socket));
        VFSKIT_TRY_ASSIGN(auto file, RuntimeFile::open(*options.control_socket));
        entrance.control = Listener{std::move(fd), std::move(file)};
    }
    return {};
}

} // namespace

Result<Entrance> open_entrance(const Options& options) {
    Entrance entrance;
    entrance.pid = ::getpid();
    entrance.is_root = ::geteuid() == 0;
    VFSKIT_TRY(open_control(options, entrance));
    if (options.socket_path) {
        // The lock comes first: it tells whether the socket that stands there is stale.
        VFSKIT_TRY_ASSIGN(entrance.pid_file, PidFile::create(*options.socket_path + ".pid"));
        VFSKIT_TRY_ASSIGN(entrance.listener, listen_on(*options.socket_path, options.socket_group));
        return entrance;
    }
    std::optional<int> fd = options.fd;
    if (!fd) {
        VFSKIT_TRY_ASSIGN(fd, take_activation_fd());
    }
    if (!fd) {
        return Error{EINVAL, "No socket to serve on"}.with_remedy(
            "Give --socket-path or --fd, or start it from a systemd socket unit");
    }
    VFSKIT_TRY_ASSIGN(entrance.listener, adopt_listener(*fd));
    return entrance;
}

namespace {

bool uses_file_handles(const Options& options) {
    return options.inode_file_handles != InodeFileHandles::never ||
           options.migration_mode == MigrationMode::file_handles;
}

std::vector<RuntimeFile*> files_of(Entrance& entrance) {
    std::vector<RuntimeFile*> files;
    if (entrance.listener.file) {
        files.push_back(&*entrance.listener.file);
    }
    if (entrance.pid_file) {
        files.push_back(&entrance.pid_file->file());
    }
    if (entrance.control && entrance.control->file) {
        files.push_back(&*entrance.control->file);
    }
    return files;
}

} // namespace

Result<ShareRoot> close_the_walls(const Options& options, Entrance& entrance, LogSink& log) {
    const bool handles = uses_file_handles(options);
    // Judged before the walls close, so that a mistake is told by the process that the operator
    // started.
    VFSKIT_TRY_ASSIGN(const auto keep,
                      modify_capabilities(needed_capabilities(handles),
                                          options.modcaps.value_or("+chown"),
                                          handles));

    const SandboxRequest request{
        options.sandbox, options.shared_dir, options.uid_map, options.gid_map};
    VFSKIT_TRY_ASSIGN(
        auto root,
        enter_sandbox(
            request, files_of(entrance), [&entrance] { entrance.listener.fd.reset(); }, log));
    // From here on no path outside the share can be opened (in the namespace and chroot modes).
    VFSKIT_TRY_ASSIGN(const bool has_landlock, apply_landlock());
    if (!has_landlock) {
        log.write(LogLevel::debug, "Landlock is not available in this kernel");
    }
    VFSKIT_TRY(load_seccomp(options.seccomp, options.syslog));
    if (::geteuid() == 0) {
        VFSKIT_TRY(drop_capabilities(keep));
    }
    // From here on nothing can be executed, and no privilege can come back.
    return root;
}

namespace {

passthrough::FileHandleMode to_passthrough(InodeFileHandles mode) {
    switch (mode) {
    case InodeFileHandles::never:
        return passthrough::FileHandleMode::never;
    case InodeFileHandles::prefer:
        return passthrough::FileHandleMode::prefer;
    case InodeFileHandles::mandatory:
        return passthrough::FileHandleMode::mandatory;
    }
    return passthrough::FileHandleMode::never;
}

fuse::CachePolicy to_fuse(CachePolicy policy) {
    switch (policy) {
    case CachePolicy::automatic:
        return fuse::CachePolicy::automatic;
    case CachePolicy::always:
        return fuse::CachePolicy::always;
    case CachePolicy::metadata:
        return fuse::CachePolicy::metadata;
    case CachePolicy::never:
        return fuse::CachePolicy::never;
    }
    return fuse::CachePolicy::automatic;
}

fuse::FeatureMode to_fuse(Negotiation mode) {
    switch (mode) {
    case Negotiation::never:
        return fuse::FeatureMode::never;
    case Negotiation::automatic:
        return fuse::FeatureMode::automatic;
    case Negotiation::always:
        return fuse::FeatureMode::always;
    }
    return fuse::FeatureMode::never;
}

fuse::Options fuse_options(const Options& options) {
    fuse::Options result;
    result.cache = to_fuse(options.cache);
    result.negative_timeout = fuse::Timeout{options.negative_timeout.value_or(0), 0};
    result.writeback = options.writeback;
    result.xattr = options.xattr;
    result.posix_acl = to_fuse(options.posix_acl);
    result.security_label = to_fuse(options.security_label);
    result.killpriv_v2 = options.killpriv_v2;
    result.readdirplus = options.readdirplus;
    result.allow_mmap = options.allow_mmap;
    result.posix_lock = options.posix_lock;
    result.flock = options.flock;
    return result;
}

Result<passthrough::PassthroughOptions> passthrough_options(const Options& options,
                                                            std::uint64_t fd_quota) {
    passthrough::PassthroughOptions result;
    result.file_handles = to_passthrough(options.inode_file_handles);
    result.fd_limit = std::min(fd_quota, options.inode_fd_budget.value_or(fd_quota));
    result.readonly = options.readonly;
    result.announce_submounts = options.announce_submounts;
    result.allow_direct_io = options.allow_direct_io;
    result.preserve_noatime = options.preserve_noatime;
    result.xattr = options.xattr;
    if (options.xattrmap) {
        VFSKIT_TRY_ASSIGN(result.xattr_map, passthrough::XattrMap::parse(*options.xattrmap));
    }
    VFSKIT_TRY_ASSIGN(result.uid_map,
                      passthrough::UidMap::parse(options.translate_uid, "--translate-uid"));
    VFSKIT_TRY_ASSIGN(result.gid_map,
                      passthrough::GidMap::parse(options.translate_gid, "--translate-gid"));
    return result;
}

vhost_user::SessionOptions session_options(const Options& options) {
    vhost_user::SessionOptions result;
    result.pool_threads = options.thread_pool_size;
    if (options.tag) {
        result.config_space = vhost_user::make_fs_config(*options.tag, 1);
    }
    return result;
}

// Accepts front-ends one after the other and can be stopped from the signal watcher's thread.
class Server {
public:
    Server(const Options& options, Entrance& entrance, fuse::Session& session, LogSink& log)
        : options_{options}, entrance_{entrance}, session_{session},
          bridge_{session, options.thread_pool_size > 0}, log_{log},
          stop_event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {}

    Result<void> run() {
        do {
            log_.write(LogLevel::info, "Waiting for vhost-user socket connection...");
            VFSKIT_TRY_ASSIGN(auto connection, accept());
            if (!connection) {
                return {};
            }
            log_.write(LogLevel::info, "Client connected, servicing requests");
            serve_one(std::move(connection));
        } while (options_.keep_listening && !is_stopped());
        return {};
    }

    /// Of the front-end that is connected; nothing when none is. From any thread.
    [[nodiscard]] std::optional<std::vector<vhost_user::QueueStatus>> queue_status() {
        const std::lock_guard lock{mutex_};
        if (current_ == nullptr) {
            return std::nullopt;
        }
        return current_->queue_status();
    }

    void stop() {
        ::eventfd_write(stop_event_.get(), 1);
        const std::lock_guard lock{mutex_};
        if (current_ != nullptr) {
            current_->stop();
        }
    }

private:
    [[nodiscard]] bool is_stopped() const {
        pollfd polled{stop_event_.get(), POLLIN, 0};
        return ::poll(&polled, 1, 0) > 0;
    }

    // A connection, or nothing when stop() came first.
    Result<UniqueFd> accept() {
        for (;;) {
            std::array<pollfd, 2> polled{
                {{entrance_.listener.fd.get(), POLLIN, 0}, {stop_event_.get(), POLLIN, 0}}};
            if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
                return Error::from_errno(errno, "Cannot wait for a connection");
            }
            if (polled[1].revents != 0) {
                return UniqueFd{};
            }
            UniqueFd connection{
                ::accept4(entrance_.listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            if (connection) {
                return connection;
            }
            if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
                return Error::from_errno(errno, "Cannot accept a connection");
            }
        }
    }

    void serve_one(UniqueFd connection) {
        if (!options_.keep_listening) {
            // A second front-end fails at once instead of waiting in the backlog for ever.
            entrance_.listener.fd.reset();
        }
        vhost_user::BackendSession backend{
            std::move(connection), session_options(options_), bridge_, nullptr, bridge_, log_};
        set_current(&backend);
        const auto served = backend.serve();
        set_current(nullptr);
        session_.reset();
        if (!served) {
            log_.write(LogLevel::error, served.error().describe());
        }
        log_.write(LogLevel::info,
                   options_.keep_listening ? "Client disconnected"
                                           : "Client disconnected, shutting down");
    }

    void set_current(vhost_user::BackendSession* backend) {
        const std::lock_guard lock{mutex_};
        current_ = backend;
    }

    const Options& options_;
    Entrance& entrance_;
    fuse::Session& session_;
    Bridge bridge_;
    LogSink& log_;
    UniqueFd stop_event_;
    std::mutex mutex_; // protects current_ against stop()
    vhost_user::BackendSession* current_ = nullptr;
};

// Answers the control socket. Nothing here waits for the guest.
class ControlHandlers final : public control::Handlers {
public:
    ControlHandlers(
        const Options& options, pid_t pid, Server& server, fuse::Session& session, DaemonLog& log)
        : options_{options}, pid_{pid}, server_{server}, session_{session}, log_{log} {}

    control::Status status() override {
        control::Status status;
        status.version = base::trim(version_text());
        status.pid = static_cast<std::uint32_t>(pid_);
        status.uptime = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - started_);
        status.shared_dir = options_.shared_dir;
        status.tag = options_.tag.value_or("");
        status.log_level = control::to_string(log_.level());
        add_gauges(status);
        add_queues(status);
        add_operations(status);
        return status;
    }

    Result<void> set_log_level(LogLevel level) override {
        log_.set_level(level);
        return {};
    }

private:
    void add_gauges(control::Status& status) const {
        const auto gauges = session_.gauges();
        status.inodes = gauges.inodes;
        status.handles = gauges.handles;
        status.fds = gauges.fds;
        status.fd_budget = gauges.fd_budget;
    }

    void add_queues(control::Status& status) {
        const auto queues = server_.queue_status();
        status.is_connected = queues.has_value();
        for (const auto& queue : queues.value_or(std::vector<vhost_user::QueueStatus>{})) {
            status.queues.push_back(
                {vhost_user::to_integer(queue.queue), queue.in_flight, queue.requests});
        }
    }

    void add_operations(control::Status& status) const {
        for (std::size_t bucket = 0; bucket + 1 < fuse::latency_bucket_count; ++bucket) {
            status.latency_limits.push_back(fuse::latency_bucket_limit(bucket));
        }
        const auto statistics = session_.statistics();
        status.bytes_read = statistics.bytes_read;
        status.bytes_written = statistics.bytes_written;
        status.unanswerable = statistics.unanswerable;
        for (const auto& opcode : statistics.opcodes) {
            status.operations.push_back({std::string{fuse::opcode_name(opcode.opcode)},
                                         opcode.count,
                                         opcode.errors,
                                         opcode.total,
                                         {opcode.latency.begin(), opcode.latency.end()}});
        }
    }

    const Options& options_;
    pid_t pid_;
    Server& server_;
    fuse::Session& session_;
    DaemonLog& log_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

// In a user namespace, root outside appears as the overflow id; the socket's mode keeps others out.
control::ServerOptions control_options(const Entrance& entrance) {
    constexpr uid_t overflow_uid = 65534;
    control::ServerOptions result;
    if (!entrance.is_root) {
        result.allowed_uids.push_back(overflow_uid);
    }
    return result;
}

} // namespace

Result<int> serve(const Options& options,
                  Entrance entrance,
                  ShareRoot root,
                  std::uint64_t fd_quota,
                  DaemonLog& daemon_log,
                  LogSink& log) {
    ::umask(0); // modes are the guest's
    VFSKIT_TRY_ASSIGN(auto fs_options, passthrough_options(options, fd_quota));
    VFSKIT_TRY_ASSIGN(auto filesystem,
                      passthrough::PassthroughFs::open(std::move(root.root),
                                                       std::move(root.proc_self_fd),
                                                       std::move(fs_options)));
    fuse::Session session{*filesystem, fuse_options(options), log};
    Server server{options, entrance, session, log};
    ControlHandlers handlers{options, entrance.pid, server, session, daemon_log};
    std::unique_ptr<control::Server> control_server;
    if (entrance.control) {
        VFSKIT_TRY_ASSIGN(control_server,
                          control::Server::start(std::move(entrance.control->fd),
                                                 handlers,
                                                 control_options(entrance)));
    }
    const SignalWatcher signals{[&server] { server.stop(); },
                                [&entrance] {
                                    for (auto* file : files_of(entrance)) {
                                        file->remove();
                                    }
                                    ::_exit(1);
                                }};
    VFSKIT_TRY(server.run());
    return signals.was_told_to_stop() ? 1 : 0;
}

} // namespace vfskit::virtiofsd
