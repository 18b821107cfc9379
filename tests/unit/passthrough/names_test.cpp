// SPDX-License-Identifier: Apache-2.0
// Lookup, creation, removal, renaming.
#include "tests/unit/passthrough/share_fixture.h"

#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <array>
#include <climits>
#include <span>

namespace vfskit::passthrough {
namespace {

bool is_root() {
    return ::geteuid() == 0;
}

class NamesTest : public ShareTest {
protected:
    fuse::Outcome<fuse::Entry>
    mkdir(const std::string& name, fuse::Context& ctx, mode_t mode = 0755) const {
        return fs_->mkdir(ctx, NodeId::root, make_name(name), mode);
    }
};

TEST_F(NamesTest, LookupAnswersAttributesOfTheHost) {
    start();
    dir_.write("a", "12345");
    const auto entry = lookup("a");
    ASSERT_TRUE(entry.has_value());
    const auto host = host_stat("a");
    EXPECT_EQ(entry->attr.ino, host.st_ino);
    EXPECT_EQ(entry->attr.size, 5U);
    EXPECT_EQ(entry->attr.mode, host.st_mode);
    EXPECT_EQ(entry->attr.nlink, 1U);
    EXPECT_EQ(entry->generation, 0U);
    EXPECT_EQ(error_of(lookup("missing")), ENOENT);
}

TEST_F(NamesTest, LookupInAFileAnswersEnotdir) {
    start();
    dir_.write("a", "");
    EXPECT_EQ(error_of(lookup("b", node_of("a"))), ENOTDIR);
}

TEST_F(NamesTest, LookupOfALinkDoesNotFollowIt) {
    start();
    ASSERT_EQ(::symlink("/etc/passwd", dir_.path("l").c_str()), 0);
    const auto entry = lookup("l");
    ASSERT_TRUE(entry.has_value());
    EXPECT_TRUE(S_ISLNK(entry->attr.mode));
    std::string target(PATH_MAX, '\0');
    auto ctx = context();
    const auto size = fs_->readlink(ctx, entry->node, target);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(target.substr(0, *size), "/etc/passwd");
    EXPECT_EQ(error_of(fs_->open(ctx, entry->node, {})), EBADF);
}

// D6: names that leave the directory. Name::parse() refuses them at the door; this room does too.
TEST(EntryName, AcceptsOnlyOneComponent) {
    EXPECT_TRUE(is_entry_name("a"));
    EXPECT_TRUE(is_entry_name("..."));
    EXPECT_TRUE(is_entry_name("\xff"));
    EXPECT_FALSE(is_entry_name(""));
    EXPECT_FALSE(is_entry_name("."));
    EXPECT_FALSE(is_entry_name(".."));
    EXPECT_FALSE(is_entry_name("../x"));
    EXPECT_FALSE(is_entry_name("/etc"));
    EXPECT_FALSE(is_entry_name(std::string_view{"a\0b", 3}));
}

TEST_F(NamesTest, CreatesAsTheCaller) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to act for others";
    }
    start();
    ASSERT_EQ(::chmod(dir_.root().c_str(), 0777), 0);
    auto ctx = context(1000, 1001);
    ASSERT_TRUE(mkdir("d", ctx).has_value());
    ASSERT_TRUE(create("f", O_RDWR, 1000).has_value());
    ASSERT_TRUE(fs_->symlink(ctx, NodeId::root, make_name("l"), fuse::CString{"x"}).has_value());
    ASSERT_TRUE(fs_->mknod(ctx, NodeId::root, make_name("p"), S_IFIFO | 0600, 0).has_value());
    for (const auto* name : {"d", "f", "l", "p"}) {
        EXPECT_EQ(host_stat(name).st_uid, 1000U) << name;
    }
    EXPECT_EQ(host_stat("d").st_gid, 1001U);
    EXPECT_EQ(::geteuid(), 0U);
    EXPECT_EQ(::getegid(), 0U);
}

