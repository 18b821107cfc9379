// SPDX-License-Identifier: Apache-2.0
// Rules about a share's mapping, whatever the target.
#include "core/check/rules.h"

#include <fmt/format.h>

namespace vfskit::check {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;

std::string_view without_slash(std::string_view path) {
    while (path.size() > 1 && path.back() == '/') {
        path.remove_suffix(1);
    }
    return path;
}

bool is_other(std::string_view a, std::string_view b) {
    return without_slash(a) != without_slash(b);
}

void judge_no_mapping(const Scene& scene, const VmShare& share, std::vector<Finding>& findings) {
    if (share.is_dirid_explicit) {
        add(findings,
            Code::mapping_missing,
            subject_of(share),
            fmt::format("There is no mapping '{}'", share.dirid));
        return;
    }
    if (share.launch == LaunchKind::managed && scene.migration->has_target()) {
        add(findings,
            Code::share_not_mapped,
            subject_of(share),
            fmt::format("No mapping is called '{}': the target must have '{}' itself",
                        share.dirid,
                        share.source_dir.value_or("the same path")));
    } else if (scene.migration->has_target()) {
        add(findings,
            Code::share_not_mapped,
            subject_of(share),
            fmt::format("No mapping is called '{}': which directory the target serves is not known",
                        share.dirid));
    }
}

void judge_method(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings) {
    const auto& mapping = *share.mapping;
    if (!mapping.live_migration_method) {
        const auto operation = scene.migration->operation;
        if (operation == Operation::live) {
            add(findings,
                Code::method_not_set,
                subject_of(*share.share),
                fmt::format("Mapping '{}' has no live-migration-method", mapping.id),
                fmt::format("Choose one: 'vfsctl mapping set {} --method find-paths' (or "
                            "file-handles)",
                            mapping.id));
        } else if (operation != Operation::offline && !scene.source.name.empty()) {
            // Not in the target's half: what is saved already would be lost if it were refused.
            add(findings,
                Code::memory_state_without_method,
                subject_of(*share.share),
                fmt::format("Mapping '{}' has no live-migration-method", mapping.id));
        }
        return;
    }
    if (*mapping.live_migration_method != MigrationMethod::find_paths &&
        mapping.path_relation == PathRelation::replicas && scene.migration->moves_state()) {
        add(findings,
            Code::method_between_replicas,
            subject_of(*share.share),
            fmt::format("Mapping '{}' has the method {} between replicas",
                        mapping.id,
                        to_string(*mapping.live_migration_method)));
    }
}

void judge_source_path(const Scene& scene,
                       const ShareScene& scene_share,
                       std::vector<Finding>& findings) {
    const auto& share = *scene_share.share;
    if (scene.source.name.empty()) {
        return;
    }
    if (scene_share.source_path.path == nullptr) {
        add(findings,
            Code::no_path_on_source,
            subject_of(share),
            fmt::format("Mapping '{}' has no path on '{}', where the VM is",
                        scene_share.mapping->id,
                        scene.source.name));
        return;
    }
    if (!scene.migration->moves_state()) {
        return;
    }
    const auto& path = *scene_share.source_path.path;
    const auto* const daemon = scene_share.daemon;
    if (daemon != nullptr && !daemon->shared_dir.empty()) {
        if (is_other(daemon->shared_dir, path)) {
            add(findings,
                Code::source_path_differs,
                subject_of(share),
                fmt::format(
                    "Its daemon serves '{}', the mapping says '{}'", daemon->shared_dir, path));
        }
    } else if (share.source_dir && is_other(*share.source_dir, path)) {
        add(findings,
            Code::source_path_differs,
            subject_of(share),
            fmt::format("The VM has '{}', the mapping says '{}'", *share.source_dir, path));
    }
}

} // namespace

void judge_mapping(const Scene& scene, const ShareScene& share, std::vector<Finding>& findings) {
    if (share.mapping == nullptr) {
        judge_no_mapping(scene, *share.share, findings);
        return;
    }
    judge_method(scene, share, findings);
    judge_source_path(scene, share, findings);
}

} // namespace vfskit::check
