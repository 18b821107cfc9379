// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/migrate.h"

#include "vfsctl/cmd/check.h"
#include "vfsctl/cmd/domain_job.h"
#include "vfsctl/cmd/job_events.h"
#include "vfsctl/libvirt/connect.h"
#include "vfsctl/output/quantities.h"
#include "vfsctl/services.h"

#include <fmt/format.h>

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
    bind_source_options(options.connect, options.from, set);
    set.text({.name = "--desturi",
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

JobEvents make_events(const MigrateOptions& options, const DomainState& state, Services& services) {
    const auto& node = options.destination;
    return JobEvents{
        services,
        {.kind = "migrate-event",
         .names = {{"domain", state.name}, {"node", node}},
         .waiting = fmt::format("{} makes itself ready", node),
         .long_wait = fmt::format("Waiting for {}: its hooks in /etc/libvirt/hooks, which libvirt "
                                  "gives all the time they take, or its daemons. The guest goes on "
                                  "here meanwhile",
                                  node)}};
}

/// What 'vfsctl check' says about this very migration; it has one target.
Result<CheckedVm> check_shares(const MigrateOptions& options,
                               Services& services,
                               LibvirtConnection& source,
                               const DomainState& state,
                               JobEvents& events) {
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

/// The guest runs there, its daemons live, and what is stored is for that node.
Result<void> verify(LibvirtConnection& destination, const Plan& plan) {
    VFSKIT_TRY(verify_running(destination, plan.state.name));
    if (!plan.request.persistent_xml) {
        return {};
    }
    return verify_sources(
        destination, plan.state.name, DefinitionKind::inactive, *plan.request.persistent_xml);
}

} // namespace

Verb migrate_verb() {
    return make_verb<MigrateOptions>(
        {.path = "migrate",
         .summary = "Live-migrate a libvirt domain, each share to its path there",
         .description =
             "Runs the check of 'vfsctl check' first, with the facts of both nodes, and asks the "
             "guest's QEMU; a blocker stops it. Then it migrates with the running and "
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
    VFSKIT_TRY(require_named_node(*source, options.from, "--from", services));
    VFSKIT_TRY_ASSIGN(const auto destination,
                      services.environment.connect_libvirt(
                          options.destination_uri.value_or(libvirt_of_node(options.destination))));
    VFSKIT_TRY_ASSIGN(const auto state,
                      find_running(*source,
                                   options.domain,
                                   "Define it there: virsh dumpxml --inactive, vfsctl xml patch, "
                                   "virsh define"));
    auto events = make_events(options, state, services);
    VFSKIT_TRY_ASSIGN(const auto checked, check_shares(options, services, *source, state, events));
    VFSKIT_TRY(check_hypervisor(*source, state));
    const auto may_go = judge(checked, options.force);
    if (!may_go) {
        return options.dry_run ? Result{ExitCode::blocker} : Result<ExitCode>{may_go.error()};
    }
    VFSKIT_TRY_ASSIGN(const auto plan, make_plan(options, services, *source, state));
    const bool is_stored = plan.request.persistent_xml.has_value();
    events.planned(plan.rewrites,
                   is_stored,
                   fmt::format("'{}' goes to {}{}",
                               state.name,
                               options.destination,
                               is_stored ? ", and its definition is stored there" : ""));
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
    events.done(done,
                fmt::format("'{}' runs on {}: {} in all{}",
                            state.name,
                            options.destination,
                            short_duration(done.elapsed),
                            done.downtime ? fmt::format(", standing still for {}",
                                                        short_duration(*done.downtime))
                                          : ""));
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
