// SPDX-License-Identifier: Apache-2.0
// InodeStore: where the guest found each file last.
#include "core/passthrough/inode_store.h"

#include <algorithm>

namespace vfskit::passthrough {

void InodeStore::place_locked(Inode& inode, const FilePlace& place) {
    auto name = std::make_unique<char[]>(place.name.size() + 2);
    name[0] = static_cast<char>(place.name.size());
    *std::copy(place.name.begin(), place.name.end(), name.get() + 1) = '\0';
    inode.parent = place.parent;
    inode.name = std::move(name);
    changes_.note(inode);
    auto& shard = names_->shard(ByNameTraits::hash(inode));
    const std::lock_guard lock{shard.mutex};
    shard.insert(&inode);
}

void InodeStore::unplace_locked(Inode& inode) {
    if (!inode.name) {
        return;
    }
    {
        auto& shard = names_->shard(ByNameTraits::hash(inode));
        const std::lock_guard lock{shard.mutex};
        shard.remove(&inode);
    }
    inode.name.reset();
    inode.parent = NodeId{};
    changes_.note(inode);
}

InodeRef InodeStore::find_by_place(const FilePlace& place) {
    auto inode = find_now(place);
    if (!inode && arrivals_.wait()) {
        inode = find_now(place);
    }
    return inode;
}

InodeRef InodeStore::find_now(const FilePlace& place) {
    const auto hash = ByNameTraits::hash(place.parent, place.name);
    auto& shard = names_->shard(hash);
    const std::lock_guard lock{shard.mutex};
    auto* inode = shard.find(hash, [&place](const Inode& known) {
        return known.parent == place.parent && known.name_view() == place.name;
    });
    if (inode == nullptr) {
        return {};
    }
    inode->state.enter();
    return {*this, *inode};
}

bool InodeStore::is_probably_at(const FilePlace& place, HostIno ino) {
    const auto hash = ByNameTraits::hash(place.parent, place.name);
    auto& shard = names_->shard(hash);
    const std::lock_guard lock{shard.mutex};
    return shard.find(hash, [&](const Inode& known) {
        return known.identity.ino == ino && known.state.fd() >= 0 && known.parent == place.parent &&
               known.name_view() == place.name;
    }) != nullptr;
}

void InodeStore::hold(const InodeRef& inode) {
    // With a handle, a file without a name lives as long as the guest has it open, and that is a
    // descriptor of its own; a directory may be somebody's working directory without being open.
    const bool lives_on = inode->handle && !S_ISDIR(inode->type);
    if (lives_on || inode->state.fd() >= 0 || inode->is_lost()) {
        return;
    }
    if (const int fd = open_again(*inode.inode_, true); fd >= 0) {
        (void)cache(*inode.inode_, UniqueFd{fd}, true);
    }
}

void InodeStore::leave_place(const InodeRef& inode, const FilePlace& place) {
    auto& shard = identities_->shard(ByIdentityTraits::hash(*inode));
    const std::lock_guard lock{shard.mutex};
    if (inode->parent == place.parent && inode->name_view() == place.name) {
        unplace_locked(*inode.inode_);
    }
}

void InodeStore::move_place(const InodeRef& inode, const FilePlace& from, const FilePlace& to) {
    auto& shard = identities_->shard(ByIdentityTraits::hash(*inode));
    const std::lock_guard lock{shard.mutex};
    if (inode->parent == from.parent && inode->name_view() == from.name) {
        unplace_locked(*inode.inode_);
        // A record that is being forgotten has left the table already and must not come back.
        if (inode->lookup_count.load() != 0) {
            place_locked(*inode.inode_, to);
        }
    }
}

} // namespace vfskit::passthrough
