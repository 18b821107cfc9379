// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/dispatch.h"

#include "core/base/result.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace vfskit::fuse {

namespace {

using namespace wire;

using Size = Outcome<std::size_t>;

// An _IOC command has 14 bits for its size.
constexpr std::uint32_t max_ioctl_size = 1U << 14;

Outcome<off_t> checked_offset(std::uint64_t offset) {
    if (offset > INT64_MAX) {
        return Errno{EINVAL};
    }
    return static_cast<off_t>(offset);
}

std::span<const std::byte> bytes_of(const auto& value) {
    return std::as_bytes(std::span{&value, 1});
}

std::size_t answer_bytes(const Call& call, std::span<const std::byte> bytes) {
    scatter(call.payload, 0, bytes);
    return bytes.size();
}

std::size_t answer(const Call& call, const auto& value) {
    return answer_bytes(call, bytes_of(value));
}

EntryOut make_entry_out(const Call& call, const Entry& entry) {
    const auto& rules = call.cache_rules;
    return {.nodeid = static_cast<std::uint64_t>(entry.node),
            .generation = entry.generation,
            .entry_valid = rules.entry_timeout.seconds,
            .attr_valid = rules.attr_timeout.seconds,
            .entry_valid_nsec = rules.entry_timeout.nanoseconds,
            .attr_valid_nsec = rules.attr_timeout.nanoseconds,
            .attr = entry.attr};
}

Size answer_entry(Call& call, const Outcome<Entry>& entry) {
    if (!entry) {
        return entry.error();
    }
    return answer(call, make_entry_out(call, *entry));
}

Size answer_attr(Call& call, const Outcome<Attr>& attr) {
    if (!attr) {
        return attr.error();
    }
    return answer(call,
                  AttrOut{.attr_valid = call.cache_rules.attr_timeout.seconds,
                          .attr_valid_nsec = call.cache_rules.attr_timeout.nanoseconds,
                          .dummy = 0,
                          .attr = *attr});
}

OpenOut make_open_out(const Opened& opened, std::uint32_t policy_flags) {
    return {.fh = static_cast<std::uint64_t>(opened.handle),
            .open_flags = opened.open_flags | policy_flags,
            .backing_id = 0};
}

Size answer_created(Call& call, const Outcome<Created>& created) {
    if (!created) {
        return created.error();
    }
    const auto entry = make_entry_out(call, created->entry);
    const auto open = make_open_out(created->opened, call.cache_rules.open_flags);
    scatter(call.payload, 0, bytes_of(entry));
    scatter(call.payload, sizeof(entry), bytes_of(open));
    return sizeof(entry) + sizeof(open);
}

Size answer_nothing(const Outcome<void>& outcome) {
    if (!outcome) {
        return outcome.error();
    }
    return std::size_t{0};
}

/// At least `size` bytes of host memory, all zero only where the caller makes them so.
std::span<std::byte> reply_memory(Call& call, std::size_t size) {
    auto& memory = call.scratch.reply;
    if (memory.size() < size) {
        memory.resize(size);
    }
    return std::span{memory}.first(size);
}

Size handle_unsupported(Call&) {
    return Errno{ENOSYS};
}

// Nodes.

Size handle_lookup(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    const auto entry = call.filesystem.lookup(call.context, call.node, name);
    const auto& negative = call.options.negative_timeout;
    if (entry.error() == Errno{ENOENT} && (negative.seconds > 0 || negative.nanoseconds > 0)) {
        EntryOut missing{};
        missing.entry_valid = negative.seconds;
        missing.entry_valid_nsec = negative.nanoseconds;
        return answer(call, missing);
    }
    return answer_entry(call, entry);
}

Size handle_forget(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<ForgetIn>());
    call.filesystem.forget(call.context, call.node, in.nlookup);
    return std::size_t{0};
}

Size handle_batch_forget(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<BatchForgetIn>());
    if (in.count > call.arguments.remaining() / sizeof(ForgetOne)) {
        return Errno{EINVAL};
    }
    for (std::uint32_t i = 0; i < in.count; ++i) {
        VFSKIT_TRY_ASSIGN(const auto one, call.arguments.read<ForgetOne>());
        call.filesystem.forget(call.context, NodeId{one.nodeid}, one.nlookup);
    }
    return std::size_t{0};
}

