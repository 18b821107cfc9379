// SPDX-License-Identifier: Apache-2.0
// Our numbers against those of the kernel's header. Its macros would shadow our names, so ours are
// written down before it is included.
#include "core/fuse/wire.h"

#include <cstddef>
#include <cstdint>

namespace {

namespace ours = vfskit::fuse::wire;

constexpr std::uint64_t our_flags[] = {
    ours::FUSE_ASYNC_READ,
    ours::FUSE_POSIX_LOCKS,
    ours::FUSE_DONT_MASK,
    ours::FUSE_FLOCK_LOCKS,
    ours::FUSE_WRITEBACK_CACHE,
    ours::FUSE_POSIX_ACL,
    ours::FUSE_MAX_PAGES,
    ours::FUSE_HANDLE_KILLPRIV_V2,
    ours::FUSE_SETXATTR_EXT,
    ours::FUSE_INIT_EXT,
    ours::FUSE_SECURITY_CTX,
    ours::FUSE_HAS_EXPIRE_ONLY,
    ours::FATTR_LOCKOWNER,
    ours::FATTR_KILL_SUIDGID,
    ours::FOPEN_DIRECT_IO,
    ours::FOPEN_CACHE_DIR,
    ours::FOPEN_PARALLEL_DIRECT_WRITES,
    ours::FUSE_RELEASE_FLOCK_UNLOCK,
    ours::FUSE_GETATTR_FH,
    ours::FUSE_LK_FLOCK,
    ours::FUSE_WRITE_CACHE,
    ours::FUSE_WRITE_KILL_SUIDGID,
    ours::FUSE_READ_LOCKOWNER,
    ours::FUSE_IOCTL_UNRESTRICTED,
    ours::FUSE_FSYNC_FDATASYNC,
    ours::FUSE_ATTR_SUBMOUNT,
    ours::FUSE_OPEN_KILL_SUIDGID,
    ours::FUSE_SETXATTR_ACL_KILL_SGID,
};

} // namespace

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <algorithm>
#include <iterator>

