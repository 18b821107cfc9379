// SPDX-License-Identifier: Apache-2.0
// Start, end and what all areas of requests share.
#include "core/passthrough/passthrough_fs.h"

#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::passthrough {

using fuse::Errno;
using fuse::Outcome;
using fuse::wire::Attr;

namespace {

std::optional<XattrName> find_mapped_capability(const std::optional<XattrMap>& map) {
    constexpr std::string_view capability = "security.capability";
    XattrName name;
    if (!map || map->to_host(capability, name) != 0 || name.view() == capability) {
        return std::nullopt;
    }
    return name;
}

// Enough for the files that a busy guest opens again and again, and for every request in flight of
// one of them.
constexpr std::size_t most_idle_files = 512;
constexpr std::size_t idle_share_of_budget = 16;

// f_type of linux/magic.h and of the filesystems that do not list theirs there.
constexpr std::array<std::uint32_t, 10> remote_magics{
    0x6969,     // NFS
    0xff534d42, // CIFS
    0xfe534d42, // SMB2
    0x01021997, // 9p, and virtiofs's older sister
    0x65735546, // FUSE, virtiofs
    0x00c36400, // Ceph
    0x5346414f, // AFS
    0x6b414653, // kAFS
    0x7461636f, // OCFS2
    0x01161970, // GFS2
};

} // namespace

bool RemoteFilesystems::is_remote(int fd, std::uint32_t device) {
    auto& slot = known_.at(mix(device) % known_.size());
    const auto tag = (std::uint64_t{device} << 2U) | 2U;
    const auto known = slot.load(std::memory_order_relaxed);
    if ((known | 1U) == (tag | 1U)) {
        return (known & 1U) != 0;
    }
    struct statfs status {};
    if (::fstatfs(fd, &status) != 0) {
        return true; // the careful assumption
    }
    const auto magic = static_cast<std::uint32_t>(status.f_type);
    bool remote = false;
    for (const auto candidate : remote_magics) {
        remote = remote || candidate == magic;
    }
    slot.store(tag | (remote ? 1U : 0U), std::memory_order_relaxed);
    return remote;
}

Result<std::unique_ptr<PassthroughFs>>
PassthroughFs::open(UniqueFd root, UniqueFd proc_self_fd, PassthroughOptions options) {
    InodeStore::Options store_options;
    store_options.file_handles = options.file_handles;
    store_options.fd_limit = options.fd_limit;
    store_options.inode_fd_limit = options.inode_fd_limit;
    store_options.proc_self_fd = proc_self_fd.get();
    VFSKIT_TRY_ASSIGN(auto inodes, InodeStore::open(std::move(root), store_options));
    return std::unique_ptr<PassthroughFs>{
        new PassthroughFs{std::move(proc_self_fd), std::move(options), std::move(inodes)}};
}

PassthroughFs::PassthroughFs(UniqueFd proc_self_fd,
                             PassthroughOptions options,
                             std::unique_ptr<InodeStore> inodes)
    : proc_self_fd_{std::move(proc_self_fd)}, options_{std::move(options)},
      xattrs_{proc_self_fd_.get()}, credentials_{Identity::of_this_thread()},
      mapped_capability_{find_mapped_capability(options_.xattr_map)}, inodes_{std::move(inodes)},
      idle_{std::min(most_idle_files,
                     std::min(options_.fd_limit, options_.inode_fd_limit) / idle_share_of_budget)},
      handles_{[this] { inodes_->release_handle_fd(); },
               [this](Handle& handle) { return keep_idle(handle); }},
      locks_{*inodes_, handles_} {}

PassthroughFs::~PassthroughFs() = default;

std::unique_ptr<fuse::Worker> PassthroughFs::make_worker() {
    return std::make_unique<PassthroughWorker>();
}

void PassthroughFs::init(const fuse::NegotiatedState& negotiated) {
    negotiated_ = negotiated;
}

void PassthroughFs::destroy() {
    locks_.clear();
    handles_.clear();
    for (auto count = idle_.clear(); count > 0; --count) {
        inodes_->release_handle_fd();
    }
    inodes_->clear();
    inodes_->set_root_lookup_count(2);
}

