// SPDX-License-Identifier: Apache-2.0
// What verbs share that need facts of nodes.
#pragma once

#include "core/base/result.h"
#include "core/node/facts_source.h"
#include "core/store/facts_store.h"
#include "vfsctl/services.h"

#include <memory>

namespace vfskit::vfsctl {

/// The facts of this node, which mappings call services.node. A store that cannot be read is one of
/// the facts' problems. `asks_daemons`: see node::CollectRequest.
node::NodeFacts collect_facts(Services& services, bool asks_daemons = true);

/// Where nodes publish for the users of the store: services.environment.open_facts().
Result<std::unique_ptr<store::FactsStore>> open_facts(Services& services);

/// node::find_facts() in the real world: what a check asks for each node of a migration. On this
/// node the daemons are asked what their guests have open if `asks_daemons`.
Result<node::FoundFacts>
find_facts(Services& services, const node::FactsRequest& request, bool asks_daemons);

} // namespace vfskit::vfsctl
