// SPDX-License-Identifier: Apache-2.0
// Descriptors that stay open behind the guest's back, and when they must not.
#include "core/passthrough/idle_files.h"
#include "tests/unit/passthrough/share_fixture.h"

#include <sys/file.h>

namespace vfskit::passthrough {
namespace {

UniqueFd null_fd() {
    return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

TEST(IdleFiles, GivesBackWhatWasOpenedAlike) {
    IdleFiles idle{16};
    auto fd = null_fd();
    const int number = fd.get();
    EXPECT_FALSE(idle.put(NodeId{7}, O_RDONLY, std::move(fd)));
    EXPECT_FALSE(idle.take(NodeId{8}, O_RDONLY));
    EXPECT_FALSE(idle.take(NodeId{7}, O_DIRECT));
    EXPECT_EQ(idle.take(NodeId{7}, O_RDONLY).get(), number);
    EXPECT_FALSE(idle.take(NodeId{7}, O_RDONLY));
}

TEST(IdleFiles, GivesUpTheLongestUnusedForAnother) {
    IdleFiles idle{32}; // two of one file
    auto first = null_fd();
    const int number = first.get();
    EXPECT_FALSE(idle.put(NodeId{7}, 0, std::move(first)));
    EXPECT_FALSE(idle.put(NodeId{7}, 0, null_fd()));
    EXPECT_EQ(idle.put(NodeId{7}, 0, null_fd()).get(), number);
    EXPECT_EQ(idle.size(), 2U);
}

TEST(IdleFiles, KeepsNothingWithoutABudget) {
    IdleFiles idle{0};
    EXPECT_TRUE(idle.put(NodeId{7}, 0, null_fd()));
    EXPECT_EQ(idle.size(), 0U);
}

TEST(IdleFiles, DropsThoseOfOneFile) {
    IdleFiles idle{1024};
    EXPECT_FALSE(idle.put(NodeId{7}, 0, null_fd()));
    EXPECT_FALSE(idle.put(NodeId{7}, O_DIRECT, null_fd()));
    EXPECT_FALSE(idle.put(NodeId{8}, 0, null_fd()));
    EXPECT_EQ(idle.drop(NodeId{7}), 2U);
    EXPECT_EQ(idle.clear(), 1U);
    EXPECT_EQ(idle.size(), 0U);
}

class ReopenedFiles : public ShareTest {
protected:
    ReopenedFiles() { dir_.write("a", "first"); }
    /// The descriptor behind a handle.
    [[nodiscard]] int fd_of(HandleId handle) const { return fs_->handles().find(handle)->fd.get(); }
    void open_and_close(const std::string& name, int flags = O_RDONLY) const {
        const auto handle = open(node_of(name), flags);
        ASSERT_TRUE(handle.has_value());
        release(*handle);
    }
    [[nodiscard]] std::size_t fds() const { return fs_->gauges().fds; }
};

TEST_F(ReopenedFiles, UseTheDescriptorOfTheLastTime) {
    start();
    const auto node = node_of("a");
    const auto first = open(node, O_RDONLY);
    const int number = fd_of(*first);
    release(*first);

    const auto second = open(node, O_RDONLY);

    EXPECT_NE(*second, *first);
    EXPECT_EQ(fd_of(*second), number);
    EXPECT_EQ(read(*second, 5).value(), "first");
}

TEST_F(ReopenedFiles, ShowWhatTheHostChangedMeanwhile) {
    start();
    open_and_close("a");
    dir_.write("a", "other");
    const auto handle = open(node_of("a"), O_RDONLY);
    EXPECT_EQ(read(*handle, 5).value(), "other");
}

TEST_F(ReopenedFiles, AreTheFileOfThatNameNow) {
    start();
    open_and_close("a");
    dir_.write("b", "moved");
    std::filesystem::rename(dir_.path("b"), dir_.path("a"));
    const auto handle = open(node_of("a"), O_RDONLY);
    EXPECT_EQ(read(*handle, 5).value(), "moved");
}

TEST_F(ReopenedFiles, NeverShareADescriptor) {
    start();
    open_and_close("a");
    const auto node = node_of("a");
    const auto first = open(node, O_RDONLY);
    const auto second = open(node, O_RDONLY);
    EXPECT_NE(fd_of(*first), fd_of(*second));
}

TEST_F(ReopenedFiles, StayClosedWhenTheyWereOpenForWriting) {
    start();
    const auto node = node_of("a");
    const auto before = fds();
    for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC}) {
        const auto handle = open(node, flags);
        ASSERT_TRUE(handle.has_value());
        release(*handle);
        EXPECT_EQ(fds(), before) << flags;
    }
}

TEST_F(ReopenedFiles, CountInTheBudget) {
    start();
    const auto node = node_of("a");
    const auto before = fds();
    const auto handle = open(node, O_RDONLY);
    EXPECT_EQ(fds(), before + 1);
    release(*handle);
    EXPECT_EQ(fds(), before + 1);
}

TEST_F(ReopenedFiles, MakeRoomForOpenOnes) {
    PassthroughOptions options;
    options.fd_limit = 32; // two idle ones
    start(std::move(options));
    for (int i = 0; i < 40; ++i) {
        dir_.write("f" + std::to_string(i), "");
        open_and_close("f" + std::to_string(i));
        EXPECT_LE(fds(), 32U);
    }
    const auto node = node_of("a");
    std::vector<HandleId> handles;
    for (int i = 0; i < 31; ++i) {
        const auto handle = open(node, O_RDWR);
        ASSERT_TRUE(handle.has_value()) << i << ": errno " << error_of(handle);
        handles.push_back(*handle);
    }
    EXPECT_LE(fds(), 32U);
}

TEST_F(ReopenedFiles, AreNotHeldOnceTheGuestRemovedThem) {
    start();
    open_and_close("a");
    const auto before = count_open_fds();
    auto ctx = context();
    ASSERT_TRUE(fs_->unlink(ctx, NodeId::root, make_name("a")).has_value());
    EXPECT_EQ(count_open_fds(), before - 1);
}

TEST_F(ReopenedFiles, AreNotHeldOnceTheGuestReplacedThem) {
    start();
    dir_.write("b", "");
    open_and_close("a");
    const auto before = count_open_fds();
    auto ctx = context();
    ASSERT_TRUE(fs_->rename(ctx, NodeId::root, make_name("b"), NodeId::root, make_name("a"), 0)
                    .has_value());
    EXPECT_EQ(count_open_fds(), before - 1);
}

TEST_F(ReopenedFiles, AreNotHeldOnceTheGuestForgotThem) {
    start();
    const auto before = count_open_fds();
    const auto node = node_of("a");
    const auto handle = open(node, O_RDONLY);
    release(*handle);
    forget(node);
    EXPECT_EQ(count_open_fds(), before);
    EXPECT_EQ(fds(), 0U);
}

TEST_F(ReopenedFiles, AreNotHeldOverAReset) {
    start();
    open_and_close("a");
    fs_->destroy();
    EXPECT_EQ(fds(), 0U);
}

TEST_F(ReopenedFiles, LeaveNoFlockBehind) {
    start({}, default_flags | fuse::wire::FUSE_FLOCK_LOCKS);
    const auto node = node_of("a");
    const auto handle = open(node, O_RDONLY);
    fuse::LockArgs args;
    args.handle = *handle;
    args.range.type = F_WRLCK;
    args.range.end = std::numeric_limits<off_t>::max();
    args.is_flock = true;
    auto ctx = context();
    ASSERT_EQ(error_of(fs_->setlk(ctx, node, args)), 0);

    release(*handle);

    const UniqueFd host{::open(dir_.path("a").c_str(), O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(::flock(host.get(), LOCK_EX | LOCK_NB), 0);
}

} // namespace
} // namespace vfskit::passthrough
