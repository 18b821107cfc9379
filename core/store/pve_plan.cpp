// SPDX-License-Identifier: Apache-2.0
#include "core/store/pve_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::store {

namespace {

bool mirrors(const PveState& state, const std::string& id) {
    const auto record = state.truth.records.find(id);
    const auto* section = state.directory->find(id);
    return state.truth.mirrors_everything ||
           (record != state.truth.records.end() && record->second.is_mirrored) ||
           (section != nullptr && (section->mapping.live_migration_method.has_value() ||
                                   section->mapping.path_relation.has_value()));
}

/// The records after the wishes; those that already say so are left out.
TruthChanges changes_of(const PveState& state, const std::vector<SectionWish>& wishes) {
    TruthChanges changes;
    for (const auto& wish : wishes) {
        const auto old = state.truth.records.find(wish.id);
        const bool had_one = old != state.truth.records.end();
        auto record =
            wish.mapping ? make_truth_record(*wish.mapping, wish.writes_our_keys) : std::nullopt;
        const bool is_same = record ? had_one && old->second.says_the_same(*record) : !had_one;
        if (!is_same) {
            changes[wish.id] = std::move(record);
        }
    }
    return changes;
}

/// That the planned contents say what was asked for, whatever stood in them before.
Result<void>
verify(const PvePaths& paths, const PveState& planned, const std::vector<SectionWish>& wishes) {
    std::map<std::string_view, const mapping::DirectoryMapping*> by_id;
    for (const auto& mapping : planned.mappings) {
        by_id[mapping.id] = &mapping;
    }
    for (const auto& wish : wishes) {
        const auto found = by_id.find(wish.id);
        const bool is_there = found != by_id.end();
        if (is_there != wish.mapping.has_value() || (is_there && *found->second != *wish.mapping)) {
            return Error{EINVAL,
                         fmt::format("Mapping '{}' would not read back as it was given", wish.id)}
                .at({paths.truth, 0, {}})
                .with_remedy("Run 'vfsctl mapping doctor' and mend what it finds");
        }
    }
    return {};
}

} // namespace

Result<PveChange>
plan_wishes(const PvePaths& paths, const PveState& state, std::vector<SectionWish> wishes) {
    for (auto& wish : wishes) {
        wish.writes_our_keys = mirrors(state, wish.id);
    }
    PveChange change;
    VFSKIT_TRY_ASSIGN(change.directory,
                      edit_directory_config(*state.directory, paths.directory, wishes));
    change.records = changes_of(state, wishes);
    const auto truth = edit_truth(state.truth_content, state.truth, change.records);
    VFSKIT_TRY(verify(paths, make_pve_state(paths, change.directory, truth), wishes));
    return change;
}

} // namespace vfskit::store
