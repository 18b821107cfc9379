// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/migrate.h"

#include "core/domain/domain_xml.h"
#include "vfsctl/cmd/migrate_check.h"
#include "vfsctl/cmd/migrate_events.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::vfsctl {

namespace {

void bind(MigrateOptions& options, OptionSet& set) {
    set.text({.name = "DOMAIN", .help = "Name or UUID of a running domain", .is_required = true},
             options.domain)
        .text({.name = "NODE",
               .help = "The destination, as the mappings name it",
               .completes = Completes::node,
               .is_required = true},
              options.destination);
    bind_connect_option(options.connect, set);
    set.text({.name = "--from",
              .value = "NODE",
              .help = "The node that it is on, when --connect names another. Default: this node",
              .completes = Completes::node},
             options.from)
        .text({.name = "--desturi",
               .value = "URI",
               .help = "The destination's libvirt. Default: qemu+ssh://NODE/system"},
              options.destination_uri)
        .text({.name = "--migrate-uri",
               .value = "URI",
               .help = "Where the guest's memory goes, tcp://10.0.0.2. Default: libvirt's choice"},
              options.migrate_uri)
        .number({.name = "--bandwidth", .value = "MIB", .help = "At most so many MiB per second"},
                options.bandwidth_mib)
        .number({.name = "--parallel", .value = "N", .help = "Send over N connections"},
                options.parallel)
        .flag({.name = "--auto-converge",
               .help = "Slow the guest down when it writes faster than its memory is sent"},
              options.auto_converge)
        .flag({.name = "--transient",
               .help = "Do not store the definition there. Default: as it is here"},
              options.transient)
        .flag({.name = "--undefine-source", .help = "Remove the definition here afterwards"},
              options.undefine_source)
        .flag({.name = "--force",
               .help = "Migrate in spite of what the check found, for example facts that are "
                       "missing. What loses the guest or mixes two directories is refused all the "
                       "same, and so is what the libvirts, QEMU or the destination's hook refuse"},
              options.force)
        .flag({.name = "--dry-run",
               .help = "Check and show what would be sent; move nothing. Ends like 'vfsctl check'"},
              options.dry_run);
    bind_facts_choice(options.facts, set);
}

/// Everything that is known before a byte is moved.
struct Plan {
    DomainState state;
    MigrationRequest request;
    std::vector<domain::Rewrite> rewrites;
};

Result<DomainState> find_running(const std::string& domain, LibvirtConnection& source) {
    VFSKIT_TRY_ASSIGN(auto state, source.find_domain(domain));
    if (!state.is_running) {
        return Error{EINVAL, fmt::format("'{}' does not run", state.name)}.with_remedy(
            "Define it there: virsh dumpxml --inactive, vfsctl xml patch, virsh define");
    }
    return state;
}

Result<Plan> make_plan(const MigrateOptions& options,
                       Services& services,
                       LibvirtConnection& source,
                       const DomainState& state) {
    Plan plan{.state = state, .request = {}, .rewrites = {}};
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    VFSKIT_TRY_ASSIGN(const auto stored,
                      source.definition(plan.state.name, DefinitionKind::inactive));
    VFSKIT_TRY_ASSIGN(const auto running,
                      source.definition(plan.state.name, DefinitionKind::migratable));
    VFSKIT_TRY_ASSIGN(auto live,
                      definition_for_node(running, stored, snapshot, options.destination));
    plan.request.destination_xml = std::move(live.xml);
    plan.rewrites = std::move(live.rewrites);
    if (plan.state.is_persistent && !options.transient) {
        VFSKIT_TRY_ASSIGN(auto persistent,
                          definition_for_node(stored, stored, snapshot, options.destination));
        plan.request.persistent_xml = std::move(persistent.xml);
    }
    plan.request.migrate_uri = options.migrate_uri;
    plan.request.bandwidth_mib = options.bandwidth_mib;
    plan.request.undefine_source = options.undefine_source;
    plan.request.auto_converge = options.auto_converge;
    plan.request.parallel = options.parallel;
    return plan;
}

/// What libvirt reported as done, looked at: QEMU runs, its daemons live, and what is stored is for
/// that node.
Result<void> verify(LibvirtConnection& destination, const Plan& plan) {
    VFSKIT_TRY_ASSIGN(const auto arrived, destination.find_domain(plan.state.name));
    if (!arrived.is_running) {
        return Error{EIO, fmt::format("'{}' arrived and does not run", plan.state.name)}
            .with_remedy("See its log there, /var/log/libvirt/qemu/" + plan.state.name + ".log");
    }
    VFSKIT_TRY_ASSIGN(const auto dead, destination.dead_daemons(plan.state.name));
    if (!dead.empty()) {
        return Error{EIO,
                     fmt::format("'{}' runs there, but the daemon of {} has ended",
                                 plan.state.name,
                                 fmt::join(dead, ", "))}
            .with_remedy("See the daemon's log there");
    }
    if (!plan.request.persistent_xml) {
        return {};
    }
    VFSKIT_TRY_ASSIGN(const auto stored,
                      destination.definition(plan.state.name, DefinitionKind::inactive));
    VFSKIT_TRY_ASSIGN(const auto is, domain::parse_domain(stored));
    VFSKIT_TRY_ASSIGN(const auto wanted, domain::parse_domain(*plan.request.persistent_xml));
    const auto source_of = [](const domain::DomainFilesystem& filesystem) {
        return filesystem.source_dir.value_or(filesystem.source_socket.value_or(""));
    };
    if (!std::ranges::equal(is.filesystems, wanted.filesystems, {}, source_of, source_of)) {
        return Error{EIO,
                     fmt::format("'{}' runs there, but its stored definition has the paths of "
                                 "another node",
                                 plan.state.name)}
            .with_remedy("Run there: vfsctl watch --once");
    }
    return {};
}

} // namespace

