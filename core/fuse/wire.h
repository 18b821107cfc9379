// SPDX-License-Identifier: Apache-2.0
// The bytes of the FUSE protocol as Linux speaks it (include/uapi/linux/fuse.h), 64-bit layout,
// native little-endian. Names of constants and fields are the specification's; nothing here has
// behaviour.
//
// Which protocol minor brought what we know:
//   7.1 … 7.38  2005 … 2022  everything below that is not listed next
//   7.36        2021  init flags2 (bits 32 and up), FUSE_SECURITY_CTX, FUSE_HAS_INODE_DAX
//   7.38        2022  FUSE_EXT_GROUPS and total_extlen in the request header, FUSE_HAS_EXPIRE_ONLY
//   7.39        2023  FUSE_STATX, FUSE_DIRECT_IO_ALLOW_MMAP
//   7.40        2024  max_stack_depth, backing_id, FUSE_PASSTHROUGH, FUSE_HAS_RESEND,
//   FUSE_NO_EXPORT_SUPPORT 7.41        2024  FUSE_ALLOW_IDMAP 7.42        2025  FUSE_OVER_IO_URING
//   7.43        2025  FUSE_REQUEST_TIMEOUT and request_timeout
//   7.44        2025  FUSE_NOTIFY_INC_EPOCH
//   7.45        2025  FUSE_COPY_FILE_RANGE_64, FUSE_NOTIFY_PRUNE
// History of this file:
//   2026-11-21  first version, covers 7.38 to 7.45.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vfskit::fuse::wire {

inline constexpr std::uint32_t FUSE_KERNEL_VERSION = 7;
inline constexpr std::uint64_t FUSE_ROOT_ID = 1;

enum class Opcode : std::uint32_t {
    FUSE_LOOKUP = 1,
    FUSE_FORGET = 2,
    FUSE_GETATTR = 3,
    FUSE_SETATTR = 4,
    FUSE_READLINK = 5,
    FUSE_SYMLINK = 6,
    FUSE_MKNOD = 8,
    FUSE_MKDIR = 9,
    FUSE_UNLINK = 10,
    FUSE_RMDIR = 11,
    FUSE_RENAME = 12,
    FUSE_LINK = 13,
    FUSE_OPEN = 14,
    FUSE_READ = 15,
    FUSE_WRITE = 16,
    FUSE_STATFS = 17,
    FUSE_RELEASE = 18,
    FUSE_FSYNC = 20,
    FUSE_SETXATTR = 21,
    FUSE_GETXATTR = 22,
    FUSE_LISTXATTR = 23,
    FUSE_REMOVEXATTR = 24,
    FUSE_FLUSH = 25,
    FUSE_INIT = 26,
    FUSE_OPENDIR = 27,
    FUSE_READDIR = 28,
    FUSE_RELEASEDIR = 29,
    FUSE_FSYNCDIR = 30,
    FUSE_GETLK = 31,
    FUSE_SETLK = 32,
    FUSE_SETLKW = 33,
    FUSE_ACCESS = 34,
    FUSE_CREATE = 35,
    FUSE_INTERRUPT = 36,
    FUSE_BMAP = 37,
    FUSE_DESTROY = 38,
    FUSE_IOCTL = 39,
    FUSE_POLL = 40,
    FUSE_NOTIFY_REPLY = 41,
    FUSE_BATCH_FORGET = 42,
    FUSE_FALLOCATE = 43,
    FUSE_READDIRPLUS = 44,
    FUSE_RENAME2 = 45,
    FUSE_LSEEK = 46,
    FUSE_COPY_FILE_RANGE = 47,
    FUSE_SETUPMAPPING = 48,
    FUSE_REMOVEMAPPING = 49,
    FUSE_SYNCFS = 50,
    FUSE_TMPFILE = 51,
    FUSE_STATX = 52,
    FUSE_COPY_FILE_RANGE_64 = 53,
};

/// One past the largest opcode that we know: the size of tables indexed by opcode.
inline constexpr std::uint32_t opcode_limit = 54;

