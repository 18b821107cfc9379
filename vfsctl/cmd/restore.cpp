// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/restore.h"

#include "core/check/vm_reader.h"
#include "core/domain/domain_xml.h"
#include "vfsctl/cmd/check.h"
#include "vfsctl/cmd/domain_job.h"
#include "vfsctl/cmd/job_events.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/services.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

namespace vfskit::vfsctl {

namespace {

void bind(RestoreOptions& options, OptionSet& set) {
    set.text({.name = "FILE",
              .help = "What 'vfsctl save' or 'virsh save' wrote, on the host that restores it",
              .completes = Completes::file,
              .is_required = true},
             options.file)
        .text({.name = "--on",
               .value = "NODE",
               .help = "The node that restores it, as the mappings name it, needed when --connect "
                       "leads to another. Default: this node",
               .completes = Completes::node},
              options.on)
        .text({.name = "--connect",
               .value = "URI",
               .help = "The libvirt to talk to. Default: qemu+ssh://NODE/system with --on, else "
                       "LIBVIRT_DEFAULT_URI, then qemu:///system",
               .short_name = "-c"},
              options.connect)
        .flag({.name = "--persistent",
               .help = "Store the definition there too. Default: what is stored there stays as it "
                       "is"},
              options.persistent)
        .flag({.name = "--paused", .help = "Leave the guest paused: virsh resume lets it go on"},
              options.stays_paused)
        .flag({.name = "--bypass-cache", .help = "Keep the file out of the host's page cache"},
              options.bypass_cache)
        .flag({.name = "--force",
               .help = "Restore in spite of what the check found, for example facts that are "
                       "missing. What libvirt, QEMU or the node's hook refuse is refused all the "
                       "same"},
              options.force)
        .flag({.name = "--dry-run",
               .help = "Check and show what would be sent; restore nothing. Ends like 'vfsctl "
                       "check'"},
              options.dry_run);
    bind_facts_choice(options.facts, set);
}

Result<std::unique_ptr<LibvirtConnection>> connect_to_node(const RestoreOptions& options,
                                                           Services& services) {
    if (options.on && *options.on != services.node && !options.connect) {
        return services.environment.connect_libvirt(libvirt_of_node(*options.on));
    }
    return connect(services, options.connect);
}

Result<void> refuse_second_guest(LibvirtConnection& libvirt, const std::string& domain) {
    const auto there = libvirt.find_domain(domain);
    if (there && there->is_running) {
        return Error{EBUSY, fmt::format("'{}' runs there already", domain)}.with_remedy(
            "A saved guest can go on only once; the files of its shares have changed since");
    }
    return {};
}

/// The target's half of the check, as the node's hook sees it too.
Result<CheckedVm> check_shares(const RestoreOptions& options,
                               const domain::Domain& saved,
                               const std::string& node,
                               Services& services,
                               JobEvents& events) {
    VFSKIT_TRY_ASSIGN(const auto ground, prepare_ground(options.facts, {node}, {}, services));
    check::Migration migration;
    migration.operation = check::Operation::save;
    migration.rewrites_xml = true;
    migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    auto checked = check_half(check::vm_from_domain(saved), node, ground.cluster, migration);
    events.checked(checked, ground.origins);
    return checked;
}

/// It runs, its daemons live, and its definitions have the directories of this node.
Result<DomainState>
verify(LibvirtConnection& libvirt, const std::string& domain, const std::string& wanted) {
    VFSKIT_TRY_ASSIGN(auto state, verify_running(libvirt, domain));
    VFSKIT_TRY(verify_sources(libvirt, domain, DefinitionKind::live, wanted));
    if (state.is_persistent) {
        VFSKIT_TRY(verify_sources(libvirt, domain, DefinitionKind::inactive, wanted));
    }
    return state;
}

/// What is stored there, or else what runs there now, with the paths of that node.
Result<void> store_definition(LibvirtConnection& libvirt,
                              const std::string& domain,
                              const store::Snapshot& snapshot,
                              const std::string& node) {
    VFSKIT_TRY_ASSIGN(const auto state, libvirt.find_domain(domain));
    VFSKIT_TRY_ASSIGN(const auto base,
                      libvirt.definition(domain,
                                         state.is_persistent ? DefinitionKind::inactive
                                                             : DefinitionKind::migratable));
    VFSKIT_TRY_ASSIGN(const auto wanted, definition_for_node(base, base, snapshot, node));
    auto stored = libvirt.define(wanted.xml);
    if (!stored) {
        return std::move(stored).error().under(
            fmt::format("'{}' runs there, but its definition is not stored", domain));
    }
    return {};
}

} // namespace

Verb restore_verb() {
    return make_verb<RestoreOptions>(
        {.path = "restore",
         .summary = "Let a saved libvirt domain go on, each share with its path there",
         .description =
             "On this node, or with --on on another one that can read the file. Runs the check of "
             "what the node must have first ('vfsctl check --target-half'); a blocker stops it. "
             "Then the guest goes on with a definition made for that node, and vfsctl looks that "
             "it runs, that its daemons live, and that its definitions have the paths of that "
             "node. A restore that fails leaves the file as it is, and so does one that succeeds: "
             "it must not be restored a second time, for the guest's files have changed since. "
             "Exit status 4 when it is refused; with --dry-run 7 with a blocker, 6 with a "
             "warning.",
         .examples = R"(
vfsctl restore /mnt/shared/web.save
vfsctl restore /mnt/shared/web.save --on n2 --persistent
vfsctl restore /mnt/shared/web.save --on n2 --dry-run
vfsctl restore /mnt/shared/web.save --on n2 --connect qemu+tls://n2.example/system)"},
        bind,
        run_restore);
}

Result<ExitCode> run_restore(const RestoreOptions& options, Services& services) {
    const auto node = options.on.value_or(services.node);
    RestoreRequest request;
    request.file = std::filesystem::absolute(options.file).string();
    request.bypass_cache = options.bypass_cache;
    request.stays_paused = options.stays_paused;
    VFSKIT_TRY_ASSIGN(const auto libvirt, connect_to_node(options, services));
    VFSKIT_TRY(require_named_node(*libvirt, options.on, "--on", services));
    VFSKIT_TRY_ASSIGN(const auto saved, libvirt->saved_definition(request.file));
    VFSKIT_TRY_ASSIGN(const auto parsed, domain::parse_domain(saved));
    const auto& domain = parsed.name;
    VFSKIT_TRY(refuse_second_guest(*libvirt, domain));
    JobEvents events{
        services,
        {.kind = "save-event",
         .names =
             {{"operation", "restore"}, {"domain", domain}, {"node", node}, {"file", request.file}},
         .waiting = fmt::format("{} restores it", node),
         .long_wait = fmt::format("Waiting for {}: its hooks in /etc/libvirt/hooks, its daemons, "
                                  "and the file, which is read whole",
                                  node)}};
    VFSKIT_TRY_ASSIGN(const auto checked, check_shares(options, parsed, node, services, events));
    const auto may_go = judge(checked, options.force);
    if (!may_go) {
        return options.dry_run ? Result{ExitCode::blocker} : Result<ExitCode>{may_go.error()};
    }
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    VFSKIT_TRY_ASSIGN(auto here, definition_for_node(saved, saved, snapshot, node));
    request.xml = std::move(here.xml);
    events.planned(here.rewrites,
                   options.persistent,
                   fmt::format("'{}' goes on at {}{}",
                               domain,
                               node,
                               options.persistent ? ", and its definition is stored there" : ""));
    if (options.dry_run) {
        return exit_code_of(worst_of(checked));
    }
    VFSKIT_TRY_ASSIGN(const auto done,
                      libvirt->restore(request, [&events](const JobProgress& progress) {
                          events.progress(progress);
                      }));
    if (options.persistent) {
        VFSKIT_TRY(store_definition(*libvirt, domain, snapshot, node));
    }
    VFSKIT_TRY_ASSIGN(const auto state, verify(*libvirt, domain, request.xml));
    events.done(done,
                fmt::format("'{}' {} on {} after {}. Remove '{}': it would bring back an older "
                            "guest",
                            domain,
                            state.is_paused ? "is paused" : "runs",
                            node,
                            short_duration(done.elapsed),
                            request.file));
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
