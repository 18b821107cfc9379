// SPDX-License-Identifier: Apache-2.0
// The mappings and the facts of all nodes, indexed once for many checks.
#pragma once

#include "core/check/daemon_abilities.h"
#include "core/mapping/mapping.h"
#include "core/node/facts.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vfskit::check {

/// One node whose facts are known.
class ClusterNode {
public:
    ClusterNode(const node::NodeFacts& facts, std::size_t index);
    ClusterNode(const ClusterNode&) = delete; // it points into itself
    ClusterNode& operator=(const ClusterNode&) = delete;
    ClusterNode(ClusterNode&&) = default;
    ClusterNode& operator=(ClusterNode&&) = default;
    ~ClusterNode() = default;

    [[nodiscard]] const node::NodeFacts& facts() const { return *facts_; }
    /// Its place among the cluster's nodes.
    [[nodiscard]] std::size_t index() const { return index_; }
    /// The daemon of a VM's share: by tag, else by mapping, else by socket; an alive one first. Or
    /// nullptr.
    [[nodiscard]] const node::DaemonFacts* find_daemon(std::string_view vm,
                                                       std::string_view tag,
                                                       std::string_view dirid,
                                                       std::string_view socket) const;
    /// The daemon that listens on, or serves, `socket`; an alive one first. Or nullptr.
    [[nodiscard]] const node::DaemonFacts* find_listener(std::string_view socket) const;
    [[nodiscard]] const node::GuestFacts* find_guest(std::string_view name) const;

    /// A virtiofsd binary and what it can do.
    struct Binary {
        const node::BinaryFacts* facts;
        DaemonAbilities abilities;
    };
    /// The binary at `path`, or nullptr.
    [[nodiscard]] const Binary* find_binary(std::string_view path) const;
    /// The one that libvirt would take when the XML names none; else any that can migrate, ours
    /// first; else any. Or nullptr.
    [[nodiscard]] const Binary* default_binary() const { return default_binary_; }
    /// Our own, else default_binary().
    [[nodiscard]] const Binary* bundled_binary() const { return bundled_binary_; }
    /// What the running daemon can do.
    [[nodiscard]] DaemonAbilities abilities_of(const node::DaemonFacts& daemon) const;

private:
    const node::NodeFacts* facts_;
    std::size_t index_;
    std::vector<Binary> binaries_;
    const Binary* default_binary_ = nullptr;
    const Binary* bundled_binary_ = nullptr;
    std::unordered_map<std::string_view, std::vector<const node::DaemonFacts*>> daemons_by_vm_;
    std::unordered_map<std::string_view, const node::DaemonFacts*> daemons_by_socket_;
    std::unordered_map<std::string_view, const node::GuestFacts*> guests_;
};

/// Where one node has a mapping's directory.
struct MappedPath {
    const std::string* path = nullptr; ///< nullptr: the mapping has none on the node
    /// Of this very path; nullptr when nobody looked at it.
    const node::PathFacts* facts = nullptr;
};

/// Owns what it indexes and never changes afterwards: any number of threads may read it.
class Cluster {
public:
    /// Of several facts about one node the ones collected last count.
    Cluster(std::vector<mapping::DirectoryMapping> mappings, std::vector<node::NodeFacts> facts);
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    Cluster(Cluster&&) = default;
    Cluster& operator=(Cluster&&) = default;
    ~Cluster() = default;

    /// The node's facts, or nullptr.
    [[nodiscard]] const ClusterNode* find_node(std::string_view name) const;
    [[nodiscard]] std::span<const ClusterNode> nodes() const { return nodes_; }
    [[nodiscard]] const std::vector<mapping::DirectoryMapping>& mappings() const {
        return mappings_;
    }
    [[nodiscard]] const mapping::DirectoryMapping* find_mapping(std::string_view dirid) const;
    /// Where `node`, whose facts may be missing (nullptr), has `mapping` (one of find_mapping's).
    [[nodiscard]] MappedPath path_of(const mapping::DirectoryMapping& mapping,
                                     std::string_view node_name,
                                     const ClusterNode* node) const;
    /// Every node that has facts or stands in a mapping, sorted.
    [[nodiscard]] std::vector<std::string_view> node_names() const;

private:
    std::vector<mapping::DirectoryMapping> mappings_;
    std::vector<node::NodeFacts> facts_;
    std::vector<ClusterNode> nodes_;
    std::unordered_map<std::string_view, std::size_t> node_index_;
    std::unordered_map<std::string_view, std::size_t> mapping_index_;
    std::vector<MappedPath> paths_; ///< mapping times nodes
};

} // namespace vfskit::check
