// SPDX-License-Identifier: Apache-2.0
#include "core/store/doctor.h"

#include "core/base/file.h"
#include "core/base/sha1.h"
#include "core/store/doctor_findings.h"
#include "core/store/pve_files.h"
#include "core/store/pve_store.h"
#include "core/store/yaml_content.h"
#include "core/store/yaml_store.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>
#include <tuple>

namespace vfskit::store {

namespace {

void sort_findings(std::vector<Finding>& findings) {
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        // Errors first; the rest ascending.
        return std::tie(b.severity, a.code, a.subject, a.place.line) <
               std::tie(a.severity, b.code, b.subject, b.place.line);
    });
}

void examine_lock(const PvePaths& paths, std::vector<Finding>& findings) {
    const auto path = fmt::format("{}/priv/lock/{}", paths.root, pve_mapping_lock);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0) {
        return;
    }
    const auto age = std::chrono::system_clock::now() -
                     std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec);
    if (age <= PveLockOptions{}.expires_after) {
        return;
    }
    findings.push_back(
        Finding{"VFS-M012",
                Severity::warning,
                pve_mapping_lock,
                Place{path, 0, {}},
                fmt::format("A writer that died has left its lock {} s ago",
                            std::chrono::duration_cast<std::chrono::seconds>(age).count()),
                "Run 'vfsctl mapping doctor --fix'; the next writer drops it as well",
                true});
}

Finding finding_of(const TruthIssue& issue) {
    Finding finding{"", Severity::note, issue.id, issue.place, issue.message, "", true};
    constexpr std::string_view run_fix = "Run 'vfsctl mapping doctor --fix'";
    switch (issue.kind) {
    case TruthIssue::Kind::lost:
        finding.code = "VFS-M006";
        finding.severity = Severity::warning;
        finding.remedy = fmt::format("{}, which writes it there again", run_fix);
        break;
    case TruthIssue::Kind::unrecorded:
        finding.code = "VFS-M006";
        finding.severity = Severity::warning;
        finding.remedy = fmt::format("{}, which records it in vfskit.cfg", run_fix);
        break;
    case TruthIssue::Kind::overridden:
        finding.code = "VFS-M006";
        finding.remedy = fmt::format("{}, which records the newer value", run_fix);
        break;
    case TruthIssue::Kind::orphan:
        finding.code = "VFS-M007";
        finding.remedy = fmt::format("Define the mapping again, or {}, which forgets this",
                                     "run 'vfsctl mapping doctor --fix'");
        break;
    case TruthIssue::Kind::defined_anew:
        finding.code = "VFS-M015";
        finding.severity = Severity::warning;
        finding.remedy = "Say with 'vfsctl mapping set' whether the new mapping may live-migrate";
        finding.fixable = false;
        break;
    }
    return finding;
}

void examine_size(const std::string& path,
                  const std::string& content,
                  std::vector<Finding>& findings) {
    if (content.size() > pve_max_file_bytes / 10 * 9) {
        findings.push_back(Finding{"VFS-M016",
                                   Severity::warning,
                                   path,
                                   Place{path, 0, {}},
                                   fmt::format("It has {} bytes; the cluster filesystem takes {}",
                                               content.size(),
                                               pve_max_file_bytes),
                                   "Remove mappings that nobody uses",
                                   false});
    }
}

std::vector<Finding> examine_state(const PvePaths& paths, const PveState& state) {
    std::vector<Finding> findings;
    examine_directory(*state.directory, paths.directory, findings);
    for (const auto& mapping : state.mappings) {
        const auto* section = state.directory->find(mapping.id);
        const auto header = state.directory->file.sections[section->section].header;
        examine_mapping(mapping, Place{paths.directory, header + 1, {}}, findings);
    }
    for (const auto& issue : state.issues) {
        findings.push_back(finding_of(issue));
    }
    for (const auto& notice : state.truth.notices) {
        findings.push_back(Finding{"VFS-M013",
                                   Severity::warning,
                                   paths.truth,
                                   notice.place,
                                   notice.message,
                                   "Correct or remove the line",
                                   false});
    }
    examine_size(paths.directory, state.directory_content, findings);
    examine_size(paths.truth, state.truth_content, findings);
    return findings;
}

