// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/inode_store.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace vfskit::passthrough {

using fuse::Errno;
using fuse::Outcome;

InodeRef& InodeRef::operator=(InodeRef&& other) noexcept {
    if (this != &other) {
        drop();
        store_ = other.store_;
        inode_ = std::exchange(other.inode_, nullptr);
    }
    return *this;
}

void InodeRef::drop() {
    if (auto* inode = std::exchange(inode_, nullptr); inode != nullptr && inode->state.leave()) {
        store_->delete_record(*inode);
    }
}

// ---- start and end
// -------------------------------------------------------------------------------

Result<FileHandleMode> InodeStore::try_file_handles(int root_fd, const Options& options) {
    if (options.file_handles == FileHandleMode::never) {
        return FileHandleMode::never;
    }
    struct statx status {};
    HostFileHandle handle;
    std::uint32_t mount = 0;
    int error = stat_fd(root_fd, status);
    if (error == 0) {
        error = get_file_handle(root_fd, handle, mount);
    }
    if (error == 0) {
        MountTable trial{options.proc_self_fd};
        error = trial.retain(MountId{mount}, root_fd, status.stx_mode, handle) ? 0 : -EPERM;
    }
    if (error == 0) {
        return options.file_handles;
    }
    if (options.file_handles == FileHandleMode::prefer) {
        return FileHandleMode::never;
    }
    return Error::from_errno(-error, "File handles of the shared directory cannot be used")
        .with_remedy("Give the daemon CAP_DAC_READ_SEARCH and a filesystem with file handles, or "
                     "use --inode-file-handles=prefer");
}

Result<std::unique_ptr<InodeStore>> InodeStore::open(UniqueFd root, const Options& options) {
    VFSKIT_TRY_ASSIGN(const auto mode, try_file_handles(root.get(), options));
    struct statx status {};
    if (const int error = stat_fd(root.get(), status); error != 0) {
        return Error::from_errno(-error, "Cannot stat the shared directory");
    }
    HostFileHandle handle;
    std::unique_ptr<InodeStore> store{new InodeStore{options, mode}};
    (void)store->find_handle(root.get(), status, handle);
    auto record =
        std::make_unique<Inode>(NodeId::root, HostIdentity::of(status), status.stx_mode, handle);
    record->is_permanent = true;
    record->lookup_count = 2; // as upstream's streams have it: the guest's, and one of our own
    (void)record->state.install_fd(root.release());
    store->root_ = record.release();
    store->identities_->shard(ByIdentityTraits::hash(*store->root_)).insert(store->root_);
    store->add_to_id_table(*store->root_);
    store->size_ = 1;
    return store;
}

InodeStore::InodeStore(const Options& options, FileHandleMode mode)
    : mode_{mode}, proc_self_fd_{options.proc_self_fd}, mounts_{options.proc_self_fd},
      ring_{options.fd_limit, options.inode_fd_limit} {}

InodeStore::~InodeStore() {
    clear();
    delete root_;
}

void InodeStore::clear() {
    (void)arrivals_.wait();
    changes_.note_everything();
    for (auto& shard : ids_->shards()) {
        std::vector<Inode*> gone;
        {
            const std::lock_guard lock{shard.mutex};
            shard.for_each([&](Inode& inode) {
                if (!inode.is_permanent) {
                    gone.push_back(&inode);
                }
            });
            for (auto* inode : gone) {
                inode->lookup_count.store(0);
                shard.remove(inode);
            }
        }
        for (auto* inode : gone) {
            unlink_record(*inode);
        }
    }
}

void InodeStore::unlink_record(Inode& inode) {
    {
        auto& shard = identities_->shard(ByIdentityTraits::hash(inode));
        const std::lock_guard lock{shard.mutex};
        shard.remove(&inode);
        unplace_locked(inode);
    }
    size_.fetch_sub(1, std::memory_order_relaxed);
    if (inode.state.doom()) {
        delete_record(inode);
    }
}

void InodeStore::delete_record(Inode& inode) {
    ring_.remove(inode);
    if (inode.handle) {
        mounts_.release(inode.identity.mount);
    }
    delete &inode;
}

// ---- finding and making records
// ------------------------------------------------------------------