// INIT flags; bits 32 and up travel in flags2.
inline constexpr std::uint64_t FUSE_ASYNC_READ = 1ULL << 0;
inline constexpr std::uint64_t FUSE_POSIX_LOCKS = 1ULL << 1;
inline constexpr std::uint64_t FUSE_FILE_OPS = 1ULL << 2;
inline constexpr std::uint64_t FUSE_ATOMIC_O_TRUNC = 1ULL << 3;
inline constexpr std::uint64_t FUSE_EXPORT_SUPPORT = 1ULL << 4;
inline constexpr std::uint64_t FUSE_BIG_WRITES = 1ULL << 5;
inline constexpr std::uint64_t FUSE_DONT_MASK = 1ULL << 6;
inline constexpr std::uint64_t FUSE_SPLICE_WRITE = 1ULL << 7;
inline constexpr std::uint64_t FUSE_SPLICE_MOVE = 1ULL << 8;
inline constexpr std::uint64_t FUSE_SPLICE_READ = 1ULL << 9;
inline constexpr std::uint64_t FUSE_FLOCK_LOCKS = 1ULL << 10;
inline constexpr std::uint64_t FUSE_HAS_IOCTL_DIR = 1ULL << 11;
inline constexpr std::uint64_t FUSE_AUTO_INVAL_DATA = 1ULL << 12;
inline constexpr std::uint64_t FUSE_DO_READDIRPLUS = 1ULL << 13;
inline constexpr std::uint64_t FUSE_READDIRPLUS_AUTO = 1ULL << 14;
inline constexpr std::uint64_t FUSE_ASYNC_DIO = 1ULL << 15;
inline constexpr std::uint64_t FUSE_WRITEBACK_CACHE = 1ULL << 16;
inline constexpr std::uint64_t FUSE_NO_OPEN_SUPPORT = 1ULL << 17;
inline constexpr std::uint64_t FUSE_PARALLEL_DIROPS = 1ULL << 18;
inline constexpr std::uint64_t FUSE_HANDLE_KILLPRIV = 1ULL << 19;
inline constexpr std::uint64_t FUSE_POSIX_ACL = 1ULL << 20;
inline constexpr std::uint64_t FUSE_ABORT_ERROR = 1ULL << 21;
inline constexpr std::uint64_t FUSE_MAX_PAGES = 1ULL << 22;
inline constexpr std::uint64_t FUSE_CACHE_SYMLINKS = 1ULL << 23;
inline constexpr std::uint64_t FUSE_NO_OPENDIR_SUPPORT = 1ULL << 24;
inline constexpr std::uint64_t FUSE_EXPLICIT_INVAL_DATA = 1ULL << 25;
inline constexpr std::uint64_t FUSE_MAP_ALIGNMENT = 1ULL << 26;
inline constexpr std::uint64_t FUSE_SUBMOUNTS = 1ULL << 27;
inline constexpr std::uint64_t FUSE_HANDLE_KILLPRIV_V2 = 1ULL << 28;
inline constexpr std::uint64_t FUSE_SETXATTR_EXT = 1ULL << 29;
inline constexpr std::uint64_t FUSE_INIT_EXT = 1ULL << 30;
inline constexpr std::uint64_t FUSE_INIT_RESERVED = 1ULL << 31;
inline constexpr std::uint64_t FUSE_SECURITY_CTX = 1ULL << 32;
inline constexpr std::uint64_t FUSE_HAS_INODE_DAX = 1ULL << 33;
inline constexpr std::uint64_t FUSE_CREATE_SUPP_GROUP = 1ULL << 34;
inline constexpr std::uint64_t FUSE_HAS_EXPIRE_ONLY = 1ULL << 35;
inline constexpr std::uint64_t FUSE_DIRECT_IO_ALLOW_MMAP = 1ULL << 36;
inline constexpr std::uint64_t FUSE_PASSTHROUGH = 1ULL << 37;
inline constexpr std::uint64_t FUSE_NO_EXPORT_SUPPORT = 1ULL << 38;
inline constexpr std::uint64_t FUSE_HAS_RESEND = 1ULL << 39;
inline constexpr std::uint64_t FUSE_ALLOW_IDMAP = 1ULL << 40;
inline constexpr std::uint64_t FUSE_OVER_IO_URING = 1ULL << 41;
inline constexpr std::uint64_t FUSE_REQUEST_TIMEOUT = 1ULL << 42;