TEST_F(NamesTest, LetsTheHostRefuseWhatTheCallerMayNot) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to act for others";
    }
    start();
    ASSERT_EQ(::chmod(dir_.root().c_str(), 0755), 0);
    auto ctx = context(1000, 1000);
    EXPECT_EQ(error_of(mkdir("d", ctx)), EACCES);
    EXPECT_EQ(error_of(fs_->mknod(ctx, NodeId::root, make_name("n"), S_IFCHR, 0x103)), EACCES);
}

// D2, D3: a supplementary group counts for its request and for no other.
TEST_F(NamesTest, UsesSupplementaryGroupsForOneRequestOnly) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to act for others";
    }
    start();
    ASSERT_EQ(::chown(dir_.root().c_str(), 0, 4242), 0);
    ASSERT_EQ(::chmod(dir_.root().c_str(), 0775), 0);
    const std::vector<fuse::GuestGid> groups{fuse::GuestGid{4242}};
    auto member = context(1000, 1000);
    member.supplementary_groups = groups;
    EXPECT_TRUE(mkdir("a", member).has_value());
    auto root_member = context();
    root_member.supplementary_groups = groups;
    EXPECT_TRUE(mkdir("b", root_member).has_value());
    auto other = context(1000, 1000);
    EXPECT_EQ(error_of(mkdir("c", other)), EACCES);
    EXPECT_EQ(::getgroups(0, nullptr), static_cast<int>(Identity::of_this_thread().groups.size()));
}

TEST_F(NamesTest, KeepsDacOverrideForGuestsThatCannotSendGroups) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to act for others";
    }
    start({}, 0);
    ASSERT_EQ(::chmod(dir_.root().c_str(), 0755), 0);
    auto ctx = context(1000, 1000);
    EXPECT_TRUE(mkdir("d", ctx).has_value());
    EXPECT_EQ(host_stat("d").st_uid, 1000U);
}

// D15
TEST_F(NamesTest, AnswersEpermForForbiddenIds) {
    PassthroughOptions options;
    options.uid_map = UidMap::parse(std::vector<std::string>{"forbid-guest:1000:1"}, "").value();
    start(std::move(options));
    auto ctx = context(1000);
    EXPECT_EQ(error_of(mkdir("d", ctx)), EPERM);
    fuse::AttrChanges changes;
    changes.uid = fuse::GuestUid{1000};
    auto root_ctx = context();
    EXPECT_EQ(error_of(fs_->setattr(root_ctx, NodeId::root, changes)), EPERM);
}

TEST_F(NamesTest, TranslatesIdsBothWays) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to act for others";
    }
    PassthroughOptions options;
    options.uid_map = UidMap::parse(std::vector<std::string>{"map:0:5000:100"}, "").value();
    start(std::move(options));
    ASSERT_EQ(::chmod(dir_.root().c_str(), 0777), 0);
    auto ctx = context(7);
    const auto entry = mkdir("d", ctx);
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->attr.uid, 7U);
    EXPECT_EQ(host_stat("d").st_uid, 5007U);
}

TEST_F(NamesTest, AppliesTheUmaskOnlyWhereTheGuestDidNot) {
    start({}, default_flags | fuse::wire::FUSE_DONT_MASK);
    auto ctx = context();
    ctx.umask = 027;
    ASSERT_TRUE(mkdir("masked", ctx, 0777).has_value());
    EXPECT_EQ(host_stat("masked").st_mode & 07777U, 0750U);
    negotiate(default_flags);
    ASSERT_TRUE(mkdir("as_sent", ctx, 0777).has_value());
    EXPECT_EQ(host_stat("as_sent").st_mode & 07777U, 0777U);
}

