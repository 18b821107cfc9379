// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/fuse/filesystem.h"
#include "core/passthrough/credentials.h"
#include "core/passthrough/file_locks.h"
#include "core/passthrough/handle_store.h"
#include "core/passthrough/id_map.h"
#include "core/passthrough/idle_files.h"
#include "core/passthrough/inode_store.h"
#include "core/passthrough/xattr_map.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vfskit::passthrough {

/// What the administrator chose; what guest and daemon negotiate comes with init().
struct PassthroughOptions {
    FileHandleMode file_handles = FileHandleMode::prefer;
    /// Host descriptors for inodes and open files together.
    std::size_t fd_limit = 100'000;
    /// Of these, for inodes: what is above is opened again on use.
    std::size_t inode_fd_limit = SIZE_MAX;
    bool readonly = false;
    bool announce_submounts = true;
    bool allow_direct_io = false;
    bool preserve_noatime = false;
    bool xattr = false;
    std::optional<XattrMap> xattr_map;
    UidMap uid_map;
    GidMap gid_map;
};

/// Which filesystems are remote, by device: asked once per device, not once per open.
class RemoteFilesystems {
public:
    [[nodiscard]] bool is_remote(int fd, std::uint32_t device);

private:
    // device << 2 | 2 (known) | 1 (remote); a collision asks again.
    std::array<std::atomic<std::uint64_t>, 16> known_{};
};

/// Scratch memory of one serving thread.
class PassthroughWorker final : public fuse::Worker {
public:
    /// getdents64() and listxattr() (XATTR_LIST_MAX) go here.
    static constexpr std::size_t buffer_size = 65536;
    alignas(8) std::array<std::byte, buffer_size> buffer;
    std::vector<gid_t> groups;
};

/// See fuse::Filesystem for the promises. Here is how:
/// - Every host call is relative to a descriptor and takes one checked name; none follows a link.
/// - Only requests that create act with the caller's credentials; the guest's kernel has checked
///   the permissions of all others (virtiofs mounts imply default_permissions).
/// - A request allocates nothing but the record of a file that the guest meets for the first time.
/// - Ids of the guest are translated once on their way in and once on their way out.
class PassthroughFs final : public fuse::Filesystem {
public:
    /// `root`: the shared directory, or a shared regular file. `proc_self_fd`: /proc/self/fd of
    /// this process, which need not be reachable by a path. Call it when the capabilities have been
    /// dropped: what is there then is what requests are served with.
    static Result<std::unique_ptr<PassthroughFs>>
    open(UniqueFd root, UniqueFd proc_self_fd, PassthroughOptions options);
    ~PassthroughFs() override;

    std::unique_ptr<fuse::Worker> make_worker() override;
    void init(const fuse::NegotiatedState& negotiated) override;
    void destroy() override;
    [[nodiscard]] fuse::Gauges gauges() const override;

    fuse::Outcome<fuse::Entry> lookup(fuse::Context&, NodeId parent, fuse::Name name) override;
    void forget(fuse::Context&, NodeId node, std::uint64_t count) override;
    fuse::Outcome<fuse::wire::Attr>
    getattr(fuse::Context&, NodeId node, std::optional<HandleId> handle) override;
    fuse::Outcome<fuse::wire::Statx> statx(fuse::Context&,
                                           NodeId node,
                                           std::optional<HandleId> handle,
                                           std::uint32_t flags,
                                           std::uint32_t mask) override;
    fuse::Outcome<fuse::wire::Attr>
    setattr(fuse::Context&, NodeId node, const fuse::AttrChanges& changes) override;
    fuse::Outcome<std::size_t> readlink(fuse::Context&, NodeId node, std::span<char> out) override;
    fuse::Outcome<void> access(fuse::Context&, NodeId node, std::uint32_t mask) override;
    fuse::Outcome<fuse::wire::Kstatfs> statfs(fuse::Context&, NodeId node) override;

    fuse::Outcome<fuse::Entry>
    symlink(fuse::Context&, NodeId parent, fuse::Name name, fuse::CString target) override;
    fuse::Outcome<fuse::Entry>
    mknod(fuse::Context&, NodeId parent, fuse::Name name, mode_t mode, std::uint32_t rdev) override;
    fuse::Outcome<fuse::Entry>
    mkdir(fuse::Context&, NodeId parent, fuse::Name name, mode_t mode) override;
    fuse::Outcome<void> unlink(fuse::Context&, NodeId parent, fuse::Name name) override;
    fuse::Outcome<void> rmdir(fuse::Context&, NodeId parent, fuse::Name name) override;
    fuse::Outcome<void> rename(fuse::Context&,
                               NodeId old_parent,
                               fuse::Name old_name,
                               NodeId new_parent,
                               fuse::Name new_name,
                               std::uint32_t flags) override;
    fuse::Outcome<fuse::Entry>
    link(fuse::Context&, NodeId target, NodeId new_parent, fuse::Name new_name) override;

