// SPDX-License-Identifier: Apache-2.0
// Room store, floor 2.
// Is: where mappings live: the MappingStore interface and its engines (YAML file, Proxmox section
// config, etcd). Knows: file formats, revisions, locks, and how to change one mapping and leave
// every other byte alone. Does not know: shares, nodes' real directories, or who asks.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vfskit::store {

/// Names one content of a store. Opaque; equal revisions mean equal content. For files: SHA-1 of
/// the bytes in hex, the digest that Proxmox VE uses too (of both files where a store has two).
struct Revision {
    std::string text;
    bool operator==(const Revision&) const = default;
};

/// Something a reader should know about the store's content: what PVE would warn about, or what was
/// dropped while reading. `line` is 1-based.
struct Notice {
    Place place;
    std::string message;
    bool operator==(const Notice&) const = default;
};

/// Everything at one moment. The mappings are in the store's order and were read with Rules::pve: a
/// caller that needs strict ones validates them.
struct Snapshot {
    Revision revision;
    std::vector<mapping::DirectoryMapping> mappings;
    std::vector<Notice> notices;
    /// The store could not be reached, and this is what was last read of it; a notice says so.
    bool is_old = false;

    /// The mapping with this id, or nullptr. Proxmox VE compares ids with case, and so do we.
    [[nodiscard]] const mapping::DirectoryMapping* find(std::string_view id) const;
};

/// Defines the mapping, or replaces the one with the same id.
struct PutMapping {
    mapping::DirectoryMapping mapping;
};
/// Removes it; it is no error when it is not there.
struct RemoveMapping {
    std::string id;
};
using Edit = std::variant<PutMapping, RemoveMapping>;

/// One place where mappings live. An object may be used from one thread at a time; any number of
/// objects and processes may use the same store.
class MappingStore {
public:
    virtual ~MappingStore() = default;

    /// What the store is, for messages: "yaml:/etc/vfskit/mappings.yaml".
    [[nodiscard]] virtual std::string url() const = 0;

    /// Reads everything. A store that does not exist yet is empty, not an error. EBADMSG with file
    /// and line for content that cannot be read at all; what PVE would only warn about comes as a
    /// Notice.
    virtual Result<Snapshot> snapshot() = 0;

    /// Compare-and-set: applies all edits in order, or none. ESTALE when the store is no longer at
    /// `expected`; EINVAL when a mapping fails its rules; EROFS, ENOSPC, EDQUOT, EACCES, ETIMEDOUT
    /// (lock) … leave the store as it was. Bytes that no edit touches stay as they are. Gives the
    /// new revision.
    virtual Result<Revision> commit(const Revision& expected, const std::vector<Edit>& edits) = 0;

    /// Blocks until the store is no longer at `seen` or `timeout` is over; true if it changed.
    virtual Result<bool> wait_for_change(const Revision& seen,
                                         std::chrono::milliseconds timeout) = 0;
};

/// Reads, asks `decide` for the edits, commits; on ESTALE begins again with a fresh snapshot, so
/// that two writers both succeed and neither loses. `decide` may be called several times; its Error
/// ends the attempt. No edits: nothing is written. EAGAIN after `max_attempts` lost races.
Result<Revision> update(MappingStore& store,
                        const std::function<Result<std::vector<Edit>>(const Snapshot&)>& decide,
                        int max_attempts = 16);

/// Opens the store that `url` names: "yaml:/path", "pve:/etc/pve" (its mapping/directory.cfg),
/// "etcd://host:2379/prefix" (see etcd_url.h), or a bare path ending in .yaml or .yml. EINVAL names
/// the url and lists what is known. Nothing is read yet.
Result<std::unique_ptr<MappingStore>> open_store(std::string_view url);

/// The directory of a "pve:" URL without slashes at its end, "/etc/pve"; nothing for another URL.
std::optional<std::string> pve_root(std::string_view url);

/// The file of a YAML store's URL, with "yaml:" or without.
std::string yaml_path(std::string_view url);

/// Which store is used: `option` (from --store) if given, else `environment` (VFSKIT_STORE) if not
/// empty, else "pve:/etc/pve" where pmxcfs is mounted, else "yaml:/etc/vfskit/mappings.yaml".
std::string
choose_store_url(std::string_view option, std::string_view environment, bool pmxcfs_is_mounted);

/// True if `root` is a mounted pmxcfs: it has the symbolic link "local" that pmxcfs makes
/// (pve-cluster tests the same).
bool is_pmxcfs(const std::string& root);

} // namespace vfskit::store
