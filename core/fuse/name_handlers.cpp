// SPDX-License-Identifier: Apache-2.0
// Requests that make, remove or move names.
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

#include <linux/fs.h>
#include <linux/limits.h>

#include <cstdint>

namespace vfskit::fuse {

using namespace wire;

namespace {

Outcome<void> read_extensions(Call& call) {
    return parse_extensions(call.extensions, call.scratch.groups, call.context);
}

CreateArgs decode_create(Call& call, const CreateIn& in) {
    call.context.umask = in.umask & 0777;
    return {.mode = in.mode,
            .flags = in.flags,
            .kill_suidgid = (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0};
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

} // namespace

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

} // namespace vfskit::fuse