    fuse::Outcome<fuse::Opened> open(fuse::Context&, NodeId node, const fuse::OpenArgs&) override;
    fuse::Outcome<fuse::Created>
    create(fuse::Context&, NodeId parent, fuse::Name name, const fuse::CreateArgs&) override;
    fuse::Outcome<fuse::Created>
    tmpfile(fuse::Context&, NodeId parent, const fuse::CreateArgs&) override;
    fuse::Outcome<std::size_t>
    read(fuse::Context&, NodeId node, const fuse::ReadArgs&, std::span<const iovec> data) override;
    fuse::Outcome<std::size_t> write(fuse::Context&,
                                     NodeId node,
                                     const fuse::WriteArgs&,
                                     std::span<const iovec> data) override;
    fuse::Outcome<void>
    flush(fuse::Context&, NodeId node, HandleId handle, LockOwner owner) override;
    fuse::Outcome<void> release(fuse::Context&, NodeId node, const fuse::ReleaseArgs&) override;
    fuse::Outcome<void>
    fsync(fuse::Context&, NodeId node, HandleId handle, bool data_only) override;
    fuse::Outcome<void> fallocate(fuse::Context&, NodeId node, const fuse::FallocateArgs&) override;
    fuse::Outcome<off_t> lseek(
        fuse::Context&, NodeId node, HandleId handle, off_t offset, std::uint32_t whence) override;
    fuse::Outcome<std::size_t>
    copy_file_range(fuse::Context&, NodeId node, const fuse::CopyFileRangeArgs&) override;
    fuse::Outcome<fuse::IoctlResult>
    ioctl(fuse::Context&, NodeId node, const fuse::IoctlArgs&) override;
    fuse::Outcome<void> syncfs(fuse::Context&, NodeId node) override;

    fuse::Outcome<fuse::Opened>
    opendir(fuse::Context&, NodeId node, const fuse::OpenArgs&) override;
    fuse::Outcome<void> readdir(fuse::Context&,
                                NodeId node,
                                HandleId handle,
                                std::uint64_t offset,
                                fuse::DirBuffer& out) override;
    fuse::Outcome<void> releasedir(fuse::Context&, NodeId node, const fuse::ReleaseArgs&) override;
    fuse::Outcome<void>
    fsyncdir(fuse::Context&, NodeId node, HandleId handle, bool data_only) override;

    fuse::Outcome<std::size_t>
    getxattr(fuse::Context&, NodeId node, fuse::CString name, std::span<std::byte> out) override;
    fuse::Outcome<std::size_t>
    listxattr(fuse::Context&, NodeId node, std::span<std::byte> out) override;
    fuse::Outcome<void>
    setxattr(fuse::Context&, NodeId node, fuse::CString name, const fuse::XattrChange&) override;
    fuse::Outcome<void> removexattr(fuse::Context&, NodeId node, fuse::CString name) override;

    fuse::Outcome<LockRange> getlk(fuse::Context&, NodeId node, const fuse::LockArgs&) override;
    fuse::Outcome<void> setlk(fuse::Context&, NodeId node, const fuse::LockArgs&) override;
    fuse::Outcome<fuse::LockState>
    setlkw(fuse::Context&, NodeId node, const fuse::LockArgs&, fuse::Deferral&) override;
    void interrupt(fuse::Context&, fuse::Unique unique) override;
    void cancel_parked(fuse::Errno reason) override;

    // For a migration: the tables, and how to fill them.
    [[nodiscard]] InodeStore& inodes() { return *inodes_; }
    [[nodiscard]] HandleStore& handles() { return handles_; }
    [[nodiscard]] FileLocks& locks() { return locks_; }
    [[nodiscard]] const fuse::NegotiatedState& negotiated() const { return negotiated_; }
    /// Opens an inode again and gives the guest's handle its id back. EEXIST when that is taken.
    fuse::Outcome<void> restore_handle(HandleId id, NodeId node, std::uint32_t guest_flags);
    /// A handle that answers EIO. EEXIST when its id is taken.
    fuse::Outcome<void> restore_lost_handle(HandleId id, NodeId node, std::uint32_t guest_flags);
    /// Gives the guest's handle its id back with the descriptor that the source's daemon had for
    /// it, and so with its locks; where the rules here ask for other flags, the file is opened
    /// again through that descriptor. ESTALE: it is not open on this inode. EBUSY: other flags, and
    /// `has_flock`: the lock is not the new descriptor's. EEXIST when the id is taken.
    fuse::Outcome<void>
    adopt_handle(HandleId id, NodeId node, std::uint32_t guest_flags, UniqueFd fd, bool has_flock);
    [[nodiscard]] OpenFlagRules open_rules() const;

private:
    struct Label {
        XattrName name;
        std::span<const std::byte> value;
    };