std::optional<HandleId> handle_if(std::uint32_t flags, std::uint64_t fh) {
    return (flags & FUSE_GETATTR_FH) != 0 ? std::optional{HandleId{fh}} : std::nullopt;
}

Size handle_getattr(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<GetattrIn>());
    return answer_attr(
        call, call.filesystem.getattr(call.context, call.node, handle_if(in.getattr_flags, in.fh)));
}

Size handle_statx(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<StatxIn>());
    VFSKIT_TRY_ASSIGN(
        const auto stat,
        call.filesystem.statx(
            call.context, call.node, handle_if(in.getattr_flags, in.fh), in.sx_flags, in.sx_mask));
    StatxOut out{};
    out.attr_valid = call.cache_rules.attr_timeout.seconds;
    out.attr_valid_nsec = call.cache_rules.attr_timeout.nanoseconds;
    out.stat = stat;
    return answer(call, out);
}

Outcome<timespec> checked_time(std::uint64_t seconds, std::uint32_t nanoseconds) {
    if (nanoseconds >= 1'000'000'000) {
        return Errno{EINVAL};
    }
    return timespec{.tv_sec = static_cast<time_t>(seconds), .tv_nsec = nanoseconds};
}

Outcome<std::optional<TimeChange>>
decode_time(bool is_set, bool is_now, std::uint64_t seconds, std::uint32_t nanoseconds) {
    if (!is_set) {
        return std::optional<TimeChange>{};
    }
    if (is_now) {
        return std::optional{TimeChange{.value = {}, .is_now = true}};
    }
    VFSKIT_TRY_ASSIGN(const auto value, checked_time(seconds, nanoseconds));
    return std::optional{TimeChange{.value = value, .is_now = false}};
}

Outcome<AttrChanges> decode_attr_changes(const SetattrIn& in) {
    const auto has = [&](std::uint32_t bit) { return (in.valid & bit) != 0; };
    AttrChanges changes;
    if (has(FATTR_MODE)) {
        changes.mode = in.mode;
    }
    if (has(FATTR_UID)) {
        changes.uid = GuestUid{in.uid};
    }
    if (has(FATTR_GID)) {
        changes.gid = GuestGid{in.gid};
    }
    if (has(FATTR_SIZE)) {
        VFSKIT_TRY_ASSIGN(changes.size, checked_offset(in.size));
    }
    VFSKIT_TRY_ASSIGN(changes.atime,
                      decode_time(has(FATTR_ATIME), has(FATTR_ATIME_NOW), in.atime, in.atimensec));
    VFSKIT_TRY_ASSIGN(changes.mtime,
                      decode_time(has(FATTR_MTIME), has(FATTR_MTIME_NOW), in.mtime, in.mtimensec));
    if (has(FATTR_CTIME)) {
        VFSKIT_TRY_ASSIGN(changes.ctime, checked_time(in.ctime, in.ctimensec));
    }
    if (has(FATTR_FH)) {
        changes.handle = HandleId{in.fh};
    }
    if (has(FATTR_LOCKOWNER)) {
        changes.lock_owner = LockOwner{in.lock_owner};
    }
    changes.kill_suidgid = has(FATTR_KILL_SUIDGID);
    return changes;
}

Size handle_setattr(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<SetattrIn>());
    VFSKIT_TRY_ASSIGN(const auto changes, decode_attr_changes(in));
    return answer_attr(call, call.filesystem.setattr(call.context, call.node, changes));
}

Size handle_readlink(Call& call) {
    const auto memory = reply_memory(call, PATH_MAX);
    VFSKIT_TRY_ASSIGN(
        const auto size,
        call.filesystem.readlink(call.context,
                                 call.node,
                                 std::span{reinterpret_cast<char*>(memory.data()), memory.size()}));
    if (size > std::min(memory.size(), call.payload_room)) {
        return Errno{ENAMETOOLONG};
    }
    return answer_bytes(call, memory.first(size));
}

Size handle_access(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<AccessIn>());
    return answer_nothing(call.filesystem.access(call.context, call.node, in.mask));
}

Size handle_statfs(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto st, call.filesystem.statfs(call.context, call.node));
    return answer(call, StatfsOut{.st = st});
}

// Names.

