// SPDX-License-Identifier: Apache-2.0
// Requests about locks; FileLocks does the work.
#include "core/passthrough/passthrough_fs.h"

#include <cerrno>

namespace vfskit::passthrough {

using fuse::Context;
using fuse::Errno;
using fuse::Outcome;

Outcome<LockRange> PassthroughFs::getlk(Context& /*ctx*/, NodeId node, const fuse::LockArgs& args) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    return handle->node == node ? locks_.get(node, args) : Errno{EBADF};
}

Outcome<void> PassthroughFs::setlk(Context& /*ctx*/, NodeId node, const fuse::LockArgs& args) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    return handle->node == node ? locks_.set(node, args) : Errno{EBADF};
}

Outcome<fuse::LockState> PassthroughFs::setlkw(Context& ctx,
                                               NodeId node,
                                               const fuse::LockArgs& args,
                                               fuse::Deferral& deferral) {
    VFSKIT_TRY_ASSIGN(const auto handle, get_handle(args.handle));
    if (handle->node != node) {
        return Errno{EBADF};
    }
    return locks_.set_or_park(node, args, ctx.unique, deferral);
}

void PassthroughFs::interrupt(Context& /*ctx*/, fuse::Unique unique) {
    locks_.interrupt(unique);
}

void PassthroughFs::cancel_parked(Errno reason) {
    locks_.cancel_parked(reason);
}

} // namespace vfskit::passthrough
