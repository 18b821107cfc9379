// SPDX-License-Identifier: Apache-2.0
#include "core/check/cluster.h"

#include <algorithm>
#include <utility>

namespace vfskit::check {
namespace {

using mapping::DirectoryMapping;
using node::DaemonFacts;
using node::NodeFacts;

/// Keeps the facts collected last of each node.
std::vector<NodeFacts> newest(std::vector<NodeFacts> facts) {
    std::ranges::stable_sort(facts, [](const NodeFacts& a, const NodeFacts& b) {
        return a.node != b.node ? a.node < b.node : a.collected_at > b.collected_at;
    });
    // Not std::ranges::unique: clang 14 cannot compile the subrange that g++ 12's library returns.
    const auto rest =
        std::unique(facts.begin(), facts.end(), [](const NodeFacts& a, const NodeFacts& b) {
            return a.node == b.node;
        });
    facts.erase(rest, facts.end());
    return facts;
}

bool is_better(const DaemonFacts* candidate, const DaemonFacts* best) {
    return best == nullptr || (candidate->is_alive && !best->is_alive);
}

} // namespace

ClusterNode::ClusterNode(const NodeFacts& facts, std::size_t index)
    : facts_{&facts}, index_{index} {
    binaries_.reserve(facts.virtiofsds.size()); // pointers into it follow
    for (const auto& binary : facts.virtiofsds) {
        binaries_.push_back({&binary, check::abilities_of(binary)});
        const auto* const here = &binaries_.back();
        const auto rank = [](const Binary* candidate) {
            const bool is_ours = candidate->facts->kind == node::BinaryKind::bundled;
            return candidate->facts->is_libvirt_default           ? 3
                   : candidate->abilities.migrates != Answer::yes ? 0
                   : is_ours                                      ? 2
                                                                  : 1;
        };
        if (default_binary_ == nullptr || rank(here) > rank(default_binary_)) {
            default_binary_ = here;
        }
        if (bundled_binary_ == nullptr && binary.kind == node::BinaryKind::bundled) {
            bundled_binary_ = here;
        }
    }
    if (bundled_binary_ == nullptr) {
        bundled_binary_ = default_binary_;
    }
    for (const auto& daemon : facts.daemons) {
        if (daemon.vm) {
            daemons_by_vm_[*daemon.vm].push_back(&daemon);
        }
        if (daemon.socket) {
            auto& best = daemons_by_socket_[*daemon.socket];
            best = is_better(&daemon, best) ? &daemon : best;
        }
    }
    for (const auto& guest : facts.guests) {
        guests_.emplace(guest.name, &guest);
    }
}

const DaemonFacts* ClusterNode::find_daemon(std::string_view vm,
                                            std::string_view tag,
                                            std::string_view dirid,
                                            std::string_view socket) const {
    const auto found = daemons_by_vm_.find(vm);
    const DaemonFacts* by_tag = nullptr;
    const DaemonFacts* by_dirid = nullptr;
    if (found != daemons_by_vm_.end()) {
        for (const auto* daemon : found->second) {
            if (daemon->tag == tag) {
                by_tag = is_better(daemon, by_tag) ? daemon : by_tag;
            } else if (!daemon->tag && daemon->dirid == dirid) {
                by_dirid = is_better(daemon, by_dirid) ? daemon : by_dirid;
            }
        }
    }
    if (by_tag != nullptr || by_dirid != nullptr) {
        return by_tag != nullptr ? by_tag : by_dirid;
    }
    return socket.empty() ? nullptr : find_listener(socket);
}

const DaemonFacts* ClusterNode::find_listener(std::string_view socket) const {
    const auto found = daemons_by_socket_.find(socket);
    return found == daemons_by_socket_.end() ? nullptr : found->second;
}

const node::GuestFacts* ClusterNode::find_guest(std::string_view name) const {
    const auto found = guests_.find(name);
    // Proxmox VE's guests are called by VMID here and by their name option there.
    return found == guests_.end() ? facts_->find_guest(name) : found->second;
}

const ClusterNode::Binary* ClusterNode::find_binary(std::string_view path) const {
    const auto found = std::ranges::find_if(
        binaries_, [path](const Binary& binary) { return binary.facts->path == path; });
    return found == binaries_.end() ? nullptr : &*found;
}

DaemonAbilities ClusterNode::abilities_of(const DaemonFacts& daemon) const {
    const auto* const binary = find_binary(daemon.binary);
    return check::abilities_of(daemon, binary == nullptr ? nullptr : binary->facts);
}

Cluster::Cluster(std::vector<DirectoryMapping> mappings, std::vector<NodeFacts> facts)
    : mappings_{std::move(mappings)}, facts_{newest(std::move(facts))} {
    nodes_.reserve(facts_.size());
    for (const auto& node : facts_) {
        node_index_.emplace(node.node, nodes_.size());
        nodes_.emplace_back(node, nodes_.size());
    }
    std::unordered_map<std::string_view, std::vector<const node::PathFacts*>> looked_at;
    for (const auto& node : facts_) {
        for (const auto& path : node.paths) {
            auto& by_node = looked_at[path.dirid];
            by_node.resize(nodes_.size());
            by_node[node_index_.at(node.node)] = &path;
        }
    }
    paths_.resize(mappings_.size() * nodes_.size());
    for (std::size_t i = 0; i < mappings_.size(); ++i) {
        const auto& mapping = mappings_[i];
        mapping_index_.emplace(mapping.id, i);
        const auto facts_of = looked_at.find(mapping.id);
        for (const auto& [name, path] : mapping.paths) {
            const auto node = node_index_.find(name);
            if (node == node_index_.end()) {
                continue;
            }
            auto& entry = paths_[i * nodes_.size() + node->second];
            if (entry.path != nullptr) {
                continue; // two paths for one node: the first counts, as in mapping::find_path
            }
            entry.path = &path;
            const auto* const seen =
                facts_of == looked_at.end() ? nullptr : facts_of->second[node->second];
            entry.facts = seen != nullptr && seen->path == path ? seen : nullptr;
        }
    }
}

const ClusterNode* Cluster::find_node(std::string_view name) const {
    const auto found = node_index_.find(name);
    return found == node_index_.end() ? nullptr : &nodes_[found->second];
}

const DirectoryMapping* Cluster::find_mapping(std::string_view dirid) const {
    const auto found = mapping_index_.find(dirid);
    return found == mapping_index_.end() ? nullptr : &mappings_[found->second];
}

MappedPath Cluster::path_of(const DirectoryMapping& mapping,
                            std::string_view node_name,
                            const ClusterNode* node) const {
    if (node != nullptr) {
        const auto index = static_cast<std::size_t>(&mapping - mappings_.data());
        return paths_[index * nodes_.size() + node->index()];
    }
    const auto found = std::ranges::find(mapping.paths, node_name, &mapping::NodePath::node);
    return {.path = found == mapping.paths.end() ? nullptr : &found->path, .facts = nullptr};
}

std::vector<std::string_view> Cluster::node_names() const {
    std::vector<std::string_view> names;
    for (const auto& node : facts_) {
        names.emplace_back(node.node);
    }
    for (const auto& mapping : mappings_) {
        for (const auto& path : mapping.paths) {
            names.emplace_back(path.node);
        }
    }
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

} // namespace vfskit::check