Outcome<void> read_extensions(Call& call) {
    return parse_extensions(call.extensions, call.scratch.groups, call.context);
}

Size handle_symlink(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    VFSKIT_TRY_ASSIGN(const auto target, call.arguments.read_text());
    VFSKIT_TRY(read_extensions(call));
    if (target.size() == 0) {
        return Errno{ENOENT};
    }
    if (target.size() >= PATH_MAX) {
        return Errno{ENAMETOOLONG};
    }
    return answer_entry(call, call.filesystem.symlink(call.context, call.node, name, target));
}

Size handle_mknod(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<MknodIn>());
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    VFSKIT_TRY(read_extensions(call));
    call.context.umask = in.umask & 0777;
    return answer_entry(call,
                        call.filesystem.mknod(call.context, call.node, name, in.mode, in.rdev));
}

Size handle_mkdir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<MkdirIn>());
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    VFSKIT_TRY(read_extensions(call));
    call.context.umask = in.umask & 0777;
    return answer_entry(call, call.filesystem.mkdir(call.context, call.node, name, in.mode));
}

Size handle_unlink(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    return answer_nothing(call.filesystem.unlink(call.context, call.node, name));
}

Size handle_rmdir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    return answer_nothing(call.filesystem.rmdir(call.context, call.node, name));
}

Size rename(Call& call, std::uint64_t new_parent, std::uint32_t flags) {
    constexpr std::uint32_t known = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
    if ((flags & ~known) != 0) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto old_name, call.arguments.read_name());
    VFSKIT_TRY_ASSIGN(const auto new_name, call.arguments.read_name());
    return answer_nothing(call.filesystem.rename(
        call.context, call.node, old_name, NodeId{new_parent}, new_name, flags));
}

Size handle_rename(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<RenameIn>());
    return rename(call, in.newdir, 0);
}

Size handle_rename2(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<Rename2In>());
    return rename(call, in.newdir, in.flags);
}

Size handle_link(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<LinkIn>());
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    return answer_entry(call,
                        call.filesystem.link(call.context, NodeId{in.oldnodeid}, call.node, name));
}

// Files.

Size handle_open(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<OpenIn>());
    VFSKIT_TRY_ASSIGN(
        const auto opened,
        call.filesystem.open(
            call.context,
            call.node,
            {.flags = in.flags, .kill_suidgid = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0}));
    return answer(call, make_open_out(opened, call.cache_rules.open_flags));
}

CreateArgs decode_create(Call& call, const CreateIn& in) {
    call.context.umask = in.umask & 0777;
    return {.mode = in.mode,
            .flags = in.flags,
            .kill_suidgid = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0};
}

Size handle_create(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<CreateIn>());
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_name());
    VFSKIT_TRY(read_extensions(call));
    const auto args = decode_create(call, in);
    return answer_created(call, call.filesystem.create(call.context, call.node, name, args));
}

Size handle_tmpfile(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<CreateIn>());
    // Linux sends the dentry's name, which is "/": it means nothing.
    VFSKIT_TRY(call.arguments.read_text());
    VFSKIT_TRY(read_extensions(call));
    const auto args = decode_create(call, in);
    return answer_created(call, call.filesystem.tmpfile(call.context, call.node, args));
}

std::optional<LockOwner> owner_if(bool is_set, std::uint64_t owner) {
    return is_set ? std::optional{LockOwner{owner}} : std::nullopt;
}

/// Hands `data` to `transfer` in portions of IOV_MAX buffers, which is what the system calls take.
/// An error after the first portion becomes a short count, as read(2) and write(2) do.
template <class Transfer>
Size in_portions(std::span<const iovec> data, off_t offset, Transfer transfer) {
    std::size_t done = 0;
    do {
        const auto portion = data.first(std::min<std::size_t>(data.size(), IOV_MAX));
        data = data.subspan(portion.size());
        const auto wanted = total_size(portion);
        const auto moved = transfer(portion, offset + static_cast<off_t>(done));
        if (!moved) {
            return done > 0 ? Size{done} : Size{moved.error()};
        }
        done += std::min(*moved, wanted);
        if (*moved < wanted) {
            break;
        }
    } while (!data.empty());
    return done;
}

