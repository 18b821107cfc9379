// SPDX-License-Identifier: Apache-2.0
// Rules that need no facts: the VM and the way it is moved.
#include "core/check/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace vfskit::check {
namespace {

void judge_memory(const Scene& scene, std::vector<Finding>& findings) {
    const auto& vm = *scene.vm;
    if (vm.shares.empty()) {
        return;
    }
    const auto memory = memory_of(scene);
    if (memory.is_shared == false) {
        add(findings,
            Code::memory_not_shared,
            subject_of(vm),
            memory.reason.empty()
                ? "virtiofsd cannot map the guest's memory"
                : fmt::format("virtiofsd cannot map the guest's memory: {}", memory.reason));
    } else if (!memory.is_shared) {
        add(findings,
            Code::description_incomplete,
            subject_of(vm),
            "Whether the guest's memory is shared is not known");
    }
    if (vm.has_memory_hotplug && vm.kind == VmKind::pve) {
        add(findings,
            Code::memory_hotplug,
            subject_of(vm),
            "Memory hotplug is on, which does not work with a virtiofs share");
    }
}

void judge_snapshots(const Scene& scene, std::vector<Finding>& findings) {
    const auto& vm = *scene.vm;
    if (vm.kind != VmKind::libvirt || !scene.migration->has_target()) {
        return; // Proxmox VE's snapshots move with the configuration
    }
    if (!vm.snapshots) {
        add(findings,
            Code::description_incomplete,
            subject_of(vm),
            "Whether it has snapshots is not known, and a domain with snapshots is not migrated");
    } else if (*vm.snapshots > 0) {
        add(findings,
            Code::snapshots_present,
            subject_of(vm),
            fmt::format("It has {} snapshot{}", *vm.snapshots, *vm.snapshots == 1 ? "" : "s"));
    }
}

void judge_ninep(const Scene& scene, const NinepDevice& device, std::vector<Finding>& findings) {
    const auto subject = subject_of(device);
    if (scene.migration->moves_state()) {
        if (!device.is_mounted) {
            add(findings,
                Code::ninep_unknown,
                subject,
                "Whether the guest has it mounted is not known");
        } else if (*device.is_mounted) {
            add(findings, Code::ninep_mounted, subject, "The guest has it mounted");
        } else {
            add(findings, Code::ninep_configured, subject, "It is configured and not mounted");
        }
    }
    if (device.multidevs != "default" && device.multidevs != "warn") {
        return;
    }
    const auto* const facts = scene.source.facts();
    if (facts == nullptr || !device.source_dir) {
        return;
    }
    // Whichever mapping has the directory: the export need not be one's own.
    const auto path = std::ranges::find(facts->paths, *device.source_dir, &node::PathFacts::path);
    if (path != facts->paths.end() && !path->submounts.empty()) {
        add(findings,
            Code::ninep_several_devices,
            subject,
            fmt::format("It has {} filesystem{} mounted below it and multidevs='{}'",
                        path->submounts.size(),
                        path->submounts.size() == 1 ? "" : "s",
                        device.multidevs));
    }
}

void judge_tags(const Scene& scene, std::vector<Finding>& findings) {
    const auto& shares = scene.vm->shares;
    for (std::size_t i = 0; i < shares.size(); ++i) {
        const auto& tag = shares[i].tag;
        if (tag.size() > mapping::max_tag_bytes) {
            add(findings,
                Code::tag_too_long,
                subject_of(shares[i]),
                fmt::format("Its tag has {} bytes", tag.size()));
        }
        const auto end = shares.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find_if(shares.begin(), end, [&tag](const VmShare& earlier) {
                return earlier.tag == tag;
            }) != end) {
            add(findings,
                Code::duplicate_tag,
                subject_of(shares[i]),
                fmt::format("The tag '{}' stands twice", tag));
        }
    }
}

void judge_descriptors(const Scene& scene, std::vector<Finding>& findings) {
    const auto& migration = *scene.migration;
    if (!migration.moves_state() || migration.transport == Transport::unix_socket) {
        return;
    }
    const std::string_view road =
        migration.transport == Transport::file || !migration.has_target() ? "into a file"
        : migration.transport == Transport::other                         ? "over another transport"
                                                                          : "over TCP";
    if (migration.descriptor_transfer != DescriptorTransfer::none) {
        add(findings,
            Code::unix_socket_required,
            subject_of(*scene.vm),
            fmt::format("{} requires a UNIX domain socket as transport, and it goes {}",
                        to_string(migration.descriptor_transfer),
                        road));
    }
    for (const auto& share : scene.shares) {
        if (share.method == mapping::MigrationMethod::fd_passing) {
            add(findings,
                Code::unix_socket_required,
                subject_of(*share.share),
                fmt::format("fd-passing requires a UNIX domain socket as transport, and it goes {}",
                            road));
        }
    }
}

void judge_memory_state(const Scene& scene, std::vector<Finding>& findings) {
    const auto operation = scene.migration->operation;
    if (operation != Operation::save && operation != Operation::snapshot) {
        return;
    }
    for (const auto& share : scene.shares) {
        if (share.method) {
            add(findings,
                Code::memory_state_with_method,
                subject_of(*share.share),
                operation == Operation::snapshot
                    ? "A rollback brings back the guest's memory and not the shared directory"
                    : "The shared directory may change before the saved guest goes on");
        }
    }
}

void judge_addresses(const Scene& scene, std::vector<Finding>& findings) {
    if (scene.migration->operation != Operation::live || scene.vm->kind != VmKind::pve) {
        return;
    }
    for (const auto& share : scene.vm->shares) {
        if (!share.has_fixed_address) {
            add(findings,
                Code::no_fixed_address,
                subject_of(share),
                "Its PCI slot is the first free one on the target, which must be the source's");
        }
    }
}

} // namespace

GuestMemory memory_of(const Scene& scene) {
    const auto& vm = *scene.vm;
    GuestMemory memory{.is_shared = vm.has_shared_memory,
                       .reason = vm.memory_reason,
                       .bytes = vm.memory_bytes,
                       .has_hugepages = vm.has_hugepages,
                       .hugepage_bytes = vm.hugepage_bytes};
    if (scene.guest == nullptr) {
        return memory;
    }
    const auto& running = scene.guest->memory;
    if (running.is_shared && running.is_shared != memory.is_shared) {
        memory.is_shared = running.is_shared;
        memory.reason = *running.is_shared ? "" : "its QEMU was started without shared memory";
    }
    memory.bytes = running.bytes ? running.bytes : memory.bytes;
    if (running.has_hugepages) {
        memory.has_hugepages = *running.has_hugepages;
        memory.hugepage_bytes = running.hugepage_bytes;
    }
    return memory;
}

void judge_vm(const Scene& scene, std::vector<Finding>& findings) {
    judge_memory(scene, findings);
    if (!scene.vm->shares.empty() || !scene.vm->ninep.empty()) {
        judge_snapshots(scene, findings);
    }
    for (const auto& device : scene.vm->ninep) {
        judge_ninep(scene, device, findings);
    }
    judge_tags(scene, findings);
    judge_descriptors(scene, findings);
    judge_memory_state(scene, findings);
    judge_addresses(scene, findings);
    if (scene.migration->post_copy && !scene.vm->shares.empty() &&
        scene.migration->operation == Operation::live) {
        add(findings,
            Code::post_copy,
            subject_of(*scene.vm),
            "Post-copy is asked for, and vhost-user back-ends cannot");
    }
}

} // namespace vfskit::check
