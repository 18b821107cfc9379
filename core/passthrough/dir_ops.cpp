// SPDX-License-Identifier: Apache-2.0
// Requests about open directories.
#include "core/passthrough/passthrough_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::DirBuffer;
using fuse::DirEntry;
using fuse::Errno;
using fuse::Opened;
using fuse::Outcome;

namespace {

/// The head of struct linux_dirent64, as getdents64(2) gives it; the name follows.
struct HostDirent {
    std::uint64_t ino;
    std::int64_t next_offset;
    std::uint16_t size;
    std::uint8_t type;
};
constexpr std::size_t name_at = 19; // the struct has padding at its end, the kernel's has none
static_assert(offsetof(HostDirent, type) + 1 == name_at);

/// Walks what getdents64() wrote.
class HostDirents {
public:
    explicit HostDirents(std::span<const std::byte> bytes) : rest_{bytes} {}

    bool next(DirEntry& entry) {
        if (rest_.size() <= name_at) {
            return false;
        }
        HostDirent head{};
        std::memcpy(&head, rest_.data(), name_at);
        const auto* name = reinterpret_cast<const char*>(rest_.data()) + name_at;
        const auto room = std::min<std::size_t>(head.size, rest_.size()) - name_at;
        entry.ino = head.ino;
        entry.type = head.type;
        entry.next_offset = static_cast<std::uint64_t>(head.next_offset);
        entry.name = {name, ::strnlen(name, room)};
        rest_ = rest_.subspan(std::min<std::size_t>(head.size, rest_.size()));
        return true;
    }

private:
    std::span<const std::byte> rest_;
};

ssize_t get_dents(int fd, std::span<std::byte> buffer) {
    const auto got = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
    return got < 0 ? -errno : got;
}

/// How much to ask the host for, so that it fills the reply and little is read twice: a reply's
/// record is at most 7 times as large as the host's (READDIRPLUS, the shortest names).
std::size_t wanted_bytes(const DirBuffer& out, std::size_t buffer_size) {
    const auto bytes = out.is_plus() ? out.remaining() / 5 : out.remaining();
    return std::clamp<std::size_t>(bytes, 1024, buffer_size);
}

} // namespace

Outcome<Opened> PassthroughFs::opendir(Context& /*ctx*/, NodeId node, const fuse::OpenArgs& args) {
    VFSKIT_TRY_ASSIGN(const auto inode, get(node));
    if (!S_ISDIR(inode->type)) {
        return Errno{inode->is_lost() ? EIO : ENOTDIR};
    }
    Opened opened;
    VFSKIT_TRY_ASSIGN(opened.handle, open_handle(inode, args.flags, O_RDONLY | O_DIRECTORY, false));
    return opened;
}

Outcome<void>
PassthroughFs::releasedir(Context& /*ctx*/, NodeId /*node*/, const fuse::ReleaseArgs& args) {
    return close_handle(args);
}

Outcome<void>
PassthroughFs::fsyncdir(Context& /*ctx*/, NodeId /*node*/, HandleId handle, bool data_only) {
    return sync_handle(handle, data_only);
}

/// True: the listing must be read up to the entry of that offset. Some filesystems use all 64 bits
/// of an offset (Amazon's NFS), and lseek() takes the upper half of them for negative.
Outcome<bool> PassthroughFs::seek_directory(Handle& handle, off_t offset) {
    if (offset == handle.directory_offset) {
        return false;
    }
    if (::lseek(handle.fd.get(), std::max<off_t>(offset, 0), SEEK_SET) < 0) {
        return fuse::last_errno();
    }
    return offset < 0;
}

/// False when `out` is full.
Outcome<bool> PassthroughFs::add_entry(const InodeRef& directory,
                                       int directory_fd,
                                       const DirEntry& entry,
                                       DirBuffer& out) {
    if (!out.is_plus()) {
        return out.add(entry);
    }
    if (!out.has_room_for(entry.name.size())) {
        return false;
    }
    if (!is_entry_name(entry.name)) {
        return out.add_without_lookup(entry);
    }
    const bool is_known = inodes_->is_probably_at({directory->id, entry.name}, HostIno{entry.ino});
    const auto guess = is_known ? Guess::known : Guess::unknown;
    const auto looked_up = look_up(directory, directory_fd, entry.name.data(), guess);
    if (!looked_up) {
        // Removed meanwhile, or unreadable, or no descriptor left: the guest asks by itself if it
        // wants this one; the others are listed.
        return out.add_without_lookup(entry);
    }
    if (!out.add(entry, *looked_up)) {
        inodes_->forget(looked_up->node, 1);
        return false;
    }
    return true;
}

Outcome<void> PassthroughFs::readdir(
    Context& ctx, NodeId node, HandleId id, std::uint64_t offset, DirBuffer& out) {
    VFSKIT_TRY_ASSIGN(const auto directory, get(node));
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(id));
    if (!S_ISDIR(handle->type)) {
        return Errno{ENOTDIR};
    }
    const std::span<std::byte> buffer{static_cast<PassthroughWorker&>(ctx.worker).buffer};
    const std::lock_guard lock{handle->directory_mutex};
    std::optional<InodeFd> own_fd;
    if (handle->is_foreign) {
        own_fd.emplace(inodes_->fd_of(directory));
    }
    const int lookup_fd = own_fd ? own_fd->get() : handle->fd.get();
    const auto wanted = static_cast<off_t>(offset);
    VFSKIT_TRY_ASSIGN(bool skips, seek_directory(*handle, wanted));
    bool is_full = false;
    while (!is_full) {
        const auto got =
            get_dents(handle->fd.get(), buffer.first(wanted_bytes(out, buffer.size())));
        if (got <= 0) {
            const bool is_failure = got < 0 && out.size() == 0;
            return is_failure ? Outcome<void>{Errno{static_cast<int>(-got)}} : Outcome<void>{};
        }
        HostDirents dirents{buffer.first(static_cast<std::size_t>(got))};
        DirEntry entry;
        auto reached = wanted;
        while (!is_full && dirents.next(entry)) {
            reached = static_cast<off_t>(entry.next_offset);
            if (skips) {
                skips = reached != wanted;
                continue;
            }
            const bool is_parent_of_share = node == NodeId::root && entry.name == "..";
            if (is_parent_of_share) {
                entry.ino = static_cast<std::uint64_t>(directory->identity.ino); // as of any root
            }
            VFSKIT_TRY_ASSIGN(const bool added, add_entry(directory, lookup_fd, entry, out));
            is_full = !added;
        }
        // When something did not fit the descriptor is behind it: the next call must seek.
        handle->directory_offset = is_full ? Handle::unknown_offset : reached;
        is_full = is_full || out.remaining() < 512;
    }
    return {};
}

} // namespace vfskit::passthrough