/// The range must end at or below INT64_MAX, so that portions cannot run over it.
Outcome<off_t> checked_range(std::uint64_t offset, std::uint64_t size) {
    if (offset > INT64_MAX || size > INT64_MAX - offset) {
        return Errno{EINVAL};
    }
    return static_cast<off_t>(offset);
}

Size handle_read(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<ReadIn>());
    const auto data = slice(call.payload, 0, in.size, call.scratch.data);
    VFSKIT_TRY_ASSIGN(const auto start, checked_range(in.offset, in.size));
    ReadArgs args{.handle = HandleId{in.fh},
                  .offset = start,
                  .flags = in.flags,
                  .lock_owner =
                      owner_if((in.read_flags & FUSE_READ_LOCKOWNER) != 0, in.lock_owner)};
    return in_portions(data, start, [&](std::span<const iovec> portion, off_t offset) {
        args.offset = offset;
        return call.filesystem.read(call.context, call.node, args, portion);
    });
}

Size handle_write(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<WriteIn>());
    if (in.size > call.write_data_size) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(const auto start, checked_range(in.offset, in.size));
    const auto has = [&](std::uint32_t bit) { return (in.write_flags & bit) != 0; };
    const auto data = slice(call.write_data, 0, in.size, call.scratch.data);
    WriteArgs args{.handle = HandleId{in.fh},
                   .offset = start,
                   .flags = in.flags,
                   .is_from_cache = has(FUSE_WRITE_CACHE),
                   .kill_suidgid = has(FUSE_WRITE_KILL_SUIDGID),
                   .lock_owner = owner_if(has(FUSE_WRITE_LOCKOWNER), in.lock_owner)};
    VFSKIT_TRY_ASSIGN(const auto written,
                      in_portions(data, start, [&](std::span<const iovec> portion, off_t offset) {
                          args.offset = offset;
                          return call.filesystem.write(call.context, call.node, args, portion);
                      }));
    call.data_moved = written;
    return answer(call, WriteOut{.size = static_cast<std::uint32_t>(written), .padding = 0});
}

Size handle_flush(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<FlushIn>());
    return answer_nothing(
        call.filesystem.flush(call.context, call.node, HandleId{in.fh}, LockOwner{in.lock_owner}));
}

Outcome<ReleaseArgs> read_release(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<ReleaseIn>());
    return ReleaseArgs{.handle = HandleId{in.fh},
                       .flags = in.flags,
                       .lock_owner = LockOwner{in.lock_owner},
                       .flush = (in.release_flags & FUSE_RELEASE_FLUSH) != 0,
                       .unlock_flock = (in.release_flags & FUSE_RELEASE_FLOCK_UNLOCK) != 0};
}

Size handle_release(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto args, read_release(call));
    return answer_nothing(call.filesystem.release(call.context, call.node, args));
}

Size handle_fsync(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<FsyncIn>());
    return answer_nothing(call.filesystem.fsync(
        call.context, call.node, HandleId{in.fh}, (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0));
}

Size handle_fallocate(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<FallocateIn>());
    VFSKIT_TRY_ASSIGN(const auto offset, checked_offset(in.offset));
    VFSKIT_TRY_ASSIGN(const auto length, checked_offset(in.length));
    return answer_nothing(call.filesystem.fallocate(
        call.context,
        call.node,
        {.handle = HandleId{in.fh}, .offset = offset, .length = length, .mode = in.mode}));
}

Size handle_lseek(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<LseekIn>());
    VFSKIT_TRY_ASSIGN(const auto offset, checked_offset(in.offset));
    // The guest's kernel does SEEK_SET, SEEK_CUR and SEEK_END by itself; here they would only move
    // the position that all users of the handle share.
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) {
        return Errno{EINVAL};
    }
    VFSKIT_TRY_ASSIGN(
        const auto found,
        call.filesystem.lseek(call.context, call.node, HandleId{in.fh}, offset, in.whence));
    return answer(call, LseekOut{.offset = static_cast<std::uint64_t>(found)});
}

