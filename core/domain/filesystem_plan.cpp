// SPDX-License-Identifier: Apache-2.0
// From a Share to its <filesystem>: what libvirt can say is said, what it cannot is refused by
// name.
#include "core/domain/filesystem.h"
#include "core/domain/refusal.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace vfskit::domain {
namespace {

// What QEMU's users and libvirt's own documentation settle on; QEMU's default of 128 costs
// throughput.
constexpr std::uint32_t default_queue_size = 1024;

void list_if(std::vector<std::string>& list, bool condition, std::string option) {
    if (condition) {
        list.push_back(std::move(option));
    }
}

/// virtiofsd options of the share that libvirt has no element for, as virtiofsd spells them.
std::vector<std::string> inexpressible_options(const share::Share& share) {
    std::vector<std::string> list;
    list_if(list, share.cache == share::CachePolicy::metadata, "--cache=metadata");
    list_if(list, share.writeback, "--writeback");
    if (share.xattrmap) {
        list.push_back("--xattrmap=" + *share.xattrmap);
    }
    list_if(list, share.posix_acl != share::Negotiation::never, "--posix-acl");
    list_if(list, share.security_label != share::Negotiation::never, "--security-label");
    list_if(list, share.allow_direct_io, "--allow-direct-io");
    list_if(list, share.allow_mmap, "--allow-mmap");
    // Announcing them is virtiofsd's default.
    list_if(list, share.announce_submounts == false, "--no-announce-submounts");
    if (share.inode_file_handles) {
        list.push_back(
            fmt::format("--inode-file-handles={}", share::to_string(*share.inode_file_handles)));
    }
    list_if(list, share.sandbox == share::SandboxMode::none, "--sandbox=none");
    for (const std::string& map : share.translate_uid) {
        list.push_back("--translate-uid=" + map);
    }
    for (const std::string& map : share.translate_gid) {
        list.push_back("--translate-gid=" + map);
    }
    if (share.modcaps) {
        list.push_back("--modcaps=" + *share.modcaps);
    }
    return list;
}

/// Every virtiofsd option of the share: 9p has no virtiofsd at all, and one with a socket gets none
/// from libvirt.
std::vector<std::string> daemon_options(const share::Share& share) {
    std::vector<std::string> list = inexpressible_options(share);
    if (share.cache && share.cache != share::CachePolicy::metadata) {
        list.push_back(fmt::format("--cache={}", share::to_string(*share.cache)));
    }
    list_if(list, share.xattr, "--xattr");
    list_if(list, share.thread_pool_size.has_value(), "--thread-pool-size");
    list_if(list, share.rlimit_nofile.has_value(), "--rlimit-nofile");
    list_if(list, share.sandbox && share.sandbox != share::SandboxMode::none, "--sandbox");
    list_if(list, !share.uid_map.empty(), "--uid-map");
    list_if(list, !share.gid_map.empty(), "--gid-map");
    return list;
}

Result<void> refuse_ninep_options(const FilesystemOptions& options) {
    const std::pair<bool, std::string_view> reasons[] = {
        {options.accessmode && options.accessmode != AccessMode::passthrough,
         "virtiofs only supports passthrough accessmode"},
        {options.fmode || options.dmode, "virtiofs does not support fmode and dmode"},
        {options.multidevs.has_value(), "virtiofs does not support multidevs"},
        {options.wrpolicy_immediate, "virtiofs does not support wrpolicy"},
        {options.model.has_value(), "virtiofs does not support model"},
    };
    constexpr std::string_view keys[] = {"accessmode", "fmode", "multidevs", "wrpolicy", "model"};
    for (std::size_t i = 0; i < std::size(keys); ++i) {
        if (reasons[i].first) {
            return refuse(EINVAL, std::string{keys[i]}, std::string{reasons[i].second})
                .with_remedy(
                    keys[i] == "multidevs"
                        ? "Leave it out: virtiofsd announces other filesystems below the share as "
                          "submounts of their own; or use the 9p driver"
                        : "Leave it out, or use the 9p driver");
        }
    }
    return {};
}

Result<void> refuse_virtiofs_options(const share::Share& share, const FilesystemOptions& options) {
    if (options.socket || options.binary || options.posix_lock || options.flock) {
        return refuse(EINVAL,
                      "driver type",
                      "9p is served by QEMU itself: there is no daemon, socket or "
                      "lock option to configure")
            .with_remedy("Leave them out, or use the virtiofs driver");
    }
    if (options.boot_order) {
        return refuse(EINVAL, "boot", "boot order is only supported for virtiofs")
            .with_remedy("Leave it out, or use the virtiofs driver");
    }
    const std::vector<std::string> list = daemon_options(share);
    if (!list.empty()) {
        return refuse(ENOTSUP,
                      "driver type",
                      fmt::format("9p has no virtiofsd to give these options to: {}",
                                  fmt::join(list, " ")))
            .with_remedy("Take them off the share, or use the virtiofs driver");
    }
    return {};
}

void warn_of_migration(const share::Share& share,
                       const Target& target,
                       std::vector<Notice>& notices) {
    using mapping::MigrationMethod;
    if (!share.method) {
        return;
    }
    if (!knows(target.libvirt, LibvirtFeature::migration)) {
        notices.push_back(
            {fmt::format("libvirt {} refuses to migrate or save a guest whose virtiofsd it "
                         "started; {} is the first that can",
                         to_string(target.libvirt),
                         to_string(known_since(LibvirtFeature::migration))),
             "Upgrade libvirt on every node, the destinations too"});
        return;
    }
    constexpr auto way_out =
        "Start the daemon yourself and give its socket, or name a wrapper as binary "
        "that adds the options";
    if (*share.method != MigrationMethod::find_paths) {
        notices.push_back(
            {fmt::format("libvirt passes no migration option to virtiofsd: the share will "
                         "migrate by find-paths instead of {}",
                         mapping::to_string(*share.method)),
             way_out});
    } else {
        notices.push_back(
            {"libvirt passes no migration option to virtiofsd: the source does not confirm "
             "the paths it found, so a file renamed meanwhile may be missed",
             way_out});
    }
    notices.push_back(
        {share.on_error == share::OnError::guest_error
             ? "The destination's virtiofsd will abort the migration at the first file it "
               "cannot find, not give the guest an error for that file"
             : "The destination's virtiofsd aborts the migration at the first file that it "
               "cannot find; the guest goes on at the source",
         share.on_error == share::OnError::guest_error ? way_out : ""});
    notices.push_back(
        {"After a restart of libvirtd or virtqemud a running guest can be neither migrated "
         "nor saved, because libvirt forgets what the daemon it started can do",
         "Detach and attach the share again, or use an external daemon"});
}

ManagedDaemon managed_daemon(const share::Share& share, const FilesystemOptions& options) {
    ManagedDaemon daemon;
    daemon.source_dir = share.path;
    daemon.binary_path = options.binary;
    daemon.xattr = share.xattr;
    if (share.cache == share::CachePolicy::always) {
        daemon.cache = CacheMode::always;
    } else if (share.cache == share::CachePolicy::never) {
        daemon.cache = CacheMode::none;
    }
    if (share.sandbox == share::SandboxMode::namespaces) {
        daemon.sandbox = DomainSandbox::namespaces;
    } else if (share.sandbox == share::SandboxMode::chroot) {
        daemon.sandbox = DomainSandbox::chroot;
    }
    daemon.posix_lock = options.posix_lock;
    daemon.flock = options.flock;
    daemon.thread_pool_size = share.thread_pool_size;
    daemon.openfiles = share.rlimit_nofile;
    daemon.uid_map = share.uid_map;
    daemon.gid_map = share.gid_map;
    return daemon;
}

Result<void> settle_inexpressible(const share::Share& share,
                                  const FilesystemOptions& options,
                                  std::vector<Notice>& notices) {
    const std::vector<std::string> list = inexpressible_options(share);
    if (list.empty()) {
        return {};
    }
    if (options.binary && options.binary_is_wrapper) {
        notices.push_back(
            {fmt::format("libvirt cannot express these options: {}", fmt::join(list, " ")),
             fmt::format("The wrapper '{}' must add them", *options.binary)});
        return {};
    }
    return refuse(ENOTSUP,
                  "binary",
                  fmt::format("libvirt has no element for these virtiofsd options: {}",
                              fmt::join(list, " ")))
        .with_remedy(
            "Start the daemon yourself and give its socket, or name a wrapper as binary that adds "
            "them");
}

Result<VirtiofsFilesystem> managed_filesystem(const share::Share& share,
                                              const FilesystemOptions& options,
                                              const Target& target,
                                              std::vector<Notice>& notices) {
    VFSKIT_TRY(settle_inexpressible(share, options, notices));
    VirtiofsFilesystem filesystem;
    filesystem.daemon = managed_daemon(share, options);
    filesystem.readonly = share.readonly;
    if (share.readonly) {
        notices.push_back({"<readonly/> needs virtiofsd 1.13 or newer on the host",
                           "Check with 'virtiofsd --version'"});
    }
    if (options.binary && options.binary_is_wrapper && share.method) {
        notices.push_back({"libvirt passes no migration option to virtiofsd",
                           fmt::format("The wrapper '{}' must add those for {}",
                                       *options.binary,
                                       mapping::to_string(*share.method))});
    } else {
        warn_of_migration(share, target, notices);
    }
    return filesystem;
}

Result<VirtiofsFilesystem> external_filesystem(const share::Share& share,
                                               const FilesystemOptions& options,
                                               std::vector<Notice>& notices) {
    if (options.binary || options.posix_lock || options.flock) {
        return refuse(EINVAL,
                      "binary",
                      "libvirt keeps <binary> but ignores it when the source is a socket")
            .with_remedy("Leave binary and lock options out, or the socket");
    }
    VirtiofsFilesystem filesystem;
    filesystem.daemon = ExternalDaemon{*options.socket};
    if (options.daemon_is_ours) {
        return filesystem;
    }
    auto own_options = daemon_options(share);
    std::erase_if(own_options, [](const std::string& option) {
        return option == "--uid-map" || option == "--gid-map"; // below
    });
    if (!own_options.empty()) {
        notices.push_back({fmt::format("These options are the daemon's own and not in the XML: {}",
                                       fmt::join(own_options, " ")),
                           "The daemon must be started with them"});
    }
    if (!share.uid_map.empty() || !share.gid_map.empty()) {
        notices.push_back({"libvirt does not start this daemon and gives it no id map",
                           "Start it with --uid-map and --gid-map"});
    }
    if (share.readonly) {
        // <readonly/> would be ignored by libvirt 11.3 and refused by 12.8.
        notices.push_back({"With a socket libvirt cannot make the share read-only",
                           "Start the daemon with --readonly"});
    }
    notices.push_back(
        {"libvirt neither starts nor checks the daemon: it must listen before every start of "
         "the guest and before an incoming migration, with the socket open to QEMU's user",
         ""});
    return filesystem;
}

Result<FilesystemPlan>
plan_virtiofs(const share::Share& share, const FilesystemOptions& options, const Target& target) {
    VFSKIT_TRY(refuse_ninep_options(options));
    if (share.request_queues > 1) {
        return refuse(ENOTSUP,
                      "driver queue",
                      fmt::format(
                          "libvirt has no element for {} request queues; <driver queue=…> is the "
                          "size of one",
                          share.request_queues))
            .with_remedy("Use one queue, or start QEMU with the arguments of 'vfsctl qemu args'");
    }
    FilesystemPlan plan;
    VFSKIT_TRY_ASSIGN(VirtiofsFilesystem filesystem,
                      options.socket ? external_filesystem(share, options, plan.notices)
                                     : managed_filesystem(share, options, target, plan.notices));
    filesystem.tag = share.tag;
    filesystem.queue_size = share.queue_size.value_or(default_queue_size);
    filesystem.virtio = options.virtio;
    filesystem.boot_order = options.boot_order;
    plan.filesystem = std::move(filesystem);
    return plan;
}

Result<FilesystemPlan> plan_ninep(const share::Share& share, const FilesystemOptions& options) {
    VFSKIT_TRY(refuse_virtiofs_options(share, options));
    FilesystemPlan plan;
    NinepFilesystem filesystem;
    filesystem.tag = share.tag;
    filesystem.source_dir = share.path;
    filesystem.accessmode = options.accessmode.value_or(AccessMode::passthrough);
    filesystem.fmode = options.fmode;
    filesystem.dmode = options.dmode;
    filesystem.multidevs = options.multidevs;
    filesystem.wrpolicy_immediate = options.wrpolicy_immediate;
    filesystem.readonly = share.readonly;
    filesystem.model = options.model;
    filesystem.virtio = options.virtio;
    plan.filesystem = std::move(filesystem);
    if (share.method) {
        plan.notices.push_back(
            {"QEMU refuses to migrate or save a guest while it has a 9p share mounted",
             "Unmount it in the guest before, or use the virtiofs driver"});
    }
    return plan;
}

} // namespace

Result<FilesystemPlan>
plan_filesystem(const share::Share& share, const FilesystemOptions& options, const Target& target) {
    VFSKIT_TRY_ASSIGN(FilesystemPlan plan,
                      options.driver == FilesystemDriver::virtiofs
                          ? plan_virtiofs(share, options, target)
                          : plan_ninep(share, options));
    VFSKIT_TRY(validate(plan.filesystem, target));
    return plan;
}

} // namespace vfskit::domain