InodeRef InodeStore::find(NodeId id) {
    auto inode = find_now(id);
    if (!inode && arrivals_.wait()) {
        inode = find_now(id);
    }
    return inode;
}

InodeRef InodeStore::find_now(NodeId id) {
    const auto hash = ByIdTraits::hash(id);
    auto& shard = ids_->shard(hash);
    const std::lock_guard lock{shard.mutex};
    auto* inode = shard.find(hash, [id](const Inode& known) { return known.id == id; });
    if (inode == nullptr) {
        return {};
    }
    inode->state.enter();
    return {*this, *inode};
}

bool InodeStore::forget(NodeId id, std::uint64_t count) {
    (void)arrivals_.wait(); // nobody waits for the answer
    const auto hash = ByIdTraits::hash(id);
    auto& shard = ids_->shard(hash);
    Inode* gone = nullptr;
    {
        const std::lock_guard lock{shard.mutex};
        auto* inode = shard.find(hash, [id](const Inode& known) { return known.id == id; });
        if (inode == nullptr || inode->is_permanent) {
            return false;
        }
        auto references = inode->lookup_count.load();
        while (!inode->lookup_count.compare_exchange_weak(
            references, references - std::min(references, count))) {
        }
        changes_.note(*inode);
        if (references <= count) {
            shard.remove(inode);
            gone = inode;
        }
    }
    if (gone != nullptr) {
        unlink_record(*gone);
    }
    return gone != nullptr;
}

/// False for a record that has just been forgotten: that cannot be taken back, its id is gone.
bool InodeStore::take_reference(Inode& inode) {
    auto references = inode.lookup_count.load();
    do {
        if (references == 0) {
            return false;
        }
    } while (!inode.lookup_count.compare_exchange_weak(references, references + 1));
    changes_.note(inode);
    return true;
}

InodeRef InodeStore::reference_locked(Inode& inode, nlink_t links, const FilePlace& place) {
    inode.state.enter();
    const bool is_elsewhere = inode.parent != place.parent || inode.name_view() != place.name;
    // A file with several links is in several places; taking each in turn would only cost.
    const bool has_one_place = links <= 1 || S_ISDIR(inode.type) || !inode.name;
    if (is_elsewhere && has_one_place && !place.name.empty() && !inode.is_permanent) {
        unplace_locked(inode);
        place_locked(inode, place);
    }
    return {*this, inode};
}

InodeRef InodeStore::reference_open(const struct statx& status, const FilePlace& place) {
    const auto identity = HostIdentity::of(status);
    const auto hash = ByIdentityTraits::hash(identity);
    auto& shard = identities_->shard(hash);
    const std::lock_guard lock{shard.mutex};
    auto* inode = shard.find(hash, [this, &identity](Inode& known) {
        return known.identity == identity && known.state.fd() >= 0 && take_reference(known);
    });
    return inode == nullptr ? InodeRef{} : reference_locked(*inode, status.stx_nlink, place);
}

int InodeStore::find_handle(int fd, const struct statx& status, HostFileHandle& handle) {
    handle = {};
    if (mode_ == FileHandleMode::never) {
        return 0;
    }
    std::uint32_t mount = 0;
    int error = get_file_handle(fd, handle, mount);
    if (error == 0 && (std::uint64_t{mount} != status.stx_mnt_id ||
                       !mounts_.retain(MountId{mount}, fd, status.stx_mode, handle))) {
        error = -EOPNOTSUPP;
    }
    if (error != 0) {
        handle = {};
    }
    return mode_ == FileHandleMode::mandatory ? error : 0;
}

Outcome<InodeRef>
InodeStore::find_or_make(int fd, const struct statx& status, const FilePlace& place) {
    if (auto known = reference_open(status, place)) {
        return known;
    }
    (void)arrivals_.wait(); // its record may be on its way
    HostFileHandle handle;
    if (const int error = find_handle(fd, status, handle); error != 0) {
        return Errno{-error};
    }
    auto fresh = std::make_unique<Inode>(
        NodeId{next_id_.fetch_add(1)}, HostIdentity::of(status), status.stx_mode, handle);
    return insert(std::move(fresh), place, status.stx_nlink);
}