Outcome<std::size_t> copy_file_range(Call& call, std::uint64_t max_length) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<CopyFileRangeIn>());
    VFSKIT_TRY_ASSIGN(const auto offset_in, checked_offset(in.off_in));
    VFSKIT_TRY_ASSIGN(const auto offset_out, checked_offset(in.off_out));
    return call.filesystem.copy_file_range(
        call.context,
        call.node,
        {.handle_in = HandleId{in.fh_in},
         .offset_in = offset_in,
         .node_out = NodeId{in.nodeid_out},
         .handle_out = HandleId{in.fh_out},
         .offset_out = offset_out,
         .length = static_cast<std::size_t>(std::min(in.len, max_length)),
         .flags = in.flags});
}

Size handle_copy_file_range(Call& call) {
    // The reply has 32 bits for the count; whole pages keep a clone possible.
    VFSKIT_TRY_ASSIGN(const auto copied, copy_file_range(call, UINT32_MAX & ~0xfffU));
    return answer(call, WriteOut{.size = static_cast<std::uint32_t>(copied), .padding = 0});
}

Size handle_copy_file_range_64(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto copied, copy_file_range(call, INT64_MAX & ~0xfffULL));
    return answer(call, CopyFileRangeOut{.bytes_copied = copied});
}

Size handle_ioctl(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<IoctlIn>());
    // Unrestricted ones make the server read the caller's memory: for character devices only.
    if ((in.flags & FUSE_IOCTL_UNRESTRICTED) != 0) {
        return Errno{ENOTTY};
    }
    VFSKIT_TRY_ASSIGN(const auto input, call.arguments.read_bytes(in.in_size));
    const auto room = std::min<std::size_t>(call.payload_room - sizeof(IoctlOut), max_ioctl_size);
    const auto output = reply_memory(call, std::min<std::size_t>(in.out_size, room));
    std::fill(output.begin(), output.end(), std::byte{});
    VFSKIT_TRY_ASSIGN(const auto done,
                      call.filesystem.ioctl(call.context,
                                            call.node,
                                            {.handle = HandleId{in.fh},
                                             .command = in.cmd,
                                             .flags = in.flags,
                                             .in = input,
                                             .out = output}));
    const auto out_size = std::min(done.out_size, output.size());
    scatter(call.payload,
            0,
            bytes_of(IoctlOut{.result = done.result, .flags = 0, .in_iovs = 0, .out_iovs = 0}));
    scatter(call.payload, sizeof(IoctlOut), output.first(out_size));
    return sizeof(IoctlOut) + out_size;
}

Size handle_syncfs(Call& call) {
    return answer_nothing(call.filesystem.syncfs(call.context, call.node));
}

// Directories.

Size handle_opendir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<OpenIn>());
    VFSKIT_TRY_ASSIGN(const auto opened,
                      call.filesystem.opendir(
                          call.context, call.node, {.flags = in.flags, .kill_suidgid = false}));
    return answer(call, make_open_out(opened, call.cache_rules.opendir_flags));
}

Size list(Call& call, bool is_plus) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<ReadIn>());
    DirBuffer out{slice(call.payload, 0, in.size, call.scratch.data),
                  is_plus,
                  call.cache_rules.entry_timeout,
                  call.cache_rules.attr_timeout};
    const auto listed =
        call.filesystem.readdir(call.context, call.node, HandleId{in.fh}, in.offset, out);
    // Entries that are in the buffer have been looked up: the guest must get them. The error comes
    // again with the next call.
    if (!listed && out.size() == 0) {
        return listed.error();
    }
    return out.size();
}

Size handle_readdir(Call& call) {
    return list(call, false);
}

Size handle_readdirplus(Call& call) {
    return list(call, true);
}

Size handle_releasedir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto args, read_release(call));
    return answer_nothing(call.filesystem.releasedir(call.context, call.node, args));
}

Size handle_fsyncdir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<FsyncIn>());
    return answer_nothing(call.filesystem.fsyncdir(
        call.context, call.node, HandleId{in.fh}, (in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0));
}

// Extended attributes.

/// The common shape of GETXATTR and LISTXATTR: a size of 0 asks for the size.
template <class Get>
Size answer_xattr(Call& call, std::uint32_t wanted, Get get) {
    static_assert(XATTR_SIZE_MAX == XATTR_LIST_MAX);
    if (wanted == 0) {
        if (call.payload_room < sizeof(GetxattrOut)) {
            return Errno{EINVAL};
        }
        VFSKIT_TRY_ASSIGN(const auto size, get(std::span<std::byte>{}));
        return answer(call, GetxattrOut{.size = static_cast<std::uint32_t>(size), .padding = 0});
    }
    const auto room = std::min<std::size_t>({wanted, call.payload_room, XATTR_SIZE_MAX});
    if (room == 0) {
        return Errno{ERANGE};
    }
    const auto memory = reply_memory(call, room);
    VFSKIT_TRY_ASSIGN(const auto size, get(memory));
    if (size > memory.size()) {
        return Errno{ERANGE};
    }
    return answer_bytes(call, memory.first(size));
}

