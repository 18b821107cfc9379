// SPDX-License-Identifier: Apache-2.0
// Requests about a node itself.
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <linux/limits.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace vfskit::fuse {

using namespace wire;

namespace {

std::optional<HandleId> handle_if(std::uint32_t flags, std::uint64_t fh) {
    return (flags & FUSE_GETATTR_FH) != 0 ? std::optional{HandleId{fh}} : std::nullopt;
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

} // namespace

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

} // namespace vfskit::fuse
