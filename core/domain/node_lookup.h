// SPDX-License-Identifier: Apache-2.0
// Where a node has the shares of a domain, by their mappings: what a hook, a migration and a repair
// rewrite a domain with.
#pragma once

#include "core/base/result.h"
#include "core/domain/rewrite.h"
#include "core/mapping/mapping.h"

#include <functional>
#include <string>
#include <string_view>

namespace vfskit::domain {

/// The mapping with this id, or nullptr.
using MappingFinder = std::function<const mapping::DirectoryMapping*(std::string_view id)>;

/// The node that a domain is rewritten for.
struct NodeRules {
    std::string node;
    BinaryRewrite binary = KeepBinary{}; ///< of libvirt-managed virtiofs shares
    /// The socket of an externally launched share here, asked with its tag. Empty: sockets stay as
    /// they are, because their names are the same on every node.
    std::function<Result<std::string>(std::string_view tag)> socket;
};

/// A filesystem is ours when our metadata names its dirid, or when its tag is the id of a mapping
/// that has the filesystem's directory as a path of some node (a tag that merely has the name of a
/// mapping is somebody else's). Errors end the rewrite, because the guest must not run on a
/// directory that nobody has named: ENOENT for a dirid without a mapping, and for a mapping without
/// a path on the node; both say what to do. The finder must outlive the lookup.
NodeShareLookup lookup_by_mapping(MappingFinder find, NodeRules rules);

} // namespace vfskit::domain