Outcome<InodeRef>
InodeStore::reference(UniqueFd fd, const struct statx& status, const FilePlace& place) {
    VFSKIT_TRY_ASSIGN(auto inode, find_or_make(fd.get(), status, place));
    keep_fd(inode, std::move(fd), place);
    return inode;
}

Outcome<InodeRef>
InodeStore::reference_io(int fd, const struct statx& status, const FilePlace& place) {
    VFSKIT_TRY_ASSIGN(auto inode, find_or_make(fd, status, place));
    if (!inode->handle && inode->state.fd() < 0) {
        // Not a duplicate: that would count as a writer of the file for as long as it is known.
        // With a handle it is opened when needed; a file just created is mostly used by its handle.
        keep_fd(inode,
                UniqueFd{::openat(proc_self_fd_, FdName{fd}.c_str(), O_PATH | O_CLOEXEC)},
                place);
    }
    return inode;
}

InodeRef InodeStore::insert(std::unique_ptr<Inode> fresh, const FilePlace& place, nlink_t links) {
    const auto hash = ByIdentityTraits::hash(*fresh);
    const auto handle = fresh->handle.expand();
    const auto is_same_file = [&](Inode& known) {
        if (!known.identity.has_same_number(fresh->identity)) {
            return false;
        }
        const bool is_same = known.handle && fresh->handle
                                 ? known.handle.is(handle)
                                 : known.identity.birth == fresh->identity.birth;
        return is_same && take_reference(known);
    };
    auto& shard = identities_->shard(hash);
    {
        const std::lock_guard lock{shard.mutex};
        if (auto* known = shard.find(hash, is_same_file); known == nullptr) {
            auto& inode = *fresh.release();
            shard.insert(&inode);
            inode.state.enter();
            changes_.note(inode);
            if (!place.name.empty()) {
                place_locked(inode, place);
            }
            add_to_id_table(inode);
            size_.fetch_add(1, std::memory_order_relaxed);
            return {*this, inode};
        } else {
            auto found = reference_locked(*known, links, place);
            if (fresh->handle) {
                mounts_.release(fresh->identity.mount);
            }
            return found;
        }
    }
}

void InodeStore::add_to_id_table(Inode& inode) {
    auto& shard = ids_->shard(ByIdTraits::hash(inode));
    const std::lock_guard lock{shard.mutex};
    shard.insert(&inode);
}

// ---- migration
// -----------------------------------------------------------------------------------

InodeView InodeStore::view_of(const Inode& inode, std::uint64_t references) {
    return {inode.id,
            references,
            {inode.parent, inode.name_view()},
            inode.type,
            inode.identity,
            inode.handle};
}

void InodeStore::for_each(const std::function<void(const InodeView&)>& visit) {
    (void)arrivals_.wait();
    for (auto& shard : identities_->shards()) {
        const std::lock_guard lock{shard.mutex};
        shard.for_each([&visit](const Inode& inode) {
            if (const auto references = inode.lookup_count.load(); references != 0) {
                visit(view_of(inode, references));
            }
        });
    }
}

bool InodeStore::visit(NodeId id, const std::function<void(const InodeView&)>& visit) {
    const auto inode = find(id);
    if (!inode) {
        return false;
    }
    auto& shard = identities_->shard(ByIdentityTraits::hash(*inode));
    const std::lock_guard lock{shard.mutex};
    const auto references = inode->lookup_count.load();
    if (references != 0) {
        visit(view_of(*inode, references));
    }
    return references != 0;
}

void InodeStore::begin_changes() {
    (void)arrivals_.wait(); // each would be a change
    changes_.begin();
    (void)take_changes(); // of an earlier time
}

void InodeStore::end_changes() {
    changes_.end();
    (void)take_changes();
}

std::optional<std::vector<NodeId>> InodeStore::take_changes() {
    auto taken = changes_.take();
    for (const auto id : taken.ids) {
        if (const auto inode = find(id)) {
            inode.inode_->is_noted = false;
        }
    }
    if (taken.is_everything) {
        return std::nullopt;
    }
    return std::move(taken.ids);
}

