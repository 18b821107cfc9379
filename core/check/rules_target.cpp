// SPDX-License-Identifier: Apache-2.0
// Rules about the node that takes the VM.
#include "core/check/rules.h"
#include "core/check/versions.h"

#include <fmt/format.h>

#include <algorithm>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;

/// The QEMU that will run the VM there: under the source's path, else the newest.
const node::EmulatorFacts* emulator_for(const Scene& scene, const node::NodeFacts& facts) {
    if (scene.guest != nullptr) {
        if (const auto* const same = facts.find_qemu(scene.guest->binary)) {
            return same;
        }
    }
    const auto newest = std::ranges::max_element(
        facts.qemus, [](const auto& a, const auto& b) { return a.version < b.version; });
    return newest == facts.qemus.end() ? nullptr : &*newest;
}

void judge_qemu(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    const auto* const qemu = emulator_for(scene, *target.facts());
    const auto subject = [&target] { return subject_of_node(target.name); };
    if (qemu == nullptr) {
        add(findings, Code::deciding_fact_unknown, subject(), "The facts know no QEMU there");
    } else if (!qemu->version) {
        add(findings,
            Code::fact_unknown,
            subject(),
            fmt::format("The version of '{}' is not known", qemu->path));
    } else if (*qemu->version < oldest_qemu) {
        add(findings,
            Code::target_qemu_too_old,
            subject(),
            fmt::format("It has QEMU {}, {} is needed",
                        share::to_string(*qemu->version),
                        share::to_string(oldest_qemu)));
    }
}

void judge_libvirt(const End& target, std::vector<Finding>& findings) {
    const auto& libvirt = target.facts()->libvirt;
    if (!libvirt || !libvirt->version) {
        add(findings,
            Code::deciding_fact_unknown,
            subject_of_node(target.name),
            "The version of libvirt there is not known");
    } else if (*libvirt->version < oldest_libvirt()) {
        add(findings,
            Code::one_way_door,
            subject_of_node(target.name),
            fmt::format("It has libvirt {}, which takes the VM and cannot send it back",
                        share::to_string(*libvirt->version)));
    }
}

void judge_hugepages(const GuestMemory& guest, const End& target, std::vector<Finding>& findings) {
    const auto& memory = target.facts()->memory;
    if (!memory || !guest.bytes) {
        add(findings,
            Code::deciding_fact_unknown,
            subject_of_node(target.name),
            "Whether it has huge pages enough for the VM is not known");
        return;
    }
    const node::HugepagesFacts* pool = nullptr;
    for (const auto& candidate : memory->hugepages) {
        const bool fits = guest.hugepage_bytes ? candidate.page_bytes == *guest.hugepage_bytes
                                               : pool == nullptr || candidate.total > pool->total;
        pool = fits ? &candidate : pool;
    }
    const auto page_bytes = pool != nullptr && pool->page_bytes != 0
                                ? pool->page_bytes
                                : guest.hugepage_bytes.value_or(std::uint64_t{2} << 20);
    const auto needed = (*guest.bytes + page_bytes - 1) / page_bytes;
    const auto free = pool == nullptr ? 0 : pool->free;
    if (free < needed) {
        add(findings,
            Code::hugepages_missing,
            subject_of_node(target.name),
            fmt::format("The VM needs {} huge pages of {} KiB, {} are free",
                        needed,
                        page_bytes >> 10,
                        free));
    }
}

void judge_memory(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    const auto guest = memory_of(scene);
    if (guest.has_hugepages) {
        judge_hugepages(guest, target, findings);
        return;
    }
    const auto& memory = target.facts()->memory;
    if (memory && guest.bytes && memory->available_bytes < *guest.bytes) {
        add(findings,
            Code::memory_short,
            subject_of_node(target.name),
            fmt::format("The VM has {} MiB, {} MiB are available",
                        *guest.bytes >> 20,
                        memory->available_bytes >> 20));
    }
}

