// SPDX-License-Identifier: Apache-2.0
// The store as requests use it: references, the budget of descriptors, places.
#include "core/passthrough/inode_store.h"
#include "tests/unit/passthrough/share_fixture.h"

#include <map>
#include <set>
#include <thread>

namespace vfskit::passthrough {
namespace {

PassthroughOptions with_mode(FileHandleMode mode, std::size_t fd_limit = 1000) {
    PassthroughOptions options;
    options.file_handles = mode;
    options.fd_limit = fd_limit;
    return options;
}

class InodeStoreTest : public ShareTest, public ::testing::WithParamInterface<FileHandleMode> {
protected:
    [[nodiscard]] bool has_record(NodeId node) const { return bool{fs_->inodes().find(node)}; }
    [[nodiscard]] int getattr_error(NodeId node) const {
        auto ctx = context();
        return error_of(fs_->getattr(ctx, node, std::nullopt));
    }
};

INSTANTIATE_TEST_SUITE_P(Modes,
                         InodeStoreTest,
                         ::testing::Values(FileHandleMode::never, FileHandleMode::prefer),
                         [](const auto& mode) {
                             return mode.param == FileHandleMode::never ? "never" : "prefer";
                         });

TEST_P(InodeStoreTest, GivesOneFileOneNodeUnderAllItsNames) {
    start(with_mode(GetParam()));
    dir_.write("a", "x");
    ASSERT_EQ(::link(dir_.path("a").c_str(), dir_.path("b").c_str()), 0);
    const auto node = node_of("a");
    EXPECT_EQ(node, NodeId{2});
    EXPECT_EQ(node_of("b"), node);
    EXPECT_EQ(fs_->inodes().size(), 2U);
}

TEST_P(InodeStoreTest, ForgetsAtZeroAndNeverUsesAnIdAgain) {
    start(with_mode(GetParam()));
    dir_.write("a", "x");
    const auto node = node_of("a");
    (void)node_of("a");
    forget(node);
    EXPECT_TRUE(has_record(node));
    forget(node, 1000);
    EXPECT_FALSE(has_record(node));
    EXPECT_EQ(getattr_error(node), EBADF);
    EXPECT_NE(node_of("a"), node);
}

TEST_P(InodeStoreTest, DoesNotForgetTheRoot) {
    start(with_mode(GetParam()));
    forget(NodeId::root, UINT64_MAX);
    EXPECT_EQ(getattr_error(NodeId::root), 0);
}

TEST_P(InodeStoreTest, GivesAFileThatReplacedAnotherItsOwnNode) {
    start(with_mode(GetParam(), 1));
    dir_.write("a", "old");
    const auto old_node = node_of("a");
    dir_.write("other", "x");
    (void)node_of("other");
    ASSERT_EQ(::unlink(dir_.path("a").c_str()), 0);
    dir_.write("a", "new"); // likely with the same inode number
    EXPECT_NE(node_of("a"), old_node);
    EXPECT_TRUE(getattr_error(old_node) == ESTALE || getattr_error(old_node) == 0);
}

TEST_P(InodeStoreTest, KeepsWithinTheBudgetOnALongWalk) {
    constexpr std::size_t budget = 64;
    constexpr int directories = 200;
    constexpr int files = 100;
    const auto tree = make_tmpfs_dir();
    start_on(*tree, with_mode(GetParam(), budget));
    for (int d = 0; d < directories; ++d) {
        const auto name = std::to_string(d);
        ASSERT_EQ(::mkdir(tree->path(name).c_str(), 0755), 0);
        for (int f = 0; f < files; ++f) {
            tree->write(name + "/" + std::to_string(f), "");
        }
    }
    const auto before = count_open_fds();
    std::map<NodeId, NodeId> parents;
    std::size_t most = 0;
    for (const auto& directory : list(NodeId::root, true)) {
        if (directory.node == NodeId{}) {
            continue;
        }
        for (const auto& file : list(directory.node, true)) {
            parents[file.node] = directory.node;
        }
        most = std::max(most, count_open_fds() - before);
    }
    parents.erase(NodeId{});
    EXPECT_EQ(parents.size(), static_cast<std::size_t>(directories * files));
    EXPECT_LE(most, budget + 4); // a few are open for the time of a request
    for (const auto& [file, directory] : parents) {
        ASSERT_EQ(getattr_error(file), 0);
    }
    EXPECT_LE(fs_->gauges().fds, budget);
}

TEST_P(InodeStoreTest, OpensAFileAgainByItsPlaceAfterTheGuestMovedIt) {
    start(with_mode(GetParam(), 2));
    auto ctx = context();
    dir_.write("a", "content");
    ASSERT_EQ(::mkdir(dir_.path("d").c_str(), 0755), 0);
    const auto node = node_of("a");
    const auto directory = node_of("d");
    for (const auto* other : {"x", "y", "z"}) {
        dir_.write(other, "");
        (void)node_of(other);
    }
    ASSERT_EQ(
        error_of(fs_->rename(ctx, NodeId::root, make_name("a"), directory, make_name("b"), 0)), 0);
    ASSERT_EQ(
        error_of(fs_->rename(ctx, NodeId::root, make_name("d"), NodeId::root, make_name("e"), 0)),
        0);
    for (const auto* other : {"x", "y", "z"}) {
        (void)node_of(other);
    }
    EXPECT_EQ(getattr_error(node), 0);
    const auto found = fs_->inodes().find_by_place({directory, "b"});
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, node);
}

TEST_P(InodeStoreTest, KeepsAnUnlinkedFileUsableUnderPressure) {
    start(with_mode(GetParam(), 4));
    auto ctx = context();
    dir_.write("a", "content");
    const auto node = node_of("a");
    const auto handle = open(node, O_RDONLY);
    ASSERT_TRUE(handle.has_value());
    for (int i = 0; i < 10; ++i) {
        dir_.write("x" + std::to_string(i), "");
        (void)node_of("x" + std::to_string(i));
    }
    ASSERT_EQ(error_of(fs_->unlink(ctx, NodeId::root, make_name("a"))), 0);
    for (int i = 0; i < 10; ++i) {
        (void)node_of("x" + std::to_string(i));
    }
    EXPECT_EQ(getattr_error(node), 0);
    EXPECT_EQ(read(*handle, 100).value(), "content");
}

TEST_P(InodeStoreTest, KeepsARemovedWorkingDirectory) {
    start(with_mode(GetParam(), 4));
    auto ctx = context();
    ASSERT_EQ(::mkdir(dir_.path("d").c_str(), 0755), 0);
    const auto node = node_of("d");
    ASSERT_EQ(error_of(fs_->rmdir(ctx, NodeId::root, make_name("d"))), 0);
    for (int i = 0; i < 10; ++i) {
        dir_.write("x" + std::to_string(i), "");
        (void)node_of("x" + std::to_string(i));
    }
    EXPECT_EQ(getattr_error(node), 0);
}

TEST_P(InodeStoreTest, AnswersEnfileOnlyWhenOpenFilesUseUpTheBudget) {
    start(with_mode(GetParam(), 8));
    std::vector<HandleId> handles;
    int error = 0;
    for (int i = 0; i < 9; ++i) {
        const auto name = "f" + std::to_string(i);
        dir_.write(name, "");
        const auto handle = open(node_of(name), O_RDONLY);
        error = error_of(handle);
        if (error == 0) {
            handles.push_back(*handle);
        }
    }
    EXPECT_EQ(handles.size(), 8U);
    EXPECT_EQ(error, ENFILE);
    EXPECT_EQ(getattr_error(NodeId{2}), 0); // nodes still work
    release(handles.front());
    EXPECT_TRUE(open(NodeId{3}, O_RDONLY).has_value());
}

TEST_P(InodeStoreTest, ClosesEverythingOnDestroy) {
    const auto before = count_open_fds();
    start(with_mode(GetParam()));
    for (int i = 0; i < 50; ++i) {
        const auto created = create("f" + std::to_string(i), O_RDWR);
        ASSERT_TRUE(created.has_value());
        (void)node_of("f" + std::to_string(i));
    }
    fs_->destroy();
    EXPECT_EQ(fs_->gauges().inodes, 1U);
    EXPECT_EQ(fs_->gauges().handles, 0U);
    EXPECT_EQ(fs_->gauges().fds, 0U);
    worker_.reset();
    fs_.reset();
    EXPECT_EQ(count_open_fds(), before);
}

TEST_P(InodeStoreTest, ShowsEveryRecordWithItsPlace) {
    start(with_mode(GetParam()));
    ASSERT_EQ(::mkdir(dir_.path("d").c_str(), 0755), 0);
    dir_.write("d/a", "");
    const auto directory = node_of("d");
    const auto file = node_of("a", directory);
    (void)node_of("a", directory);
    std::map<NodeId, std::pair<std::string, std::uint64_t>> seen;
    fs_->inodes().for_each([&seen](const InodeView& view) {
        seen[view.id] = {std::string{view.place.name}, view.lookup_count};
    });
    EXPECT_EQ(seen.size(), 3U);
    EXPECT_EQ(seen[directory], (std::pair<std::string, std::uint64_t>{"d", 1}));
    EXPECT_EQ(seen[file], (std::pair<std::string, std::uint64_t>{"a", 2}));
}

TEST_P(InodeStoreTest, ForgetsThePlaceOfWhatTheGuestRemoved) {
    start(with_mode(GetParam()));
    auto ctx = context();
    dir_.write("a", "");
    dir_.write("b", "");
    (void)node_of("a");
    (void)node_of("b");
    ASSERT_EQ(error_of(fs_->unlink(ctx, NodeId::root, make_name("a"))), 0);
    EXPECT_FALSE(fs_->inodes().find_by_place({NodeId::root, "a"}));
    ASSERT_EQ(
        error_of(fs_->rename(ctx, NodeId::root, make_name("b"), NodeId::root, make_name("a"), 0)),
        0);
    EXPECT_TRUE(fs_->inodes().find_by_place({NodeId::root, "a"}));
    EXPECT_FALSE(fs_->inodes().find_by_place({NodeId::root, "b"}));
}

TEST_P(InodeStoreTest, NoticesThatTheHostMovedAFile) {
    start(with_mode(GetParam()));
    dir_.write("a", "");
    const auto node = node_of("a");
    ASSERT_EQ(::rename(dir_.path("a").c_str(), dir_.path("b").c_str()), 0);
    EXPECT_EQ(node_of("b"), node);
    EXPECT_TRUE(fs_->inodes().find_by_place({NodeId::root, "b"}));
}

TEST_P(InodeStoreTest, RestoresRecordsUnderTheirIds) {
    start(with_mode(GetParam()));
    dir_.write("a", "x");
    UniqueFd fd{::open(dir_.path("a").c_str(), O_PATH | O_CLOEXEC)};
    struct statx status {};
    ASSERT_EQ(stat_fd(fd.get(), status), 0);
    const auto again = ::dup(fd.get());
    EXPECT_EQ(
        error_of(fs_->inodes().restore(NodeId{77}, 3, std::move(fd), status, {NodeId::root, "a"})),
        0);
    EXPECT_EQ(error_of(fs_->inodes().restore(NodeId{77}, 3, UniqueFd{again}, status, {})), EEXIST);
    EXPECT_EQ(error_of(fs_->inodes().restore_lost(NodeId{90}, 1)), 0);
    EXPECT_EQ(node_of("a"), NodeId{77});
    EXPECT_EQ(getattr_error(NodeId{90}), EIO);
    EXPECT_EQ(open(NodeId{90}, O_RDONLY).error(), fuse::Errno{EIO});
    dir_.write("b", "x");
    EXPECT_EQ(node_of("b"), NodeId{91});
}

TEST_F(ShareTest, MandatoryHandlesAreRefusedWhereTheyDoNotWork) {
    // /proc has no file handles.
    UniqueFd root{::open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    UniqueFd proc{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    PassthroughOptions options;
    options.file_handles = FileHandleMode::mandatory;
    const auto fs = PassthroughFs::open(std::move(root), std::move(proc), std::move(options));
    ASSERT_FALSE(fs.has_value());
    EXPECT_FALSE(fs.error().remedy().empty());
}

// A guest that is late to forget removed files has thousands of records of one number.
TEST(ByIdentityTraits, TellFilesOfAReusedNumberApart) {
    HostIdentity first;
    first.ino = HostIno{12};
    first.birth = 1;
    HostIdentity second = first;
    second.birth = 3;
    EXPECT_NE(ByIdentityTraits::hash(first), ByIdentityTraits::hash(second));
}

} // namespace
} // namespace vfskit::passthrough