TEST_F(NamesTest, CreateOpensWhatIsThereUnlessExclusive) {
    start();
    dir_.write("a", "old");
    const auto created = create("a", O_RDWR);
    ASSERT_TRUE(created.has_value());
    EXPECT_EQ(read(created->opened.handle, 10).value(), "old");
    EXPECT_EQ(error_of(create("a", O_RDWR | O_EXCL)), EEXIST);
    ASSERT_TRUE(create("a", O_RDWR | O_TRUNC).has_value());
    EXPECT_EQ(host_stat("a").st_size, 0);
}

TEST_F(NamesTest, CreateNeverFollowsALinkOutOfTheShare) {
    start();
    const test::TempDir outside;
    ASSERT_EQ(::symlink(outside.path("victim").c_str(), dir_.path("a").c_str()), 0);
    EXPECT_FALSE(create("a", O_RDWR).has_value());
    EXPECT_FALSE(std::filesystem::exists(outside.path("victim")));
}

TEST_F(NamesTest, CreateTakesTwoReferencesAtMost) {
    start();
    const auto created = create("a", O_RDWR);
    ASSERT_TRUE(created.has_value());
    EXPECT_EQ(node_of("a"), created->entry.node);
    forget(created->entry.node, 2);
    EXPECT_EQ(fs_->inodes().size(), 1U);
}

TEST_F(NamesTest, TmpfileHasNoNameUntilItIsLinked) {
    start();
    auto ctx = context();
    const auto made = fs_->tmpfile(ctx, NodeId::root, {0600, O_RDWR, false});
    ASSERT_TRUE(made.has_value()) << error_of(made);
    EXPECT_TRUE(std::filesystem::is_empty(dir_.root()));
    ASSERT_EQ(write(made->opened.handle, "hi", 0).value(), 2U);
    const auto linked = fs_->link(ctx, made->entry.node, NodeId::root, make_name("named"));
    ASSERT_TRUE(linked.has_value());
    EXPECT_EQ(linked->node, made->entry.node);
    EXPECT_EQ(dir_.read("named"), "hi");
}

TEST_F(NamesTest, LinkSharesTheNode) {
    start();
    dir_.write("a", "");
    auto ctx = context();
    const auto node = node_of("a");
    const auto linked = fs_->link(ctx, node, NodeId::root, make_name("b"));
    ASSERT_TRUE(linked.has_value());
    EXPECT_EQ(linked->node, node);
    EXPECT_EQ(linked->attr.nlink, 2U);
}

TEST_F(NamesTest, RemovesFilesAndDirectories) {
    start();
    auto ctx = context();
    dir_.write("a", "");
    ASSERT_EQ(::mkdir(dir_.path("d").c_str(), 0755), 0);
    EXPECT_EQ(error_of(fs_->rmdir(ctx, NodeId::root, make_name("a"))), ENOTDIR);
    EXPECT_EQ(error_of(fs_->unlink(ctx, NodeId::root, make_name("d"))), EISDIR);
    EXPECT_EQ(error_of(fs_->unlink(ctx, NodeId::root, make_name("a"))), 0);
    EXPECT_EQ(error_of(fs_->rmdir(ctx, NodeId::root, make_name("d"))), 0);
    EXPECT_EQ(error_of(fs_->rmdir(ctx, NodeId::root, make_name("d"))), ENOENT);
}

TEST_F(NamesTest, RenamesWithFlags) {
    start();
    auto ctx = context();
    dir_.write("a", "a");
    dir_.write("b", "b");
    const auto a = node_of("a");
    const auto b = node_of("b");
    const auto rename = [&](std::uint32_t flags) {
        return error_of(
            fs_->rename(ctx, NodeId::root, make_name("a"), NodeId::root, make_name("b"), flags));
    };
    EXPECT_EQ(rename(RENAME_NOREPLACE), EEXIST);
    EXPECT_EQ(rename(RENAME_EXCHANGE), 0);
    EXPECT_EQ(dir_.read("a"), "b");
    EXPECT_EQ(fs_->inodes().find_by_place({NodeId::root, "a"})->id, b);
    EXPECT_EQ(fs_->inodes().find_by_place({NodeId::root, "b"})->id, a);
    EXPECT_EQ(rename(0), 0);
    EXPECT_EQ(rename(0), ENOENT);
    EXPECT_EQ(rename(1U << 7U), EINVAL);
}

