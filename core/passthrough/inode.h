// SPDX-License-Identifier: Apache-2.0
// One file that the guest knows, as a record of 120 bytes.
//
// It has room for 16 bytes of file handle, which is what ext4, xfs, tmpfs and f2fs need; btrfs (40
// bytes) and overlayfs take a second allocation.
#pragma once

#include "core/fuse/filesystem.h"
#include "core/passthrough/host_calls.h"

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace vfskit::passthrough {

using fuse::NodeId;

enum class HostIno : std::uint64_t {};
/// Which mounted filesystem, as in mountinfo(5) and STATX_MNT_ID.
enum class MountId : std::uint32_t {};

/// What tells host files apart without their names. An inode number may be used again after its
/// file is gone; `birth` (from the creation time, 0 where the filesystem has none) then differs.
struct HostIdentity {
    HostIno ino{};
    MountId mount{};
    std::uint32_t device = 0; ///< dev_t in Linux's 32-bit encoding
    std::uint32_t birth = 0;

    static HostIdentity of(const struct statx& status);
    /// Equal but for `birth`.
    [[nodiscard]] bool has_same_number(const HostIdentity& other) const {
        return ino == other.ino && mount == other.mount && device == other.device;
    }
    bool operator==(const HostIdentity&) const = default;
};

/// A HostFileHandle in the space that it needs.
class CompactHandle {
public:
    CompactHandle() = default;
    explicit CompactHandle(const HostFileHandle& handle);
    CompactHandle(const CompactHandle&) = delete;
    CompactHandle& operator=(const CompactHandle&) = delete;
    ~CompactHandle();

    [[nodiscard]] explicit operator bool() const { return size_ != 0; }
    [[nodiscard]] HostFileHandle expand() const;
    [[nodiscard]] bool is(const HostFileHandle& handle) const;

private:
    static constexpr std::size_t inline_size = 16;
    [[nodiscard]] const std::byte* data() const;

    union {
        std::array<std::byte, inline_size> inline_;
        std::byte* outside_;
    };
    int type_ = 0;
    std::uint8_t size_ = 0;
};

/// Users, the cached O_PATH descriptor and the record's fate in one atomic word, so that the common
/// request pays one addition to come and one to go.
class InodeState {
public:
    /// Adds a user: neither the record nor the descriptor goes away under it. The descriptor, or
    /// -1 when none is cached.
    int enter();
    /// True when the caller was the last user of a doomed record and must delete it.
    [[nodiscard]] bool leave();
    /// No table refers to the record any more. True when nobody uses it: the caller must delete it.
    [[nodiscard]] bool doom();

    [[nodiscard]] int fd() const { return fd_of(word_.load(std::memory_order_acquire)); }
    /// Makes `fd` the cached one; false when there is one already.
    [[nodiscard]] bool install_fd(int fd);
    /// For the clock: enters, if nobody uses it and it was not used since the last call; else
    /// clears the mark of use.
    [[nodiscard]] bool enter_if_idle();
    /// For the only user: takes the descriptor out; -1 when somebody else came, or there is none.
    [[nodiscard]] int take_fd_if_alone();
    /// For the record's end.
    [[nodiscard]] int take_fd();

private:
    // bits 0-30 users, 31 used since the clock came by, 32-62 descriptor + 1, 63 doomed
    static constexpr std::uint64_t one_user = 1;
    static constexpr std::uint64_t users_mask = 0x7fffffff;
    static constexpr std::uint64_t used_bit = std::uint64_t{1} << 31U;
    static constexpr std::uint64_t fd_mask = std::uint64_t{0x7fffffff} << 32U;
    static constexpr std::uint64_t doomed_bit = std::uint64_t{1} << 63U;
    static int fd_of(std::uint64_t word) { return static_cast<int>((word & fd_mask) >> 32U) - 1; }
    static std::uint64_t word_of(int fd) {
        return static_cast<std::uint64_t>(static_cast<unsigned>(fd + 1)) << 32U;
    }

    std::atomic<std::uint64_t> word_{0};
};

/// The record. What is not marked is constant once the record is in the tables.
struct Inode {
    Inode(NodeId node_id, const HostIdentity& host_identity, mode_t mode, const HostFileHandle& fh)
        : id{node_id}, identity{host_identity}, handle{fh}, type{static_cast<std::uint16_t>(
                                                                mode & S_IFMT)} {}
    ~Inode();
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    [[nodiscard]] std::string_view name_view() const {
        return name ? std::string_view{name.get() + 1, static_cast<unsigned char>(name[0])}
                    : std::string_view{};
    }
    /// The guest knows it, but the host does not have it any more (state loaded after a migration
    /// that was to go on with errors): every use answers EIO.
    [[nodiscard]] bool is_lost() const { return type == 0; }

    const NodeId id;
    const HostIdentity identity;
    const CompactHandle handle;
    const std::uint16_t type;             ///< S_IFMT bits
    bool is_permanent = false;            ///< the root: its descriptor is never evicted
    std::atomic<bool> is_noted{false};    ///< InodeChanges has it
    std::uint32_t ring_slot = UINT32_MAX; ///< guarded by FdRing's mutex

    InodeState state;
    std::atomic<std::uint64_t> lookup_count{1};

    // The last place where the guest found it. Guarded by the identity shard's mutex; while the
    // record is in the name table also by that shard's, for reading. No name: not known.
    NodeId parent{};
    std::unique_ptr<char[]> name; ///< one byte of length, then the bytes and a NUL

    Inode* next_by_id = nullptr;       // guarded by the id shard's mutex
    Inode* next_by_identity = nullptr; // guarded by the identity shard's mutex
    Inode* next_by_name = nullptr;     // guarded by the name shard's mutex
};

// The allocator's next size up is 16 bytes more.
static_assert(sizeof(Inode) <= 120);

} // namespace vfskit::passthrough
