// SPDX-License-Identifier: Apache-2.0
// Proxmox VE's own command line (qemu-server's Virtiofs.pm with the patches of February 2026).
#include "core/share/daemon_command.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;

/// What a share may ask for and Proxmox VE has no property for.
struct Foreign {
    std::string_view option;
    bool (*is_wanted)(const Share&);
};

constexpr std::array<Foreign, 18> foreign_options{{
    {"writeback", [](const Share& s) { return s.writeback; }},
    {"xattrmap", [](const Share& s) { return s.xattrmap.has_value(); }},
    {"posix-acl", [](const Share& s) { return s.posix_acl == Negotiation::automatic; }},
    {"security-label", [](const Share& s) { return s.security_label != Negotiation::never; }},
    {"allow-mmap", [](const Share& s) { return s.allow_mmap; }},
    {"announce-submounts", [](const Share& s) { return !s.announce_submounts.value_or(true); }},
    {"inode-file-handles",
     [](const Share& s) {
         return s.inode_file_handles.value_or(InodeFileHandles::prefer) != InodeFileHandles::prefer;
     }},
    {"thread-pool-size", [](const Share& s) { return s.thread_pool_size.has_value(); }},
    {"queues", [](const Share& s) { return s.request_queues != 1; }},
    {"queue-size", [](const Share& s) { return s.queue_size.value_or(1024) != 1024; }},
    {"sandbox",
     [](const Share& s) {
         return s.sandbox.value_or(SandboxMode::namespaces) != SandboxMode::namespaces;
     }},
    {"uid-map", [](const Share& s) { return !s.uid_map.empty(); }},
    {"gid-map", [](const Share& s) { return !s.gid_map.empty(); }},
    {"translate-uid", [](const Share& s) { return !s.translate_uid.empty(); }},
    {"translate-gid", [](const Share& s) { return !s.translate_gid.empty(); }},
    {"modcaps", [](const Share& s) { return s.modcaps.has_value(); }},
    {"rlimit-nofile", [](const Share& s) { return s.rlimit_nofile.has_value(); }},
    {"live-migration-method",
     [](const Share& s) { return s.method == MigrationMethod::fd_passing; }},
}};

Error cannot_pass(std::string_view option) {
    return Error{ENOTSUP, fmt::format("Proxmox VE cannot pass this value of \"{}\"", option)}
        .at({.file = {}, .line = 0, .key = std::string{option}})
        .with_remedy("Remove the option, or leave Proxmox's compatibility mode");
}

Result<void> check_foreign_options(const Share& share) {
    for (const auto& foreign : foreign_options) {
        if (foreign.is_wanted(share)) {
            return cannot_pass(foreign.option);
        }
    }
    return {};
}

} // namespace

Result<std::vector<std::string>> pve_migration_arguments(const Share& share) {
    if (!share.method.has_value()) {
        return std::vector<std::string>{};
    }
    switch (*share.method) {
    case MigrationMethod::find_paths:
        return std::vector<std::string>{"--migration-on-error=guest-error",
                                        "--migration-mode=find-paths",
                                        "--migration-verify-handles",
                                        "--migration-confirm-paths"};
    case MigrationMethod::file_handles:
        return std::vector<std::string>{"--migration-on-error=guest-error",
                                        "--migration-mode=file-handles",
                                        "--modcaps=+dac_read_search"};
    case MigrationMethod::fd_passing:
        break;
    }
    return cannot_pass("live-migration-method");
}

Result<ProcessSpec> pve_daemon_command(const Share& share, const PveCommandOptions& options) {
    VFSKIT_TRY(validate(share));
    VFSKIT_TRY(check_foreign_options(share));
    if (options.fd < 0) {
        return Error{EINVAL, "The socket's descriptor is negative"}
            .at({.file = {}, .line = 0, .key = "fd"})
            .with_remedy("Give the listening descriptor that Proxmox VE hands to virtiofsd");
    }
    ProcessSpec spec{.program = "/usr/libexec/virtiofsd", .args = {}};
    auto& args = spec.args;
    const auto add_if = [&args](bool is_set, std::string flag) {
        if (is_set) {
            args.push_back(std::move(flag));
        }
    };
    args.push_back(fmt::format("--fd={}", options.fd));
    args.push_back("--shared-dir=" + share.path);
    add_if(share.xattr, "--xattr");
    add_if(share.posix_acl == Negotiation::always, "--posix-acl");
    args.emplace_back("--announce-submounts");
    add_if(share.allow_direct_io, "--allow-direct-io");
    add_if(share.readonly, "--readonly");
    if (share.cache.has_value()) {
        args.push_back(fmt::format("--cache={}", to_string(*share.cache)));
    }
    add_if(share.inode_file_handles.has_value(), "--inode-file-handles=prefer");
    VFSKIT_TRY_ASSIGN(const auto migration, pve_migration_arguments(share));
    args.insert(args.end(), migration.begin(), migration.end());
    args.emplace_back("--syslog");
    return spec;
}

} // namespace vfskit::share
