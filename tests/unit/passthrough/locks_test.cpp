// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/passthrough/share_fixture.h"

#include <sys/file.h>

#include <chrono>
#include <future>
#include <limits>

namespace vfskit::passthrough {
namespace {

constexpr off_t to_the_end = std::numeric_limits<off_t>::max();

LockRange range(off_t start, off_t end, int type) {
    return {start, end, type, 0};
}

/// Hands out replies whose outcome a test can wait for.
class FakeDeferral final : public fuse::Deferral {
public:
    std::unique_ptr<fuse::Deferred> park() override {
        is_parked_ = true;
        return std::make_unique<Reply>(promise_);
    }
    [[nodiscard]] bool is_parked() const override { return is_parked_; }
    /// The errno of the reply, 0 when granted, -1 when there was none in `patience`.
    int wait(std::chrono::milliseconds patience = std::chrono::seconds{10}) {
        return future_.wait_for(patience) == std::future_status::ready ? future_.get() : -1;
    }

private:
    class Reply final : public fuse::Deferred {
    public:
        explicit Reply(std::promise<int>& promise) : promise_{promise} {}
        void complete(fuse::Outcome<void> outcome) override {
            promise_.set_value(error_of(outcome));
        }

    private:
        std::promise<int>& promise_;
    };
    bool is_parked_ = false;
    std::promise<int> promise_;
    std::future<int> future_ = promise_.get_future();
};

TEST(HeldRanges, SplitsJoinsAndReplaces) {
    HeldRanges held;
    held.set(range(0, 9, F_RDLCK));
    held.set(range(10, 19, F_RDLCK));
    ASSERT_EQ(held.ranges().size(), 1U);
    held.set(range(5, 6, F_WRLCK));
    ASSERT_EQ(held.ranges().size(), 3U);
    EXPECT_EQ(held.ranges()[2].start, 7);
    held.set(range(6, to_the_end, F_UNLCK));
    ASSERT_EQ(held.ranges().size(), 2U);
    EXPECT_EQ(held.ranges()[1].end, 5);
    held.set(range(0, to_the_end, F_UNLCK));
    EXPECT_TRUE(held.is_empty());
}

class LocksTest : public ShareTest {
protected:
    void SetUp() override {
        start({}, default_flags | fuse::wire::FUSE_POSIX_LOCKS | fuse::wire::FUSE_FLOCK_LOCKS);
        dir_.write("a", "0123456789");
        node_ = node_of("a");
        handle_ = open(node_, O_RDWR).value();
    }
    [[nodiscard]] fuse::LockArgs args(std::uint64_t owner, LockRange what) const {
        return {handle_, LockOwner{owner}, what, false};
    }
    [[nodiscard]] int set(std::uint64_t owner, LockRange what) const {
        auto ctx = context();
        return error_of(fs_->setlk(ctx, node_, args(owner, what)));
    }
    fuse::Outcome<fuse::LockState> wait(std::uint64_t owner,
                                        LockRange what,
                                        fuse::Deferral& reply,
                                        std::uint64_t unique = 1) const {
        auto ctx = context();
        ctx.unique = fuse::Unique{unique};
        return fs_->setlkw(ctx, node_, args(owner, what), reply);
    }
    [[nodiscard]] int flock(HandleId handle, int type) const {
        auto ctx = context();
        return error_of(fs_->setlk(ctx, node_, {handle, LockOwner{9}, range(0, 0, type), true}));
    }

