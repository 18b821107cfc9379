// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/place_check.h"

#include "core/device_state/paths.h"
#include "core/passthrough/host_calls.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::device_state {

using passthrough::InodeStore;
using passthrough::InodeView;

namespace {

struct KnownPlace {
    NodeId id{};
    NodeId parent{};
    std::string name;
};

/// Neighbours have one parent, whose descriptor is then at hand.
std::vector<KnownPlace> places_by_parent(InodeStore& inodes) {
    std::vector<KnownPlace> places;
    places.reserve(inodes.size());
    inodes.for_each([&places](const InodeView& inode) {
        if (!inode.place.name.empty()) {
            places.push_back({inode.id, inode.place.parent, std::string{inode.place.name}});
        }
    });
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
        return a.parent < b.parent;
    });
    return places;
}

} // namespace

Suspects find_suspects(InodeStore& inodes, const std::atomic<bool>& cancelled) {
    Suspects suspects;
    for (const auto& place : places_by_parent(inodes)) {
        if (cancelled.load(std::memory_order_relaxed)) {
            break;
        }
        // What has been forgotten meanwhile does not matter any more.
        const auto inode = inodes.find(place.id);
        if (inode && !is_at_place(inodes, inode, place.parent, place.name)) {
            suspects.insert(static_cast<std::uint64_t>(place.id));
        }
    }
    return suspects;
}

std::vector<NodeId> find_deleted(InodeStore& inodes,
                                 const Suspects& suspects,
                                 const std::atomic<bool>& cancelled,
                                 std::size_t limit) {
    std::vector<NodeId> candidates;
    for (const auto id : suspects) {
        candidates.push_back(NodeId{id});
    }
    inodes.for_each([&candidates](const InodeView& inode) {
        if (inode.place.name.empty() && inode.type != 0 && inode.id != NodeId::root) {
            candidates.push_back(inode.id);
        }
    });
    std::sort(candidates.begin(), candidates.end());
    std::vector<NodeId> deleted;
    for (const auto id : candidates) {
        if (cancelled.load(std::memory_order_relaxed) || deleted.size() == limit) {
            break;
        }
        const auto inode = inodes.find(id);
        if (!inode) {
            continue;
        }
        const auto fd = inodes.fd_of(inode);
        struct statx status {};
        if (fd.is_valid() && passthrough::stat_fd(fd.get(), status) == 0 && status.stx_nlink == 0) {
            deleted.push_back(id);
        }
    }
    return deleted;
}

void PlaceCheck::start(Then then) {
    cancel();
    cancelled_ = false;
    thread_ = std::thread{[this, then = std::move(then)] {
        suspects_ = find_suspects(inodes_, cancelled_);
        if (then && !cancelled_) {
            then(suspects_, cancelled_);
        }
    }};
}

void PlaceCheck::cancel() {
    cancelled_ = true;
    (void)take();
}

std::optional<Suspects> PlaceCheck::take() {
    if (!thread_.joinable()) {
        return std::nullopt;
    }
    thread_.join();
    return std::exchange(suspects_, {});
}

} // namespace vfskit::device_state
