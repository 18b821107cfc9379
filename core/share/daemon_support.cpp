// SPDX-License-Identifier: Apache-2.0
#include "core/share/daemon_support.h"

#include "core/share/xattr_map.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;

/// What a share may want of its daemon. `since` is the first Rust virtiofsd that knows it.
struct Need {
    std::string_view option; ///< the key of the place
    std::string_view what;   ///< for the sentence
    bool (*is_wanted)(const Share&, const DaemonCommandOptions&);
    Version since;
    bool is_in_c;
    std::string_view feature; ///< a daemon that prints it knows the option, whatever its version
};

// Versions: read from the option parser of each upstream release from 1.0.0 to 1.13.3, and from
// --help of 1.13.2, 1.14.0 and the C daemon of QEMU 7.2.22, which were also run with every golden
// command line of the tests. Ordered by version.
constexpr Version since_1_0{1, 0, 0};
constexpr std::array<Need, 20> needs{{
    {"sandbox",
     "sandbox none",
     [](const Share& s, const auto& /*o*/) { return s.sandbox == SandboxMode::none; },
     since_1_0,
     false,
     {}},
    {"log-level",
     "log-level trace",
     [](const Share& /*s*/, const auto& o) { return o.log_level == LogLevel::trace; },
     since_1_0,
     false,
     {}},
    {"syslog",
     "syslog",
     [](const Share& /*s*/, const auto& o) { return o.syslog; },
     {1, 1, 0},
     true,
     {}},
    {"modcaps",
     "modcaps",
     [](const Share& s, const auto& /*o*/) { return s.modcaps.has_value(); },
     {1, 2, 0},
     true,
     {}},
    {"xattrmap",
     "xattrmap with an unsupported rule",
     [](const Share& s, const auto& /*o*/) {
         return s.xattrmap.value_or("").find("unsupported") != std::string::npos;
     },
     {1, 2, 0},
     true,
     {}},
    {"posix-acl",
     "posix-acl",
     [](const Share& s, const auto& /*o*/) { return s.posix_acl != Negotiation::never; },
     {1, 2, 0},
     true,
     {}},
    {"inode-file-handles",
     "inode-file-handles prefer or mandatory",
     [](const Share& s, const auto& /*o*/) {
         return s.inode_file_handles.value_or(InodeFileHandles::never) != InodeFileHandles::never;
     },
     {1, 2, 0},
     false,
     {}},
    {"security-label",
     "security-label",
     [](const Share& s, const auto& /*o*/) { return s.security_label != Negotiation::never; },
     {1, 4, 0},
     true,
     {}},
    {"uid-map",
     "uid-map",
     [](const Share& s, const auto& /*o*/) { return !s.uid_map.empty(); },
     {1, 6, 0},
     false,
     {}},
    {"gid-map",
     "gid-map",
     [](const Share& s, const auto& /*o*/) { return !s.gid_map.empty(); },
     {1, 6, 0},
     false,
     {}},
    {"cache",
     "cache metadata",
     [](const Share& s, const auto& /*o*/) { return s.cache == CachePolicy::metadata; },
     {1, 8, 0},
     false,
     {}},
    {"tag",
     "tag",
     [](const Share& /*s*/, const auto& o) { return o.advertise_tag; },
     {1, 9, 0},
     false,
     {}},
    {"allow-mmap",
     "allow-mmap",
     [](const Share& s, const auto& /*o*/) { return s.allow_mmap; },
     {1, 11, 0},
     false,
     {}},
    {"uid-map",
     "more than one uid-map or gid-map",
     [](const Share& s, const auto& /*o*/) { return s.uid_map.size() > 1 || s.gid_map.size() > 1; },
     {1, 11, 0},
     false,
     {}},
    {"live-migration-method",
     "live-migration-method",
     [](const Share& s, const auto& /*o*/) { return s.method.has_value(); },
     {1, 11, 0},
     false,
     {}},
    {"live-migration-method",
     "live-migration-method file-handles",
     [](const Share& s, const auto& /*o*/) { return s.method == MigrationMethod::file_handles; },
     {1, 12, 0},
     false,
     {}},
    {"readonly",
     "readonly",
     [](const Share& s, const auto& /*o*/) { return s.readonly; },
     {1, 13, 0},
     false,
     {}},
    {"translate-uid",
     "translate-uid and translate-gid",
     [](const Share& s, const auto& /*o*/) {
         return !s.translate_uid.empty() || !s.translate_gid.empty();
     },
     {1, 13, 0},
     false,
     {}},
    {"posix-acl",
     "posix-acl auto",
     [](const Share& s, const auto& /*o*/) { return s.posix_acl == Negotiation::automatic; },
     {1, 14, 0},
     false,
     "posix-acl-negotiation-mode"},
    {"security-label",
     "security-label auto",
     [](const Share& s, const auto& /*o*/) { return s.security_label == Negotiation::automatic; },
     {1, 14, 0},
     false,
     "security-label-negotiation-mode"},
}};

