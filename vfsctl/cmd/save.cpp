// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/save.h"

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

void bind(SaveOptions& options, OptionSet& set) {
    set.text({.name = "DOMAIN", .help = "Name or UUID of a running domain", .is_required = true},
             options.domain)
        .text({.name = "FILE",
               .help = "Where to, on the host that libvirt runs on",
               .completes = Completes::file,
               .is_required = true},
              options.file);
    bind_source_options(options.connect, options.from, set);
    set.flag({.name = "--replace", .help = "Write over a file that is there already"},
             options.replace)
        .flag({.name = "--bypass-cache", .help = "Keep the file out of the host's page cache"},
              options.bypass_cache)
        .flag({.name = "--force",
               .help = "Save in spite of what the check found, for example facts that are missing. "
                       "What loses the guest is refused all the same, and so is what libvirt or "
                       "QEMU refuse"},
              options.force)
        .flag({.name = "--dry-run",
               .help = "Check and show what would be done; save nothing. Ends like 'vfsctl check'"},
              options.dry_run);
    bind_facts_choice(options.facts, set);
}

struct Plan {
    SaveRequest request;
    std::vector<domain::Rewrite> rewrites;
};

/// What is found about the domain and its node; a save has no target.
Result<CheckedVm>
check_shares(const SaveOptions& options, PlacedVm vm, Services& services, JobEvents& events) {
    VFSKIT_TRY_ASSIGN(const auto ground, prepare_ground(options.facts, {vm.node}, {vm}, services));
    MigrationChoice choice{.operation = check::Operation::save, .migration = {}};
    choice.migration.max_facts_age = std::chrono::seconds{options.facts.max_age};
    auto checked = check_all({std::move(vm)}, {}, ground.cluster, choice);
    events.checked(checked.front(), ground.origins);
    return std::move(checked.front());
}

/// The daemon that libvirt found here is left out of the file: the node that restores it shall find
/// its own, with the hook or without.
Result<Plan> make_plan(const SaveOptions& options,
                       const std::string& file,
                       const std::string& node,
                       const std::string& domain,
                       LibvirtConnection& libvirt,
                       Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    VFSKIT_TRY_ASSIGN(const auto stored, libvirt.definition(domain, DefinitionKind::inactive));
    VFSKIT_TRY_ASSIGN(const auto running, libvirt.definition(domain, DefinitionKind::migratable));
    VFSKIT_TRY_ASSIGN(auto portable, definition_for_node(running, stored, snapshot, node));
    return Plan{.request = {.file = file,
                            .xml = std::move(portable.xml),
                            .bypass_cache = options.bypass_cache},
                .rewrites = std::move(portable.rewrites)};
}

Result<void> check_file(const SaveOptions& options, const LibvirtConnection& libvirt) {
    std::error_code ignored;
    if (options.replace || !is_on_this_host(libvirt.uri()) ||
        !std::filesystem::exists(options.file, ignored)) {
        return {};
    }
    return Error{EEXIST, fmt::format("'{}' is there already", options.file)}.with_remedy(
        "Another guest may be saved in it: choose another name, or use --replace");
}

/// The guest is gone from here, and the file has what was to be saved.
Result<void> verify(LibvirtConnection& libvirt, const std::string& domain, const Plan& plan) {
    const auto left = libvirt.find_domain(domain); // a transient one is not there any more
    if (left && left->is_running) {
        return Error{EIO, fmt::format("libvirt says that '{}' is saved, but it runs", domain)};
    }
    VFSKIT_TRY_ASSIGN(const auto saved, libvirt.saved_definition(plan.request.file));
    VFSKIT_TRY_ASSIGN(const auto parsed, domain::parse_domain(saved));
    VFSKIT_TRY_ASSIGN(const auto is_right, have_same_sources(saved, plan.request.xml));
    if (parsed.name != domain || !is_right) {
        return Error{EIO,
                     fmt::format("'{}' has another definition than was saved", plan.request.file)}
            .with_remedy("See it: virsh save-image-dumpxml " + plan.request.file);
    }
    return {};
}

} // namespace

Verb save_verb() {
    return make_verb<SaveOptions>(
        {.path = "save",
         .summary = "Save a running libvirt domain to a file, for any node of its mappings",
         .description =
             "Runs the check of 'vfsctl check --operation save' first, and asks libvirt and QEMU; "
             "a blocker stops it. Then the guest's memory and devices go to the file, and the "
             "guest ends here. Its shared directories are not in the file. 'vfsctl restore' (or "
             "'virsh restore', where the hook is) lets it go on, here or on another node. Ctrl-C "
             "cancels, and the guest goes on. Exit status 4 when it is refused; with --dry-run 7 "
             "with a blocker, 6 with a warning.",
         .examples = R"(
vfsctl save web /mnt/shared/web.save
vfsctl save web /mnt/shared/web.save --dry-run
vfsctl save web /mnt/shared/web.save --json)"},
        bind,
        run_save);
}

Result<ExitCode> run_save(const SaveOptions& options, Services& services) {
    const auto node = options.from.value_or(services.node);
    const auto file = std::filesystem::absolute(options.file).string();
    VFSKIT_TRY_ASSIGN(const auto libvirt, connect(services, options.connect));
    VFSKIT_TRY(require_named_node(*libvirt, options.from, "--from", services));
    VFSKIT_TRY_ASSIGN(
        const auto state,
        find_running(*libvirt, options.domain, "Only the memory of a running guest can be saved"));
    VFSKIT_TRY(check_file(options, *libvirt));
    JobEvents events{
        services,
        {.kind = "save-event",
         .names = {{"operation", "save"}, {"domain", state.name}, {"node", node}, {"file", file}},
         .waiting = "libvirt prepares the file",
         .long_wait = {}}};
    VFSKIT_TRY_ASSIGN(auto vm, place_domain(*libvirt, state, node));
    VFSKIT_TRY_ASSIGN(const auto checked, check_shares(options, std::move(vm), services, events));
    VFSKIT_TRY(check_hypervisor(*libvirt, state));
    const auto may_go = judge(checked, options.force);
    if (!may_go) {
        return options.dry_run ? Result{ExitCode::blocker} : Result<ExitCode>{may_go.error()};
    }
    VFSKIT_TRY_ASSIGN(const auto plan,
                      make_plan(options, file, node, state.name, *libvirt, services));
    events.planned(plan.rewrites,
                   std::nullopt,
                   fmt::format("'{}' is saved to '{}', and ends here", state.name, file));
    if (options.dry_run) {
        return exit_code_of(worst_of(checked));
    }
    const auto& cancel = services.environment.catch_interrupt();
    VFSKIT_TRY_ASSIGN(const auto done,
                      libvirt->save(
                          state.name,
                          plan.request,
                          [&events](const JobProgress& progress) { events.progress(progress); },
                          cancel));
    VFSKIT_TRY(verify(*libvirt, state.name, plan));
    events.done(done,
                fmt::format("'{}' is saved: {} in {}. Let it go on once, and on one node: vfsctl "
                            "restore {}",
                            state.name,
                            short_bytes(static_cast<double>(done.processed)),
                            short_duration(done.elapsed),
                            file));
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
