// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/dispatch.h"

#include "core/fuse/handlers.h"

#include <array>
#include <cstdint>

namespace vfskit::fuse {

namespace {

using namespace wire;

Size handle_unsupported(Call&) {
    return Errno{ENOSYS};
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
