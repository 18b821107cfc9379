// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/domain_job.h"

#include "core/domain/domain_xml.h"
#include "vfsctl/libvirt/connect.h"

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

std::string libvirt_of_node(std::string_view node) {
    return fmt::format("qemu+ssh://{}/system", node);
}

void bind_source_options(std::optional<std::string>& connect,
                         std::optional<std::string>& from,
                         OptionSet& set) {
    bind_connect_option(connect, set);
    set.text({.name = "--from",
              .value = "NODE",
              .help = "The node that it is on, needed when --connect leads to another. Default: "
                      "this node",
              .completes = Completes::node},
             from);
}

Result<void> require_named_node(const LibvirtConnection& libvirt,
                                const std::optional<std::string>& named,
                                std::string_view option,
                                const Services& services) {
    if (named || services.node_is_given || is_on_this_host(libvirt.uri())) {
        return {};
    }
    return Error{EINVAL, fmt::format("Which node '{}' is on is not known", libvirt.uri())}
        .with_remedy(fmt::format("Name it, as the mappings do: {} NODE", option));
}

Result<DomainState>
find_running(LibvirtConnection& libvirt, const std::string& domain, std::string remedy) {
    VFSKIT_TRY_ASSIGN(auto state, libvirt.find_domain(domain));
    if (!state.is_running) {
        return Error{EINVAL, fmt::format("'{}' does not run", state.name)}.with_remedy(
            std::move(remedy));
    }
    return state;
}

std::optional<Severity> worst_of(const CheckedVm& checked) {
    const auto& targets = checked.report.targets;
    return checked.report.worst(targets.empty() ? nullptr : &targets.front());
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
    for (const auto& target : checked.report.targets) {
        sort_out(target.findings);
    }
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

Result<void> check_hypervisor(LibvirtConnection& source, const DomainState& state) {
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

Result<DomainState> verify_running(LibvirtConnection& libvirt, const std::string& domain) {
    VFSKIT_TRY_ASSIGN(auto arrived, libvirt.find_domain(domain));
    if (!arrived.is_running) {
        return Error{EIO, fmt::format("'{}' arrived and does not run", domain)}.with_remedy(
            "See its log there, /var/log/libvirt/qemu/" + domain + ".log");
    }
    VFSKIT_TRY_ASSIGN(const auto dead, libvirt.dead_daemons(domain));
    if (!dead.empty()) {
        return Error{EIO,
                     fmt::format("'{}' runs there, but the daemon of {} has ended",
                                 domain,
                                 fmt::join(dead, ", "))}
            .with_remedy("See the daemon's log there");
    }
    return arrived;
}

Result<bool> have_same_sources(const std::string& one, const std::string& other) {
    VFSKIT_TRY_ASSIGN(const auto first, domain::parse_domain(one));
    VFSKIT_TRY_ASSIGN(const auto second, domain::parse_domain(other));
    const auto source_of = [](const domain::DomainFilesystem& filesystem) {
        return filesystem.source_dir.value_or(filesystem.source_socket.value_or(""));
    };
    return std::ranges::equal(first.filesystems, second.filesystems, {}, source_of, source_of);
}

Result<void> verify_sources(LibvirtConnection& libvirt,
                            const std::string& domain,
                            DefinitionKind kind,
                            const std::string& wanted) {
    VFSKIT_TRY_ASSIGN(const auto definition, libvirt.definition(domain, kind));
    VFSKIT_TRY_ASSIGN(const auto is_right, have_same_sources(definition, wanted));
    if (is_right) {
        return {};
    }
    if (kind == DefinitionKind::inactive) {
        return Error{EIO,
                     fmt::format("'{}' runs there, but its stored definition has the paths of "
                                 "another node",
                                 domain)}
            .with_remedy("Run there: vfsctl watch --once");
    }
    return Error{EIO, fmt::format("'{}' runs there with other directories than planned", domain)}
        .with_remedy("See 'virsh dumpxml' there, and which hooks /etc/libvirt/hooks has");
}

} // namespace vfskit::vfsctl