bool is_known(const Need& need, const DaemonInfo& daemon) {
    if (daemon.dialect == Dialect::c_daemon) {
        return need.is_in_c;
    }
    return daemon.version >= need.since ||
           (!need.feature.empty() && daemon.has_feature(need.feature));
}

Error not_supported(std::string_view option, std::string message, std::string remedy) {
    return Error{ENOTSUP, std::move(message)}
        .at({.file = {}, .line = 0, .key = std::string{option}})
        .with_remedy(std::move(remedy));
}

Error too_old(const Need& need, const DaemonInfo& daemon) {
    return not_supported(
        need.option,
        fmt::format("Option \"{}\" is not known to {}", need.what, describe(daemon)),
        fmt::format("Use virtiofsd {} or newer or the bundled daemon, or remove the option",
                    to_string(need.since)));
}

// Upstream answers a second request queue by dying while QEMU goes on without its share (measured
// on 1.13.2 and 1.14.0: SET_VRING_CALL with index 2).
Result<void> check_queues(const Share& share, const DaemonInfo& daemon) {
    if (share.request_queues == 1) {
        return {};
    }
    if (daemon.dialect != Dialect::bundled) {
        return not_supported(
            "queues",
            fmt::format("{} request queues are too many for {}, which serves one and dies of more",
                        share.request_queues,
                        describe(daemon)),
            "Use 1 queue or the bundled daemon");
    }
    return {};
}

Result<void> check_fd_passing(const Share& share, const DaemonInfo& daemon) {
    if (share.method != MigrationMethod::fd_passing) {
        return {};
    }
    const bool is_known_feature = daemon.dialect == Dialect::bundled &&
                                  (!daemon.is_probed || daemon.has_feature(feature_fd_passing));
    if (!is_known_feature) {
        return not_supported(
            "live-migration-method",
            fmt::format("Option \"live-migration-method fd-passing\" is not known to {}",
                        describe(daemon)),
            "Use the bundled daemon on both ends, or migration method find-paths");
    }
    return {};
}

// The C daemon looks up the mapped name of security.capability when it starts, and ends when there
// is none (measured on 7.2.22: "Failed to map security.capability").
Result<void> check_c_xattr_map(const Share& share, const DaemonInfo& daemon) {
    if (daemon.dialect != Dialect::c_daemon || !share.xattrmap.has_value() ||
        !denies_xattr(*share.xattrmap, "security.capability")) {
        return {};
    }
    return not_supported(
        "xattrmap",
        fmt::format("An xattr map that denies security.capability does not start {}",
                    describe(daemon)),
        "Give security.capability a prefix or ok rule, or use a Rust virtiofsd or "
        "the bundled one");
}

} // namespace

Result<void>
check_support(const Share& share, const DaemonInfo& daemon, const DaemonCommandOptions& options) {
    VFSKIT_TRY(check_fd_passing(share, daemon));
    VFSKIT_TRY(check_queues(share, daemon));
    VFSKIT_TRY(check_c_xattr_map(share, daemon));
    for (const auto& need : needs) {
        if (need.is_wanted(share, options) && !is_known(need, daemon)) {
            return too_old(need, daemon);
        }
    }
    return {};
}

} // namespace vfskit::share
