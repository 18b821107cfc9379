// SPDX-License-Identifier: Apache-2.0
// Open files, attributes, directories, xattrs, ioctls.
#include "tests/unit/passthrough/share_fixture.h"

#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/xattr.h>

#include <array>
#include <limits>
#include <set>

namespace vfskit::passthrough {
namespace {

class FilesTest : public ShareTest {
protected:
    [[nodiscard]] int host_flags(HandleId handle) const {
        return ::fcntl(fs_->handles().find(handle)->fd.get(), F_GETFL);
    }
    fuse::Outcome<std::string> getxattr(NodeId node, const char* name) const {
        auto ctx = context();
        std::string value(256, '\0');
        const auto size =
            fs_->getxattr(ctx, node, fuse::CString{name}, std::as_writable_bytes(std::span{value}));
        if (!size) {
            return size.error();
        }
        value.resize(*size);
        return value;
    }
    [[nodiscard]] int setxattr(NodeId node, const char* name, std::string_view value) const {
        auto ctx = context();
        return error_of(fs_->setxattr(
            ctx, node, fuse::CString{name}, {std::as_bytes(std::span{value}), 0, false}));
    }
    fuse::Outcome<std::string> listxattr(NodeId node) const {
        auto ctx = context();
        std::string names(1024, '\0');
        const auto size = fs_->listxattr(ctx, node, std::as_writable_bytes(std::span{names}));
        if (!size) {
            return size.error();
        }
        names.resize(*size);
        return names;
    }
};

// D7
TEST_F(FilesTest, NormalisesTheFlagsOfOpenAndCreateAlike) {
    start();
    dir_.write("a", "");
    const auto opened = open(node_of("a"), O_RDWR | O_DIRECT | O_APPEND | O_NOATIME);
    const auto created = create("b", O_RDWR | O_DIRECT | O_APPEND | O_NOATIME);
    ASSERT_TRUE(opened.has_value());
    ASSERT_TRUE(created.has_value());
    constexpr int unwanted = O_DIRECT | O_APPEND | O_NOATIME;
    EXPECT_EQ(host_flags(*opened) & unwanted, 0);
    EXPECT_EQ(host_flags(created->opened.handle) & unwanted, 0);
    EXPECT_EQ(write(created->opened.handle, "five!", 0).value(), 5U);
    EXPECT_NE(fs_->handles().find(*opened)->guest_flags & O_APPEND, 0U);
}

TEST_F(FilesTest, OpensWriteOnlyFilesReadableForAWritebackCache) {
    start({}, default_flags | fuse::wire::FUSE_WRITEBACK_CACHE);
    const auto created = create("a", O_WRONLY);
    ASSERT_TRUE(created.has_value());
    EXPECT_TRUE(read(created->opened.handle, 1).has_value());
    const auto opened = open(created->entry.node, O_WRONLY);
    ASSERT_TRUE(opened.has_value());
    EXPECT_TRUE(read(*opened, 1).has_value());
    ASSERT_TRUE(fs_->restore_handle(HandleId{50}, created->entry.node, O_WRONLY).has_value());
    EXPECT_TRUE(read(HandleId{50}, 1).has_value());
}

// D8
TEST_F(FilesTest, WritesBackAtTheOffsetAndAppendsOnlyWhatAProgramAppends) {
    start();
    const auto created = create("a", O_RDWR | O_APPEND);
    ASSERT_TRUE(created.has_value());
    const auto handle = created->opened.handle;
    ASSERT_EQ(write(handle, "BBAA", 0, O_APPEND, true).value(), 4U);
    ASSERT_EQ(write(handle, "CC", 0, O_APPEND, true).value(), 2U);
    EXPECT_EQ(dir_.read("a"), "CCAA");
    ASSERT_TRUE(fs_->restore_handle(HandleId{50}, created->entry.node, O_RDWR | O_APPEND));
    ASSERT_EQ(write(HandleId{50}, "DD", 0, O_APPEND, true).value(), 2U);
    EXPECT_EQ(dir_.read("a"), "DDAA");
    ASSERT_EQ(write(HandleId{50}, "EE", 0, O_APPEND, false).value(), 2U);
    EXPECT_EQ(dir_.read("a"), "DDAAEE");
}

TEST_F(FilesTest, ReadsAtTheEndAndBeyond) {
    start();
    dir_.write("a", "12345");
    const auto handle = open(node_of("a"), O_RDONLY);
    EXPECT_EQ(read(*handle, 3, 1).value(), "234");
    EXPECT_EQ(read(*handle, 100).value(), "12345");
    EXPECT_EQ(read(*handle, 100, 5).value(), "");
    const auto beyond = read(*handle, 100, std::numeric_limits<off_t>::max() - 200);
    EXPECT_TRUE(error_of(beyond) == EINVAL || (beyond && beyond->empty()));
}

TEST_F(FilesTest, AnswersEbadfForUnknownNodesAndHandles) {
    start();
    auto ctx = context();
    EXPECT_EQ(error_of(read(HandleId{99}, 1)), EBADF);
    EXPECT_EQ(error_of(fs_->getattr(ctx, NodeId{99}, std::nullopt)), EBADF);
    EXPECT_EQ(error_of(fs_->release(ctx, NodeId{99}, {HandleId{99}, 0, {}, false, false})), EBADF);
    EXPECT_EQ(error_of(lookup("a", NodeId{0})), EBADF);
}

TEST_F(FilesTest, NeverOpensAFifo) {
    start();
    ASSERT_EQ(::mkfifo(dir_.path("p").c_str(), 0600), 0);
    EXPECT_EQ(error_of(open(node_of("p"), O_RDONLY)), EBADF);
}

TEST_F(FilesTest, ChangesAttributes) {
    start();
    dir_.write("a", "12345");
    auto ctx = context();
    fuse::AttrChanges changes;
    changes.mode = 0640;
    changes.size = 2;
    changes.mtime = fuse::TimeChange{{1000, 5}, false};
    const auto attr = fs_->setattr(ctx, node_of("a"), changes);
    ASSERT_TRUE(attr.has_value()) << error_of(attr);
    EXPECT_EQ(attr->mode & 07777U, 0640U);
    EXPECT_EQ(attr->size, 2U);
    EXPECT_EQ(attr->mtime, 1000U);
    EXPECT_EQ(attr->mtimensec, 5U);
    EXPECT_EQ(dir_.read("a"), "12");
}

TEST_F(FilesTest, ChangesTheOwnerOfALinkItself) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    start();
    dir_.write("a", "");
    ASSERT_EQ(::symlink("a", dir_.path("l").c_str()), 0);
    auto ctx = context();
    fuse::AttrChanges changes;
    changes.uid = fuse::GuestUid{1000};
    changes.atime = fuse::TimeChange{{7, 0}, false};
    ASSERT_TRUE(fs_->setattr(ctx, node_of("l"), changes).has_value());
    EXPECT_EQ(host_stat("l").st_uid, 1000U);
    EXPECT_EQ(host_stat("a").st_uid, 0U);
    changes.uid = fuse::GuestUid{UINT32_MAX};
    EXPECT_EQ(error_of(fs_->setattr(ctx, node_of("l"), changes)), EINVAL);
}

TEST_F(FilesTest, ClearsSetIdBitsWhenTheGuestAsks) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root";
    }
    start();
    const auto created = create("a", O_RDWR);
    const auto handle = created->opened.handle;
    auto ctx = context();
    std::string text = "x";
    const iovec data{text.data(), text.size()};
    fuse::WriteArgs args;
    args.handle = handle;
    ASSERT_EQ(::chmod(dir_.path("a").c_str(), 06755), 0);
    ASSERT_TRUE(fs_->write(ctx, NodeId{}, args, {&data, 1}).has_value());
    EXPECT_EQ(host_stat("a").st_mode & 07777U, 06755U);
    args.kill_suidgid = true;
    ASSERT_TRUE(fs_->write(ctx, NodeId{}, args, {&data, 1}).has_value());
    EXPECT_EQ(host_stat("a").st_mode & 07777U, 0755U);
    fuse::AttrChanges changes;
    changes.mode = 06755;
    ASSERT_TRUE(fs_->setattr(ctx, created->entry.node, changes).has_value());
    EXPECT_EQ(host_stat("a").st_mode & 07777U, 06755U);
}