Size handle_getxattr(Call& call) {
    if (!call.options.has_xattr()) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<GetxattrIn>());
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_xattr_name());
    return answer_xattr(call, in.size, [&](std::span<std::byte> out) {
        return call.filesystem.getxattr(call.context, call.node, name, out);
    });
}

Size handle_listxattr(Call& call) {
    if (!call.options.has_xattr()) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<GetxattrIn>());
    return answer_xattr(call, in.size, [&](std::span<std::byte> out) {
        return call.filesystem.listxattr(call.context, call.node, out);
    });
}

Size handle_setxattr(Call& call) {
    if (!call.options.has_xattr()) {
        return Errno{ENOSYS};
    }
    const auto header_size =
        call.negotiated.has(FUSE_SETXATTR_EXT) ? sizeof(SetxattrIn) : FUSE_COMPAT_SETXATTR_IN_SIZE;
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read_prefix<SetxattrIn>(header_size));
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_xattr_name());
    if (in.size != call.arguments.remaining() ||
        (in.flags & ~static_cast<std::uint32_t>(XATTR_CREATE | XATTR_REPLACE)) != 0) {
        return Errno{EINVAL};
    }
    if (in.size > XATTR_SIZE_MAX) {
        return Errno{E2BIG};
    }
    VFSKIT_TRY_ASSIGN(const auto value, call.arguments.read_bytes(in.size));
    return answer_nothing(call.filesystem.setxattr(
        call.context,
        call.node,
        name,
        {.value = value,
         .flags = static_cast<int>(in.flags),
         .acl_kill_sgid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0}));
}

Size handle_removexattr(Call& call) {
    if (!call.options.has_xattr()) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY_ASSIGN(const auto name, call.arguments.read_xattr_name());
    return answer_nothing(call.filesystem.removexattr(call.context, call.node, name));
}

// Locks.

Outcome<LockArgs> read_lock(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<LkIn>());
    const bool is_flock = (in.lk_flags & FUSE_LK_FLOCK) != 0;
    if (!call.negotiated.has(is_flock ? FUSE_FLOCK_LOCKS : FUSE_POSIX_LOCKS)) {
        return Errno{ENOSYS};
    }
    VFSKIT_TRY_ASSIGN(const auto start, checked_offset(in.lk.start));
    VFSKIT_TRY_ASSIGN(const auto end, checked_offset(in.lk.end));
    const auto type = static_cast<int>(in.lk.type);
    if (start > end || (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)) {
        return Errno{EINVAL};
    }
    return LockArgs{.handle = HandleId{in.fh},
                    .owner = LockOwner{in.owner},
                    .range = {.start = start, .end = end, .type = type, .pid = in.lk.pid},
                    .is_flock = is_flock};
}

Size handle_getlk(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto args, read_lock(call));
    VFSKIT_TRY_ASSIGN(const auto found, call.filesystem.getlk(call.context, call.node, args));
    return answer(call,
                  LkOut{.lk = {.start = static_cast<std::uint64_t>(found.start),
                               .end = static_cast<std::uint64_t>(found.end),
                               .type = static_cast<std::uint32_t>(found.type),
                               .pid = found.pid}});
}

Size handle_setlk(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto args, read_lock(call));
    return answer_nothing(call.filesystem.setlk(call.context, call.node, args));
}

Size handle_setlkw(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto args, read_lock(call));
    VFSKIT_TRY_ASSIGN(const auto state,
                      call.filesystem.setlkw(call.context, call.node, args, call.deferral));
    // The session knows by the deferral whether it was parked; a claim without it gets no answer
    // otherwise.
    if (state == LockState::parked && !call.deferral.is_parked()) {
        return Errno{EIO};
    }
    return std::size_t{0};
}

