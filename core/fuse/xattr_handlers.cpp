// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <linux/limits.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstdint>
#include <span>

namespace vfskit::fuse {

using namespace wire;

namespace {

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

} // namespace

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

} // namespace vfskit::fuse