TEST_F(FilesTest, AnswersStatxWithTheTimeOfBirth) {
    start();
    dir_.write("a", "x");
    auto ctx = context();
    const auto status =
        fs_->statx(ctx, node_of("a"), std::nullopt, 0, STATX_BASIC_STATS | STATX_BTIME);
    ASSERT_TRUE(status.has_value());
    EXPECT_EQ(status->ino, host_stat("a").st_ino);
    EXPECT_NE(status->mask & STATX_BTIME, 0U);
    EXPECT_NE(status->btime.tv_sec, 0);
}

TEST_F(FilesTest, AllocatesSeeksAndCopies) {
    start();
    const auto a = create("a", O_RDWR);
    const auto b = create("b", O_RDWR);
    auto ctx = context();
    ASSERT_EQ(write(a->opened.handle, "data", 1 << 20).value(), 4U);
    const auto data = fs_->lseek(ctx, a->entry.node, a->opened.handle, 0, SEEK_DATA);
    ASSERT_TRUE(data.has_value());
    EXPECT_GT(*data, 0);
    fuse::CopyFileRangeArgs copy;
    copy.handle_in = a->opened.handle;
    copy.handle_out = b->opened.handle;
    copy.offset_in = 1 << 20;
    copy.length = std::size_t{1} << 40U;
    EXPECT_EQ(fs_->copy_file_range(ctx, a->entry.node, copy).value(), 4U);
    EXPECT_EQ(dir_.read("b"), "data");
    EXPECT_EQ(error_of(fs_->fallocate(ctx, b->entry.node, {b->opened.handle, 0, 4096, 0})), 0);
    EXPECT_EQ(host_stat("b").st_size, 4096);
    EXPECT_EQ(error_of(fs_->fsync(ctx, b->entry.node, b->opened.handle, true)), 0);
    EXPECT_EQ(error_of(fs_->flush(ctx, b->entry.node, b->opened.handle, LockOwner{1})), 0);
    EXPECT_EQ(error_of(fs_->syncfs(ctx, NodeId::root)), 0);
    EXPECT_GT(fs_->statfs(ctx, NodeId::root)->blocks, 0U);
}

