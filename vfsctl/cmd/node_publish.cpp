// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/node_publish.h"

#include "vfsctl/node_facts.h"
#include "vfsctl/output/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>

namespace vfskit::vfsctl {

namespace {

constexpr std::uint32_t default_lifetime = 900;

void bind(NodePublishOptions& options, OptionSet& set) {
    set.number({.name = "--lifetime",
                .value = "SECONDS",
                .help = "An etcd store forgets the facts after this time; 900 unless given"},
               options.lifetime,
               86'400)
        .flag({.name = "--withdraw", .help = "Remove what this node has published"},
              options.withdraw);
}

void report(Services& services,
            const store::FactsStore& store,
            bool is_published,
            std::size_t bytes) {
    if (services.output.is_json()) {
        auto document = make_document("node-publish");
        document["node"] = to_utf8(services.node);
        document["place"] = to_utf8(store.place());
        document["is-published"] = is_published;
        document["bytes"] = bytes;
        services.output.print_json(document);
        return;
    }
    services.output.say(fmt::format("{} the facts of node '{}' {} {}",
                                    is_published ? "Published" : "Withdrew",
                                    services.node,
                                    is_published ? "in" : "from",
                                    store.place()));
}

} // namespace

Verb node_publish_verb() {
    return make_verb<NodePublishOptions>(
        {.path = "node publish",
         .summary = "Leave this node's facts where the other nodes read them",
         .description =
             "Next to the mappings: in Proxmox VE's cluster filesystem, or in etcd; with a YAML "
             "store in the directory of VFSKIT_FACTS_DIR, /var/lib/vfskit/facts unless set, which "
             "is of use to others where it is shared. At most 512 KiB for a node. The timer "
             "vfskit-node-publish.timer runs this every five minutes; on Proxmox VE "
             "vfskit-pve.timer does, which is enabled with the package.",
         .examples = R"(
vfsctl node publish
vfsctl node publish --withdraw
systemctl enable --now vfskit-node-publish.timer)"},
        bind,
        run_node_publish);
}

Result<ExitCode> run_node_publish(const NodePublishOptions& options, Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, open_facts(services));
    if (options.withdraw) {
        VFSKIT_TRY(store->withdraw(services.node));
        report(services, *store, false, 0);
        return ExitCode::ok;
    }
    const auto facts = collect_facts(services);
    const auto document = node::to_compact_json(facts);
    VFSKIT_TRY(store->publish(services.node,
                              document,
                              std::chrono::seconds{options.lifetime.value_or(default_lifetime)}));
    for (const auto& problem : facts.problems) {
        services.output.warn(problem);
    }
    report(services, *store, true, document.size());
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
