// SPDX-License-Identifier: Apache-2.0
// The same domain on another node: only what libvirt lets a migration change is changed.
#pragma once

#include "core/base/result.h"
#include "core/domain/domain_xml.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vfskit::domain {

/// <binary path=> on the node: as the XML has it, none (libvirt looks its own up), or this one.
struct KeepBinary {
    bool operator==(const KeepBinary&) const = default;
};
struct DropBinary {
    bool operator==(const DropBinary&) const = default;
};
struct SetBinary {
    std::string path;
    bool operator==(const SetBinary&) const = default;
};
using BinaryRewrite = std::variant<KeepBinary, DropBinary, SetBinary>;

/// Where a node has a share: exactly one of directory and socket.
struct NodeShare {
    std::optional<std::string> source_dir;
    std::optional<std::string> source_socket;
    BinaryRewrite binary = KeepBinary{};
};

/// Asked once per <filesystem> of driver virtiofs or path, in order. Nothing: the share is not
/// ours, it stays as it is. An Error ends the rewrite.
using NodeShareLookup =
    std::function<Result<std::optional<NodeShare>>(const DomainFilesystem& filesystem)>;

/// One value that was changed.
struct Rewrite {
    std::string tag;
    std::string dirid;
    std::string what; ///< "source dir", "source socket", "binary path"
    std::string from; ///< "" when there was none
    std::string to;   ///< "" when it is gone
};

struct RewriteResult {
    std::string xml; ///< the input itself when nothing changed
    std::vector<Rewrite> rewrites;
    [[nodiscard]] bool changed() const { return !rewrites.empty(); }
};

/// Pure: order, addresses, tags, read-only and every byte besides source and binary stay, because
/// the destination's libvirt compares them. A 9p filesystem cannot get a socket: EINVAL. A hook
/// prints nothing when changed() is false: any output taints the domain.
Result<RewriteResult> rewrite_for_node(std::string_view xml, const NodeShareLookup& lookup);

} // namespace vfskit::domain
