// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/migrate_check.h"

#include "vfsctl/cmd/check.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

namespace vfskit::vfsctl {

namespace {

using check::Code;
using check::Severity;

// A guest that is lost, and files of two directories in one share, no wish can undo.
constexpr std::array never_forced{Code::source_daemon_dead, Code::different_directories};

} // namespace

Result<CheckedVm> check_shares(const MigrateOptions& options,
                               Services& services,
                               LibvirtConnection& source,
                               const DomainState& state,
                               MigrationEvents& events) {
    VFSKIT_TRY_ASSIGN(const auto vm,
                      place_domain(source, state, options.from.value_or(services.node)));
    VFSKIT_TRY_ASSIGN(
        const auto ground,
        prepare_ground(options.facts, {vm.node, options.destination}, {vm}, services));
    MigrationChoice choice{.operation = check::Operation::live, .migration = {}};
    auto& migration = choice.migration;
    migration.persistent = state.is_persistent && !options.transient;
    migration.persist_xml = migration.persistent;
    migration.rewrites_xml = true;
    migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    if (options.migrate_uri) {
        VFSKIT_TRY_ASSIGN(migration.transport, check::parse_transport(*options.migrate_uri));
    }
    auto checked = check_all({vm}, {options.destination}, ground.cluster, choice);
    events.checked(checked.front(), ground.origins);
    return std::move(checked.front());
}

std::optional<Severity> worst_of(const CheckedVm& checked) {
    return checked.report.worst(&checked.report.targets.front());
}

Result<void> judge(const CheckedVm& checked, bool is_forced) {
    std::set<std::string> found;
    std::set<std::string> fatal;
    const auto sort_out = [&](const std::vector<check::Finding>& findings) {
        for (const auto& finding : findings) {
            if (finding.severity() != Severity::blocker) {
                continue;
            }
            found.insert(finding.code_text());
            if (std::ranges::find(never_forced, finding.code) != never_forced.end()) {
                fatal.insert(finding.code_text());
            }
        }
    };
    sort_out(checked.report.findings);
    sort_out(checked.report.targets.front().findings);
    if (!fatal.empty()) {
        return Error{EBUSY,
                     fmt::format("The check found what would lose the guest or its files: {}",
                                 fmt::join(fatal, " "))}
            .with_remedy("Mend it; --force does not help");
    }
    if (!found.empty() && !is_forced) {
        return Error{
            EBUSY, fmt::format("The check found what stands in the way: {}", fmt::join(found, " "))}
            .with_remedy("Mend it, or use --force if you know better");
    }
    return {};
}

Result<void> check_hypervisors(LibvirtConnection& source,
                               LibvirtConnection& destination,
                               const DomainState& state,
                               MigrationEvents& events) {
    VFSKIT_TRY_ASSIGN(const auto here, source.versions());
    VFSKIT_TRY_ASSIGN(const auto there, destination.versions());
    const auto oldest = domain::known_since(domain::LibvirtFeature::migration);
    if (libvirt_version_of(here) < oldest) {
        return Error{ENOTSUP,
                     fmt::format("libvirt {} here cannot migrate virtiofs",
                                 domain::to_string(libvirt_version_of(here)))}
            .with_remedy("Upgrade it to 10.5 or later");
    }
    if (libvirt_version_of(there) < oldest) {
        events.warn(fmt::format("libvirt {} there takes the guest, but will not let it go again. "
                                "Upgrade it to 10.5 or later",
                                domain::to_string(libvirt_version_of(there))));
    }
    VFSKIT_TRY_ASSIGN(const auto dead, source.dead_daemons(state.name));
    if (!dead.empty()) {
        return Error{EBUSY,
                     fmt::format("The daemon of {} has ended, and QEMU would lose the guest",
                                 fmt::join(dead, ", "))}
            .with_remedy("Stop the guest and start it again");
    }
    VFSKIT_TRY_ASSIGN(const auto blockers, source.migration_blockers(state.name));
    if (!blockers.empty()) {
        return Error{EBUSY, fmt::format("QEMU refuses: {}", fmt::join(blockers, "; "))};
    }
    return {};
}

} // namespace vfskit::vfsctl