fuse::Gauges PassthroughFs::gauges() const {
    fuse::Gauges gauges;
    gauges.inodes = inodes_->size();
    gauges.handles = handles_.size();
    gauges.fds = inodes_->fds().inode_fds() + inodes_->fds().handle_fds();
    gauges.fd_budget = inodes_->fds().limit();
    return gauges;
}

Outcome<InodeRef> PassthroughFs::get(NodeId node) {
    if (const int error = credentials_.ensure_own_identity(); error != 0) {
        return Errno{error};
    }
    auto inode = inodes_->find(node);
    if (!inode) {
        return Errno{EBADF};
    }
    return inode;
}

Outcome<HandleRef> PassthroughFs::get_handle(HandleId id) {
    if (const int error = credentials_.ensure_own_identity(); error != 0) {
        return Errno{error};
    }
    auto handle = handles_.find(id);
    if (!handle) {
        return Errno{EBADF};
    }
    if (!handle->fd) {
        return Errno{EIO}; // lost in a migration
    }
    return handle;
}

Outcome<void> PassthroughFs::check_writable() const {
    if (options_.readonly) {
        return Errno{EROFS};
    }
    return {};
}

Outcome<uid_t> PassthroughFs::host_uid(fuse::GuestUid id) const {
    const auto host = options_.uid_map.to_host(id);
    if (!host) {
        return Errno{EPERM};
    }
    return static_cast<uid_t>(*host);
}

Outcome<gid_t> PassthroughFs::host_gid(fuse::GuestGid id) const {
    const auto host = options_.gid_map.to_host(id);
    if (!host) {
        return Errno{EPERM};
    }
    return static_cast<gid_t>(*host);
}

Attr PassthroughFs::attr_of(const struct statx& status) const {
    Attr attr{};
    attr.ino = status.stx_ino;
    attr.size = status.stx_size;
    attr.blocks = status.stx_blocks;
    attr.atime = static_cast<std::uint64_t>(status.stx_atime.tv_sec);
    attr.mtime = static_cast<std::uint64_t>(status.stx_mtime.tv_sec);
    attr.ctime = static_cast<std::uint64_t>(status.stx_ctime.tv_sec);
    attr.atimensec = status.stx_atime.tv_nsec;
    attr.mtimensec = status.stx_mtime.tv_nsec;
    attr.ctimensec = status.stx_ctime.tv_nsec;
    attr.mode = status.stx_mode;
    attr.nlink = status.stx_nlink;
    attr.uid = static_cast<std::uint32_t>(options_.uid_map.to_guest(HostUid{status.stx_uid}));
    attr.gid = static_cast<std::uint32_t>(options_.gid_map.to_guest(HostGid{status.stx_gid}));
    // new_encode_dev()
    const auto minor = status.stx_rdev_minor;
    attr.rdev = (minor & 0xffU) | (status.stx_rdev_major << 8U) | ((minor & ~0xffU) << 12U);
    attr.blksize = status.stx_blksize;
    return attr;
}

fuse::Entry
PassthroughFs::entry_of(const Inode& parent, const Inode& inode, const struct statx& status) const {
    fuse::Entry entry;
    entry.node = inode.id;
    entry.attr = attr_of(status);
    const bool is_other_filesystem = inode.identity.device != parent.identity.device ||
                                     inode.identity.mount != parent.identity.mount;
    if (options_.announce_submounts && S_ISDIR(inode.type) && is_other_filesystem) {
        entry.attr.flags |= fuse::wire::FUSE_ATTR_SUBMOUNT;
    }
    return entry;
}

Outcome<Attr> PassthroughFs::stat_node(const InodeRef& inode) {
    const auto fd = inodes_->fd_of(inode);
    if (!fd.is_valid()) {
        return fd.error();
    }
    struct statx status;
    if (const int error = stat_fd(fd.get(), status); error != 0) {
        return Errno{-error};
    }
    return attr_of(status);
}

void PassthroughFs::forget(fuse::Context& /*ctx*/, NodeId node, std::uint64_t count) {
    if (inodes_->forget(node, count)) {
        drop_idle(node);
    }
}

} // namespace vfskit::passthrough
