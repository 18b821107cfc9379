// SPDX-License-Identifier: Apache-2.0
// What every verb about a domain needs first: a connection, versions, the domain for a node.
#pragma once

#include "core/base/result.h"
#include "core/domain/libvirt_version.h"
#include "core/domain/rewrite.h"
#include "core/store/store.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/libvirt/connection.h"
#include "vfsctl/services.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vfskit::vfsctl {

/// --connect, else LIBVIRT_DEFAULT_URI as virsh reads it, else qemu:///system.
void bind_connect_option(std::optional<std::string>& uri, OptionSet& set);
Result<std::unique_ptr<LibvirtConnection>> connect(Services& services,
                                                   const std::optional<std::string>& uri);

/// The libvirt of this host, which sees the files and starts the daemons that we do.
bool is_on_this_host(std::string_view uri);

/// --live and --config, as virsh has them.
void bind_scope_options(bool& live, bool& config, OptionSet& set);
/// Neither flag: whatever the domain has of the two. EINVAL for --live with a domain that does not
/// run and for --config with a transient one.
Result<ChangeScope> resolve_scope(bool live, bool config, const DomainState& state);

/// 11003000 is 11.3.0.
domain::LibvirtVersion libvirt_version_of(const HypervisorVersions& versions);

/// `running` (or a migratable or inactive definition) as `node` must have it, by the mappings of
/// `snapshot`. `stored` is the inactive definition: a <binary path> that only the running one has
/// was filled in by the libvirt here, and the one there shall find its own.
Result<domain::RewriteResult> definition_for_node(const std::string& definition,
                                                  const std::string& stored,
                                                  const store::Snapshot& snapshot,
                                                  const std::string& node);

} // namespace vfskit::vfsctl