void judge_return_path(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    const auto has_it = [](const node::NodeFacts* facts) {
        return facts != nullptr && facts->pve && facts->pve->has_return_path == true;
    };
    const bool is_on = scene.migration->return_path.value_or(has_it(scene.source.facts()) &&
                                                             has_it(target.facts()));
    if (scene.vm->kind == VmKind::pve && !is_on) {
        add(findings,
            Code::return_path_off,
            subject_of_node(target.name),
            "QEMU's return-path is not known to be on at both ends");
    }
}

bool is_plugin_at_work(const node::NodeFacts* facts) {
    return facts != nullptr && facts->pve && facts->pve->plugin_version &&
           facts->pve->has_return_path == true;
}

/// Why the target would not obey a method; empty if it would.
std::string_view what_target_lacks(const std::optional<node::PveFacts>& pve) {
    if (!pve || !pve->plugin_version) {
        return "It is not installed";
    }
    if (pve->has_launcher != true) {
        return "No launcher stands in place of virtiofsd";
    }
    if (pve->has_return_path != true) {
        return "It does not know this Proxmox VE, and leaves its migrations as they are";
    }
    return {};
}

void judge_plugin(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    if (scene.vm->kind != VmKind::pve || !is_plugin_at_work(scene.source.facts())) {
        return;
    }
    const auto lacks = what_target_lacks(target.facts()->pve);
    if (!lacks.empty()) {
        add(findings, Code::plugin_missing, subject_of_node(target.name), std::string{lacks});
    }
}

bool needs_hook(const ShareScene& share, std::string_view target_path) {
    const auto& dir = share.share->source_dir;
    return share.share->launch == LaunchKind::managed && dir && *dir != target_path;
}

void judge_hook(const ShareScene& share,
                const End& target,
                const std::string& path,
                std::vector<Finding>& findings) {
    const auto& libvirt = target.facts()->libvirt;
    if (!libvirt || !libvirt->hook.is_installed) {
        add(findings,
            Code::hook_missing,
            subject_of(*share.share),
            fmt::format("The VM has '{}', '{}' has '{}', and nothing there rewrites it",
                        share.share->source_dir.value_or(""),
                        target.name,
                        path));
    } else if (libvirt->hook.is_loaded == false) {
        add(findings,
            Code::hook_not_loaded,
            subject_of_node(target.name),
            fmt::format("The hook '{}' was installed after libvirt started", libvirt->hook.path));
    } else if (!libvirt->hook.is_loaded) {
        add(findings,
            Code::fact_unknown,
            subject_of_node(target.name),
            "Whether libvirt has seen the hook is not known");
    }
}

/// `subject` makes the words for what needs the directory.
template <class Subject>
void judge_directory(const Subject& subject,
                     const End& target,
                     const node::PathFacts& facts,
                     std::vector<Finding>& findings) {
    if (facts.is_expected_mount == false) {
        add(findings,
            Code::path_not_mounted,
            subject(),
            fmt::format("On '{}' nothing is mounted at '{}', where '{}' belongs",
                        target.name,
                        facts.expected_mount_point.value_or(facts.path),
                        facts.path));
    }
    if (facts.state == node::ProbeState::timed_out) {
        add(findings,
            Code::path_hangs,
            subject(),
            fmt::format("'{}' on '{}' did not answer", facts.path, target.name));
    } else if (!facts.exists) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format("Whether '{}' exists on '{}' is not known{}",
                        facts.path,
                        target.name,
                        facts.problem ? ": " + *facts.problem : ""));
    } else if (!*facts.exists) {
        add(findings,
            Code::path_missing,
            subject(),
            fmt::format("There is no '{}' on '{}'", facts.path, target.name));
    } else if (!facts.is_directory) {
        add(findings,
            Code::deciding_fact_unknown,
            subject(),
            fmt::format(
                "Whether '{}' on '{}' is a directory is not known", facts.path, target.name));
    } else if (!*facts.is_directory) {
        add(findings,
            Code::path_not_directory,
            subject(),
            fmt::format("'{}' on '{}' is not a directory", facts.path, target.name));
    }
}

} // namespace