TEST_F(FilesTest, ListsEveryNameOnceInSmallReplies) {
    start();
    constexpr int files = 300;
    for (int i = 0; i < files; ++i) {
        dir_.write("file" + std::to_string(i), "");
    }
    for (const bool plus : {false, true}) {
        std::multiset<std::string> names;
        for (const auto& entry : list(NodeId::root, plus, 1000)) {
            names.insert(entry.name);
            EXPECT_EQ(entry.node != NodeId{}, plus && entry.name[0] != '.');
        }
        EXPECT_EQ(names.size(), files + 2U);
        EXPECT_EQ(names.count("file7"), 1U);
    }
}

TEST_F(FilesTest, ListingTakesOneReferencePerEntry) {
    start();
    dir_.write("a", "");
    const auto node = node_of("a");
    (void)list(NodeId::root, true);
    forget(node);
    EXPECT_TRUE(fs_->inodes().find(node));
    forget(node);
    EXPECT_FALSE(fs_->inodes().find(node));
}

// D14: an entry that cannot be looked up is listed without its node.
TEST_F(FilesTest, ListsAnEntryWhoseLookupFails) {
    start();
    dir_.write("a", "");
    dir_.write("b", "");
    auto ctx = context();
    const auto opened = fs_->opendir(ctx, NodeId::root, {});
    ASSERT_TRUE(opened.has_value());
    std::vector<std::byte> reply(4096);
    const iovec out{reply.data(), reply.size()};
    // A name that is removed between listing and lookup cannot be arranged; a lookup that fails for
    // want of descriptors takes the same way.
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none{0, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    fuse::DirBuffer buffer{{&out, 1}, true, {}, {}};
    const auto outcome = fs_->readdir(ctx, NodeId::root, opened->handle, 0, buffer);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(outcome.has_value()) << error_of(outcome);
    std::vector<Listed> listed;
    parse(reply.data(), buffer.size(), true, 0, listed);
    EXPECT_EQ(listed.size(), 4U);
    for (const auto& entry : listed) {
        EXPECT_EQ(entry.node, NodeId{}) << entry.name;
    }
}

TEST_F(FilesTest, HidesWhatIsAboveTheShare) {
    start();
    auto ctx = context();
    const auto opened = fs_->opendir(ctx, NodeId::root, {});
    std::vector<std::byte> reply(4096);
    const iovec out{reply.data(), reply.size()};
    fuse::DirBuffer buffer{{&out, 1}, false, {}, {}};
    ASSERT_TRUE(fs_->readdir(ctx, NodeId::root, opened->handle, 0, buffer).has_value());
    for (std::size_t at = 0; at < buffer.size();) {
        fuse::wire::Dirent record{};
        std::memcpy(&record, reply.data() + at, sizeof(record));
        EXPECT_EQ(record.ino, host_stat("").st_ino);
        at += sizeof(record) + ((record.namelen + 7U) & ~7U);
    }
}

TEST_F(FilesTest, KeepsXattrsOffUnlessAsked) {
    start();
    EXPECT_EQ(error_of(getxattr(NodeId::root, "user.a")), ENOSYS);
    EXPECT_EQ(setxattr(NodeId::root, "user.a", "x"), ENOSYS);
    EXPECT_EQ(error_of(listxattr(NodeId::root)), ENOSYS);
}

TEST_F(FilesTest, SetsGetsListsAndRemovesXattrs) {
    PassthroughOptions options;
    options.xattr = true;
    start(std::move(options));
    dir_.write("a", "");
    const auto node = node_of("a");
    ASSERT_EQ(setxattr(node, "user.a", "value"), 0);
    EXPECT_EQ(getxattr(node, "user.a").value(), "value");
    EXPECT_EQ(error_of(getxattr(node, "user.b")), ENODATA);
    EXPECT_EQ(listxattr(node).value(), std::string("user.a\0", 7));
    auto ctx = context();
    EXPECT_EQ(fs_->listxattr(ctx, node, {}).value(), 7U);
    EXPECT_EQ(fs_->getxattr(ctx, node, fuse::CString{"user.a"}, {}).value(), 5U);
    std::array<std::byte, 2> small{};
    EXPECT_EQ(error_of(fs_->listxattr(ctx, node, small)), ERANGE);
    EXPECT_EQ(error_of(fs_->getxattr(ctx, node, fuse::CString{"user.a"}, small)), ERANGE);
    EXPECT_EQ(error_of(fs_->removexattr(ctx, node, fuse::CString{"user.a"})), 0);
    EXPECT_EQ(listxattr(node).value(), "");
}

// D10: any bytes in a name.
TEST_F(FilesTest, TakesXattrNamesInAnyEncoding) {
    PassthroughOptions options;
    options.xattr = true;
    start(std::move(options));
    dir_.write("a", "");
    const auto node = node_of("a");
    ASSERT_EQ(setxattr(node, "user.\xff", "x"), 0);
    EXPECT_EQ(getxattr(node, "user.\xff").value(), "x");
}

TEST_F(FilesTest, ReachesXattrsOfLinksAndFifos) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root for trusted xattrs";
    }
    PassthroughOptions options;
    options.xattr = true;
    start(std::move(options));
    ASSERT_EQ(::symlink("nowhere", dir_.path("l").c_str()), 0);
    ASSERT_EQ(::mkfifo(dir_.path("p").c_str(), 0600), 0);
    EXPECT_EQ(setxattr(node_of("l"), "trusted.a", "link"), 0);
    EXPECT_EQ(setxattr(node_of("p"), "trusted.a", "fifo"), 0);
    EXPECT_EQ(getxattr(node_of("l"), "trusted.a").value(), "link");
    EXPECT_EQ(getxattr(node_of("p"), "trusted.a").value(), "fifo");
}

