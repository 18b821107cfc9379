// SPDX-License-Identifier: Apache-2.0
// Rules about the daemon that would serve a share on the target.
#include "core/check/rules.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::check {
namespace {

/// Sockets of daemons that our hook starts before QEMU does.
constexpr std::string_view run_dir = "/run/vfskit/";
/// What qemu-server runs.
constexpr std::string_view pve_binary = "/usr/libexec/virtiofsd";

bool has_hook(const End& target) {
    const auto& libvirt = target.facts()->libvirt;
    return libvirt && libvirt->hook.is_installed && libvirt->hook.is_loaded != false;
}

Server find_managed(const Scene& scene, const VmShare& share, const End& target) {
    if (share.binary) {
        if (const auto* const same = target.node->find_binary(*share.binary)) {
            return {.binary = same};
        }
        if (!scene.migration->rewrites_xml && !has_hook(target)) {
            return {};
        }
    }
    return {.binary = target.node->default_binary()};
}

Server find_socket(const Scene& scene, const VmShare& share, const End& target) {
    const auto socket = share.socket.value_or("");
    if (const auto* const daemon = target.node->find_listener(socket);
        daemon != nullptr && daemon->is_alive) {
        return {.daemon = daemon};
    }
    // The migration that this very check is part of starts it: see Migration::rewrites_xml.
    const bool is_ours = socket.starts_with(run_dir);
    if (is_ours && (has_hook(target) || scene.migration->rewrites_xml)) {
        return {.binary = target.node->bundled_binary()};
    }
    return {};
}

void report_nobody(const VmShare& share, const End& target, std::vector<Finding>& findings) {
    const bool has_any = target.node->default_binary() != nullptr;
    if (share.launch == LaunchKind::socket) {
        add(findings,
            Code::nobody_listens,
            subject_of(share),
            fmt::format("Nobody listens at '{}' on '{}'", share.socket.value_or(""), target.name));
    } else if (share.launch == LaunchKind::managed && has_any && share.binary) {
        add(findings,
            Code::binary_missing,
            subject_of(share),
            fmt::format("There is no '{}' on '{}'", *share.binary, target.name));
    } else {
        add(findings,
            Code::target_daemon_missing,
            subject_of(share),
            fmt::format("The facts of '{}' know no virtiofsd", target.name));
    }
}

void judge_abilities(const ShareScene& share,
                     const End& target,
                     const Server& server,
                     std::vector<Finding>& findings) {
    const auto abilities = server.daemon != nullptr ? target.node->abilities_of(*server.daemon)
                                                    : server.binary->abilities;
    const auto subject = [&share] { return subject_of(*share.share); };
    const auto name = [&server] {
        return server.daemon != nullptr
                   ? describe_daemon(server.daemon->kind, server.daemon->version)
                   : describe_daemon(server.binary->facts->kind, server.binary->facts->version);
    };
    if (abilities.migrates == Answer::no) {
        add(findings,
            Code::target_daemon_too_old,
            subject(),
            fmt::format(
                "It would be served by {} on '{}', which cannot migrate", name(), target.name));
        return;
    }
    if (abilities.migrates == Answer::unknown) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format("Whether the virtiofsd on '{}' can migrate is not known", target.name));
        return;
    }
    if (!share.method) {
        return;
    }
    const auto knows = abilities.knows(*share.method);
    if (knows == Answer::no) {
        add(findings,
            Code::method_unknown_to_daemon,
            subject(),
            fmt::format("It would be served by {} on '{}', which does not know {}",
                        name(),
                        target.name,
                        to_string(*share.method)));
    } else if (knows == Answer::unknown) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format("Whether the virtiofsd on '{}' knows {} is not known",
                        target.name,
                        to_string(*share.method)));
    }
}

/// The options that both ends must agree on.
struct SharedOptions {
    bool writeback = false;
    bool acl = false;
    bool announce_submounts = true;
    bool xattr = false;
    bool readonly = false;
    share::CachePolicy cache = share::CachePolicy::automatic;
    std::optional<mapping::MigrationMethod> method = {};
    // Where nothing says otherwise, what the source has the target will have.
    bool security_label = true;
    bool posix_lock = true;
    bool flock = true;
};

