// SPDX-License-Identifier: Apache-2.0
#include "core/node/collect_target.h"

#include "core/node/collect_parts.h"
#include "core/node/mount_table.h"
#include "core/share/quick_probe.h"

#include <chrono>

namespace vfskit::node {

NodeFacts collect_target(const TargetRequest& request, const Places& places) {
    ProgramCache programs{places.run, share::probe_quickly};
    NodeFacts facts;
    facts.node = request.node;
    facts.collected_at =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    facts.has_dac_read_search = has_dac_read_search(places);
    facts.virtiofsds =
        examine_virtiofsds(request.virtiofsds, request.wants_libvirt_default, places, programs);
    facts.memory = collect_memory(places);
    facts.paths = probe_paths(
        request.paths, read_expected_mount_points(places.root, request.node), places.limits);
    return facts;
}

} // namespace vfskit::node
