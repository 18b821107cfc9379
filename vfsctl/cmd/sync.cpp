// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/sync.h"

#include "vfsctl/cmd/mapping_change.h"
#include "vfsctl/output/json.h"
#include "vfsctl/services.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>

namespace vfskit::vfsctl {

namespace {

using nlohmann::ordered_json;

void bind(SyncVerbOptions& options, OptionSet& set) {
    set.text({.name = "--from",
              .value = "URL",
              .help = "The store whose changes are carried over",
              .is_required = true},
             options.from)
        .text({.name = "--to",
               .value = "URL",
               .help = "The store that gets them",
               .is_required = true},
              options.to)
        .flag({.name = "--watch", .help = "Go on until interrupted, whenever --from changes"},
              options.watch)
        .flag({.name = "--dry-run", .help = "Only say what would change"}, options.dry_run)
        .value({.name = "--prefer",
                .value = "END",
                .help = "Who wins where both ends changed a mapping: from or to. Without it "
                        "nothing is written",
                .completes = Completes::words,
                .words = {"from", "to"}},
               options.prefer,
               store::parse_prefer)
        .text({.name = "--state",
               .value = "DIR",
               .help =
                   "Where is kept what both ends had in common; /var/lib/vfskit/sync unless given",
               .completes = Completes::directory},
              options.state);
}

MappingChange to_mapping_change(const std::optional<mapping::DirectoryMapping>& before,
                                const std::optional<mapping::DirectoryMapping>& after) {
    return {.before = before, .after = after};
}

void print_text(const store::SyncResult& result,
                const SyncVerbOptions& options,
                Services& services) {
    auto& output = services.output;
    for (const auto& change : result.plan.changes) {
        output.print(fmt::format("{} {}\n", store::to_string(change.kind), printable(change.id)));
        output.print(render_diff(to_mapping_change(change.before, change.after), output));
    }
    for (const auto& conflict : result.plan.conflicts) {
        output.print(fmt::format("conflict {}: '-' in {}, '+' in {}\n",
                                 printable(conflict.id),
                                 options.to,
                                 options.from));
        output.print(render_diff(to_mapping_change(conflict.to, conflict.from), output));
    }
    for (const auto& id : result.plan.kept) {
        output.say(fmt::format("Kept '{}', which only {} has changed", printable(id), options.to));
    }
    if (result.plan.conflicts.empty()) {
        output.say(fmt::format("{} {} mappings",
                               options.dry_run ? "Would change" : "Changed",
                               result.plan.changes.size()));
    }
}

void print_json(const store::SyncResult& result,
                const SyncVerbOptions& options,
                Services& services) {
    auto document = make_document("sync");
    document["from"] = to_utf8(options.from);
    document["to"] = to_utf8(options.to);
    document["dry-run"] = options.dry_run;
    document["is-written"] = result.was_written;
    document["changes"] = ordered_json::array();
    for (const auto& change : result.plan.changes) {
        document["changes"].push_back(to_json(to_mapping_change(change.before, change.after)));
    }
    document["conflicts"] = ordered_json::array();
    for (const auto& conflict : result.plan.conflicts) {
        ordered_json json{{"id", to_utf8(conflict.id)}};
        const auto put = [&](const char* key, const auto& mapping) {
            if (mapping) {
                json[key] = to_json(*mapping);
            }
        };
        put("base", conflict.base);
        put("from", conflict.from);
        put("to", conflict.to);
        document["conflicts"].push_back(std::move(json));
    }
    document["kept"] = ordered_json::array();
    for (const auto& id : result.plan.kept) {
        document["kept"].push_back(to_utf8(id));
    }
    services.output.print_json(document);
}

/// One pass; gives the revision of --from that it saw.
struct Pass {
    store::Revision seen;
    bool has_conflicts = false;
};

Result<Pass> sync_once(store::MappingStore& from,
                       store::MappingStore& to,
                       const SyncVerbOptions& options,
                       Services& services) {
    store::SyncOptions sync{.prefer = options.prefer, .dry_run = options.dry_run};
    if (options.state) {
        sync.state_directory = *options.state;
    }
    VFSKIT_TRY_ASSIGN(const auto result, store::sync_stores(from, to, sync));
    const bool is_news = !result.plan.changes.empty() || !result.plan.conflicts.empty();
    if (is_news || !options.watch) {
        services.output.is_json() ? print_json(result, options, services)
                                  : print_text(result, options, services);
    }
    if (!result.plan.conflicts.empty()) {
        services.output.warn(fmt::format("{} mappings were changed at both ends, so nothing was "
                                         "written. Mend one end, or use --prefer",
                                         result.plan.conflicts.size()));
    }
    return Pass{result.from.revision, !result.plan.conflicts.empty()};
}

} // namespace

Verb sync_verb() {
    return make_verb<SyncVerbOptions>(
        {.path = "sync",
         .summary = "Carry mappings from one store to another",
         .description =
             "Between any two of YAML files, Proxmox VE clusters and etcd. Compares both with what "
             "they last had in common: a mapping that only --from has changed is changed in --to, "
             "one that only --to has changed is kept. Where both have changed it, nothing is "
             "written and the exit status is 5, unless --prefer says who wins. Two runs with the "
             "ends exchanged keep two stores alike.",
         .examples = R"(
vfsctl sync --from pve:/etc/pve --to etcd://h1,h2,h3/vfskit --dry-run
vfsctl sync --from pve:/etc/pve --to yaml:/etc/vfskit/mappings.yaml --watch)"},
        bind,
        run_sync);
}

Result<ExitCode> run_sync(const SyncVerbOptions& options, Services& services) {
    if (options.from == options.to) {
        return Error{EINVAL, "--from and --to name the same store"};
    }
    if (options.watch && options.dry_run) {
        return Error{EINVAL, "--watch and --dry-run exclude each other"};
    }
    VFSKIT_TRY_ASSIGN(const auto from, services.environment.open_store(options.from));
    VFSKIT_TRY_ASSIGN(const auto to, services.environment.open_store(options.to));
    if (!options.watch) {
        VFSKIT_TRY_ASSIGN(const auto pass, sync_once(*from, *to, options, services));
        return pass.has_conflicts ? ExitCode::conflict : ExitCode::ok;
    }
    constexpr std::chrono::milliseconds patience{1000}; // until an interruption is noticed
    const auto& interrupted = services.environment.catch_interrupt();
    while (!interrupted) {
        const auto pass = sync_once(*from, *to, options, services);
        if (!pass) {
            services.output.warn(pass.error().describe());
            services.environment.pause(patience);
            continue;
        }
        for (bool has_changed = false; !has_changed && !interrupted;) {
            const auto waited = from->wait_for_change(pass->seen, patience);
            if (!waited) {
                services.output.warn(waited.error().describe());
                services.environment.pause(patience);
            }
            has_changed = !waited || *waited;
        }
    }
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
