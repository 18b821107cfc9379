// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/idle_files.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace vfskit::passthrough {

UniqueFd IdleFiles::put(NodeId node, int flags, UniqueFd fd) {
    if (per_shard_ == 0) {
        return fd;
    }
    UniqueFd displaced;
    auto& shard = shard_of(node);
    const std::lock_guard lock{shard.mutex};
    if (shard.entries.size() >= per_shard_) {
        displaced = std::move(shard.entries.front().fd);
        shard.entries.erase(shard.entries.begin());
    }
    shard.entries.push_back({node, flags, std::move(fd)});
    shard.size.store(shard.entries.size(), std::memory_order_relaxed);
    return displaced;
}

UniqueFd IdleFiles::take(NodeId node, int flags) {
    auto& shard = shard_of(node);
    if (shard.size.load(std::memory_order_relaxed) == 0) {
        return {};
    }
    const std::lock_guard lock{shard.mutex};
    const auto found = std::find_if(
        shard.entries.rbegin(), shard.entries.rend(), [node, flags](const Entry& entry) {
            return entry.node == node && entry.flags == flags;
        });
    if (found == shard.entries.rend()) {
        return {};
    }
    auto fd = std::move(found->fd);
    shard.entries.erase(std::next(found).base());
    shard.size.store(shard.entries.size(), std::memory_order_relaxed);
    return fd;
}

template <class Matches>
std::size_t IdleFiles::drop_if(Shard& shard, Matches matches) {
    if (shard.size.load(std::memory_order_relaxed) == 0) {
        return 0;
    }
    std::vector<Entry> dropped; // made before the lock: closed after it
    const std::lock_guard lock{shard.mutex};
    const auto kept =
        std::stable_partition(shard.entries.begin(),
                              shard.entries.end(),
                              [&matches](const Entry& entry) { return !matches(entry); });
    dropped.assign(std::make_move_iterator(kept), std::make_move_iterator(shard.entries.end()));
    shard.entries.erase(kept, shard.entries.end());
    shard.size.store(shard.entries.size(), std::memory_order_relaxed);
    return dropped.size();
}

std::size_t IdleFiles::drop(NodeId node) {
    return drop_if(shard_of(node), [node](const Entry& entry) { return entry.node == node; });
}

std::size_t IdleFiles::clear() {
    std::size_t count = 0;
    for (auto& shard : shards_) {
        count += drop_if(shard, [](const Entry&) { return true; });
    }
    return count;
}

std::size_t IdleFiles::size() const {
    std::size_t count = 0;
    for (const auto& shard : shards_) {
        count += shard.size.load(std::memory_order_relaxed);
    }
    return count;
}

} // namespace vfskit::passthrough