// SETATTR valid bits.
inline constexpr std::uint32_t FATTR_MODE = 1U << 0;
inline constexpr std::uint32_t FATTR_UID = 1U << 1;
inline constexpr std::uint32_t FATTR_GID = 1U << 2;
inline constexpr std::uint32_t FATTR_SIZE = 1U << 3;
inline constexpr std::uint32_t FATTR_ATIME = 1U << 4;
inline constexpr std::uint32_t FATTR_MTIME = 1U << 5;
inline constexpr std::uint32_t FATTR_FH = 1U << 6;
inline constexpr std::uint32_t FATTR_ATIME_NOW = 1U << 7;
inline constexpr std::uint32_t FATTR_MTIME_NOW = 1U << 8;
inline constexpr std::uint32_t FATTR_LOCKOWNER = 1U << 9;
inline constexpr std::uint32_t FATTR_CTIME = 1U << 10;
inline constexpr std::uint32_t FATTR_KILL_SUIDGID = 1U << 11;

// OPEN, OPENDIR and CREATE reply flags.
inline constexpr std::uint32_t FOPEN_DIRECT_IO = 1U << 0;
inline constexpr std::uint32_t FOPEN_KEEP_CACHE = 1U << 1;
inline constexpr std::uint32_t FOPEN_NONSEEKABLE = 1U << 2;
inline constexpr std::uint32_t FOPEN_CACHE_DIR = 1U << 3;
inline constexpr std::uint32_t FOPEN_STREAM = 1U << 4;
inline constexpr std::uint32_t FOPEN_NOFLUSH = 1U << 5;
inline constexpr std::uint32_t FOPEN_PARALLEL_DIRECT_WRITES = 1U << 6;
inline constexpr std::uint32_t FOPEN_PASSTHROUGH = 1U << 7;

// Flags of single requests and of attributes.
inline constexpr std::uint32_t FUSE_RELEASE_FLUSH = 1U << 0;
inline constexpr std::uint32_t FUSE_RELEASE_FLOCK_UNLOCK = 1U << 1;
inline constexpr std::uint32_t FUSE_GETATTR_FH = 1U << 0;
inline constexpr std::uint32_t FUSE_LK_FLOCK = 1U << 0;
inline constexpr std::uint32_t FUSE_WRITE_CACHE = 1U << 0;
inline constexpr std::uint32_t FUSE_WRITE_LOCKOWNER = 1U << 1;
inline constexpr std::uint32_t FUSE_WRITE_KILL_SUIDGID = 1U << 2;
inline constexpr std::uint32_t FUSE_READ_LOCKOWNER = 1U << 1;
inline constexpr std::uint32_t FUSE_IOCTL_COMPAT = 1U << 0;
inline constexpr std::uint32_t FUSE_IOCTL_UNRESTRICTED = 1U << 1;
inline constexpr std::uint32_t FUSE_IOCTL_RETRY = 1U << 2;
inline constexpr std::uint32_t FUSE_IOCTL_32BIT = 1U << 3;
inline constexpr std::uint32_t FUSE_IOCTL_DIR = 1U << 4;
inline constexpr std::uint32_t FUSE_IOCTL_COMPAT_X32 = 1U << 5;
inline constexpr std::uint32_t FUSE_FSYNC_FDATASYNC = 1U << 0;
inline constexpr std::uint32_t FUSE_ATTR_SUBMOUNT = 1U << 0;
inline constexpr std::uint32_t FUSE_ATTR_DAX = 1U << 1;
inline constexpr std::uint32_t FUSE_OPEN_KILL_SUIDGID = 1U << 0;
inline constexpr std::uint32_t FUSE_SETXATTR_ACL_KILL_SGID = 1U << 0;