Verb migrate_verb() {
    return make_verb<MigrateOptions>(
        {.path = "migrate",
         .summary = "Live-migrate a libvirt domain, each share to its path there",
         .description =
             "Runs the check of 'vfsctl check' first, with the facts of both nodes, and asks both "
             "libvirts and QEMU; a blocker stops it. Then it migrates with the running and "
             "the stored definition rewritten for the destination, and looks afterwards that the "
             "guest runs there, that its daemons live, and that what is stored has the paths of "
             "that node. Ctrl-C cancels the migration, and the guest goes on here. The mappings "
             "are read on this node. Exit status 4 when it is refused; with --dry-run 7 with a "
             "blocker, 6 with a warning.",
         .examples = R"(
vfsctl migrate web n2
vfsctl migrate web n2 --dry-run
vfsctl migrate web n2 --facts n2.json --no-ssh
vfsctl migrate web n2 --desturi qemu+tls://n2.example/system --bandwidth 500
vfsctl migrate web n2 --json)"},
        bind,
        run_migrate);
}

Result<ExitCode> run_migrate(const MigrateOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto source, connect(services, options.connect));
    VFSKIT_TRY_ASSIGN(const auto destination,
                      services.environment.connect_libvirt(options.destination_uri.value_or(
                          fmt::format("qemu+ssh://{}/system", options.destination))));
    VFSKIT_TRY_ASSIGN(const auto state, find_running(options.domain, *source));
    MigrationEvents events{services, state.name, options.destination};
    VFSKIT_TRY_ASSIGN(const auto checked, check_shares(options, services, *source, state, events));
    VFSKIT_TRY(check_hypervisors(*source, *destination, state, events));
    const auto may_go = judge(checked, options.force);
    if (!may_go) {
        return options.dry_run ? Result{ExitCode::blocker} : Result<ExitCode>{may_go.error()};
    }
    VFSKIT_TRY_ASSIGN(const auto plan, make_plan(options, services, *source, state));
    events.planned(plan.rewrites, plan.request.persistent_xml.has_value());
    if (options.dry_run) {
        return exit_code_of(worst_of(checked));
    }
    const auto& cancel = services.environment.catch_interrupt();
    VFSKIT_TRY_ASSIGN(const auto done,
                      source->migrate(
                          plan.state.name,
                          *destination,
                          plan.request,
                          [&events](const JobProgress& progress) { events.progress(progress); },
                          cancel));
    VFSKIT_TRY(verify(*destination, plan));
    events.done(done);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
