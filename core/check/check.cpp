// SPDX-License-Identifier: Apache-2.0
#include "core/check/check.h"

#include "core/check/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;

ShareScene make_share_scene(const Scene& scene, const VmShare& share) {
    ShareScene result;
    result.share = &share;
    result.mapping = scene.cluster->find_mapping(share.dirid);
    if (result.mapping != nullptr && !scene.source.name.empty()) {
        result.source_path =
            scene.cluster->path_of(*result.mapping, scene.source.name, scene.source.node);
    }
    if (scene.source.node != nullptr) {
        result.daemon = scene.source.node->find_daemon(
            scene.vm->name, share.tag, share.dirid, share.socket.value_or(""));
    }
    const auto* const options =
        result.daemon != nullptr && result.daemon->options ? &*result.daemon->options : nullptr;
    if (result.mapping != nullptr) {
        result.method = result.mapping->live_migration_method;
    }
    // Of a mapping without a method the owner has not said that it may be moved.
    if (options != nullptr && (result.mapping == nullptr || result.method)) {
        result.method = options->method;
    }
    const bool verifies_by_rule =
        result.mapping != nullptr && result.mapping->path_relation == PathRelation::same_directory;
    result.verifies_handles = options != nullptr ? options->verify_handles : verifies_by_rule;
    return result;
}

Scene make_scene(const Vm& vm,
                 const Cluster& cluster,
                 std::string_view source,
                 const Migration& migration) {
    Scene scene;
    scene.vm = &vm;
    scene.cluster = &cluster;
    scene.migration = &migration;
    scene.source = {.name = source, .node = cluster.find_node(source)};
    if (scene.source.node != nullptr) {
        scene.guest = scene.source.node->find_guest(vm.name);
    }
    scene.shares.reserve(vm.shares.size());
    for (const auto& share : vm.shares) {
        scene.shares.push_back(make_share_scene(scene, share));
    }
    return scene;
}

void judge_source(const Scene& scene, std::vector<Finding>& findings) {
    judge_vm(scene, findings);
    for (const auto& share : scene.shares) {
        judge_mapping(scene, share, findings);
    }
    if (scene.shares.empty() || !scene.migration->moves_state() ||
        !judge_facts(scene, scene.source, Code::source_facts_missing, findings)) {
        return;
    }
    judge_source_node(scene, findings);
    for (const auto& share : scene.shares) {
        judge_source_daemon(scene, share, findings);
        judge_locks(scene, share, findings);
    }
}

void judge_target(const Scene& scene, const End& target, std::vector<Finding>& findings) {
    for (const auto& device : scene.vm->ninep) {
        judge_ninep_path(scene, device, target, findings);
    }
    if (scene.shares.empty()) {
        return;
    }
    if (target.name == scene.source.name) {
        const bool is_local = std::ranges::all_of(scene.shares, [](const ShareScene& share) {
            return share.method == MigrationMethod::fd_passing;
        });
        if (!is_local || scene.vm->kind != VmKind::qemu) {
            add(findings,
                Code::target_is_source,
                subject_of_node(target.name),
                "The VM is on this node already");
        }
    }
    if (judge_facts(scene, target, Code::target_facts_missing, findings)) {
        judge_target_node(scene, target, findings);
    }
    judge_road(scene, target, findings);
    for (const auto& share : scene.shares) {
        judge_target_path(scene, share, target, findings);
        judge_target_daemon(scene, share, target, findings);
        judge_identity(scene, share, target, findings);
        judge_open_files(scene, share, target, findings);
    }
}

} // namespace

void add(std::vector<Finding>& findings,
         Code code,
         std::string subject,
         std::string sentence,
         std::string_view remedy) {
    findings.push_back({.code = code,
                        .subject = std::move(subject),
                        .sentence = std::move(sentence),
                        .remedy = std::string{remedy.empty() ? describe(code).remedy : remedy}});
}

std::string subject_of(const VmShare& share) {
    return fmt::format("share '{}'", share.tag);
}

std::string subject_of(const NinepDevice& device) {
    return fmt::format("9p export '{}'", device.tag);
}

std::string subject_of(const Vm& vm) {
    return fmt::format("VM '{}'", vm.name);
}

std::string subject_of_node(std::string_view node) {
    return fmt::format("node '{}'", node);
}

bool judge_facts(const Scene& scene, const End& end, Code missing, std::vector<Finding>& findings) {
    if (end.node == nullptr) {
        add(findings,
            missing,
            subject_of_node(end.name),
            "There are no facts about it",
            fmt::format("Run 'vfsctl node publish' on '{}', or give its facts with --facts",
                        end.name));
        return false;
    }
    const auto& now = scene.migration->now;
    const auto& collected = end.facts()->collected_at;
    if (now && *now - collected > scene.migration->max_facts_age) {
        const auto age = std::chrono::duration_cast<std::chrono::seconds>(*now - collected);
        add(findings,
            Code::facts_too_old,
            subject_of_node(end.name),
            fmt::format("Its facts are {} s old, at most {} s are allowed",
                        age.count(),
                        scene.migration->max_facts_age.count()));
    }
    return true;
}

std::optional<Severity> VmReport::worst(const TargetReport* target) const {
    auto result = check::worst(findings);
    if (target != nullptr) {
        const auto there = check::worst(target->findings);
        result = std::max(result, there); // nothing orders before every severity
    }
    return result;
}

VmReport check_migration(const Vm& vm,
                         const Cluster& cluster,
                         std::string_view source,
                         std::span<const std::string_view> targets,
                         const Migration& migration) {
    const auto scene = make_scene(vm, cluster, source, migration);
    VmReport report{.vm = vm.name, .source = std::string{source}, .findings = {}, .targets = {}};
    judge_source(scene, report.findings);
    sort(report.findings);
    report.targets.reserve(targets.size());
    for (const auto target : targets) {
        auto& there = report.targets.emplace_back();
        there.node = target;
        judge_target(scene, {.name = target, .node = cluster.find_node(target)}, there.findings);
        sort(there.findings);
    }
    return report;
}

std::vector<Finding> check_target(const Vm& vm,
                                  const Cluster& cluster,
                                  std::string_view target,
                                  const Migration& migration) {
    const auto scene = make_scene(vm, cluster, {}, migration);
    std::vector<Finding> findings;
    for (const auto& share : scene.shares) {
        judge_mapping(scene, share, findings);
    }
    judge_target(scene, {.name = target, .node = cluster.find_node(target)}, findings);
    sort(findings);
    return findings;
}

} // namespace vfskit::check