void examine_surroundings(const PvePaths& paths,
                          const PveState& state,
                          const PveSurroundings& surroundings,
                          std::vector<Finding>& findings) {
    examine_long_ids(state, paths, surroundings, findings);
    for (const auto& use : find_undefined_uses(surroundings.vms, state.mappings)) {
        findings.push_back(finding_of(use, state.mappings, surroundings.copies));
    }
    examine_vms(surroundings.vms, findings);
}

Result<Diagnosis> diagnose_pve(std::string_view url, const PvePaths& paths) {
    Diagnosis diagnosis;
    diagnosis.url = std::string{url};
    VFSKIT_TRY_ASSIGN(const auto state, read_pve_state(paths));
    diagnosis.revision = state.revision();
    diagnosis.findings = examine_state(paths, state);
    VFSKIT_TRY_ASSIGN(const auto surroundings, read_surroundings(paths, state.mappings));
    examine_surroundings(paths, state, surroundings, diagnosis.findings);
    examine_lock(paths, diagnosis.findings);
    sort_findings(diagnosis.findings);
    return diagnosis;
}

void examine_content(const std::vector<mapping::DirectoryMapping>& mappings,
                     const std::vector<Notice>& notices,
                     std::vector<Finding>& findings) {
    for (const auto& mapping : mappings) {
        examine_mapping(mapping, Place{}, findings);
        examine_long_id(mapping, findings);
    }
    for (const auto& notice : notices) {
        findings.push_back(Finding{"VFS-M013",
                                   Severity::note,
                                   notice.place.file,
                                   notice.place,
                                   notice.message,
                                   "Correct or remove the line",
                                   false});
    }
}

/// A YAML store that cannot be read: because nodes stand twice, or for another reason.
Result<Diagnosis> diagnose_unreadable(Diagnosis diagnosis, Error error) {
    const auto path = yaml_path(diagnosis.url);
    VFSKIT_TRY_ASSIGN(const auto text, base::read_file(path, yaml_max_file_bytes));
    diagnosis.revision.text = base::sha1_hex(text);
    if (auto mended = mend_double_nodes(text, path)) {
        diagnosis.findings = std::move(mended->findings);
        const auto content = read_yaml(mended->text, path);
        if (content) {
            examine_content(content->mappings, content->notices, diagnosis.findings);
            sort_findings(diagnosis.findings);
            return diagnosis;
        }
        error = content.error();
    }
    diagnosis.findings.push_back(Finding{"VFS-M017",
                                         Severity::error,
                                         error.place().file,
                                         error.place(),
                                         error.message(),
                                         error.remedy(),
                                         false});
    return diagnosis;
}

Result<Diagnosis> diagnose_store(std::string_view url) {
    Diagnosis diagnosis;
    diagnosis.url = std::string{url};
    VFSKIT_TRY_ASSIGN(const auto store, open_store(url));
    const auto snapshot = store->snapshot();
    if (!snapshot) {
        if (snapshot.error().code() != EBADMSG) {
            return snapshot.error();
        }
        return diagnose_unreadable(std::move(diagnosis), snapshot.error());
    }
    diagnosis.revision = snapshot->revision;
    examine_content(snapshot->mappings, snapshot->notices, diagnosis.findings);
    sort_findings(diagnosis.findings);
    return diagnosis;
}

/// The ids of the wanted fixable findings with one of `codes`.
std::set<std::string> ids_to_mend(const std::vector<Finding>& findings,
                                  const FindingFilter& wanted,
                                  std::initializer_list<std::string_view> codes) {
    std::set<std::string> ids;
    for (const auto& finding : findings) {
        if (finding.fixable && wanted(finding) &&
            std::find(codes.begin(), codes.end(), finding.code) != codes.end()) {
            ids.insert(finding.subject);
        }
    }
    return ids;
}

mapping::DirectoryMapping mended(mapping::DirectoryMapping mapping, bool mends_description) {
    if (mends_description && mapping.description) {
        mapping.description = undo_double_encoding(*mapping.description);
    }
    return mapping;
}

/// The records that go with renamed sections.
TruthChanges move_records(const TruthRecords& records,
                          const std::map<std::string, std::string>& new_ids) {
    TruthChanges changes;
    for (const auto& [old_id, new_id] : new_ids) {
        if (const auto record = records.find(old_id); record != records.end()) {
            changes[new_id] = record->second;
            changes[old_id] = std::nullopt;
        }
    }
    return changes;
}

