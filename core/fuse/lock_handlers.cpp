// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <fcntl.h>

namespace vfskit::fuse {

using namespace wire;

namespace {

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

} // namespace

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

} // namespace vfskit::fuse