/// `daemon` has options.
SharedOptions shared_options(const node::DaemonFacts& daemon) {
    const auto& options = *daemon.options;
    const auto has = [&daemon](std::string_view word) {
        return std::ranges::find(daemon.argv, word) != daemon.argv.end();
    };
    return {.writeback = options.writeback,
            .acl = options.posix_acl != share::Negotiation::never,
            .announce_submounts = options.announce_submounts,
            .xattr = options.xattr,
            .readonly = options.readonly,
            .cache = options.cache,
            .method = options.method,
            .security_label = options.security_label != share::Negotiation::never,
            .posix_lock = has("--posix-lock"),
            .flock = has("--flock")};
}

/// What the target's daemon will be started with, as far as that is known beforehand.
std::optional<SharedOptions> planned_options(const VmShare& share, const Server& server) {
    if (server.daemon != nullptr) {
        return server.daemon->options ? std::optional{shared_options(*server.daemon)}
                                      : std::nullopt;
    }
    if (share.launch == LaunchKind::pve) {
        const bool acl = share.posix_acl.value_or(false);
        return SharedOptions{.acl = acl,
                             .xattr = acl || share.xattr.value_or(false),
                             .readonly = share.readonly,
                             .cache = share.cache.value_or(share::CachePolicy::automatic)};
    }
    // The XML, or our own record of the share, travels with the VM: the same options.
    return std::nullopt;
}

void judge_options(const ShareScene& scene,
                   const End& target,
                   const SharedOptions& there,
                   std::vector<Finding>& findings) {
    const auto here = shared_options(*scene.daemon);
    const auto lacks = [&](std::string_view option) {
        add(findings,
            Code::option_missing_on_target,
            subject_of(*scene.share),
            fmt::format("Its daemon has {}, the one on '{}' has not", option, target.name));
    };
    // A destination takes paths and handles unasked, descriptors not.
    if (scene.method == mapping::MigrationMethod::fd_passing && there.method != scene.method) {
        lacks("migration-mode=fd-passing");
    }
    if (here.writeback && !there.writeback) {
        lacks("writeback");
    }
    if (here.acl && !there.acl) {
        lacks("posix-acl");
    }
    if (here.announce_submounts && !there.announce_submounts) {
        lacks("announce-submounts");
    }
    if (here.security_label && !there.security_label) {
        lacks("security-label");
    }
    if (here.posix_lock && !there.posix_lock) {
        lacks("posix-lock");
    }
    if (here.flock && !there.flock) {
        lacks("flock");
    }
    const auto differs = [&](std::string_view option) {
        add(findings,
            Code::option_differs,
            subject_of(*scene.share),
            fmt::format("{} is not the same on '{}'", option, target.name));
    };
    if (here.xattr != there.xattr) {
        differs("xattr");
    }
    if (here.cache != there.cache) {
        differs("cache");
    }
    if (here.readonly != there.readonly) {
        differs("readonly");
    }
}

} // namespace

Server find_server(const Scene& scene, const VmShare& share, const End& target) {
    switch (share.launch) {
    case LaunchKind::managed:
        return find_managed(scene, share, target);
    case LaunchKind::socket:
        return find_socket(scene, share, target);
    case LaunchKind::pve: {
        const auto* const usual = target.node->find_binary(pve_binary);
        return {.binary = usual != nullptr ? usual : target.node->default_binary()};
    }
    }
    return {};
}

void judge_target_daemon(const Scene& scene,
                         const ShareScene& share,
                         const End& target,
                         std::vector<Finding>& findings) {
    if (target.node == nullptr) {
        return;
    }
    const auto server = find_server(scene, *share.share, target);
    if (!server.is_known()) {
        report_nobody(*share.share, target, findings);
        return;
    }
    if (scene.migration->operation == Operation::offline) {
        return; // it starts anew there: any daemon does
    }
    judge_abilities(share, target, server, findings);
    const auto there = planned_options(*share.share, server);
    if (there && share.daemon != nullptr && share.daemon->options) {
        judge_options(share, target, *there, findings);
    } else if (server.daemon != nullptr && !there) {
        add(findings,
            Code::fact_unknown,
            subject_of(*share.share),
            fmt::format("What its daemon on '{}' was started with is not known", target.name));
    }
}

} // namespace vfskit::check