// Types of the extension records behind CREATE, MKDIR, MKNOD, SYMLINK, TMPFILE. A type up to
// FUSE_MAX_NR_SECCTX is the number of security contexts in the record.
inline constexpr std::uint32_t FUSE_MAX_NR_SECCTX = 31;
inline constexpr std::uint32_t FUSE_EXT_GROUPS = 32;

/// Records in a READDIR reply and in the extensions start at multiples of this.
inline constexpr std::size_t record_align = 8;

struct Attr {
    std::uint64_t ino;
    std::uint64_t size;
    std::uint64_t blocks;
    std::uint64_t atime;
    std::uint64_t mtime;
    std::uint64_t ctime;
    std::uint32_t atimensec;
    std::uint32_t mtimensec;
    std::uint32_t ctimensec;
    std::uint32_t mode;
    std::uint32_t nlink;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t rdev;
    std::uint32_t blksize;
    std::uint32_t flags;
};
static_assert(sizeof(Attr) == 88);

struct SxTime {
    std::int64_t tv_sec;
    std::uint32_t tv_nsec;
    std::int32_t reserved;
};
static_assert(sizeof(SxTime) == 16);

struct Statx {
    std::uint32_t mask;
    std::uint32_t blksize;
    std::uint64_t attributes;
    std::uint32_t nlink;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint16_t mode;
    std::uint16_t spare0[1];
    std::uint64_t ino;
    std::uint64_t size;
    std::uint64_t blocks;
    std::uint64_t attributes_mask;
    SxTime atime;
    SxTime btime;
    SxTime ctime;
    SxTime mtime;
    std::uint32_t rdev_major;
    std::uint32_t rdev_minor;
    std::uint32_t dev_major;
    std::uint32_t dev_minor;
    std::uint64_t spare2[14];
};
static_assert(sizeof(Statx) == 256);

struct Kstatfs {
    std::uint64_t blocks;
    std::uint64_t bfree;
    std::uint64_t bavail;
    std::uint64_t files;
    std::uint64_t ffree;
    std::uint32_t bsize;
    std::uint32_t namelen;
    std::uint32_t frsize;
    std::uint32_t padding;
    std::uint32_t spare[6];
};
static_assert(sizeof(Kstatfs) == 80);

struct FileLock {
    std::uint64_t start;
    std::uint64_t end;
    std::uint32_t type;
    std::uint32_t pid;
};
static_assert(sizeof(FileLock) == 24);

struct InHeader {
    std::uint32_t len;
    std::uint32_t opcode;
    std::uint64_t unique;
    std::uint64_t nodeid;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t pid;
    std::uint16_t total_extlen; // in units of 8 bytes
    std::uint16_t padding;
};
static_assert(sizeof(InHeader) == 40);

struct OutHeader {
    std::uint32_t len;
    std::int32_t error;
    std::uint64_t unique;
};
static_assert(sizeof(OutHeader) == 16);

struct EntryOut {
    std::uint64_t nodeid;
    std::uint64_t generation;
    std::uint64_t entry_valid;
    std::uint64_t attr_valid;
    std::uint32_t entry_valid_nsec;
    std::uint32_t attr_valid_nsec;
    Attr attr;
};
static_assert(sizeof(EntryOut) == 128);

struct ForgetIn {
    std::uint64_t nlookup;
};
static_assert(sizeof(ForgetIn) == 8);

struct ForgetOne {
    std::uint64_t nodeid;
    std::uint64_t nlookup;
};
static_assert(sizeof(ForgetOne) == 16);

struct BatchForgetIn {
    std::uint32_t count;
    std::uint32_t dummy;
};
static_assert(sizeof(BatchForgetIn) == 8);

struct GetattrIn {
    std::uint32_t getattr_flags;
    std::uint32_t dummy;
    std::uint64_t fh;
};
static_assert(sizeof(GetattrIn) == 16);

struct AttrOut {
    std::uint64_t attr_valid;
    std::uint32_t attr_valid_nsec;
    std::uint32_t dummy;
    Attr attr;
};
static_assert(sizeof(AttrOut) == 104);

