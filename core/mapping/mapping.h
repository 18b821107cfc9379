// SPDX-License-Identifier: Apache-2.0
// Room mapping, floor 1.
// Is: the directory mapping: one dirid, a path per node, how its shares may be live-migrated; the
// rules
//     for ids, node names and paths, each as Proxmox VE reads them and in our strict mode.
// Knows: what a valid mapping is.
// Does not know: where mappings are stored, who shares them, or whether a path exists.
#pragma once

#include "core/base/result.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::mapping {

/// How a share of the mapping moves with a running VM; virtiofsd's migration modes and our fd
/// passing. Spelled find-paths, file-handles, fd-passing in every file and option.
enum class MigrationMethod {
    find_paths,   ///< each inode travels as its path inside the shared directory
    file_handles, ///< as its name_to_handle_at(2) handle: same filesystem on both ends,
                  ///< CAP_DAC_READ_SEARCH
    fd_passing,   ///< open descriptors over a UNIX socket: same host, bundled daemon on both ends
};

/// What the paths of two nodes are to each other. Spelled same-directory, replicas.
enum class PathRelation {
    same_directory, ///< one directory of a shared filesystem: verified handles make sense
    replicas,       ///< copies with the same names: an inode there is never the inode here
};

std::string_view to_string(MigrationMethod method);
std::string_view to_string(PathRelation relation);
/// EINVAL with the allowed words and, where one is near, "did you mean".
Result<MigrationMethod> parse_migration_method(std::string_view word);
Result<PathRelation> parse_path_relation(std::string_view word);

/// Where one node has the directory.
struct NodePath {
    std::string node;
    std::string path;

    bool operator==(const NodePath&) const = default;
};

/// One directory mapping. A plain value: stores read and write it, validate() judges it. Texts are
/// bytes as they were in the store (a Proxmox description may be Latin-1).
struct DirectoryMapping {
    std::string id; ///< dirid: PVE's configid; also the virtiofs tag unless a share names one
    std::vector<NodePath> paths; ///< in the store's order; one per node once validated
    std::optional<std::string> description;
    std::optional<MigrationMethod> live_migration_method; ///< absent: not live-migratable
    std::optional<PathRelation> path_relation; ///< absent: nobody has said; treated as replicas

    bool operator==(const DirectoryMapping&) const = default;
};

/// The path on `node`, or nothing. With two entries for one node (hand-edited files) the first.
std::optional<std::string_view> find_path(const DirectoryMapping& mapping, std::string_view node);

/// Which rules apply. `pve`: what Proxmox VE itself accepts, byte for byte, so that every file it
/// reads is read here too. `strict`: what we let anybody define anew: see the functions below.
enum class Rules { pve, strict };

/// virtio-fs tag and strict dirid limit in bytes (virtio 1.2, 5.11.4 "tag").
inline constexpr std::size_t max_tag_bytes = 36;

/// PVE (JSONSchema.pm "pve-configid"): [a-z][a-z0-9_-]+ without regard to case, so at least two
/// characters; Perl's `$` lets one trailing line feed through. Strict: no line feed, at most
/// max_tag_bytes, because the id becomes the tag and QEMU refuses longer ones at VM start.
Result<void> validate_dirid(std::string_view id, Rules rules);

/// PVE ("pve-node"): letters, digits and inner hyphens, no dots. Strict: at most 63 bytes (a host
/// label).
Result<void> validate_node(std::string_view node, Rules rules);

/// PVE (Mapping/Dir.pm): begins with '/' and one character that is none of ";,=()", nothing else is
/// checked, but a comma can never be read back. Strict: absolute, none of ";,=()" anywhere, no
/// control characters, no blanks at the end, valid UTF-8, no "//", "." or ".." components, no slash
/// at the end, at most 4095 bytes.
Result<void> validate_path(std::string_view path, Rules rules);

/// PVE: at most 4096 bytes (PVE counts characters, but reads the file's bytes as Latin-1), no line
/// feed. Strict: also not empty, valid UTF-8 without control characters, and without leading or
/// trailing blanks, which a re-read would lose.
Result<void> validate_description(std::string_view description, Rules rules);

/// Strict only: no file-handles or fd-passing between replicas.
Result<void> validate_method(const DirectoryMapping& mapping);

/// The whole mapping: id, at least one path, every path and node, no node twice, description.
/// Strict: also validate_method(). The error's place names the key.
Result<void> validate(const DirectoryMapping& mapping, Rules rules);

} // namespace vfskit::mapping
