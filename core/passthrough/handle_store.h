// SPDX-License-Identifier: Apache-2.0
// What the guest has open: handle id -> descriptor.
#pragma once

#include "core/base/unique_fd.h"
#include "core/fuse/filesystem.h"
#include "core/passthrough/sharded_table.h"

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

namespace vfskit::passthrough {

using fuse::HandleId;
using fuse::NodeId;

/// Rules by which the guest's open(2) flags become the host's.
struct OpenFlagRules {
    bool allows_direct_io = false;
    bool preserves_noatime = false;
    bool has_writeback = false;
};

/// The flags to open with on the host, whichever request they come from and before and after a
/// migration. Only flags that change what a descriptor does to the file pass. O_APPEND never does:
/// the guest's kernel writes back pages at their offsets, and an append is asked for write by
/// write. With a writeback cache the guest reads what a write-only program writes around.
[[nodiscard]] int host_open_flags(std::uint32_t guest_flags, const OpenFlagRules& rules);

/// One open file of the guest. What is not marked is constant.
struct Handle {
    HandleId id{};
    NodeId node{};
    UniqueFd fd;
    /// As the guest sent them, for a migration; the descriptor has host_open_flags() of them.
    std::uint32_t guest_flags = 0;
    mode_t type = 0; ///< S_IFMT bits
    /// On a filesystem where a short read need not be the end and close(2) may report errors.
    bool is_remote = false;
    /// The descriptor came from another daemon, and with it from another mount namespace: names
    /// that were looked up through it would seem to be on another filesystem.
    bool is_foreign = false;

    std::mutex directory_mutex; ///< one listing at a time: getdents64() moves the offset
    static constexpr off_t unknown_offset = std::numeric_limits<off_t>::min();
    off_t directory_offset = 0; ///< the descriptor's, guarded by directory_mutex

    std::atomic<bool> has_flock{false}; ///< the guest holds a flock(2) lock on the host by it
    std::atomic<std::uint32_t> users{0};
    Handle* next = nullptr; // guarded by the shard's mutex
};

class HandleStore;

/// One use of a handle: its descriptor stays open meanwhile. Empty: no such handle.
class [[nodiscard]] HandleRef {
public:
    HandleRef() = default;
    HandleRef(HandleRef&& other) noexcept
        : store_{other.store_}, handle_{std::exchange(other.handle_, nullptr)} {}
    HandleRef& operator=(HandleRef&&) = delete;
    HandleRef(const HandleRef&) = delete;
    HandleRef& operator=(const HandleRef&) = delete;
    ~HandleRef();

    explicit operator bool() const { return handle_ != nullptr; }
    Handle& operator*() const { return *handle_; }
    Handle* operator->() const { return handle_; }

private:
    friend class HandleStore;
    HandleRef(HandleStore& store, Handle& handle) : store_{&store}, handle_{&handle} {}
    HandleStore* store_ = nullptr;
    Handle* handle_ = nullptr;
};

/// Thread-safe. Ids begin at 0, as upstream's do, and are never used again. Each shard keeps some
/// closed records for the next open, so that opening a file allocates nothing.
class HandleStore {
public:
    /// `on_closed` is called once per handle whose descriptor has been closed (the budget's count).
    /// Handles without one do not count. `take_over` may take the descriptor of a handle that is
    /// about to be closed, and the count with it: true.
    explicit HandleStore(
        std::function<void()> on_closed,
        std::function<bool(Handle&)> take_over = [](Handle&) { return false; })
        : on_closed_{std::move(on_closed)}, take_over_{std::move(take_over)} {}
    ~HandleStore();
    HandleStore(const HandleStore&) = delete;
    HandleStore& operator=(const HandleStore&) = delete;

    struct Opening {
        NodeId node{};
        UniqueFd fd;
        std::uint32_t guest_flags = 0;
        mode_t type = 0;
        bool is_remote = false;
        bool is_foreign = false; ///< its offset is not known either
        bool has_flock = false;
    };
    HandleId add(Opening opening);
    /// With an id from a migration; false when it is taken. Without a descriptor it is a handle
    /// that the guest has and the host lost: its use answers EIO.
    [[nodiscard]] bool restore(HandleId id, Opening opening);
    HandleRef find(HandleId id);
    /// Takes it out; the descriptor is closed when the last user is done. False: not there.
    bool remove(HandleId id);
    void clear();

    [[nodiscard]] HandleId next_id() const { return HandleId{next_id_.load()}; }
    /// Later ids are at least this.
    void raise_next_id(HandleId id);
    /// Holds one shard's lock during a call: `visit` must not call back into the store.
    void for_each(const std::function<void(const Handle&)>& visit);
    [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

private:
    friend class HandleRef;
    struct Traits {
        static std::uint64_t hash(HandleId id) { return mix(static_cast<std::uint64_t>(id)); }
        static std::uint64_t hash(const Handle& handle) { return hash(handle.id); }
    };
    using Table = ShardedTable<Handle, &Handle::next, Traits>;
    static constexpr std::size_t spare_per_shard = 16;
    struct alignas(64) Spares {
        std::mutex mutex;
        Handle* first = nullptr;
        std::size_t size = 0;
    };

    std::unique_ptr<Handle> take_spare(std::uint64_t hash);
    void leave(Handle& handle);
    void recycle(Handle& handle);

    std::function<void()> on_closed_;
    std::function<bool(Handle&)> take_over_;
    Table table_;
    std::array<Spares, Table::shard_count> spares_;
    std::atomic<std::uint64_t> next_id_{0};
    std::atomic<std::size_t> size_{0};
};

} // namespace vfskit::passthrough