/// What the wanted long ids of `state` become.
std::map<std::string, std::string> choose_new_ids(const PvePaths& paths,
                                                  const PveState& state,
                                                  const PveSurroundings& surroundings,
                                                  const FindingFilter& wanted) {
    std::vector<Finding> findings;
    examine_long_ids(state, paths, surroundings, findings);
    std::map<std::string, std::string> new_ids;
    for (auto& id : ids_to_mend(findings, wanted, {"VFS-M004"})) {
        new_ids.emplace(id, short_dirid(id));
    }
    return new_ids;
}

/// The mappings that VMs use and only a copy still knows, with what vfskit.cfg remembers of them.
std::vector<mapping::DirectoryMapping> choose_restored(const PveState& state,
                                                       const PveSurroundings& surroundings,
                                                       const FindingFilter& wanted) {
    IdSet ids;
    for (const auto& use : find_undefined_uses(surroundings.vms, state.mappings)) {
        const auto finding = finding_of(use, state.mappings, surroundings.copies);
        if (finding.fixable && wanted(finding)) {
            ids.insert(use.device->dirid);
        }
    }
    std::vector<mapping::DirectoryMapping> restored;
    for (const auto& id : ids) {
        auto mapping = surroundings.copies.find(id)->second.mapping;
        const auto record = state.truth.records.find(id);
        if (record != state.truth.records.end() &&
            kinship(record->second, mapping) != Kinship::no_path) {
            mapping.live_migration_method = record->second.method;
            mapping.path_relation = record->second.relation;
        }
        restored.push_back(std::move(mapping));
    }
    return restored;
}

/// directory.cfg and the records as they shall become.
Result<PveChange> plan_repair(const PvePaths& paths,
                              const PveState& state,
                              const PveSurroundings& surroundings,
                              const FindingFilter& wanted) {
    VFSKIT_TRY_ASSIGN(auto content,
                      mend_directory(state.directory_content, paths.directory, wanted));
    const auto lines_mended = make_pve_state(paths, content, state.truth_content);
    const auto new_ids = choose_new_ids(paths, lines_mended, surroundings, wanted);
    content = rename_sections(std::move(content), paths.directory, new_ids);
    auto moved = move_records(state.truth.records, new_ids);
    auto records = state.truth.has_unfinished_change || !moved.empty()
                       ? edit_truth(state.truth_content, state.truth, moved)
                       : state.truth_content;
    const auto half_way = make_pve_state(paths, std::move(content), std::move(records));
    const auto findings = examine_state(paths, half_way);
    const auto unrecorded = ids_to_mend(findings, wanted, {"VFS-M006"});
    const auto doubly_encoded = ids_to_mend(findings, wanted, {"VFS-M008"});
    std::vector<SectionWish> wishes;
    for (const auto& mapping : half_way.mappings) {
        const bool mends_description = doubly_encoded.contains(mapping.id);
        if (mends_description || unrecorded.contains(mapping.id)) {
            wishes.push_back(SectionWish{mapping.id, mended(mapping, mends_description), false});
        }
    }
    auto orphans = ids_to_mend(findings, wanted, {"VFS-M007"});
    for (auto& mapping : choose_restored(half_way, surroundings, wanted)) {
        orphans.erase(mapping.id);
        wishes.push_back(SectionWish{mapping.id, std::move(mapping), false});
    }
    VFSKIT_TRY_ASSIGN(auto change, plan_wishes(paths, half_way, std::move(wishes)));
    for (const auto& id : orphans) {
        change.records[id] = std::nullopt;
    }
    // plan_wishes() has told the changes from half way on.
    change.records.merge(moved);
    return change;
}

/// A name for the copy of `path` that no earlier one has.
std::string backup_name(const std::string& path) {
    return fmt::format("{}.{:%Y%m%dT%H%M%SZ}.bak", path, fmt::gmtime(std::time(nullptr)));
}

Error changed_meanwhile(const std::string& path) {
    return Error{ESTALE, "It was changed since it was examined"}
        .at({path, 0, {}})
        .with_remedy("Run the doctor again");
}

Result<void> back_up(const PvePaths& paths,
                     const std::string& path,
                     const std::string& content,
                     std::vector<std::string>& backups) {
    const auto name = backup_name(path);
    VFSKIT_TRY(write_pve_file(paths, name, content));
    backups.push_back(name);
    return {};
}

