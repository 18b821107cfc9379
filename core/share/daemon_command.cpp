// SPDX-License-Identifier: Apache-2.0
#include "core/share/daemon_command.h"

#include "core/base/text.h"
#include "core/share/capabilities.h"
#include "core/share/daemon_support.h"
#include "core/share/refusal.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;
using Args = std::vector<std::string>;

// ----- what no dialect can run ------------------------------------------------------------------

Result<void> check_socket_path(const std::string& path) {
    constexpr std::size_t max_socket_path = 107; // sun_path without the NUL, unix(7)
    if (path.empty() || path.find('\0') != std::string::npos) {
        return refuse("socket", "The socket path is empty or contains a NUL byte", "Name a path");
    }
    if (path.size() > max_socket_path) {
        return refuse(
            "socket",
            fmt::format("Socket path \"{}\" has {} bytes, and UNIX sockets take at most {}",
                        path,
                        path.size(),
                        max_socket_path),
            "Choose a shorter path");
    }
    return {};
}

Result<void> check_socket(const DaemonCommandOptions& options) {
    if (const auto* const path = std::get_if<SocketPath>(&options.socket)) {
        return check_socket_path(path->path);
    }
    if (std::get<SocketFd>(options.socket).fd < 0) {
        return refuse("fd", "The socket's descriptor is negative", "Give a listening descriptor");
    }
    if (options.socket_group.has_value()) {
        return refuse("socket-group",
                      "A socket that is inherited keeps the group it has",
                      "Remove the group, or let the daemon bind the socket's path");
    }
    return {};
}

Result<void> check_user(const Share& share, const DaemonCommandOptions& options) {
    if (!options.runs_as_root.has_value()) {
        return {};
    }
    if (*options.runs_as_root && !(share.uid_map.empty() && share.gid_map.empty())) {
        return refuse(share.uid_map.empty() ? "gid-map" : "uid-map",
                      "virtiofsd maps ids only when it runs as an unprivileged user",
                      "Run it as another user, or use translate-uid and translate-gid");
    }
    if (!*options.runs_as_root && share.sandbox == SandboxMode::chroot) {
        return refuse("sandbox",
                      "Sandbox chroot can only be used by root",
                      "Use sandbox namespace, or run the daemon as root");
    }
    if (!*options.runs_as_root && share.method == MigrationMethod::file_handles) {
        return refuse("live-migration-method",
                      "Only root can open the file handles of another daemon",
                      "Run the daemon as root, or use migration method find-paths");
    }
    return {};
}

// Since 1.13.3 file handles are preferred by default, and virtiofsd does not start when it wants
// them and may not have their capability.
Result<void> check_default_handles(const Share& share, const DaemonInfo& daemon) {
    constexpr Version prefers_handles{1, 13, 3};
    if (!share.modcaps.has_value() || share.inode_file_handles.has_value() ||
        daemon.dialect == Dialect::c_daemon || daemon.version < prefers_handles) {
        return {};
    }
    VFSKIT_TRY_ASSIGN(const auto changes, parse_capability_changes(*share.modcaps));
    if (removes_capability(changes, "dac_read_search")) {
        return refuse("modcaps",
                      fmt::format("File handles are what {} uses unless told otherwise, and it "
                                  "does not start without dac_read_search",
                                  describe(daemon)),
                      "Add inode-file-handles never, or remove \"-dac_read_search\"");
    }
    return {};
}

// The Rust daemons take their arguments as UTF-8 and refuse others with a usage error.
Result<void> check_utf8(const Share& share, const DaemonCommandOptions& options) {
    constexpr auto* remedy = "Rename it in UTF-8, or use the bundled daemon";
    if (!base::is_valid_utf8(share.path)) {
        return refuse("path", "The path is not valid UTF-8, which virtiofsd wants", remedy);
    }
    const auto* const socket = std::get_if<SocketPath>(&options.socket);
    if (socket != nullptr && !base::is_valid_utf8(socket->path)) {
        return refuse(
            "socket", "The socket path is not valid UTF-8, which virtiofsd wants", remedy);
    }
    return {};
}

Result<void>
check(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options) {
    VFSKIT_TRY(validate(share));
    VFSKIT_TRY(check_socket(options));
    VFSKIT_TRY(check_user(share, options));
    VFSKIT_TRY(check_support(share, daemon, options));
    return check_default_handles(share, daemon);
}

// ----- the parts of a command line --------------------------------------------------------------

void add_flag(Args& args, bool is_set, std::string_view flag) {
    if (is_set) {
        args.emplace_back(flag);
    }
}

void add_socket(Args& args, const DaemonCommandOptions& options) {
    if (const auto* const path = std::get_if<SocketPath>(&options.socket)) {
        args.push_back("--socket-path=" + path->path);
    } else {
        args.push_back(fmt::format("--fd={}", std::get<SocketFd>(options.socket).fd));
    }
    if (options.socket_group.has_value()) {
        args.push_back("--socket-group=" + *options.socket_group);
    }
}

