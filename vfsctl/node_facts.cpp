// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/node_facts.h"

#include <chrono>

namespace vfskit::vfsctl {

namespace {

node::Time now() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

Result<store::Snapshot> read_mappings(Services& services) {
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    return store->snapshot();
}

} // namespace

node::NodeFacts collect_facts(Services& services, bool asks_daemons) {
    node::CollectRequest request;
    request.node = services.node;
    request.vfskit_version = VFSKIT_VERSION;
    request.asks_daemons = asks_daemons;
    if (const auto snapshot = read_mappings(services)) {
        request.mappings_revision = snapshot->revision.text;
        for (const auto& mapping : snapshot->mappings) {
            if (const auto path = mapping::find_path(mapping, services.node)) {
                request.paths.push_back({.dirid = mapping.id, .path = std::string{*path}});
            }
        }
    } else {
        request.problems.push_back("The mappings cannot be read: " + snapshot.error().describe());
    }
    return services.environment.collect_facts(request);
}

Result<std::unique_ptr<store::FactsStore>> open_facts(Services& services) {
    return services.environment.open_facts(services.store_url);
}

Result<node::FoundFacts>
find_facts(Services& services, const node::FactsRequest& request, bool asks_daemons) {
    return node::find_facts(request,
                            {.this_node = services.node,
                             .collect_here = [&]() -> Result<node::NodeFacts> {
                                 return collect_facts(services, asks_daemons);
                             },
                             .open_store = [&] { return open_facts(services); },
                             .run_ssh = services.environment.run_ssh,
                             .now = now});
}

} // namespace vfskit::vfsctl
