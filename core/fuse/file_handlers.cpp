// SPDX-License-Identifier: Apache-2.0
// Requests on open files that move no data.
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace vfskit::fuse {

using namespace wire;

namespace {

// An _IOC command has 14 bits for its size.
constexpr std::uint32_t max_ioctl_size = 1U << 14;

} // namespace

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

} // namespace vfskit::fuse