// Bare means always in 1.14, and on in the daemons before it, which take no value.
void add_negotiation(Args& args, std::string_view flag, Negotiation mode) {
    switch (mode) {
    case Negotiation::never:
        return;
    case Negotiation::automatic:
        args.push_back(fmt::format("{}=auto", flag));
        return;
    case Negotiation::always:
        args.emplace_back(flag);
        return;
    }
}

// 1.6 made announcing the default and brought the option to switch it off; before, saying nothing
// switches it off.
void add_announce_submounts(Args& args, std::optional<bool> announce, const Version& version) {
    if (!announce.has_value()) {
        return;
    }
    if (*announce) {
        args.emplace_back("--announce-submounts");
    } else if (version >= Version{1, 6, 0}) {
        args.emplace_back("--no-announce-submounts");
    }
}

void add_access(Args& args, const Share& share, const DaemonInfo& daemon) {
    add_flag(args, share.xattr, "--xattr");
    if (share.xattrmap.has_value()) {
        args.push_back("--xattrmap=" + *share.xattrmap);
    }
    add_negotiation(args, "--posix-acl", share.posix_acl);
    add_negotiation(args, "--security-label", share.security_label);
    add_announce_submounts(args, share.announce_submounts, daemon.version);
    add_flag(args, share.allow_direct_io, "--allow-direct-io");
    add_flag(args, share.allow_mmap, "--allow-mmap");
    add_flag(args, share.readonly, "--readonly");
    if (share.cache.has_value()) {
        args.push_back(fmt::format("--cache={}", to_string(*share.cache)));
    }
    add_flag(args, share.writeback, "--writeback");
    if (share.inode_file_handles.has_value()) {
        args.push_back(
            fmt::format("--inode-file-handles={}", to_string(*share.inode_file_handles)));
    }
}

void add_ids(Args& args, const Share& share) {
    for (const auto& range : share.uid_map) {
        args.push_back(fmt::format("--uid-map=:{}:{}:{}:", range.guest, range.host, range.count));
    }
    for (const auto& range : share.gid_map) {
        args.push_back(fmt::format("--gid-map=:{}:{}:{}:", range.guest, range.host, range.count));
    }
    for (const auto& translation : share.translate_uid) {
        args.push_back("--translate-uid=" + translation);
    }
    for (const auto& translation : share.translate_gid) {
        args.push_back("--translate-gid=" + translation);
    }
}

// Handles are verified only where both ends have the same directory: in a replica every inode is
// another one, and a failed verification of the root is an error whatever on_error says.
void add_migration(Args& args, const Share& share) {
    if (!share.method.has_value()) {
        return;
    }
    args.push_back(fmt::format("--migration-on-error={}", to_string(share.on_error)));
    args.push_back(fmt::format("--migration-mode={}", mapping::to_string(*share.method)));
    if (share.method == MigrationMethod::find_paths) {
        add_flag(args,
                 share.path_relation == mapping::PathRelation::same_directory,
                 "--migration-verify-handles");
        args.emplace_back("--migration-confirm-paths");
    }
}

// One list, because of a repeated --modcaps the last wins. file-handles always asks for the
// capability that the destination opens handles with.
Result<std::optional<std::string>> modcaps_of(const Share& share) {
    constexpr std::string_view handles_capability = "dac_read_search";
    if (share.method != MigrationMethod::file_handles) {
        return share.modcaps;
    }
    if (!share.modcaps.has_value()) {
        return std::optional{fmt::format("+{}", handles_capability)};
    }
    VFSKIT_TRY_ASSIGN(const auto changes, parse_capability_changes(*share.modcaps));
    if (adds_capability(changes, handles_capability)) {
        return share.modcaps;
    }
    return std::optional{fmt::format("{}:+{}", *share.modcaps, handles_capability)};
}

std::string_view log_word(LogLevel level) {
    constexpr std::array<std::string_view, 5> words{"error", "warn", "info", "debug", "trace"};
    return words.at(static_cast<std::size_t>(level));
}

// ----- the dialects -----------------------------------------------------------------------------

Result<ProcessSpec>
rust_command(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options) {
    ProcessSpec spec{.program = options.program, .args = {}};
    add_socket(spec.args, options);
    spec.args.push_back("--shared-dir=" + share.path);
    if (options.advertise_tag) {
        spec.args.push_back("--tag=" + share.tag);
    }
    add_access(spec.args, share, daemon);
    if (share.thread_pool_size.has_value()) {
        spec.args.push_back(fmt::format("--thread-pool-size={}", *share.thread_pool_size));
    }
    if (share.sandbox.has_value()) {
        spec.args.push_back(fmt::format("--sandbox={}", to_string(*share.sandbox)));
    }
    add_ids(spec.args, share);
    add_migration(spec.args, share);
    VFSKIT_TRY_ASSIGN(const auto modcaps, modcaps_of(share));
    if (modcaps.has_value()) {
        spec.args.push_back("--modcaps=" + *modcaps);
    }
    if (share.rlimit_nofile.has_value()) {
        spec.args.push_back(fmt::format("--rlimit-nofile={}", *share.rlimit_nofile));
    }
    if (options.log_level.has_value()) {
        spec.args.push_back(fmt::format("--log-level={}", log_word(*options.log_level)));
    }
    add_flag(spec.args, options.syslog, "--syslog");
    return spec;
}