void InodeStore::raise_next_id(NodeId id) {
    const auto wanted = static_cast<std::uint64_t>(id);
    auto next = next_id_.load();
    while (next < wanted && !next_id_.compare_exchange_weak(next, wanted)) {
    }
}

void InodeStore::set_root_lookup_count(std::uint64_t count) {
    root_->lookup_count.store(std::max<std::uint64_t>(count, 1));
}

void InodeStore::reserve(std::size_t count) {
    ids_->reserve(count);
    identities_->reserve(count);
    names_->reserve(count);
}

/// False when the id is taken.
bool InodeStore::add_with_id(Inode& inode) {
    const auto hash = ByIdTraits::hash(inode);
    auto& shard = ids_->shard(hash);
    const std::lock_guard lock{shard.mutex};
    if (shard.find(hash, [&inode](const Inode& known) { return known.id == inode.id; }) !=
        nullptr) {
        return false;
    }
    shard.insert(&inode);
    return true;
}

InodeRef InodeStore::add_restored_locked(std::unique_ptr<Inode> record, const FilePlace& place) {
    auto& inode = *record.release();
    identities_->shard(ByIdentityTraits::hash(inode)).insert(&inode);
    if (!place.name.empty()) {
        place_locked(inode, place);
    }
    size_.fetch_add(1, std::memory_order_relaxed);
    return {*this, inode};
}

Outcome<InodeRef> InodeStore::add_restored(std::unique_ptr<Inode> record, const FilePlace& place) {
    const std::lock_guard lock{identities_->shard(ByIdentityTraits::hash(*record)).mutex};
    record->state.enter();
    if (record->id == NodeId{} || !add_with_id(*record)) {
        if (record->handle) {
            mounts_.release(record->identity.mount);
        }
        return Errno{record->id == NodeId{} ? EINVAL : EEXIST};
    }
    return add_restored_locked(std::move(record), place);
}

Outcome<InodeRef> InodeStore::restore(NodeId id,
                                      std::uint64_t lookup_count,
                                      UniqueFd fd,
                                      const struct statx& status,
                                      const FilePlace& place) {
    HostFileHandle handle;
    if (const int error = find_handle(fd.get(), status, handle); error != 0) {
        return Errno{-error};
    }
    auto record = std::make_unique<Inode>(id, HostIdentity::of(status), status.stx_mode, handle);
    record->lookup_count = lookup_count;
    VFSKIT_TRY_ASSIGN(auto inode, add_restored(std::move(record), place));
    raise_next_id(NodeId{static_cast<std::uint64_t>(id) + 1});
    keep_fd(inode, std::move(fd), place);
    return inode;
}

bool InodeStore::opens_handles_of(MountId mount) {
    if (mode_ == FileHandleMode::never || !mounts_.retain_known(mount)) {
        return false;
    }
    mounts_.release(mount);
    return true;
}

Outcome<void> InodeStore::restore_unopened(NodeId id,
                                           std::uint64_t lookup_count,
                                           const HostIdentity& identity,
                                           mode_t type,
                                           const HostFileHandle& handle,
                                           const FilePlace& place) {
    if (handle && (mode_ == FileHandleMode::never || !mounts_.retain_known(identity.mount))) {
        return Errno{EOPNOTSUPP};
    }
    raise_next_id(NodeId{static_cast<std::uint64_t>(id) + 1});
    auto record = std::make_unique<Inode>(id, identity, type, handle);
    record->lookup_count = lookup_count;
    const std::lock_guard lock{identities_->shard(ByIdentityTraits::hash(*record)).mutex};
    record->state.enter();
    add_to_id_table(*record);
    const auto inode = add_restored_locked(std::move(record), place);
    return {};
}

Outcome<void> InodeStore::restore_lost(NodeId id, std::uint64_t lookup_count) {
    auto record = std::make_unique<Inode>(id, HostIdentity{}, mode_t{0}, HostFileHandle{});
    record->lookup_count = lookup_count;
    VFSKIT_TRY_ASSIGN(const auto inode, add_restored(std::move(record), {}));
    raise_next_id(NodeId{static_cast<std::uint64_t>(id) + 1});
    return {};
}

} // namespace vfskit::passthrough