    PassthroughFs(UniqueFd proc_self_fd,
                  PassthroughOptions options,
                  std::unique_ptr<InodeStore> inodes);

    // passthrough_fs.cpp
    /// The record, on a thread that is fit to serve.
    fuse::Outcome<InodeRef> get(NodeId node);
    fuse::Outcome<HandleRef> get_handle(HandleId handle);
    [[nodiscard]] fuse::Outcome<void> check_writable() const;
    [[nodiscard]] fuse::wire::Attr attr_of(const struct statx& status) const;
    [[nodiscard]] fuse::Entry
    entry_of(const Inode& parent, const Inode& inode, const struct statx& status) const;
    fuse::Outcome<uid_t> host_uid(fuse::GuestUid id) const;
    fuse::Outcome<gid_t> host_gid(fuse::GuestGid id) const;
    fuse::Outcome<fuse::wire::Attr> stat_node(const InodeRef& inode);

    // name_ops.cpp
    enum class Guess { known, unknown };
    fuse::Outcome<fuse::Entry>
    look_up(const InodeRef& parent, int parent_fd, const char* name, Guess guess);
    /// Whom to act for, in the worker's memory.
    fuse::Outcome<Caller> caller_of(fuse::Context& ctx) const;
    fuse::Outcome<std::optional<Label>> label_of(const fuse::Context& ctx) const;
    [[nodiscard]] int use_umask(const fuse::Context& ctx) const;
    template <class Make>
    fuse::Outcome<fuse::Entry>
    create_node(fuse::Context& ctx, NodeId parent, fuse::Name name, int unlink_flags, Make&& make);
    fuse::Outcome<void> remove_name(NodeId parent, fuse::Name name, int flags);
    fuse::Outcome<int>
    create_as_caller(fuse::Context& ctx, int parent_fd, const char* name, int flags, mode_t mode);
    fuse::Outcome<fuse::Created>
    finish_create(const InodeRef& parent, const FilePlace& place, UniqueFd fd, std::uint32_t flags);
    fuse::Outcome<fuse::Created> open_existing(fuse::Context& ctx,
                                               const InodeRef& parent,
                                               int parent_fd,
                                               fuse::Name name,
                                               const fuse::CreateArgs& args);

    // file_ops.cpp
    [[nodiscard]] static bool may_stay_open(int host_flags);
    bool keep_idle(Handle& handle);
    void drop_idle(NodeId node);
    [[nodiscard]] bool reserve_handle_fd();
    [[nodiscard]] int restored_flags(const Inode& inode, std::uint32_t guest_flags) const;
    fuse::Outcome<HandleId> open_handle(const InodeRef& inode,
                                        std::uint32_t guest_flags,
                                        int host_flags,
                                        bool kill_suidgid);
    fuse::Outcome<void> close_handle(const fuse::ReleaseArgs& args);
    fuse::Outcome<void> sync_handle(HandleId handle, bool data_only);
    fuse::Outcome<void> drop_file_capability(int fd, mode_t type);
    fuse::Outcome<void> clone_range(const Handle& target, const fuse::IoctlArgs& args);
    fuse::Outcome<fuse::IoctlResult>
    flags_ioctl(fuse::Context& ctx, const Handle& handle, const fuse::IoctlArgs& args);

    // attr_ops.cpp
    fuse::Outcome<void> set_owner(int fd, mode_t type, const fuse::AttrChanges& changes);
    fuse::Outcome<void> set_size(const InodeRef& inode, const fuse::AttrChanges& changes);
    fuse::Outcome<void> set_times(int fd, const fuse::AttrChanges& changes) const;

    // xattr_ops.cpp
    [[nodiscard]] bool is_hidden_acl(std::string_view guest_name) const;
    fuse::Outcome<void> host_xattr_name(std::string_view guest_name, XattrName& name) const;
    fuse::Outcome<void> kill_sgid_for_acl(int fd);

    // dir_ops.cpp
    static fuse::Outcome<bool> seek_directory(Handle& handle, off_t offset);
    fuse::Outcome<bool> add_entry(const InodeRef& directory,
                                  int directory_fd,
                                  const fuse::DirEntry& entry,
                                  fuse::DirBuffer& out);

    const UniqueFd proc_self_fd_;
    const PassthroughOptions options_;
    const XattrCalls xattrs_;
    const Credentials credentials_;
    /// The host's name of security.capability where the xattr map changes it: the kernel then does
    /// not know that it must go when the file changes, so we remove it.
    std::optional<XattrName> mapped_capability_;
    std::unique_ptr<InodeStore> inodes_;
    /// Each counts as a handle in the budget.
    IdleFiles idle_;
    HandleStore handles_;
    FileLocks locks_;
    RemoteFilesystems remote_;
    fuse::NegotiatedState negotiated_;
};

} // namespace vfskit::passthrough
