// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/inode_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

namespace {

/// Ids go up by one for each file ever met; a number from here on is not one, and adding to it
/// would overflow.
constexpr std::uint64_t id_limit = std::uint64_t{1} << 62U;

Error wrong(std::string message) {
    return Error{EBADMSG, std::move(message)}.with_remedy(
        "The source's daemon sent a broken device state; check its log and version");
}

/// From id to position. Ids go up by one, so mostly a plain array is it.
class Index {
public:
    explicit Index(const std::vector<SavedInode>& inodes) {
        std::uint64_t highest = 0;
        for (const auto& inode : inodes) {
            highest = std::max(highest, static_cast<std::uint64_t>(inode.id));
        }
        if (constexpr std::size_t sparsest = 8; highest / sparsest <= inodes.size()) {
            dense_.assign(static_cast<std::size_t>(highest) + 1, InodeTree::none);
        } else {
            sparse_.reserve(inodes.size());
        }
    }
    /// False when it is there.
    bool add(std::uint64_t id, std::size_t i) {
        if (dense_.empty()) {
            return sparse_.emplace(id, i).second;
        }
        return std::exchange(dense_[static_cast<std::size_t>(id)], i) == InodeTree::none;
    }
    [[nodiscard]] std::size_t find(NodeId node) const {
        const auto id = static_cast<std::uint64_t>(node);
        if (!dense_.empty()) {
            return id < dense_.size() ? dense_[static_cast<std::size_t>(id)] : InodeTree::none;
        }
        const auto found = sparse_.find(id);
        return found == sparse_.end() ? InodeTree::none : found->second;
    }

private:
    std::vector<std::size_t> dense_;
    std::unordered_map<std::uint64_t, std::size_t> sparse_;
};

class Builder {
public:
    explicit Builder(const State& state) : state_{state}, index_{state.inodes} {
        tree_.nodes.resize(state.inodes.size());
    }

    Result<InodeTree> build() && {
        VFSKIT_TRY(index_ids());
        VFSKIT_TRY(connect_paths());
        VFSKIT_TRY(connect_places());
        VFSKIT_TRY(take_off_references());
        VFSKIT_TRY(sort());
        VFSKIT_TRY(check_handles());
        if (state_.trailer) {
            VFSKIT_TRY(check_locks(*state_.trailer));
            VFSKIT_TRY(check_nameless(*state_.trailer));
            VFSKIT_TRY(check_opened(*state_.trailer));
            VFSKIT_TRY(check_numbers(*state_.trailer));
        }
        return std::move(tree_);
    }

private:
    Result<void> index_ids() {
        for (std::size_t i = 0; i < state_.inodes.size(); ++i) {
            const auto& inode = state_.inodes[i];
            const auto id = static_cast<std::uint64_t>(inode.id);
            if (id == 0 || id >= id_limit) {
                return wrong(
                    fmt::format("The device state has an inode with the impossible id {}", id));
            }
            if (!index_.add(id, i)) {
                return wrong(fmt::format("The device state has inode {} twice", id));
            }
            const bool is_root_location = std::holds_alternative<RootLocation>(inode.location);
            if (is_root_location != (inode.id == NodeId::root)) {
                return wrong(
                    is_root_location
                        ? fmt::format("The device state says that inode {} is the root", id)
                        : std::string{
                              "The device state says that the root is an inode like others"});
            }
        }
        if (static_cast<std::uint64_t>(state_.next_inode) > id_limit ||
            static_cast<std::uint64_t>(state_.next_handle) > id_limit) {
            return wrong("The device state has no ids left to give");
        }
        return {};
    }

    [[nodiscard]] std::size_t find(NodeId id) const { return index_.find(id); }

    Result<void>
    connect(std::size_t child, NodeId parent, std::string_view name, bool is_found_by_place) {
        auto& node = tree_.nodes[child];
        node.parent = find(parent);
        node.name = name;
        node.is_found_by_place = is_found_by_place;
        if (node.parent == InodeTree::none) {
            return wrong(fmt::format(
                "The device state puts inode {} ('{}') into directory {}, which it does not have",
                static_cast<std::uint64_t>(state_.inodes[child].id),
                name,
                static_cast<std::uint64_t>(parent)));
        }
        return {};
    }

    Result<void> connect_paths() {
        for (std::size_t i = 0; i < state_.inodes.size(); ++i) {
            if (const auto* path = std::get_if<PathLocation>(&state_.inodes[i].location)) {
                VFSKIT_TRY(connect(i, path->parent, path->name, true));
            }
        }
        return {};
    }

    Result<void> connect_places() {
        if (!state_.trailer) {
            return {};
        }
        for (const auto& place : state_.trailer->places) {
            const auto i = find(place.id);
            if (i == InodeTree::none || tree_.nodes[i].parent != InodeTree::none) {
                return wrong(fmt::format("The device state has a place for inode {}, which {}",
                                         static_cast<std::uint64_t>(place.id),
                                         i == InodeTree::none ? "it does not have" : "has one"));
            }
            const auto& location = state_.inodes[i].location;
            if (std::holds_alternative<RootLocation>(location)) {
                return wrong("The device state has a place for the root");
            }
            VFSKIT_TRY(connect(
                i, place.parent, place.name, std::holds_alternative<InvalidLocation>(location)));
        }
        return {};
    }