Size handle_interrupt(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<InterruptIn>());
    call.filesystem.interrupt(call.context, Unique{in.unique});
    return std::size_t{0};
}

Size handle_notify_reply(Call&) {
    return std::size_t{0};
}

constexpr std::array<Operation, opcode_limit> make_operations() {
    std::array<Operation, opcode_limit> table{};
    table.fill({.handler = handle_unsupported});
    const auto set = [&](Opcode opcode, Handler handler, std::size_t least_payload = 0) {
        table[static_cast<std::uint32_t>(opcode)] = {.handler = handler,
                                                     .least_payload = least_payload};
    };
    const auto set_silent = [&](Opcode opcode, Handler handler) {
        table[static_cast<std::uint32_t>(opcode)] = {.handler = handler, .is_silent = true};
    };
    using enum Opcode;
    set(FUSE_LOOKUP, handle_lookup, sizeof(EntryOut));
    set_silent(FUSE_FORGET, handle_forget);
    set(FUSE_GETATTR, handle_getattr, sizeof(AttrOut));
    set(FUSE_SETATTR, handle_setattr, sizeof(AttrOut));
    set(FUSE_READLINK, handle_readlink);
    set(FUSE_SYMLINK, handle_symlink, sizeof(EntryOut));
    set(FUSE_MKNOD, handle_mknod, sizeof(EntryOut));
    set(FUSE_MKDIR, handle_mkdir, sizeof(EntryOut));
    set(FUSE_UNLINK, handle_unlink);
    set(FUSE_RMDIR, handle_rmdir);
    set(FUSE_RENAME, handle_rename);
    set(FUSE_LINK, handle_link, sizeof(EntryOut));
    set(FUSE_OPEN, handle_open, sizeof(OpenOut));
    set(FUSE_READ, handle_read);
    set(FUSE_WRITE, handle_write, sizeof(WriteOut));
    set(FUSE_STATFS, handle_statfs, sizeof(StatfsOut));
    set(FUSE_RELEASE, handle_release);
    set(FUSE_FSYNC, handle_fsync);
    set(FUSE_SETXATTR, handle_setxattr);
    set(FUSE_GETXATTR, handle_getxattr);
    set(FUSE_LISTXATTR, handle_listxattr);
    set(FUSE_REMOVEXATTR, handle_removexattr);
    set(FUSE_FLUSH, handle_flush);
    set(FUSE_OPENDIR, handle_opendir, sizeof(OpenOut));
    set(FUSE_READDIR, handle_readdir);
    set(FUSE_RELEASEDIR, handle_releasedir);
    set(FUSE_FSYNCDIR, handle_fsyncdir);
    set(FUSE_GETLK, handle_getlk, sizeof(LkOut));
    set(FUSE_SETLK, handle_setlk);
    set(FUSE_SETLKW, handle_setlkw);
    set(FUSE_ACCESS, handle_access);
    set(FUSE_CREATE, handle_create, sizeof(EntryOut) + sizeof(OpenOut));
    set_silent(FUSE_INTERRUPT, handle_interrupt);
    set(FUSE_IOCTL, handle_ioctl, sizeof(IoctlOut));
    set_silent(FUSE_NOTIFY_REPLY, handle_notify_reply);
    set_silent(FUSE_BATCH_FORGET, handle_batch_forget);
    set(FUSE_FALLOCATE, handle_fallocate);
    set(FUSE_READDIRPLUS, handle_readdirplus);
    set(FUSE_RENAME2, handle_rename2);
    set(FUSE_LSEEK, handle_lseek, sizeof(LseekOut));
    set(FUSE_COPY_FILE_RANGE, handle_copy_file_range, sizeof(WriteOut));
    set(FUSE_SYNCFS, handle_syncfs);
    set(FUSE_TMPFILE, handle_tmpfile, sizeof(EntryOut) + sizeof(OpenOut));
    set(FUSE_STATX, handle_statx, sizeof(StatxOut));
    set(FUSE_COPY_FILE_RANGE_64, handle_copy_file_range_64, sizeof(CopyFileRangeOut));
    return table;
}

constexpr auto operations = make_operations();

} // namespace

const Operation& find_operation(std::uint32_t opcode) {
    return operations[opcode < opcode_limit ? opcode : 0];
}

} // namespace vfskit::fuse
