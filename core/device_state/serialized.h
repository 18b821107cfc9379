// SPDX-License-Identifier: Apache-2.0
// The state of a shared directory as it travels from one daemon to another: plain values, one to
// one with the bytes. stream.h turns them into bytes and back.
//
// The first part is upstream virtiofsd's, version 2 as its 1.13.2 and 1.14.0 write it (checked
// against streams of both). The second part, the Trailer, is ours; upstream stops reading before
// it.
//
// Changes of the trailer:
//   version 1, 2026-11  negotiated INIT state, guest's open flags, identity of the share, places;
//                       locks, file handles of nameless files, the offer of open descriptors and
//                       the files' numbers; which files the inodes are; file handles of open files
#pragma once

#include "core/fuse/filesystem.h"

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace vfskit::device_state {

using fuse::HandleId;
using fuse::NodeId;

/// A name_to_handle_at(2) handle. `mount_id` is the source's and means something only together with
/// State::mounts.
struct FileHandle {
    std::uint64_t mount_id = 0;
    std::int32_t type = 0;
    std::vector<std::byte> bytes; ///< at most 128
    bool operator==(const FileHandle&) const = default;
    [[nodiscard]] bool names_same_file(const FileHandle& other) const {
        return type == other.type && bytes == other.bytes;
    }
};

// Where the destination finds a file.
struct RootLocation {
    bool operator==(const RootLocation&) const = default;
};
/// An entry of a directory that is in the stream too.
struct PathLocation {
    NodeId parent{};
    std::string name; ///< UTF-8, one component
    bool operator==(const PathLocation&) const = default;
};
/// The source could not say.
struct InvalidLocation {
    bool operator==(const InvalidLocation&) const = default;
};
/// Upstream reads it and never writes it; we write it for a file whose directory the guest has
/// forgotten.
struct FullPathLocation {
    std::string path; ///< UTF-8, relative to the shared directory
    bool operator==(const FullPathLocation&) const = default;
};
struct FileHandleLocation {
    FileHandle handle;
    bool operator==(const FileHandleLocation&) const = default;
};
/// In the order of the wire's variant numbers.
using Location =
    std::variant<RootLocation, PathLocation, InvalidLocation, FullPathLocation, FileHandleLocation>;

struct SavedInode {
    NodeId id{};
    /// The guest's lookups, plus one for every inode of the stream whose PathLocation (or Place in
    /// the trailer, where it stands for one) names this as parent. The reader takes those off
    /// again. The root begins at 2.
    std::uint64_t refcount = 0;
    Location location;
    /// What the file must be when it has been found (--migration-verify-handles).
    std::optional<FileHandle> verify_handle;
    bool operator==(const SavedInode&) const = default;
};

struct SavedHandle {
    HandleId id{};
    NodeId node{};
    /// open(2) flags of Linux's generic ABI, fit to be used as they are: upstream does.
    std::int32_t open_flags = 0;
    bool operator==(const SavedHandle&) const = default;
};

/// What upstream knows of the negotiation.
struct SavedOptions {
    bool writeback = false;
    bool announce_submounts = false;
    bool posix_acl = false;
    bool supplementary_groups = false;
    bool operator==(const SavedOptions&) const = default;
};

/// A mount that file handles refer to.
struct SavedMount {
    std::uint64_t mount_id = 0;
    std::string path; ///< relative to the shared directory, "." for its own mount
    bool operator==(const SavedMount&) const = default;
};

/// What tells whether two shared directories are one. Any field may be empty or 0: not known.
struct ShareIdentity {
    std::string boot_id;               ///< of the running kernel
    std::string machine_id;            ///< machine-id(5)
    std::uint32_t filesystem_type = 0; ///< statfs(2) f_type
    std::uint64_t filesystem_id = 0;   ///< statfs(2) f_fsid
    std::uint32_t device = 0;          ///< dev_t in Linux's 32-bit encoding
    std::uint64_t ino = 0;
    std::int64_t birth_seconds = 0;
    std::uint32_t birth_nanoseconds = 0;
    std::optional<FileHandle> root_handle;
    bool operator==(const ShareIdentity&) const = default;
};

/// Flags of an open file as the guest sent them, where SavedHandle::open_flags differ.
struct GuestFlags {
    HandleId id{};
    std::uint32_t flags = 0;
    bool operator==(const GuestFlags&) const = default;
};

/// Directory and name of an inode whose location in the first part does not say them: its name is
/// not UTF-8 (the location is InvalidLocation), or it moves by file handle.
struct SavedPlace {
    NodeId id{};
    NodeId parent{};
    std::string name; ///< any bytes, one component
    bool operator==(const SavedPlace&) const = default;
};

/// One range that the guest has locked by fcntl(2) on the host.
struct SavedLock {
    NodeId node{};
    fuse::LockOwner owner{};
    std::uint64_t start = 0;
    std::uint64_t end = 0; ///< the last byte; INT64_MAX: to the end
    bool is_exclusive = false;
    std::uint32_t pid = 0; ///< the guest's
    bool operator==(const SavedLock&) const = default;
};

/// Locks on the host. They belong to open file descriptions, so that they only move with those: a
/// state with locks has an offer too, and must not be loaded without it.
struct SavedLocks {
    std::vector<SavedLock> posix;
    std::vector<HandleId> flocks; ///< open files by which the guest holds a flock(2) lock
    [[nodiscard]] bool is_empty() const { return posix.empty() && flocks.empty(); }
    bool operator==(const SavedLocks&) const = default;
};

/// A file that may be opened by its handle, whatever its location says, where the shared directory
/// is proved to be the source's.
struct FileByHandle {
    NodeId id{};
    FileHandle handle;
    bool operator==(const FileByHandle&) const = default;
};

/// Where the source's daemon hands over open descriptors, and what opens that door. For one
/// migration only.
struct DescriptorOffer {
    static constexpr std::size_t token_size = 32;
    std::string socket_name; ///< in the migration socket directory of the same host
    std::array<std::byte, token_size> token{};
    bool operator==(const DescriptorOffer&) const = default;
};

/// Which file an inode is, on the host that the source ran on.
struct SavedNumber {
    NodeId id{};
    std::uint32_t device = 0; ///< dev_t in Linux's 32-bit encoding
    std::uint64_t ino = 0;
    std::uint32_t birth = 0; ///< as passthrough::HostIdentity has it
    bool operator==(const SavedNumber&) const = default;
};

/// Which file an inode of the shared directory's own mount is. Where the destination's directory is
/// proved to be the same, it need not open the file to know.
struct SavedFile {
    mode_t type = 0; ///< S_IFMT bits; 0: not said
    std::uint64_t ino = 0;
    std::uint32_t birth = 0; ///< as passthrough::HostIdentity has it
    bool operator==(const SavedFile&) const = default;
};

struct Trailer {
    fuse::NegotiatedState negotiated;
    ShareIdentity identity;
    std::vector<GuestFlags> guest_flags;
    std::vector<SavedPlace> places;
    SavedLocks locks;
    std::vector<FileByHandle> nameless; ///< have no path: their location is InvalidLocation
    std::vector<FileByHandle> opened;   ///< have one and are open, and need not be looked for
    std::optional<DescriptorOffer> offer;
    std::vector<SavedNumber> numbers; ///< with an offer
    std::vector<SavedFile> files;     ///< in step with State::inodes, or none at all
    bool operator==(const Trailer&) const = default;
};

struct State {
    std::vector<SavedInode> inodes;
    NodeId next_inode{2};
    std::vector<SavedHandle> handles;
    HandleId next_handle{};
    SavedOptions options;
    std::vector<SavedMount> mounts; ///< none in version 1
    /// Absent in streams of upstream.
    std::optional<Trailer> trailer;
    /// Upstream would load it and lose what the trailer says about locks. Such a stream bears a
    /// version that upstream refuses.
    [[nodiscard]] bool needs_trailer() const { return trailer && !trailer->locks.is_empty(); }
    bool operator==(const State&) const = default;
};

} // namespace vfskit::device_state