struct StatxIn {
    std::uint32_t getattr_flags;
    std::uint32_t reserved;
    std::uint64_t fh;
    std::uint32_t sx_flags;
    std::uint32_t sx_mask;
};
static_assert(sizeof(StatxIn) == 24);

struct StatxOut {
    std::uint64_t attr_valid;
    std::uint32_t attr_valid_nsec;
    std::uint32_t flags;
    std::uint64_t spare[2];
    Statx stat;
};
static_assert(sizeof(StatxOut) == 288);

struct MknodIn {
    std::uint32_t mode;
    std::uint32_t rdev;
    std::uint32_t umask;
    std::uint32_t padding;
};
static_assert(sizeof(MknodIn) == 16);

struct MkdirIn {
    std::uint32_t mode;
    std::uint32_t umask;
};
static_assert(sizeof(MkdirIn) == 8);

struct RenameIn {
    std::uint64_t newdir;
};
static_assert(sizeof(RenameIn) == 8);

struct Rename2In {
    std::uint64_t newdir;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(sizeof(Rename2In) == 16);

struct LinkIn {
    std::uint64_t oldnodeid;
};
static_assert(sizeof(LinkIn) == 8);

struct SetattrIn {
    std::uint32_t valid;
    std::uint32_t padding;
    std::uint64_t fh;
    std::uint64_t size;
    std::uint64_t lock_owner;
    std::uint64_t atime;
    std::uint64_t mtime;
    std::uint64_t ctime;
    std::uint32_t atimensec;
    std::uint32_t mtimensec;
    std::uint32_t ctimensec;
    std::uint32_t mode;
    std::uint32_t unused4;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint32_t unused5;
};
static_assert(sizeof(SetattrIn) == 88);

struct OpenIn {
    std::uint32_t flags;
    std::uint32_t open_flags;
};
static_assert(sizeof(OpenIn) == 8);

struct CreateIn {
    std::uint32_t flags;
    std::uint32_t mode;
    std::uint32_t umask;
    std::uint32_t open_flags;
};
static_assert(sizeof(CreateIn) == 16);

struct OpenOut {
    std::uint64_t fh;
    std::uint32_t open_flags;
    std::int32_t backing_id;
};
static_assert(sizeof(OpenOut) == 16);

struct ReleaseIn {
    std::uint64_t fh;
    std::uint32_t flags;
    std::uint32_t release_flags;
    std::uint64_t lock_owner;
};
static_assert(sizeof(ReleaseIn) == 24);

struct FlushIn {
    std::uint64_t fh;
    std::uint32_t unused;
    std::uint32_t padding;
    std::uint64_t lock_owner;
};
static_assert(sizeof(FlushIn) == 24);

struct ReadIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t read_flags;
    std::uint64_t lock_owner;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(sizeof(ReadIn) == 40);

struct WriteIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t write_flags;
    std::uint64_t lock_owner;
    std::uint32_t flags;
    std::uint32_t padding;
};
static_assert(sizeof(WriteIn) == 40);