Result<std::vector<std::string>>
repair_pve(const PvePaths& paths, const Diagnosis& diagnosis, const FindingFilter& wanted) {
    VFSKIT_TRY(check_pve_root(paths.root));
    VFSKIT_TRY_ASSIGN(
        const auto lock,
        PveLock::acquire(paths.root, pve_mapping_lock, PveLockOptions{}, steady_pve_clock()));
    VFSKIT_TRY_ASSIGN(const auto state, read_pve_state(paths));
    if (state.revision() != diagnosis.revision) {
        return changed_meanwhile(paths.directory);
    }
    VFSKIT_TRY_ASSIGN(const auto surroundings, read_surroundings(paths, state.mappings));
    VFSKIT_TRY_ASSIGN(auto change, plan_repair(paths, state, surroundings, wanted));
    VFSKIT_TRY_ASSIGN(const auto plan,
                      make_pve_plan(paths, state, std::move(change.directory), change.records));
    std::vector<std::string> backups;
    if (plan.directory != state.directory_content) {
        VFSKIT_TRY(back_up(paths, paths.directory, state.directory_content, backups));
    }
    if (plan.truth != state.truth_content && !state.truth_content.empty()) {
        VFSKIT_TRY(back_up(paths, paths.truth, state.truth_content, backups));
    }
    VFSKIT_TRY(write_pve_plan(paths, state, plan, lock));
    return backups;
}

Result<std::vector<std::string>> repair_store(const Diagnosis& diagnosis,
                                              const FindingFilter& wanted) {
    const auto path = yaml_path(diagnosis.url);
    YamlStore store{path};
    VFSKIT_TRY_ASSIGN(const auto text, base::read_file(path, yaml_max_file_bytes));
    if (base::sha1_hex(text) != diagnosis.revision.text) {
        return changed_meanwhile(path);
    }
    std::vector<std::string> backups{backup_name(path)};
    VFSKIT_TRY(base::replace_file(backups.back(), text));
    auto revision = diagnosis.revision;
    if (!ids_to_mend(diagnosis.findings, wanted, {"VFS-M003"}).empty()) {
        if (auto mended = mend_double_nodes(text, path)) {
            VFSKIT_TRY_ASSIGN(revision, store.rewrite(revision, std::move(mended->text)));
        }
    }
    const auto doubly_encoded = ids_to_mend(diagnosis.findings, wanted, {"VFS-M008"});
    if (doubly_encoded.empty()) {
        return backups;
    }
    VFSKIT_TRY_ASSIGN(const auto snapshot, store.snapshot());
    std::vector<Edit> edits;
    for (const auto& id : doubly_encoded) {
        if (const auto* mapping = snapshot.find(id)) {
            edits.emplace_back(PutMapping{mended(*mapping, true)});
        }
    }
    VFSKIT_TRY(store.commit(revision, edits));
    return backups;
}

} // namespace

std::string_view to_string(Severity severity) {
    switch (severity) {
    case Severity::note:
        return "note";
    case Severity::warning:
        return "warning";
    case Severity::error:
        return "error";
    }
    return "unknown";
}

Result<Diagnosis> diagnose(std::string_view url) {
    if (const auto root = pve_root(url)) {
        VFSKIT_TRY(open_pve_store(*root));
        return diagnose_pve(url, PvePaths{*root});
    }
    return diagnose_store(url);
}

Result<Repair> repair(const Diagnosis& diagnosis,
                      const std::function<bool(const Finding&)>& wanted) {
    const FindingFilter filter = wanted ? wanted : [](const Finding&) { return true; };
    const auto root = pve_root(diagnosis.url);
    const bool has_work = std::any_of(diagnosis.findings.begin(),
                                      diagnosis.findings.end(),
                                      [&](const auto& f) { return f.fixable && filter(f); });
    Repair result;
    if (has_work) {
        VFSKIT_TRY_ASSIGN(result.backups,
                          root ? repair_pve(PvePaths{*root}, diagnosis, filter)
                               : repair_store(diagnosis, filter));
    }
    VFSKIT_TRY_ASSIGN(auto after, diagnose(diagnosis.url));
    // The line may have moved; one subject may have several findings of one code.
    const auto key = [](const Finding& f) { return std::tuple{f.code, f.subject, f.message}; };
    std::set<std::tuple<std::string, std::string, std::string>> still_there;
    for (const auto& finding : after.findings) {
        still_there.insert(key(finding));
    }
    for (const auto& finding : diagnosis.findings) {
        if (finding.fixable && !still_there.contains(key(finding))) {
            result.fixed.push_back(finding);
        }
    }
    result.left = std::move(after.findings);
    result.revision = std::move(after.revision);
    return result;
}

} // namespace vfskit::store