TEST_F(NamesTest, MakesDeviceNodesWithTheGuestsNumbers) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root to make device nodes";
    }
    start();
    auto ctx = context();
    constexpr std::uint32_t encoded = 0x12345678; // new_encode_dev() of 0x456:0x12378
    const auto entry = fs_->mknod(ctx, NodeId::root, make_name("n"), S_IFCHR | 0600, encoded);
    ASSERT_TRUE(entry.has_value()) << error_of(entry);
    EXPECT_EQ(entry->attr.rdev, encoded);
    const auto device = host_stat("n").st_rdev;
    EXPECT_EQ(major(device), 0x456U);
    EXPECT_EQ(minor(device), 0x12378U);
    EXPECT_EQ(error_of(fs_->open(ctx, entry->node, {})), EBADF);
}

TEST_F(NamesTest, LabelsNewNodesOrRemovesThemAgain) {
    if (!is_root()) {
        GTEST_SKIP() << "needs root for trusted xattrs";
    }
    start();
    auto ctx = context();
    const std::string value = "label";
    ctx.security_context = {fuse::CString{"trusted.label"},
                            std::as_bytes(std::span{value.data(), value.size()})};
    ASSERT_TRUE(mkdir("d", ctx).has_value());
    auto file = fs_->create(ctx, NodeId::root, make_name("f"), {0600, O_RDWR, false});
    ASSERT_TRUE(file.has_value()) << error_of(file);
    auto link = fs_->symlink(ctx, NodeId::root, make_name("l"), fuse::CString{"x"});
    ASSERT_TRUE(link.has_value()) << error_of(link);
    for (const auto* name : {"d", "f", "l"}) {
        std::array<char, 16> got{};
        EXPECT_EQ(::lgetxattr(dir_.path(name).c_str(), "trusted.label", got.data(), got.size()), 5)
            << name;
    }
    ctx.security_context->name = fuse::CString{"nonsense.label"};
    EXPECT_EQ(error_of(mkdir("e", ctx)), EOPNOTSUPP);
    EXPECT_FALSE(std::filesystem::exists(dir_.path("e")));
}

TEST_F(NamesTest, AnswersErofsForEveryChangeOfAReadonlyShare) {
    dir_.write("a", "content");
    PassthroughOptions options;
    options.readonly = true;
    options.xattr = true;
    start(std::move(options));
    auto ctx = context();
    const auto node = node_of("a");
    EXPECT_EQ(error_of(mkdir("d", ctx)), EROFS);
    EXPECT_EQ(error_of(create("f", O_RDWR)), EROFS);
    EXPECT_EQ(error_of(fs_->unlink(ctx, NodeId::root, make_name("a"))), EROFS);
    EXPECT_EQ(error_of(fs_->link(ctx, node, NodeId::root, make_name("b"))), EROFS);
    EXPECT_EQ(error_of(fs_->setattr(ctx, node, {})), EROFS);
    EXPECT_EQ(error_of(fs_->removexattr(ctx, node, fuse::CString{"user.a"})), EROFS);
    EXPECT_EQ(error_of(open(node, O_RDWR)), EROFS);
    EXPECT_EQ(error_of(open(node, O_RDONLY | O_TRUNC)), EROFS);
    const auto handle = open(node, O_RDONLY);
    ASSERT_TRUE(handle.has_value());
    EXPECT_EQ(read(*handle, 20).value(), "content");
    EXPECT_EQ(error_of(write(*handle, "x", 0)), EROFS);
}

} // namespace
} // namespace vfskit::passthrough
