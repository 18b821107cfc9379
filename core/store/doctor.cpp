// SPDX-License-Identifier: Apache-2.0
#include "core/store/doctor.h"

#include "core/base/file.h"
#include "core/store/doctor_findings.h"
#include "core/store/pve_files.h"
#include "core/store/pve_store.h"

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

constexpr std::string_view pve_scheme = "pve:";
constexpr std::string_view yaml_scheme = "yaml:";

/// The root of a "pve:" URL, nothing for another one.
std::optional<std::string> pve_root(std::string_view url) {
    if (!url.starts_with(pve_scheme)) {
        return std::nullopt;
    }
    std::string root{url.substr(pve_scheme.size())};
    while (root.size() > 1 && root.back() == '/') {
        root.pop_back();
    }
    return root;
}

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

Result<Diagnosis> diagnose_pve(std::string_view url, const PvePaths& paths) {
    Diagnosis diagnosis;
    diagnosis.url = std::string{url};
    VFSKIT_TRY_ASSIGN(const auto state, read_pve_state(paths));
    diagnosis.revision = state.revision();
    diagnosis.findings = examine_state(paths, state);
    VFSKIT_TRY_ASSIGN(const auto vms, read_vm_configs(paths.root));
    examine_vms(vms, state.mappings, diagnosis.findings);
    examine_lock(paths, diagnosis.findings);
    sort_findings(diagnosis.findings);
    return diagnosis;
}

Result<Diagnosis> diagnose_store(std::string_view url) {
    Diagnosis diagnosis;
    diagnosis.url = std::string{url};
    VFSKIT_TRY_ASSIGN(const auto store, open_store(url));
    const auto snapshot = store->snapshot();
    if (!snapshot) {
        const auto& error = snapshot.error();
        if (error.code() != EBADMSG) {
            return error;
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
    diagnosis.revision = snapshot->revision;
    for (const auto& mapping : snapshot->mappings) {
        examine_mapping(mapping, Place{}, diagnosis.findings);
    }
    for (const auto& notice : snapshot->notices) {
        diagnosis.findings.push_back(Finding{"VFS-M013",
                                             Severity::note,
                                             notice.place.file,
                                             notice.place,
                                             notice.message,
                                             "Correct or remove the line",
                                             false});
    }
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

/// directory.cfg and the records as they shall become.
Result<PveChange>
plan_repair(const PvePaths& paths, const PveState& state, const FindingFilter& wanted) {
    VFSKIT_TRY_ASSIGN(auto content,
                      mend_directory(state.directory_content, paths.directory, wanted));
    auto records = state.truth.has_unfinished_change
                       ? edit_truth(state.truth_content, state.truth, {})
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
    VFSKIT_TRY_ASSIGN(auto change, plan_wishes(paths, half_way, std::move(wishes)));
    for (const auto& id : ids_to_mend(findings, wanted, {"VFS-M007"})) {
        change.records[id] = std::nullopt;
    }
    return change;
}

/// A name for the copy of `path` that no earlier one has.
std::string backup_name(const std::string& path) {
    return fmt::format("{}.{:%Y%m%dT%H%M%SZ}.bak", path, fmt::gmtime(std::time(nullptr)));
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
        return Error{ESTALE, "It was changed since it was examined"}
            .at({paths.directory, 0, {}})
            .with_remedy("Run the doctor again");
    }
    VFSKIT_TRY_ASSIGN(auto change, plan_repair(paths, state, wanted));
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
    VFSKIT_TRY_ASSIGN(const auto store, open_store(diagnosis.url));
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    std::vector<Edit> edits;
    for (const auto& id : ids_to_mend(diagnosis.findings, wanted, {"VFS-M008"})) {
        if (const auto* mapping = snapshot.find(id)) {
            edits.emplace_back(PutMapping{mended(*mapping, true)});
        }
    }
    std::vector<std::string> backups;
    if (edits.empty()) {
        return backups;
    }
    const std::string_view url{diagnosis.url};
    const std::string path{url.starts_with(yaml_scheme) ? url.substr(yaml_scheme.size()) : url};
    constexpr std::size_t max_bytes = 256U << 20U;
    VFSKIT_TRY_ASSIGN(const auto content, base::read_file(path, max_bytes));
    backups.push_back(backup_name(path));
    VFSKIT_TRY(base::replace_file(backups.back(), content));
    VFSKIT_TRY(store->commit(diagnosis.revision, edits));
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
    std::set<std::pair<std::string, std::string>> still_there;
    for (const auto& finding : after.findings) {
        still_there.emplace(finding.code, finding.subject);
    }
    for (const auto& finding : diagnosis.findings) {
        if (finding.fixable && !still_there.contains({finding.code, finding.subject})) {
            result.fixed.push_back(finding);
        }
    }
    result.left = std::move(after.findings);
    result.revision = std::move(after.revision);
    return result;
}

} // namespace vfskit::store
