// SPDX-License-Identifier: Apache-2.0
// Where the nodes of a cluster leave documents about themselves for each other, beside the
// mappings. This room does not know what is in them.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// What one node has published.
struct PublishedFacts {
    std::string node;
    std::string document;

    bool operator==(const PublishedFacts&) const = default;
};

/// One object is used from one thread at a time; any number of processes may use the same place.
/// Each node writes its own document only, so writers never meet.
class FactsStore {
public:
    virtual ~FactsStore() = default;

    /// For messages: "directory '/var/lib/vfskit/facts'".
    [[nodiscard]] virtual std::string place() const = 0;
    /// Replaces the node's document, atomically. EFBIG above max_document_bytes(); EACCES without
    /// quorum or permission; EHOSTUNREACH. Where the place can forget by itself (etcd's leases), it
    /// does after `lifetime`.
    virtual Result<void>
    publish(std::string_view node, std::string_view document, std::chrono::seconds lifetime) = 0;
    /// What the node has published; nothing if it has not.
    virtual Result<std::optional<std::string>> read(std::string_view node) = 0;
    /// All, by node.
    virtual Result<std::vector<PublishedFacts>> read_all() = 0;
    /// No error when there is nothing.
    virtual Result<void> withdraw(std::string_view node) = 0;
};

/// The largest document that every kind of place takes. pmxcfs keeps its files in the memory of all
/// nodes, takes 1 MiB and sends 128 KiB at a time.
inline constexpr std::size_t max_facts_bytes = 512 << 10;

/// Where single hosts and shared directories keep them when nothing else is said.
inline constexpr std::string_view default_facts_directory = "/var/lib/vfskit/facts";

/// A directory with a file NODE.json for each node: a local one, or one that all nodes mount.
std::unique_ptr<FactsStore> open_facts_directory(std::string path);

/// The place that belongs to the mappings at `store_url`: for "pve:ROOT" ROOT/mapping/vfskit-facts,
/// for "etcd://…" keys beside the mappings', for a YAML file `directory`. EINVAL for a URL that
/// open_store() does not know either.
Result<std::unique_ptr<FactsStore>>
open_facts_store(std::string_view store_url, std::string_view directory = default_facts_directory);

} // namespace vfskit::store