TEST_F(FilesTest, MapsXattrNames) {
    PassthroughOptions options;
    options.xattr = true;
    options.xattr_map = XattrMap::parse(":map:security.:user.vm.:").value();
    start(std::move(options));
    dir_.write("a", "");
    const auto node = node_of("a");
    ASSERT_EQ(setxattr(node, "security.x", "v"), 0);
    std::array<char, 8> host{};
    EXPECT_EQ(::getxattr(dir_.path("a").c_str(), "user.vm.security.x", host.data(), host.size()),
              1);
    EXPECT_EQ(listxattr(node).value(), std::string("security.x\0", 11));
    EXPECT_EQ(error_of(getxattr(node, "user.vm.security.x")), ENODATA);
    EXPECT_EQ(setxattr(node, "user.vm.security.x", "v"), EPERM);
}

TEST_F(FilesTest, DropsAMappedFileCapabilityWhenTheFileChanges) {
    PassthroughOptions options;
    options.xattr = true;
    options.xattr_map = XattrMap::parse(":map:security.:user.vm.:").value();
    start(std::move(options));
    const auto created = create("a", O_RDWR);
    ASSERT_EQ(setxattr(created->entry.node, "security.capability", "caps"), 0);
    ASSERT_TRUE(write(created->opened.handle, "x", 0).has_value());
    EXPECT_EQ(error_of(getxattr(created->entry.node, "security.capability")), ENODATA);
}