// libfuse's option parser, which the C daemon uses, splits -o at commas and takes a backslash off
// what follows it (measured on 7.2.22: source=/a\,b shares "/a,b").
std::string quote_c_value(std::string_view value) {
    std::string quoted;
    for (const char c : value) {
        if (c == ',' || c == '\\') {
            quoted += '\\';
        }
        quoted += c;
    }
    return quoted;
}

void add_c_option(Args& args, std::string option) {
    args.emplace_back("-o");
    args.push_back(std::move(option));
}

void add_c_option_if(Args& args, bool is_set, std::string_view option) {
    if (is_set) {
        add_c_option(args, std::string{option});
    }
}

void add_c_access(Args& args, const Share& share) {
    // The C daemon refuses posix_acl without xattr ("Can't enable posix ACLs. xattrs are
    // disabled."), where the Rust one switches it on by itself; labels are xattrs too.
    add_c_option_if(args,
                    share.xattr || share.posix_acl != Negotiation::never ||
                        share.security_label != Negotiation::never,
                    "xattr");
    if (share.xattrmap.has_value()) {
        add_c_option(args, "xattrmap=" + quote_c_value(*share.xattrmap));
    }
    add_c_option_if(args, share.posix_acl != Negotiation::never, "posix_acl");
    add_c_option_if(args, share.security_label != Negotiation::never, "security_label");
    // Not announcing is its default, and it has no option to say so.
    add_c_option_if(args, share.announce_submounts.value_or(false), "announce_submounts");
    add_c_option_if(args, share.allow_direct_io, "allow_direct_io");
    if (share.cache.has_value()) {
        add_c_option(
            args,
            fmt::format("cache={}",
                        share.cache == CachePolicy::never ? "none" : to_string(*share.cache)));
    }
    add_c_option_if(args, share.writeback, "writeback");
}

Result<ProcessSpec> c_command(const Share& share, const DaemonCommandOptions& options) {
    ProcessSpec spec{.program = options.program, .args = {}};
    add_socket(spec.args, options);
    if (share.thread_pool_size.has_value()) {
        spec.args.push_back(fmt::format("--thread-pool-size={}", *share.thread_pool_size));
    }
    if (share.rlimit_nofile.has_value()) {
        spec.args.push_back(fmt::format("--rlimit-nofile={}", *share.rlimit_nofile));
    }
    add_flag(spec.args, options.syslog, "--syslog");
    add_c_option(spec.args, "source=" + quote_c_value(share.path));
    add_c_access(spec.args, share);
    if (share.sandbox.has_value()) {
        add_c_option(spec.args, fmt::format("sandbox={}", to_string(*share.sandbox)));
    }
    if (share.modcaps.has_value()) {
        add_c_option(spec.args, "modcaps=" + *share.modcaps);
    }
    if (options.log_level.has_value()) {
        const auto word = log_word(*options.log_level);
        add_c_option(spec.args, fmt::format("log_level={}", word == "error" ? "err" : word));
    }
    return spec;
}

} // namespace

Result<std::vector<std::string>> migration_arguments(const Share& share, const DaemonInfo& daemon) {
    if (!share.method.has_value()) {
        return Args{};
    }
    VFSKIT_TRY(validate(share));
    Share bare; // what the daemon thinks of the other options is not asked here
    bare.method = share.method;
    VFSKIT_TRY(check_support(bare, daemon, {}));
    Args args;
    add_migration(args, share);
    if (share.method == MigrationMethod::file_handles) {
        VFSKIT_TRY_ASSIGN(const auto modcaps, modcaps_of(share));
        args.push_back("--modcaps=" + modcaps.value_or(""));
    }
    return args;
}

Result<ProcessSpec>
daemon_command(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options) {
    VFSKIT_TRY(check(share, daemon, options));
    switch (daemon.dialect) {
    case Dialect::c_daemon:
        return c_command(share, options);
    case Dialect::rust_1_0:
    case Dialect::rust_1_11:
    case Dialect::rust_1_14:
        VFSKIT_TRY(check_utf8(share, options));
        return rust_command(share, daemon, options);
    case Dialect::bundled:
        return rust_command(share, daemon, options);
    }
    return Error{EINVAL, "The daemon's dialect is not known"};
}

} // namespace vfskit::share