namespace {

TEST(Wire, FlagsAreTheKernels) {
    const std::uint64_t kernel[] = {
        FUSE_ASYNC_READ,
        FUSE_POSIX_LOCKS,
        FUSE_DONT_MASK,
        FUSE_FLOCK_LOCKS,
        FUSE_WRITEBACK_CACHE,
        FUSE_POSIX_ACL,
        FUSE_MAX_PAGES,
        FUSE_HANDLE_KILLPRIV_V2,
        FUSE_SETXATTR_EXT,
        FUSE_INIT_EXT,
        FUSE_SECURITY_CTX,
        FUSE_HAS_EXPIRE_ONLY,
        FATTR_LOCKOWNER,
        FATTR_KILL_SUIDGID,
        FOPEN_DIRECT_IO,
        FOPEN_CACHE_DIR,
        FOPEN_PARALLEL_DIRECT_WRITES,
        FUSE_RELEASE_FLOCK_UNLOCK,
        FUSE_GETATTR_FH,
        FUSE_LK_FLOCK,
        FUSE_WRITE_CACHE,
        FUSE_WRITE_KILL_SUIDGID,
        FUSE_READ_LOCKOWNER,
        FUSE_IOCTL_UNRESTRICTED,
        FUSE_FSYNC_FDATASYNC,
        FUSE_ATTR_SUBMOUNT,
        FUSE_OPEN_KILL_SUIDGID,
        FUSE_SETXATTR_ACL_KILL_SGID,
    };
    EXPECT_TRUE(std::equal(
        std::begin(kernel), std::end(kernel), std::begin(our_flags), std::end(our_flags)));
}

TEST(Wire, StructsHaveTheKernelsSizes) {
    EXPECT_EQ(sizeof(ours::InHeader), sizeof(fuse_in_header));
    EXPECT_EQ(sizeof(ours::EntryOut), sizeof(fuse_entry_out));
    EXPECT_EQ(sizeof(ours::AttrOut), sizeof(fuse_attr_out));
    EXPECT_EQ(sizeof(ours::OpenOut), sizeof(fuse_open_out));
    EXPECT_EQ(sizeof(ours::Kstatfs), sizeof(fuse_kstatfs));
    EXPECT_EQ(sizeof(ours::SetattrIn), sizeof(fuse_setattr_in));
    EXPECT_EQ(sizeof(ours::CreateIn), sizeof(fuse_create_in));
    EXPECT_EQ(sizeof(ours::MknodIn), sizeof(fuse_mknod_in));
    EXPECT_EQ(sizeof(ours::Rename2In), sizeof(fuse_rename2_in));
    EXPECT_EQ(sizeof(ours::ReadIn), sizeof(fuse_read_in));
    EXPECT_EQ(sizeof(ours::WriteIn), sizeof(fuse_write_in));
    EXPECT_EQ(sizeof(ours::ReleaseIn), sizeof(fuse_release_in));
    EXPECT_EQ(sizeof(ours::FlushIn), sizeof(fuse_flush_in));
    EXPECT_EQ(sizeof(ours::SetxattrIn), sizeof(fuse_setxattr_in));
    EXPECT_EQ(sizeof(ours::LkIn), sizeof(fuse_lk_in));
    EXPECT_EQ(sizeof(ours::InitIn), sizeof(fuse_init_in));
    EXPECT_EQ(sizeof(ours::InitOut), sizeof(fuse_init_out));
    EXPECT_EQ(sizeof(ours::IoctlIn), sizeof(fuse_ioctl_in));
    EXPECT_EQ(sizeof(ours::IoctlOut), sizeof(fuse_ioctl_out));
    EXPECT_EQ(sizeof(ours::FallocateIn), sizeof(fuse_fallocate_in));
    EXPECT_EQ(sizeof(ours::LseekIn), sizeof(fuse_lseek_in));
    EXPECT_EQ(sizeof(ours::CopyFileRangeIn), sizeof(fuse_copy_file_range_in));
    EXPECT_EQ(sizeof(ours::Dirent), FUSE_NAME_OFFSET);
    EXPECT_EQ(sizeof(ours::Direntplus), FUSE_NAME_OFFSET_DIRENTPLUS);
    EXPECT_EQ(sizeof(ours::ExtHeader), sizeof(fuse_ext_header));
    EXPECT_EQ(sizeof(ours::Secctx), sizeof(fuse_secctx));
}

TEST(Wire, FieldsAreWhereTheKernelHasThem) {
    EXPECT_EQ(offsetof(ours::InHeader, total_extlen), offsetof(fuse_in_header, total_extlen));
    EXPECT_EQ(offsetof(ours::InitOut, flags2), offsetof(fuse_init_out, flags2));
    EXPECT_EQ(offsetof(ours::InitOut, max_pages), offsetof(fuse_init_out, max_pages));
    EXPECT_EQ(offsetof(ours::SetattrIn, uid), offsetof(fuse_setattr_in, uid));
    EXPECT_EQ(offsetof(ours::WriteIn, lock_owner), offsetof(fuse_write_in, lock_owner));
    EXPECT_EQ(offsetof(ours::LkIn, lk_flags), offsetof(fuse_lk_in, lk_flags));
    EXPECT_EQ(offsetof(ours::Attr, flags), offsetof(fuse_attr, flags));
}

TEST(Wire, OpcodesAreTheKernels) {
    const auto raw = [](ours::Opcode opcode) { return static_cast<int>(opcode); };
    EXPECT_EQ(raw(ours::Opcode::FUSE_LOOKUP), FUSE_LOOKUP);
    EXPECT_EQ(raw(ours::Opcode::FUSE_MKNOD), FUSE_MKNOD);
    EXPECT_EQ(raw(ours::Opcode::FUSE_RELEASE), FUSE_RELEASE);
    EXPECT_EQ(raw(ours::Opcode::FUSE_FSYNC), FUSE_FSYNC);
    EXPECT_EQ(raw(ours::Opcode::FUSE_INIT), FUSE_INIT);
    EXPECT_EQ(raw(ours::Opcode::FUSE_SETLKW), FUSE_SETLKW);
    EXPECT_EQ(raw(ours::Opcode::FUSE_CREATE), FUSE_CREATE);
    EXPECT_EQ(raw(ours::Opcode::FUSE_BATCH_FORGET), FUSE_BATCH_FORGET);
    EXPECT_EQ(raw(ours::Opcode::FUSE_READDIRPLUS), FUSE_READDIRPLUS);
    EXPECT_EQ(raw(ours::Opcode::FUSE_SYNCFS), FUSE_SYNCFS);
    EXPECT_EQ(raw(ours::Opcode::FUSE_TMPFILE), FUSE_TMPFILE);
}

} // namespace