    Result<void> take_off_references() {
        for (std::size_t i = 0; i < state_.inodes.size(); ++i) {
            tree_.nodes[i].lookup_count = state_.inodes[i].refcount;
        }
        for (const auto& node : tree_.nodes) {
            if (!node.is_found_by_place) {
                continue;
            }
            if (tree_.nodes[node.parent].lookup_count-- == 0) {
                const auto& parent = state_.inodes[node.parent];
                return wrong(fmt::format(
                    "The device state gives inode {} {} references, fewer than it has children",
                    static_cast<std::uint64_t>(parent.id),
                    parent.refcount));
            }
        }
        return {};
    }

    // Parents first: each inode is put behind its ancestors, which are climbed once.
    Result<void> sort() {
        enum class Mark : std::uint8_t { unseen, on_way, done };
        std::vector<Mark> marks(tree_.nodes.size(), Mark::unseen);
        tree_.order.reserve(tree_.nodes.size());
        std::vector<std::size_t> way;
        for (std::size_t start = 0; start < tree_.nodes.size(); ++start) {
            for (auto i = start; i != InodeTree::none && marks[i] != Mark::done; i = way_up(i)) {
                if (marks[i] == Mark::on_way) {
                    return wrong(fmt::format("The device state has inode {} below itself",
                                             static_cast<std::uint64_t>(state_.inodes[i].id)));
                }
                marks[i] = Mark::on_way;
                way.push_back(i);
            }
            for (; !way.empty(); way.pop_back()) {
                marks[way.back()] = Mark::done;
                tree_.order.push_back(way.back());
            }
        }
        return {};
    }
    [[nodiscard]] std::size_t way_up(std::size_t i) const {
        return tree_.nodes[i].is_found_by_place ? tree_.nodes[i].parent : InodeTree::none;
    }

    Result<void> check_handles() {
        std::unordered_set<std::uint64_t> handles;
        handles.reserve(state_.handles.size());
        for (const auto& handle : state_.handles) {
            const auto id = static_cast<std::uint64_t>(handle.id);
            if (id >= id_limit || !handles.insert(id).second) {
                return wrong(fmt::format(
                    "The device state has open file {} twice, or its id is impossible", id));
            }
            if (find(handle.node) == InodeTree::none) {
                return wrong(fmt::format(
                    "The device state has open file {} of inode {}, which it does not have",
                    id,
                    static_cast<std::uint64_t>(handle.node)));
            }
        }
        if (state_.trailer) {
            for (const auto& flags : state_.trailer->guest_flags) {
                if (handles.erase(static_cast<std::uint64_t>(flags.id)) == 0) {
                    return wrong(fmt::format("The device state has flags for open file {}, which "
                                             "it does not have, or has them twice",
                                             static_cast<std::uint64_t>(flags.id)));
                }
            }
        }
        return {};
    }

    Result<void> check_locks(const Trailer& trailer) {
        if (!trailer.locks.is_empty() && !trailer.offer) {
            return wrong("The device state has locks and no offer of the descriptors they belong "
                         "to");
        }
        for (const auto& lock : trailer.locks.posix) {
            if (find(lock.node) == InodeTree::none) {
                return wrong(
                    fmt::format("The device state has a lock on inode {}, which it does not have",
                                static_cast<std::uint64_t>(lock.node)));
            }
        }
        std::unordered_set<std::uint64_t> handles;
        for (const auto& handle : state_.handles) {
            handles.insert(static_cast<std::uint64_t>(handle.id));
        }
        for (const auto id : trailer.locks.flocks) {
            if (handles.erase(static_cast<std::uint64_t>(id)) == 0) {
                return wrong(fmt::format("The device state has a lock of open file {}, which it "
                                         "does not have, or has it twice",
                                         static_cast<std::uint64_t>(id)));
            }
        }
        return {};
    }

    Result<void> check_nameless(const Trailer& trailer) {
        std::unordered_set<std::uint64_t> seen;
        for (const auto& file : trailer.nameless) {
            const auto i = find(file.id);
            const bool is_nameless =
                i != InodeTree::none && tree_.nodes[i].parent == InodeTree::none &&
                std::holds_alternative<InvalidLocation>(state_.inodes[i].location);
            if (!is_nameless || !seen.insert(static_cast<std::uint64_t>(file.id)).second) {
                return wrong(fmt::format("The device state has a file handle for inode {}, which "
                                         "it does not have, or which needs none",
                                         static_cast<std::uint64_t>(file.id)));
            }
        }
        return {};
    }

    Result<void> check_opened(const Trailer& trailer) {
        std::unordered_set<std::uint64_t> seen;
        for (const auto& file : trailer.opened) {
            const auto i = find(file.id);
            const bool has_place = i != InodeTree::none && tree_.nodes[i].is_found_by_place;
            if (!has_place || !seen.insert(static_cast<std::uint64_t>(file.id)).second) {
                return wrong(fmt::format("The device state has a file handle for open inode {}, "
                                         "which it does not have, or which has no place",
                                         static_cast<std::uint64_t>(file.id)));
            }
        }
        return {};
    }

    Result<void> check_numbers(const Trailer& trailer) {
        std::unordered_set<std::uint64_t> seen;
        seen.reserve(trailer.numbers.size());
        for (const auto& number : trailer.numbers) {
            const auto id = static_cast<std::uint64_t>(number.id);
            if (find(number.id) == InodeTree::none || !seen.insert(id).second) {
                return wrong(fmt::format("The device state has a file number for inode {}, which "
                                         "it does not have, or has it twice",
                                         id));
            }
        }
        return {};
    }

    const State& state_;
    InodeTree tree_;
    Index index_;
};

} // namespace

Result<InodeTree> InodeTree::make(const State& state) {
    return Builder{state}.build();
}

} // namespace vfskit::device_state