struct WriteOut {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(sizeof(WriteOut) == 8);

struct StatfsOut {
    Kstatfs st;
};
static_assert(sizeof(StatfsOut) == 80);

struct FsyncIn {
    std::uint64_t fh;
    std::uint32_t fsync_flags;
    std::uint32_t padding;
};
static_assert(sizeof(FsyncIn) == 16);

/// What is sent once FUSE_SETXATTR_EXT is negotiated; else only the first two fields are.
struct SetxattrIn {
    std::uint32_t size;
    std::uint32_t flags;
    std::uint32_t setxattr_flags;
    std::uint32_t padding;
};
static_assert(sizeof(SetxattrIn) == 16);
inline constexpr std::size_t FUSE_COMPAT_SETXATTR_IN_SIZE = 8;

struct GetxattrIn {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(sizeof(GetxattrIn) == 8);

struct GetxattrOut {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(sizeof(GetxattrOut) == 8);

struct LkIn {
    std::uint64_t fh;
    std::uint64_t owner;
    FileLock lk;
    std::uint32_t lk_flags;
    std::uint32_t padding;
};
static_assert(sizeof(LkIn) == 48);

struct LkOut {
    FileLock lk;
};
static_assert(sizeof(LkOut) == 24);

struct AccessIn {
    std::uint32_t mask;
    std::uint32_t padding;
};
static_assert(sizeof(AccessIn) == 8);

/// Minors below 36 send only the first four fields.
struct InitIn {
    std::uint32_t major;
    std::uint32_t minor;
    std::uint32_t max_readahead;
    std::uint32_t flags;
    std::uint32_t flags2;
    std::uint32_t unused[11];
};
static_assert(sizeof(InitIn) == 64);
inline constexpr std::size_t FUSE_COMPAT_INIT_IN_SIZE = 16;

struct InitOut {
    std::uint32_t major;
    std::uint32_t minor;
    std::uint32_t max_readahead;
    std::uint32_t flags;
    std::uint16_t max_background;
    std::uint16_t congestion_threshold;
    std::uint32_t max_write;
    std::uint32_t time_gran;
    std::uint16_t max_pages;
    std::uint16_t map_alignment;
    std::uint32_t flags2;
    std::uint32_t max_stack_depth;
    std::uint16_t request_timeout;
    std::uint16_t unused[11];
};
static_assert(sizeof(InitOut) == 64);

struct InterruptIn {
    std::uint64_t unique;
};
static_assert(sizeof(InterruptIn) == 8);

struct IoctlIn {
    std::uint64_t fh;
    std::uint32_t flags;
    std::uint32_t cmd;
    std::uint64_t arg;
    std::uint32_t in_size;
    std::uint32_t out_size;
};
static_assert(sizeof(IoctlIn) == 32);

struct IoctlOut {
    std::int32_t result;
    std::uint32_t flags;
    std::uint32_t in_iovs;
    std::uint32_t out_iovs;
};
static_assert(sizeof(IoctlOut) == 16);

struct FallocateIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint64_t length;
    std::uint32_t mode;
    std::uint32_t padding;
};
static_assert(sizeof(FallocateIn) == 32);

/// Followed by the name, padded with NULs to record_align.
struct Dirent {
    std::uint64_t ino;
    std::uint64_t off;
    std::uint32_t namelen;
    std::uint32_t type;
};
static_assert(sizeof(Dirent) == 24);

struct Direntplus {
    EntryOut entry_out;
    Dirent dirent;
};
static_assert(sizeof(Direntplus) == 152);

struct LseekIn {
    std::uint64_t fh;
    std::uint64_t offset;
    std::uint32_t whence;
    std::uint32_t padding;
};
static_assert(sizeof(LseekIn) == 24);

struct LseekOut {
    std::uint64_t offset;
};
static_assert(sizeof(LseekOut) == 8);

struct CopyFileRangeIn {
    std::uint64_t fh_in;
    std::uint64_t off_in;
    std::uint64_t nodeid_out;
    std::uint64_t fh_out;
    std::uint64_t off_out;
    std::uint64_t len;
    std::uint64_t flags;
};
static_assert(sizeof(CopyFileRangeIn) == 56);

/// Reply of FUSE_COPY_FILE_RANGE_64; the older opcode answers a WriteOut.
struct CopyFileRangeOut {
    std::uint64_t bytes_copied;
};
static_assert(sizeof(CopyFileRangeOut) == 8);

struct SyncfsIn {
    std::uint64_t padding;
};
static_assert(sizeof(SyncfsIn) == 8);

struct ExtHeader {
    std::uint32_t size; // of the record, this header included
    std::uint32_t type;
};
static_assert(sizeof(ExtHeader) == 8);

/// One security context: followed by its name, NUL, and `size` bytes of value.
struct Secctx {
    std::uint32_t size;
    std::uint32_t padding;
};
static_assert(sizeof(Secctx) == 8);

/// Followed by nr_groups ids of 32 bits.
struct SuppGroups {
    std::uint32_t nr_groups;
};
static_assert(sizeof(SuppGroups) == 4);

} // namespace vfskit::fuse::wire