    NodeId node_{};
    HandleId handle_{};
};

TEST_F(LocksTest, ConflictsBetweenOwnersOnly) {
    EXPECT_EQ(set(1, range(0, 4, F_WRLCK)), 0);
    EXPECT_EQ(set(1, range(2, 3, F_RDLCK)), 0);
    EXPECT_EQ(set(2, range(4, 9, F_RDLCK)), EAGAIN);
    EXPECT_EQ(set(2, range(2, 3, F_RDLCK)), 0);
    EXPECT_EQ(set(2, range(5, 9, F_WRLCK)), 0);
    auto ctx = context();
    const auto found = fs_->getlk(ctx, node_, args(2, range(0, to_the_end, F_WRLCK)));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->type, F_WRLCK);
    EXPECT_EQ(found->start, 0);
}

TEST_F(LocksTest, IsSeenByTheHost) {
    ASSERT_EQ(set(1, range(2, 3, F_WRLCK)), 0);
    const UniqueFd host{::open(dir_.path("a").c_str(), O_RDWR | O_CLOEXEC)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    ASSERT_EQ(::fcntl(host.get(), F_OFD_GETLK, &lock), 0);
    EXPECT_EQ(lock.l_type, F_WRLCK);
    EXPECT_EQ(lock.l_start, 2);
    EXPECT_EQ(lock.l_len, 2);
}

TEST_F(LocksTest, SeesTheHost) {
    const UniqueFd host{::open(dir_.path("a").c_str(), O_RDWR | O_CLOEXEC)};
    struct flock lock {};
    lock.l_type = F_WRLCK;
    ASSERT_EQ(::fcntl(host.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_EQ(set(1, range(0, 0, F_RDLCK)), EAGAIN);
    auto ctx = context();
    EXPECT_EQ(fs_->getlk(ctx, node_, args(1, range(5, 6, F_RDLCK)))->end, to_the_end);
    EXPECT_FALSE(fs_->locks().has_posix_locks());
}

TEST_F(LocksTest, DropsAnOwnersLocksWhenItCloses) {
    ASSERT_EQ(set(1, range(0, 4, F_WRLCK)), 0);
    auto ctx = context();
    ASSERT_TRUE(fs_->flush(ctx, node_, handle_, LockOwner{1}).has_value());
    EXPECT_EQ(set(2, range(0, 4, F_WRLCK)), 0);
    EXPECT_EQ(set(2, range(0, to_the_end, F_UNLCK)), 0);
    EXPECT_FALSE(fs_->locks().has_posix_locks());
    EXPECT_EQ(fs_->gauges().fds, 2U); // the inode's and the handle's
}

TEST_F(LocksTest, GrantsAParkedLockWhenTheGuestUnlocks) {
    FakeDeferral reply;
    ASSERT_EQ(set(1, range(0, 4, F_WRLCK)), 0);
    EXPECT_EQ(wait(2, range(0, 4, F_WRLCK), reply).value(), fuse::LockState::parked);
    EXPECT_EQ(reply.wait(std::chrono::milliseconds{20}), -1);
    ASSERT_EQ(set(1, range(0, 4, F_UNLCK)), 0);
    EXPECT_EQ(reply.wait(), 0);
    EXPECT_EQ(set(1, range(0, 4, F_RDLCK)), EAGAIN);
}

TEST_F(LocksTest, GrantsAParkedLockWhenTheHostUnlocks) {
    FakeDeferral reply;
    {
        const UniqueFd host{::open(dir_.path("a").c_str(), O_RDWR | O_CLOEXEC)};
        struct flock lock {};
        lock.l_type = F_WRLCK;
        ASSERT_EQ(::fcntl(host.get(), F_OFD_SETLK, &lock), 0);
        EXPECT_EQ(wait(2, range(0, 4, F_WRLCK), reply).value(), fuse::LockState::parked);
    }
    EXPECT_EQ(reply.wait(), 0);
}

TEST_F(LocksTest, EndsAParkedLockOnInterruptAndOnDestroy) {
    FakeDeferral first;
    FakeDeferral second;
    FakeDeferral third;
    ASSERT_EQ(set(1, range(0, 4, F_WRLCK)), 0);
    ASSERT_TRUE(wait(2, range(0, 4, F_WRLCK), first, 11).has_value());
    ASSERT_TRUE(wait(3, range(0, 4, F_WRLCK), second, 12).has_value());
    auto ctx = context();
    fs_->interrupt(ctx, fuse::Unique{11});
    EXPECT_EQ(first.wait(), EINTR);
    fs_->cancel_parked(fuse::Errno{ECANCELED});
    EXPECT_EQ(second.wait(), ECANCELED);
    ASSERT_TRUE(wait(3, range(0, 4, F_WRLCK), third, 13).has_value());
    fs_->destroy();
    EXPECT_EQ(third.wait(), ENOLCK);
    EXPECT_EQ(fs_->gauges().fds, 0U);
}

TEST_F(LocksTest, RefusesACircleOfWaitingOwners) {
    FakeDeferral reply;
    FakeDeferral unused;
    ASSERT_EQ(set(1, range(0, 0, F_WRLCK)), 0);
    ASSERT_EQ(set(2, range(1, 1, F_WRLCK)), 0);
    ASSERT_TRUE(wait(1, range(1, 1, F_WRLCK), reply).has_value());
    EXPECT_EQ(error_of(wait(2, range(0, 0, F_WRLCK), unused)), EDEADLK);
    ASSERT_EQ(set(2, range(1, 1, F_UNLCK)), 0);
    EXPECT_EQ(reply.wait(), 0);
}

TEST_F(LocksTest, HoldsFlockByOpenFileUntilRelease) {
    const auto second = open(node_, O_RDONLY).value();
    EXPECT_EQ(flock(handle_, F_WRLCK), 0);
    EXPECT_EQ(flock(second, F_RDLCK), EAGAIN);
    const UniqueFd host{::open(dir_.path("a").c_str(), O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(::flock(host.get(), LOCK_SH | LOCK_NB), -1);
    FakeDeferral reply;
    auto ctx = context();
    const auto state =
        fs_->setlkw(ctx, node_, {second, LockOwner{9}, range(0, 0, F_RDLCK), true}, reply);
    EXPECT_EQ(state.value(), fuse::LockState::parked);
    release(handle_);
    EXPECT_EQ(reply.wait(), 0);
}

TEST_F(LocksTest, ShowsWhatIsHeldForAMigration) {
    ASSERT_EQ(set(1, range(0, 4, F_WRLCK)), 0);
    ASSERT_EQ(set(1, range(10, 14, F_RDLCK)), 0);
    std::size_t seen = 0;
    fs_->locks().for_each([&](NodeId node, LockOwner owner, const LockRange& held) {
        EXPECT_EQ(node, node_);
        EXPECT_EQ(owner, LockOwner{1});
        EXPECT_EQ(held.type, held.start == 0 ? F_WRLCK : F_RDLCK);
        ++seen;
    });
    EXPECT_EQ(seen, 2U);
}

TEST_F(LocksTest, RefusesRangesThatMakeNoSense) {
    EXPECT_EQ(set(1, range(5, 4, F_WRLCK)), EINVAL);
    EXPECT_EQ(set(1, range(-1, 4, F_WRLCK)), EINVAL);
    EXPECT_EQ(set(1, range(0, 4, 77)), EINVAL);
}

} // namespace
} // namespace vfskit::passthrough
