// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/hook.h"

#include "core/base/text.h"
#include "core/check/check.h"
#include "core/check/vm_reader.h"
#include "core/domain/node_lookup.h"
#include "core/domain/rewrite.h"
#include "libvirt-hook/share_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>

namespace vfskit::libvirt_hook {

namespace {

using domain::DomainFilesystem;
using domain::NodeShare;

bool may_have_shares(const std::string& xml) {
    return xml.find("<filesystem") != std::string::npos;
}

// One line, whatever the sentence quotes.
std::string one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    return text;
}

Outcome refuse(const HookCall& call, const Error& error) {
    return {1, {}, one_line(fmt::format("vfskit: domain '{}': {}", call.object, error.describe()))};
}

Outcome refuse(const HookCall& call, const std::vector<check::Finding>& findings) {
    std::string lines;
    for (const auto& finding : findings) {
        lines += lines.empty() ? "" : "\n";
        lines += one_line(fmt::format("vfskit: domain '{}': {}: {}. {} ({})",
                                      call.object,
                                      finding.subject,
                                      finding.sentence,
                                      finding.remedy,
                                      finding.code_text()));
    }
    return {1, {}, std::move(lines)};
}

// A socket that vfskit names and serves is called VM/TAG.sock, on every node; any other one is
// served by somebody else.
bool is_kept_by_us(const DomainFilesystem& filesystem, const std::string& vm) {
    if (!filesystem.source_socket || !filesystem.dirid_from_metadata) {
        return false;
    }
    const auto paths = launch::Layout{""}.paths(vm, filesystem.tag);
    return paths && filesystem.source_socket->ends_with(paths->socket);
}

// <binary path=> of a share that libvirt starts the daemon of.
domain::BinaryRewrite choose_binary(const DomainFilesystem& filesystem,
                                    const mapping::DirectoryMapping& mapping,
                                    const World& world) {
    const auto& wrapper = world.config.wrapper;
    const bool is_runnable = filesystem.binary_path && world.is_executable(*filesystem.binary_path);
    // Only the wrapper knows the method: libvirt passes no migration options.
    const bool wants_wrapper =
        mapping.live_migration_method || (filesystem.binary_path && !is_runnable);
    if (wants_wrapper && world.is_executable(wrapper)) {
        return domain::SetBinary{wrapper};
    }
    if (!filesystem.binary_path || is_runnable) {
        return domain::KeepBinary{};
    }
    return domain::DropBinary{}; // libvirt takes this node's default
}

// What migrate and restore come to.
struct Rewritten {
    std::string xml; ///< empty: nothing changes
    std::vector<check::Finding> blockers;
};

// The VM as the check sees it: of the rewritten domain, the shares that are ours.
Result<check::Vm>
read_vm(const std::string& xml, const std::set<std::string>& ours, const Config& config) {
    VFSKIT_TRY_ASSIGN(const auto domain, domain::parse_domain(xml));
    auto vm = check::vm_from_domain(domain);
    std::erase_if(vm.shares, [&](const auto& share) { return !ours.contains(share.tag); });
    std::erase_if(vm.ninep, [&](const auto& device) { return !ours.contains(device.tag); });
    for (auto& share : vm.shares) {
        if (share.binary == config.wrapper) {
            share.binary = config.daemon; // which the wrapper becomes
        }
        if (share.socket) {
            // Wherever run-dir is, prepare starts its daemon; the check knows that by this name.
            const auto paths = launch::Layout{}.paths(vm.name, share.tag);
            share.socket = paths ? paths->socket : *share.socket;
        }
    }
    return vm;
}

node::TargetRequest
what_to_look_at(const check::Vm& vm, const store::Snapshot& store, const World& world) {
    node::TargetRequest request;
    request.node = world.node;
    std::set<std::string> dirids;
    for (const auto& device : vm.ninep) {
        dirids.insert(device.dirid);
    }
    std::set<std::string> programs;
    for (const auto& share : vm.shares) {
        dirids.insert(share.dirid);
        if (share.socket) {
            programs.insert(world.config.daemon);
        } else if (share.binary) {
            programs.insert(*share.binary);
        } else {
            request.wants_libvirt_default = true;
        }
    }
    request.virtiofsds = {programs.begin(), programs.end()};
    for (const auto& dirid : dirids) {
        const auto* mapping = store.find(dirid);
        const auto path =
            mapping == nullptr ? std::nullopt : mapping::find_path(*mapping, world.node);
        if (path) {
            request.paths.push_back({dirid, std::string{*path}});
        }
    }
    return request;
}

// The target's half of the check, on what the domain will be here.
Result<std::vector<check::Finding>> find_blockers(const HookCall& call,
                                                  const std::string& xml,
                                                  const std::set<std::string>& ours,
                                                  const store::Snapshot& snapshot,
                                                  const World& world) {
    VFSKIT_TRY_ASSIGN(const auto vm, read_vm(xml, ours, world.config));
    check::Migration migration;
    migration.has_begun = true;
    migration.rewrites_xml = true; // by this very hook
    migration.operation =
        call.operation == HookOperation::restore ? check::Operation::save : check::Operation::live;
    const check::Cluster cluster{snapshot.mappings,
                                 {world.collect(what_to_look_at(vm, snapshot, world))}};
    auto findings = check::check_target(vm, cluster, world.node, migration);
    std::erase_if(findings, [](const check::Finding& finding) {
        return finding.severity() != check::Severity::blocker;
    });
    return findings;
}

bool has_our_metadata(const domain::Domain& domain) {
    return std::ranges::any_of(domain.filesystems, &DomainFilesystem::dirid_from_metadata);
}

Result<Rewritten> rewrite(const HookCall& call, const std::string& xml, const World& world) {
    auto snapshot = world.read_store();
    if (!snapshot) {
        // Without the mappings only the metadata tells whose the domain is.
        VFSKIT_TRY_ASSIGN(const auto domain, domain::parse_domain(xml));
        if (has_our_metadata(domain)) {
            return std::move(snapshot).error();
        }
        return Rewritten{};
    }
    const auto find = [&](std::string_view id) { return snapshot->find(id); };
    const launch::Layout layout{world.config.run_dir};
    const auto socket = [&](std::string_view tag) -> Result<std::string> {
        VFSKIT_TRY_ASSIGN(const auto paths, layout.paths(call.object, tag));
        return paths.socket;
    };
    const auto by_mapping = domain::lookup_by_mapping(
        find, {.node = world.node, .binary = domain::KeepBinary{}, .socket = socket});
    std::set<std::string> ours; // tags
    const auto lookup =
        [&](const DomainFilesystem& filesystem) -> Result<std::optional<NodeShare>> {
        if (filesystem.is_external() && !is_kept_by_us(filesystem, call.object)) {
            return std::optional<NodeShare>{};
        }
        VFSKIT_TRY_ASSIGN(auto share, by_mapping(filesystem));
        if (!share) {
            return share;
        }
        const auto* mapping = snapshot->find(filesystem.dirid);
        if (filesystem.is_virtiofs() && share->source_dir) {
            share->binary = choose_binary(filesystem, *mapping, world);
        }
        ours.insert(filesystem.tag);
        return share;
    };
    VFSKIT_TRY_ASSIGN(auto result, domain::rewrite_for_node(xml, lookup));
    Rewritten rewritten;
    if (!ours.empty()) {
        VFSKIT_TRY_ASSIGN(rewritten.blockers,
                          find_blockers(call, result.xml, ours, *snapshot, world));
    }
    rewritten.xml = result.changed() ? std::move(result.xml) : std::string{};
    return rewritten;
}

Result<void> run_vfsctl(std::vector<std::string> words, const World& world) {
    if (!world.config.store.empty()) {
        words.insert(words.end(), {"--store", world.config.store});
    }
    if (!world.config.node.empty()) {
        words.insert(words.end(), {"--node", world.config.node});
    }
    VFSKIT_TRY_ASSIGN(const auto output,
                      world.run({.program = world.config.vfsctl, .args = std::move(words)}));
    if (output.exit_status != 0) {
        std::string_view said = base::trim(output.err);
        constexpr std::string_view prefix = "vfsctl: ";
        if (said.starts_with(prefix)) {
            said.remove_prefix(prefix.size());
        }
        return Error{
            ECHILD,
            said.empty()
                ? fmt::format("'{}' ended with status {}", world.config.vfsctl, output.exit_status)
                : std::string{said}};
    }
    return {};
}

Result<void> start_daemons(const HookCall& call, const std::string& xml, const World& world) {
    VFSKIT_TRY_ASSIGN(const auto domain, domain::parse_domain(xml));
    for (const auto& filesystem : domain.filesystems) {
        if (!filesystem.is_virtiofs() || !is_kept_by_us(filesystem, call.object)) {
            continue;
        }
        std::vector<std::string> words{"daemon",
                                       "start",
                                       filesystem.dirid,
                                       "--vm",
                                       call.object,
                                       "--tag",
                                       filesystem.tag,
                                       "--binary",
                                       world.config.daemon,
                                       "--replace-waiting"};
        if (!world.config.socket_group.empty()) {
            words.insert(words.end(), {"--socket-group", world.config.socket_group});
        }
        VFSKIT_TRY_ASSIGN(const auto options, words_of(filesystem));
        words.insert(words.end(), options.begin(), options.end());
        VFSKIT_TRY(run_vfsctl(std::move(words), world));
    }
    return {};
}

// Nothing where no daemon of this domain ever was: most domains of most hosts.
Result<void>
stop_daemons(const HookCall& call, const World& world, std::vector<std::string> options) {
    const auto directory = launch::Layout{world.config.run_dir}.vm_directory(call.object);
    if (!directory || !world.exists(*directory)) {
        return {};
    }
    std::vector<std::string> words{"daemon", "stop", call.object};
    words.insert(words.end(), options.begin(), options.end());
    return run_vfsctl(std::move(words), world);
}

// For operations whose failure would do harm, or is ignored: a line for the log, and success.
Outcome report_only(const HookCall& call, const Result<void>& done) {
    auto outcome = done ? Outcome{} : refuse(call, done.error());
    outcome.exit_status = 0;
    return outcome;
}

} // namespace

Outcome run_hook(const HookCall& call, const std::string& xml, const World& world) {
    switch (call.operation) {
    case HookOperation::migrate:
    case HookOperation::restore: {
        if (!may_have_shares(xml)) {
            return {};
        }
        auto rewritten = rewrite(call, xml, world);
        if (!rewritten) {
            return refuse(call, rewritten.error());
        }
        return rewritten->blockers.empty() ? Outcome{0, std::move(rewritten->xml), {}}
                                           : refuse(call, rewritten->blockers);
    }
    case HookOperation::prepare: {
        if (!may_have_shares(xml)) {
            return {};
        }
        const auto started = start_daemons(call, xml, world);
        return started ? Outcome{} : refuse(call, started.error());
    }
    case HookOperation::release:
        return report_only(call, stop_daemons(call, world, {}));
    case HookOperation::reconnect:
        // One that lives is left alone, however long it has waited: its guest may be starting.
        return report_only(call, stop_daemons(call, world, {"--stale", "--grace", "4294967295"}));
    case HookOperation::other:
        break;
    }
    return {};
}

} // namespace vfskit::libvirt_hook
