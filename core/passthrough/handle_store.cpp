// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/handle_store.h"

#include "core/base/request_path.h"

#include <fcntl.h>

#include <vector>

namespace vfskit::passthrough {

int host_open_flags(std::uint32_t guest_flags, const OpenFlagRules& rules) {
    auto passing = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC | O_NONBLOCK | O_LARGEFILE;
    if (rules.allows_direct_io) {
        passing |= O_DIRECT;
    }
    if (rules.preserves_noatime) {
        passing |= O_NOATIME;
    }
    int flags = static_cast<int>(guest_flags) & passing;
    if (rules.has_writeback && (flags & O_ACCMODE) == O_WRONLY) {
        flags = (flags & ~O_ACCMODE) | O_RDWR;
    }
    return flags;
}

HandleRef::~HandleRef() {
    if (handle_ != nullptr) {
        store_->leave(*handle_);
    }
}

HandleStore::~HandleStore() {
    clear();
    for (auto& spares : spares_) {
        while (auto* handle = spares.first) {
            spares.first = handle->next;
            delete handle;
        }
    }
}

std::unique_ptr<Handle> HandleStore::take_spare(std::uint64_t hash) {
    auto& spares = spares_.at(hash % Table::shard_count);
    const std::lock_guard lock{spares.mutex};
    auto* handle = spares.first;
    if (handle == nullptr) {
        return std::make_unique<Handle>();
    }
    spares.first = handle->next;
    --spares.size;
    return std::unique_ptr<Handle>{handle};
}

VFSKIT_OUT_OF_LINE void HandleStore::recycle(Handle& handle) {
    std::unique_ptr<Handle> owned{&handle};
    if (handle.fd && !take_over_(handle)) {
        handle.fd.reset();
        on_closed_();
    }
    auto& spares = spares_.at(Traits::hash(handle) % Table::shard_count);
    const std::lock_guard lock{spares.mutex};
    if (spares.size < spare_per_shard) {
        handle.next = spares.first;
        spares.first = owned.release();
        ++spares.size;
    }
}

void HandleStore::leave(Handle& handle) {
    if (handle.users.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        recycle(handle);
    }
}

bool HandleStore::restore(HandleId id, Opening opening) {
    const auto hash = Traits::hash(id);
    auto handle = take_spare(hash);
    handle->id = id;
    handle->node = opening.node;
    handle->fd = std::move(opening.fd);
    handle->guest_flags = opening.guest_flags;
    handle->type = opening.type;
    handle->is_remote = opening.is_remote;
    handle->is_foreign = opening.is_foreign;
    handle->directory_offset = opening.is_foreign ? Handle::unknown_offset : 0;
    handle->has_flock = opening.has_flock;
    handle->users = 1; // the table's
    auto& shard = table_.shard(hash);
    const std::lock_guard lock{shard.mutex};
    if (shard.find(hash, [id](const Handle& known) { return known.id == id; }) != nullptr) {
        return false;
    }
    shard.insert(handle.release());
    size_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

HandleId HandleStore::add(Opening opening) {
    const HandleId id{next_id_.fetch_add(1)};
    (void)restore(id, std::move(opening)); // a fresh id is never taken
    return id;
}

HandleRef HandleStore::find(HandleId id) {
    const auto hash = Traits::hash(id);
    auto& shard = table_.shard(hash);
    const std::lock_guard lock{shard.mutex};
    auto* handle = shard.find(hash, [id](const Handle& known) { return known.id == id; });
    if (handle == nullptr) {
        return {};
    }
    handle->users.fetch_add(1, std::memory_order_relaxed);
    return {*this, *handle};
}

bool HandleStore::remove(HandleId id) {
    const auto hash = Traits::hash(id);
    auto& shard = table_.shard(hash);
    Handle* handle = nullptr;
    {
        const std::lock_guard lock{shard.mutex};
        handle = shard.find(hash, [id](const Handle& known) { return known.id == id; });
        if (handle == nullptr) {
            return false;
        }
        shard.remove(handle);
    }
    size_.fetch_sub(1, std::memory_order_relaxed);
    leave(*handle);
    return true;
}

void HandleStore::clear() {
    for (auto& shard : table_.shards()) {
        std::vector<HandleId> ids;
        {
            const std::lock_guard lock{shard.mutex};
            shard.for_each([&ids](const Handle& handle) { ids.push_back(handle.id); });
        }
        for (const auto id : ids) {
            remove(id);
        }
    }
}

void HandleStore::raise_next_id(HandleId id) {
    const auto wanted = static_cast<std::uint64_t>(id);
    auto next = next_id_.load();
    while (next < wanted && !next_id_.compare_exchange_weak(next, wanted)) {
    }
}

void HandleStore::for_each(const std::function<void(const Handle&)>& visit) {
    for (auto& shard : table_.shards()) {
        const std::lock_guard lock{shard.mutex};
        shard.for_each([&visit](const Handle& handle) { visit(handle); });
    }
}

} // namespace vfskit::passthrough
