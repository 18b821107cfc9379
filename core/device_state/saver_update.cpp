// SPDX-License-Identifier: Apache-2.0
// Saver: what the guest changed after everything was located.
#include "core/device_state/saver.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace vfskit::device_state {

using passthrough::InodeView;

bool Saver::update(const std::vector<NodeId>& changed, const Suspects& suspects) {
    suspects_ = suspects;
    for (const auto id : strays_) {
        suspects_.insert(static_cast<std::uint64_t>(id));
    }
    std::unordered_set<std::uint64_t> ids{suspects_};
    for (const auto id : changed) {
        ids.insert(static_cast<std::uint64_t>(id));
    }
    std::vector<Standing> standings;
    for (const auto id : ids) {
        if (const auto i = find(NodeId{id}); i != none) {
            standings.push_back({NodeId{id}, is_found(i), records_[i].is_below_raw_name, false});
            withdraw(i);
        }
    }
    std::vector<NodeId> gone;
    for (const auto id : changed) { // the others are where a search found them
        refresh(id, gone);
    }
    if (!remove_all(gone)) {
        return false;
    }
    for (auto& standing : standings) {
        const auto i = find(standing.id);
        standing.has_dependents = i != none && records_[i].dependents != 0;
    }
    std::vector<std::size_t> some;
    for (const auto id : ids) {
        if (const auto i = find(NodeId{id}); i != none) {
            some.push_back(i);
        }
    }
    locate_some(some, std::atomic<bool>{false});
    return std::all_of(standings.begin(),
                       standings.end(),
                       [this](const auto& standing) { return is_upheld(standing); }) &&
           std::none_of(some.begin(), some.end(), [this](auto i) { return is_in_circle(i); });
}

/// Undoes what located it. Its file handle stays: a file has one for life.
void Saver::withdraw(std::size_t i) {
    const auto parent = parent_of(i);
    auto& record = records_[i];
    auto& location = state_.inodes[i].location;
    if (std::holds_alternative<PathLocation>(location) || record.is_below_raw_name) {
        --state_.inodes[parent].refcount;
    }
    if (parent != none) {
        --records_[parent].dependents;
    }
    if (record.place_index != none) {
        remove_place(i);
    }
    if (!std::holds_alternative<FileHandleLocation>(location)) {
        location = InvalidLocation{};
    }
    record.is_below_raw_name = false;
}

void Saver::remove_place(std::size_t i) {
    auto& places = state_.trailer->places;
    const auto at = std::exchange(records_[i].place_index, none);
    if (at + 1 != places.size()) {
        places[at] = std::move(places.back());
        records_[find(places[at].id)].place_index = at;
    }
    places.pop_back();
}

/// The record that it is found in, or has its place in.
std::size_t Saver::parent_of(std::size_t i) const {
    if (const auto place = records_[i].place_index; place != none) {
        return find(state_.trailer->places[place].parent);
    }
    const auto* path = std::get_if<PathLocation>(&state_.inodes[i].location);
    return path == nullptr ? none : find(path->parent);
}

/// Reads from the store what it knows by now.
void Saver::refresh(NodeId id, std::vector<NodeId>& gone) {
    const auto i = find(id);
    const bool is_known = inodes_.visit(id, [&](const InodeView& inode) {
        if (i == none) {
            append(inode);
            describe(records_.size() - 1);
            return;
        }
        auto& record = records_[i];
        state_.inodes[i].refcount += inode.lookup_count - record.lookup_count;
        record.lookup_count = inode.lookup_count;
        record.parent = inode.place.parent;
        record.name = inode.place.name;
    });
    if (!is_known && i != none) {
        gone.push_back(id);
    }
}

/// False when something else is still below one of them.
bool Saver::remove_all(const std::vector<NodeId>& gone) {
    for (const auto id : gone) {
        const auto i = find(id);
        if (records_[i].dependents != 0) {
            return false;
        }
        remove(i);
    }
    return true;
}

/// The last one takes its position.
void Saver::remove(std::size_t i) {
    const auto last = records_.size() - 1;
    auto& files = state_.trailer->files;
    index_.erase(static_cast<std::uint64_t>(records_[i].id));
    if (i != last) {
        index_[static_cast<std::uint64_t>(records_[last].id)] = i;
        records_[i] = std::move(records_[last]);
        state_.inodes[i] = std::move(state_.inodes[last]);
        if (!files.empty()) {
            files[i] = files[last];
        }
    }
    records_.pop_back();
    state_.inodes.pop_back();
    if (!files.empty()) {
        files.pop_back();
    }
}

/// What is below it stays right only as long as it is as it was.
bool Saver::is_upheld(const Standing& standing) const {
    if (!standing.has_dependents) {
        return true;
    }
    const auto i = find(standing.id);
    return is_found(i) == standing.was_found &&
           records_[i].is_below_raw_name == standing.was_below_raw_name;
}

/// Only those that were looked at again can have closed one.
bool Saver::is_in_circle(std::size_t i) const {
    constexpr int longest_way = 4096;
    if (!S_ISDIR(records_[i].type) || options_.mode == SaveMode::file_handles) {
        return false;
    }
    auto at = parent_of(i);
    for (int steps = 0; at != none && at != i && steps < longest_way; ++steps) {
        at = parent_of(at);
    }
    return at != none;
}

} // namespace vfskit::device_state