void judge_target_node(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    const auto& vm = *scene.vm;
    if (scene.migration->operation != Operation::live) {
        return;
    }
    if (!scene.migration->has_begun) {
        judge_qemu(scene, target, findings);
        if (vm.kind == VmKind::libvirt) {
            judge_libvirt(target, findings);
        }
    }
    judge_memory(scene, target, findings);
    judge_return_path(scene, target, findings);
    judge_plugin(scene, target, findings);
}

void judge_target_path(const Scene& scene,
                       const ShareScene& share,
                       const End& target,
                       std::vector<Finding>& findings) {
    if (share.mapping == nullptr) {
        return; // judge_mapping() has said so
    }
    const auto path = scene.cluster->path_of(*share.mapping, target.name, target.node);
    if (path.path == nullptr) {
        add(findings,
            Code::no_path_on_target,
            subject_of(*share.share),
            fmt::format("Mapping '{}' has no path on '{}'", share.mapping->id, target.name),
            fmt::format(
                "Give it one: 'vfsctl mapping set {} {}:PATH'", share.mapping->id, target.name));
        return;
    }
    if (target.node == nullptr) {
        return;
    }
    if (path.facts == nullptr) {
        add(findings,
            Code::deciding_fact_unknown,
            subject_of(*share.share),
            fmt::format("Nobody has looked at '{}' on '{}'", *path.path, target.name),
            fmt::format("Collect the facts of '{}' again", target.name));
    } else {
        judge_directory(
            [&share] { return subject_of(*share.share); }, target, *path.facts, findings);
    }
    if (scene.vm->kind == VmKind::libvirt && !scene.migration->rewrites_xml &&
        needs_hook(share, *path.path)) {
        judge_hook(share, target, *path.path, findings);
    }
    // Offline, what the hook made of the definition is stored; live, the source's definition is.
    if (scene.migration->operation == Operation::live && scene.migration->persistent &&
        !scene.migration->persist_xml && needs_hook(share, *path.path)) {
        add(findings,
            Code::persistent_stores_source_path,
            subject_of(*share.share),
            fmt::format("The definition on '{}' would say '{}' instead of '{}'",
                        target.name,
                        share.share->source_dir.value_or(""),
                        *path.path));
    }
}

void judge_ninep_path(const Scene& scene,
                      const NinepDevice& device,
                      const End& target,
                      std::vector<Finding>& findings) {
    const auto* const mapping = scene.cluster->find_mapping(device.dirid);
    const bool is_mapped =
        mapping != nullptr && device.source_dir &&
        std::ranges::find(mapping->paths, *device.source_dir, &mapping::NodePath::path) !=
            mapping->paths.end();
    if (!is_mapped || target.node == nullptr) {
        return;
    }
    const auto path = scene.cluster->path_of(*mapping, target.name, target.node);
    if (path.facts != nullptr) {
        judge_directory([&device] { return subject_of(device); }, target, *path.facts, findings);
    }
}

void judge_road(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    const auto* const source = scene.source.facts();
    const auto* const other = target.facts();
    if (source == nullptr || other == nullptr || source->boot_id.empty() ||
        other->boot_id.empty() || scene.migration->operation != Operation::live ||
        source->boot_id == other->boot_id) {
        return;
    }
    if (scene.migration->descriptor_transfer != DescriptorTransfer::none) {
        add(findings,
            Code::fd_passing_two_hosts,
            subject_of(*scene.vm),
            fmt::format("{} is asked for, and '{}' is another host",
                        to_string(scene.migration->descriptor_transfer),
                        target.name));
    }
    for (const auto& share : scene.shares) {
        if (share.method == MigrationMethod::fd_passing) {
            add(findings,
                Code::fd_passing_two_hosts,
                subject_of(*share.share),
                fmt::format("Its method is fd-passing, and '{}' is another host", target.name));
        }
    }
}

} // namespace vfskit::check
