// SPDX-License-Identifier: Apache-2.0
// The command line of the daemon: upstream virtiofsd 1.14's options with their meanings, defaults
// and exit codes, its older "-o" spellings, and ours. Parsing touches nothing outside argv and the
// environment map.
#pragma once

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/fuse/options.h"
#include "core/passthrough/inode_store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::virtiofsd {

// What a room obeys has that room's type; the rest is the daemon's own.
using fuse::CachePolicy;
using InodeFileHandles = passthrough::FileHandleMode;
/// --posix-acl and --security-label.
using Negotiation = fuse::FeatureMode;
enum class SandboxMode { namespaces, chroot, none };
enum class SeccompAction { none, kill, log, trap };
enum class MigrationMode { find_paths, file_handles, fd_passing };
enum class OnError { abort, guest_error };

/// One --uid-map or --gid-map: ids inside the user namespace to ids outside.
struct NamespaceIdRange {
    std::uint32_t inside = 0;
    std::uint32_t outside = 0;
    std::uint32_t count = 0;
    bool operator==(const NamespaceIdRange&) const = default;
};

/// Everything that the command line can say. Defaults are upstream 1.14's; our own options are off.
struct Options {
    std::string shared_dir;
    std::optional<std::string> tag;
    std::optional<std::string> socket_path;
    std::optional<std::string> deprecated_socket; ///< --socket; --socket-path goes before it
    std::optional<int> fd;                        ///< an already listening socket
    std::optional<std::string> socket_group;
    std::uint32_t thread_pool_size =
        0; ///< extra workers per daemon; 0: requests run in their queue's thread

    bool xattr = false;
    std::optional<std::string> xattrmap;
    Negotiation posix_acl = Negotiation::never;
    Negotiation security_label = Negotiation::never;
    SandboxMode sandbox = SandboxMode::namespaces;
    SeccompAction seccomp = SeccompAction::kill;
    bool readonly = false;
    bool announce_submounts = true;
    InodeFileHandles inode_file_handles = InodeFileHandles::prefer;
    CachePolicy cache = CachePolicy::automatic;
    bool allow_mmap = false;
    bool readdirplus = true;
    bool writeback = false;
    bool allow_direct_io = false;
    bool killpriv_v2 = false;
    bool preserve_noatime = false;
    std::optional<std::string> modcaps;
    std::optional<std::uint64_t> rlimit_nofile; ///< absent: raised as far as allowed; 0: left alone
    std::vector<NamespaceIdRange> uid_map;
    std::vector<NamespaceIdRange> gid_map;
    std::vector<std::string> translate_uid;
    std::vector<std::string> translate_gid;

    MigrationMode migration_mode = MigrationMode::find_paths;
    OnError migration_on_error = OnError::abort;
    bool migration_verify_handles = false;
    bool migration_confirm_paths = false;

    LogLevel log_level = LogLevel::info;
    bool log_off = false;
    bool syslog = false;
    bool print_capabilities = false;

    // Ours.
    bool posix_lock = false; ///< fcntl(2) locks of the guest are taken on the host
    bool flock = false;      ///< flock(2) locks too
    bool keep_listening = false;
    std::optional<std::string> control_socket;
    std::optional<std::uint32_t>
        negative_timeout; ///< seconds that a guest may cache "no such file"
    std::optional<std::uint64_t>
        inode_fd_budget; ///< descriptors held for inodes; absent: from the limit
    /// Where the daemons of one host find each other for fd passing; absent: the default.
    std::optional<std::string> migration_socket_dir;
    bool journal = false;

    /// Sentences for the log once it is open: deprecated spellings that were used.
    std::vector<std::string> warnings;
};

/// What argv asks for: to run, or only to print something and end.
struct Invocation {
    enum class Action { run, print_text, fail };
    Action action = Action::run;
    Options options;
    std::string text;    ///< print_text: for stdout. fail: for stderr
    int exit_status = 0; ///< upstream's: 0 printed, 2 usage
};

/// Parses argv without argv[0]. `rust_log` is the value of RUST_LOG, which overrides --log-level as
/// upstream's does (levels and "virtiofsd=LEVEL", apart by commas; anything else is ignored). Never
/// fails: a usage error is an Invocation too.
Invocation parse_options(std::span<const std::string> args, std::string_view rust_log = {});

/// Rules between options that upstream checks after parsing and answers with exit status 1: maps
/// need an unprivileged namespace, verify-handles and confirm-paths need find-paths, translation
/// excludes ACLs, …
Result<void> check_combinations(const Options& options, bool is_root);

/// --help: every option with its default.
std::string help_text();
/// "virtiofsd 1.14.0 (vfskit X.Y.Z)": the version that callers compare, then ours.
std::string version_text();
/// The JSON of --print-capabilities, upstream's layout: features sorted, two blanks of indent.
std::string capabilities_text();

} // namespace vfskit::virtiofsd
