// SPDX-License-Identifier: Apache-2.0
// Rules about the node that the VM is on: QEMU, libvirt, the running daemons.
#include "core/check/rules.h"
#include "core/check/versions.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::check {
namespace {

void judge_libvirt(const Scene& scene, std::vector<Finding>& findings) {
    const auto& facts = *scene.source.facts();
    const auto subject = subject_of_node(scene.source.name);
    if (!facts.libvirt || !facts.libvirt->version) {
        add(findings,
            Code::deciding_fact_unknown,
            subject,
            "The version of libvirt that runs the VM is not known");
    } else if (*facts.libvirt->version < oldest_libvirt()) {
        add(findings,
            Code::source_libvirt_too_old,
            subject,
            fmt::format("It has libvirt {}, {} is needed",
                        share::to_string(*facts.libvirt->version),
                        share::to_string(oldest_libvirt())));
    }
}

/// What libvirt forgets in a restart it knows again of a share that was attached afterwards: then
/// its daemon is younger than libvirt, whatever the guest is.
void judge_restart(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings) {
    const auto& libvirt = scene.source.facts()->libvirt;
    if (scene.vm->kind != VmKind::libvirt || share.share->launch != LaunchKind::managed ||
        !libvirt || scene.guest == nullptr) {
        return;
    }
    const bool knows_daemon = share.daemon != nullptr && share.daemon->started_at;
    const auto& known_since = knows_daemon ? share.daemon->started_at : scene.guest->started_at;
    if (!libvirt->started_at || !known_since) {
        add(findings,
            Code::fact_unknown,
            subject_of(*share.share),
            "Whether libvirt was restarted since it was attached is not known");
    } else if (*libvirt->started_at > *known_since) {
        add(findings,
            Code::libvirt_restarted,
            subject_of(*share.share),
            fmt::format("libvirt started at {}, {} already at {}",
                        node::to_string(*libvirt->started_at),
                        knows_daemon ? "its daemon" : "the guest",
                        node::to_string(*known_since)));
    }
}

void judge_qemu(const Scene& scene, std::vector<Finding>& findings) {
    if (scene.guest == nullptr) {
        add(findings,
            Code::guest_not_on_source,
            subject_of(*scene.vm),
            fmt::format("The facts of '{}' know no running guest of this name", scene.source.name));
        return;
    }
    const auto& version = scene.guest->version;
    if (!version) {
        add(findings,
            Code::fact_unknown,
            subject_of(*scene.vm),
            "The version of the QEMU that it runs in is not known");
    } else if (*version < oldest_qemu) {
        add(findings,
            Code::source_qemu_too_old,
            subject_of(*scene.vm),
            fmt::format("It runs in QEMU {}, {} is needed",
                        share::to_string(*version),
                        share::to_string(oldest_qemu)));
    }
}

void judge_abilities(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings) {
    const auto& daemon = *share.daemon;
    const auto abilities = scene.source.node->abilities_of(daemon);
    const auto subject = subject_of(*share.share);
    const auto name = describe_daemon(daemon.kind, daemon.version);
    if (abilities.migrates == Answer::no) {
        add(findings,
            Code::source_daemon_too_old,
            subject,
            fmt::format("Its daemon on '{}' is {}, which cannot migrate", scene.source.name, name));
        return;
    }
    if (abilities.migrates == Answer::unknown) {
        add(findings,
            Code::deciding_fact_unknown,
            subject,
            fmt::format("Whether its daemon on '{}' can migrate is not known", scene.source.name));
        return;
    }
    if (share.method && abilities.knows(*share.method) == Answer::no) {
        add(findings,
            Code::method_unknown_to_daemon,
            subject,
            fmt::format("Its daemon on '{}' is {}, which does not know {}",
                        scene.source.name,
                        name,
                        to_string(*share.method)));
    } else if (share.method && abilities.knows(*share.method) == Answer::unknown) {
        add(findings,
            Code::deciding_fact_unknown,
            subject,
            fmt::format("Whether its daemon on '{}' knows {} is not known",
                        scene.source.name,
                        to_string(*share.method)));
    }
}

/// What the configuration says and the running daemon does not do, or the other way round.
std::string other_flags(const VmShare& share, const node::DaemonOptions& options) {
    std::string text;
    const auto note = [&text](std::string_view option, std::string_view now) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", option, now);
    };
    if (share.cache && *share.cache != options.cache) {
        note("cache is", to_string(options.cache));
    }
    if (share.xattr && *share.xattr != options.xattr) {
        note("xattr is", options.xattr ? "on" : "off");
    }
    if (share.posix_acl && *share.posix_acl != (options.posix_acl != share::Negotiation::never)) {
        note("ACLs are", to_string(options.posix_acl));
    }
    if (share.readonly != options.readonly) {
        note("it is", options.readonly ? "read-only" : "writable");
    }
    return text;
}

void judge_flags(const ShareScene& share, std::vector<Finding>& findings) {
    const auto& daemon = *share.daemon;
    const auto subject = subject_of(*share.share);
    if (!daemon.options) {
        add(findings,
            Code::fact_unknown,
            subject,
            "What its running daemon was started with is not known");
        return;
    }
    const auto method =
        share.mapping == nullptr ? std::nullopt : share.mapping->live_migration_method;
    if (method && *method != daemon.options->method) {
        add(findings,
            Code::daemon_runs_other_method,
            subject,
            fmt::format("Its running daemon uses {}{}, the mapping says {}",
                        to_string(daemon.options->method),
                        daemon.options->is_method_explicit ? "" : " (by default)",
                        to_string(*method)));
    }
    // With an external socket the VM's configuration does not say how its daemon is started.
    if (share.share->launch != LaunchKind::socket) {
        const auto others = other_flags(*share.share, *daemon.options);
        if (!others.empty()) {
            add(findings,
                Code::daemon_runs_other_flags,
                subject,
                fmt::format("In its running daemon {}, unlike in the configuration", others));
        }
    }
}

} // namespace

void judge_source_node(const Scene& scene, std::vector<Finding>& findings) {
    judge_qemu(scene, findings);
    if (scene.vm->kind == VmKind::libvirt) {
        judge_libvirt(scene, findings);
    }
}

void judge_source_daemon(const Scene& scene,
                         const ShareScene& share,
                         std::vector<Finding>& findings) {
    const auto subject = subject_of(*share.share);
    judge_restart(scene, share, findings);
    if (share.daemon == nullptr) {
        add(findings,
            Code::source_daemon_unknown,
            subject,
            fmt::format("The facts of '{}' know no daemon of it", scene.source.name));
        return;
    }
    if (!share.daemon->is_alive) {
        add(findings,
            Code::source_daemon_dead,
            subject,
            share.daemon->pid ? fmt::format("Its daemon on '{}' (pid {}) is gone",
                                            scene.source.name,
                                            *share.daemon->pid)
                              : fmt::format("Its daemon on '{}' is gone", scene.source.name));
    }
    judge_abilities(scene, share, findings);
    judge_flags(share, findings);
}

} // namespace vfskit::check
