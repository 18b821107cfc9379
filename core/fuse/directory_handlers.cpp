// SPDX-License-Identifier: Apache-2.0
#include "core/base/result.h"
#include "core/fuse/answer.h"
#include "core/fuse/handlers.h"

namespace vfskit::fuse {

using namespace wire;

namespace {

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

} // namespace

Size handle_opendir(Call& call) {
    VFSKIT_TRY_ASSIGN(const auto in, call.arguments.read<OpenIn>());
    VFSKIT_TRY_ASSIGN(const auto opened,
                      call.filesystem.opendir(
                          call.context, call.node, {.flags = in.flags, .kill_suidgid = false}));
    return answer(call, make_open_out(opened, call.cache_rules.opendir_flags));
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

} // namespace vfskit::fuse
