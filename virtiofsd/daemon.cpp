// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/daemon.h"

#include "core/control/server.h"
#include "core/fuse/session.h"
#include "core/passthrough/passthrough_fs.h"
#include "virtiofsd/capabilities.h"
#include "virtiofsd/control_handlers.h"
#include "virtiofsd/seccomp.h"
#include "virtiofsd/server.h"
#include "virtiofsd/signals.h"
#include "virtiofsd/state_handler.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
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

Result<void> open_migration(const Options& options, Entrance& entrance) {
    if (options.migration_mode != MigrationMode::fd_passing) {
        return {};
    }
    std::string directory;
    if (options.migration_socket_dir) {
        directory = *options.migration_socket_dir;
    } else {
        VFSKIT_TRY_ASSIGN(
            directory,
            default_migration_directory(entrance.is_root, std::getenv("XDG_RUNTIME_DIR")));
    }
    VFSKIT_TRY_ASSIGN(entrance.migration, listen_for_migration(directory));
    return {};
}

} // namespace

Result<Entrance> open_entrance(const Options& options) {
    Entrance entrance;
    entrance.pid = ::getpid();
    entrance.is_root = ::geteuid() == 0;
    entrance.host = device_state::read_host_id();
    VFSKIT_TRY(open_control(options, entrance));
    VFSKIT_TRY(open_migration(options, entrance));
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
    if (entrance.migration && entrance.migration->listener.file) {
        files.push_back(&*entrance.migration->listener.file);
    }
    return files;
}

} // namespace

Result<ShareRoot> close_the_walls(const Options& options, Entrance& entrance, LogSink& log) {
    const bool handles = uses_file_handles(options);
    // Judged before the walls close, so that a mistake is told by the process that the operator
    // started.
    auto keep = needed_capabilities(handles);
    if (options.modcaps) {
        VFSKIT_TRY_ASSIGN(keep, modify_capabilities(std::move(keep), *options.modcaps, handles));
    }
    if (entrance.is_root) {
        VFSKIT_TRY(check_capabilities(keep));
    }

    const SandboxRequest request{options.sandbox,
                                 options.shared_dir,
                                 options.uid_map,
                                 options.gid_map,
                                 entrance.migration ? entrance.migration->directory : ""};
    const auto give_up_sockets = [&entrance] {
        entrance.listener.fd.reset();
        if (entrance.control) {
            entrance.control->fd.reset();
        }
        if (entrance.migration) {
            entrance.migration->listener.fd.reset();
        }
    };
    VFSKIT_TRY_ASSIGN(auto root, enter_sandbox(request, files_of(entrance), give_up_sockets, log));
    // From here on no path outside the share can be opened (in the namespace and chroot modes).
    VFSKIT_TRY_ASSIGN(const bool has_landlock, apply_landlock());
    if (!has_landlock) {
        log.write(LogLevel::debug, "Landlock is not available in this kernel");
    }
    VFSKIT_TRY(load_seccomp(options.seccomp,
                            options.syslog || entrance.migration ? OutgoingSockets::unix_only
                                                                 : OutgoingSockets::none));
    if (::geteuid() == 0) {
        VFSKIT_TRY(drop_capabilities(keep));
    }
    // From here on nothing can be executed, and no privilege can come back.
    return root;
}

namespace {

fuse::Options fuse_options(const Options& options) {
    fuse::Options result;
    result.cache = options.cache;
    result.negative_timeout = fuse::Timeout{options.negative_timeout.value_or(0), 0};
    result.writeback = options.writeback;
    result.xattr = options.xattr;
    result.posix_acl = options.posix_acl;
    result.security_label = options.security_label;
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
    result.file_handles = options.inode_file_handles;
    result.fd_limit = fd_quota;
    result.inode_fd_limit = options.inode_fd_budget.value_or(fd_quota);
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

device_state::SaveMode save_mode(MigrationMode mode) {
    switch (mode) {
    case MigrationMode::find_paths:
        return device_state::SaveMode::find_paths;
    case MigrationMode::file_handles:
        return device_state::SaveMode::file_handles;
    case MigrationMode::fd_passing:
        return device_state::SaveMode::fd_passing;
    }
    return device_state::SaveMode::find_paths;
}

MigrationOptions migration_options(const Options& options, const device_state::HostId& host) {
    MigrationOptions result;
    result.save.mode = save_mode(options.migration_mode);
    result.save.verify_handles = options.migration_verify_handles;
    result.save.announce_submounts = options.announce_submounts;
    result.save.host = host;
    result.confirm_paths = options.migration_confirm_paths;
    result.on_error = options.migration_on_error == OnError::guest_error
                          ? device_state::OnError::guest_error
                          : device_state::OnError::abort;
    return result;
}

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
    if (options.inode_file_handles == InodeFileHandles::prefer &&
        filesystem->inodes().file_handles() == InodeFileHandles::never) {
        log.write(LogLevel::warn,
                  "File handles of the shared directory cannot be used, disabling file handles "
                  "altogether");
    }
    fuse::Session session{*filesystem, fuse_options(options), log};
    std::optional<FdPassing> fd_passing;
    if (entrance.migration) {
        fd_passing.emplace(std::move(entrance.migration->listener.fd),
                           entrance.migration->name,
                           std::move(root.migration_dir),
                           *filesystem,
                           log);
    }
    StateHandler state_handler{session,
                               *filesystem,
                               migration_options(options, entrance.host),
                               fd_passing ? &*fd_passing : nullptr,
                               log};
    Server server{options, entrance, session, state_handler, log};
    ControlHandlers handlers{options, entrance.pid, server, session, state_handler, daemon_log};
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