TEST_F(FilesTest, HidesAclsUnlessNegotiated) {
    PassthroughOptions options;
    options.xattr = true;
    start(std::move(options));
    dir_.write("a", "");
    const auto node = node_of("a");
    EXPECT_EQ(setxattr(node, "system.posix_acl_access", "x"), ENOTSUP);
    EXPECT_EQ(error_of(getxattr(node, "system.posix_acl_default")), ENOTSUP);
    negotiate(default_flags | fuse::wire::FUSE_POSIX_ACL);
    EXPECT_EQ(error_of(getxattr(node, "system.posix_acl_access")), ENODATA);
}

TEST_F(FilesTest, PassesInodeFlagsAndNothingElse) {
    start();
    const auto created = create("a", O_RDWR);
    auto ctx = context();
    std::array<std::byte, 4> flags{};
    fuse::IoctlArgs args;
    args.handle = created->opened.handle;
    args.command = FS_IOC_GETFLAGS;
    args.out = flags;
    const auto got = fs_->ioctl(ctx, created->entry.node, args);
    ASSERT_TRUE(got.has_value()) << error_of(got);
    EXPECT_EQ(got->out_size, 4U);
    std::uint32_t value = 0;
    std::memcpy(&value, flags.data(), 4);
    value |= FS_NODUMP_FL;
    args.command = FS_IOC_SETFLAGS;
    args.out = {};
    args.in = std::as_bytes(std::span{&value, 1});
    EXPECT_EQ(error_of(fs_->ioctl(ctx, created->entry.node, args)), 0);
    args.command = FIFREEZE;
    EXPECT_EQ(error_of(fs_->ioctl(ctx, created->entry.node, args)), ENOTTY);
}

TEST_F(FilesTest, LetsOnlyTheOwnerSetInodeFlags) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "needs root to act for others";
    }
    start();
    const auto created = create("a", O_RDWR);
    auto ctx = context(1000, 1000);
    const std::uint32_t value = FS_NODUMP_FL;
    fuse::IoctlArgs args;
    args.handle = created->opened.handle;
    args.command = FS_IOC_SETFLAGS;
    args.in = std::as_bytes(std::span{&value, 1});
    const int error = error_of(fs_->ioctl(ctx, created->entry.node, args));
    EXPECT_TRUE(error == EACCES || error == EPERM) << error;
}

TEST_F(FilesTest, ClonesByHandleWhereTheHostCan) {
    start();
    const auto a = create("a", O_RDWR);
    const auto b = create("b", O_RDWR);
    auto ctx = context();
    auto source = static_cast<std::int32_t>(a->opened.handle);
    fuse::IoctlArgs args;
    args.handle = b->opened.handle;
    args.command = FICLONE;
    args.in = std::as_bytes(std::span{&source, 1});
    const int error = error_of(fs_->ioctl(ctx, b->entry.node, args));
    EXPECT_TRUE(error == 0 || error == EOPNOTSUPP || error == EINVAL) << error; // ext4 cannot
    source = 999;
    EXPECT_EQ(error_of(fs_->ioctl(ctx, b->entry.node, args)), EBADF);
}

TEST_F(FilesTest, SharesASingleFile) {
    dir_.write("a", "content");
    UniqueFd root{::open(dir_.path("a").c_str(), O_RDONLY | O_CLOEXEC)};
    UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    auto fs = PassthroughFs::open(std::move(root), std::move(proc), {});
    ASSERT_TRUE(fs.has_value());
    fs_ = std::move(fs).value();
    worker_ = fs_->make_worker();
    const auto handle = open(NodeId::root, O_RDONLY);
    ASSERT_TRUE(handle.has_value());
    EXPECT_EQ(read(*handle, 10).value(), "content");
    EXPECT_EQ(error_of(lookup("x")), ENOTDIR);
}

} // namespace
} // namespace vfskit::passthrough
