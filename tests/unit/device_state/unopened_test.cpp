// SPDX-License-Identifier: Apache-2.0
// Files that the destination takes over without opening them.
#include "tests/unit/device_state/side.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>

namespace vfskit::device_state {
namespace {

using passthrough::FileHandleMode;
using passthrough::PassthroughOptions;
using test::error_of;
using test::Side;
using ::testing::HasSubstr;

class UnopenedFiles : public ::testing::Test {
protected:
    UnopenedFiles() {
        std::filesystem::create_directories(here_.path("dir"));
        here_.write("dir/closed", "closed");
        here_.write("dir/open", "open");
        source_.mount();
        dir_ = source_.node("dir");
        closed_ = source_.node("closed", dir_);
        open_ = source_.node("open", dir_);
        handle_ = source_.open(open_, O_RDONLY);
    }
    /// Descriptors that the destination holds for files that it knows.
    static std::size_t cached(const Side& side) { return side.fs->inodes().fds().inode_fds(); }

    test::TempDir here_;
    Side source_{here_.root()};
    NodeId dir_{};
    NodeId closed_{};
    NodeId open_{};
    HandleId handle_{};
};

TEST_F(UnopenedFiles, AreOpenedByTheirFirstUse) {
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(source_.save()));
    const auto before = cached(destination);

    const auto attributes = destination.getattr(closed_);

    ASSERT_TRUE(attributes);
    EXPECT_EQ(attributes->size, 6U);
    EXPECT_EQ(cached(destination), before + 1);
    EXPECT_EQ(destination.read(destination.open(closed_, O_RDONLY)), "closed");
}

TEST_F(UnopenedFiles, AreTheInodesThatTheGuestFindsAgain) {
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(source_.save()));

    EXPECT_EQ(destination.node("closed", dir_), closed_);
}

TEST_F(UnopenedFiles, AreNotTheFilesThatTookTheirNames) {
    const auto state = source_.save();
    std::filesystem::remove(here_.path("dir/closed"));
    here_.write("dir/closed", "another");
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(state));

    EXPECT_EQ(error_of(destination.getattr(closed_)), ESTALE);
    EXPECT_NE(destination.node("closed", dir_), closed_);
}

TEST_F(UnopenedFiles, KeepTheirNamesForTheNextHop) {
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(source_.save()));
    Side next{here_.root()};

    const auto loaded = next.load(destination.save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_TRUE(next.getattr(closed_));
    EXPECT_TRUE(next.rename(dir_, "closed", NodeId::root, "moved"));
    EXPECT_EQ(next.read(next.open(closed_, O_RDONLY)), "closed");
}

TEST_F(UnopenedFiles, OutliveTheirNameWhenTheGuestRemovesIt) {
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(source_.save()));
    ASSERT_TRUE(destination.rename(dir_, "closed", NodeId::root, "closed"));
    ASSERT_TRUE(destination.unlink("closed"));

    const auto attributes = destination.getattr(closed_);

    ASSERT_TRUE(attributes);
    EXPECT_EQ(attributes->nlink, 0U);
}

TEST_F(UnopenedFiles, AreNeverThoseThatAreOpenWithoutAHandle) {
    auto state = source_.save();
    state.trailer->opened.clear();
    std::filesystem::rename(here_.path("dir/open"), here_.path("dir/elsewhere"));
    Side destination{here_.root()};

    const auto loaded = destination.load(state);

    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().describe(), HasSubstr("'dir/open'"));
}

TEST_F(UnopenedFiles, AreNeverDirectories) {
    const auto state = source_.save();
    std::filesystem::rename(here_.path("dir"), here_.path("elsewhere"));
    Side destination{here_.root()};

    EXPECT_FALSE(destination.load(state));
}

TEST_F(UnopenedFiles, AreNeverThoseOfACopy) {
    test::TempDir there;
    std::filesystem::create_directories(there.path("dir"));
    there.write("dir/open", "open");
    Side destination{there.root()};

    const auto loaded = destination.load(source_.save());

    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().describe(), HasSubstr("'dir/closed'"));
}

TEST_F(UnopenedFiles, AreOpenedByTheHandleThatIsToBeVerified) {
    if (source_.fs->inodes().file_handles() == FileHandleMode::never) {
        GTEST_SKIP() << "needs CAP_DAC_READ_SEARCH and a filesystem with file handles";
    }
    source_.save_options.verify_handles = true;
    const auto state = source_.save();
    std::filesystem::rename(here_.path("dir/closed"), here_.path("dir/elsewhere"));
    here_.write("dir/closed", "another");
    Side destination{here_.root()};
    const auto loaded = destination.load(state);
    ASSERT_TRUE(loaded) << loaded.error().describe();

    EXPECT_EQ(destination.read(destination.open(closed_, O_RDONLY)), "closed");
}

TEST_F(UnopenedFiles, AreVerifiedAtOnceByADaemonThatDoesNotKeepHandles) {
    source_.save_options.verify_handles = true;
    const auto state = source_.save();
    std::filesystem::rename(here_.path("dir/closed"), here_.path("dir/elsewhere"));
    here_.write("dir/closed", "another");
    PassthroughOptions options;
    options.file_handles = FileHandleMode::never;
    Side destination{here_.root(), options};

    const auto loaded = destination.load(state);

    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().describe(), HasSubstr("another"));
}

TEST_F(UnopenedFiles, WithOpenFilesAreOpenedByTheHandleThatTheSourceSays) {
    if (source_.fs->inodes().file_handles() == FileHandleMode::never) {
        GTEST_SKIP() << "needs CAP_DAC_READ_SEARCH and a filesystem with file handles";
    }
    const auto state = source_.save();
    std::filesystem::rename(here_.path("dir/open"), here_.path("dir/elsewhere"));
    here_.write("dir/open", "another");
    Side destination{here_.root()};

    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle_), "open");
}

TEST_F(UnopenedFiles, WithOpenFilesAreOpenedByNameInACopy) {
    const auto state = source_.save();
    test::TempDir there;
    std::filesystem::create_directories(there.path("dir"));
    there.write("dir/open", "copy");
    there.write("dir/closed", "copy");
    Side destination{there.root()};

    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle_), "copy");
}

TEST_F(UnopenedFiles, AreFoundByHandleWhateverTheirNames) {
    if (source_.fs->inodes().file_handles() == FileHandleMode::never) {
        GTEST_SKIP() << "needs CAP_DAC_READ_SEARCH and a filesystem with file handles";
    }
    source_.save_options.mode = SaveMode::file_handles;
    const auto state = source_.save();
    std::filesystem::rename(here_.path("dir/closed"), here_.path("dir/elsewhere"));
    Side destination{here_.root()};
    const auto loaded = destination.load(state);
    ASSERT_TRUE(loaded) << loaded.error().describe();

    EXPECT_EQ(destination.read(destination.open(closed_, O_RDONLY)), "closed");
}

TEST_F(UnopenedFiles, AreOpenedAtOnceByADaemonThatDoesNotKeepHandles) {
    if (source_.fs->inodes().file_handles() == FileHandleMode::never) {
        GTEST_SKIP() << "needs CAP_DAC_READ_SEARCH and a filesystem with file handles";
    }
    source_.save_options.mode = SaveMode::file_handles;
    PassthroughOptions options;
    options.file_handles = FileHandleMode::never;
    Side destination{here_.root(), options};

    const auto loaded = destination.load(source_.save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_TRUE(destination.getattr(closed_));
    EXPECT_EQ(destination.read(handle_), "open");
}

TEST_F(UnopenedFiles, AreOpenedAtOnceWhenTheSourceSaysNothingOfThem) {
    auto state = source_.save();
    state.trailer->files.clear();
    std::filesystem::remove(here_.path("dir/closed"));
    Side destination{here_.root()};

    EXPECT_FALSE(destination.load(state));
}

/// So many that their records are made while requests run. They are not there, which only their
/// first use finds out.
class ManyUnopenedFiles : public UnopenedFiles {
protected:
    static constexpr std::uint64_t count = 50'000;

    ManyUnopenedFiles() {
        state_ = source_.save();
        const auto first = static_cast<std::uint64_t>(state_.next_inode);
        last_ = NodeId{first + count - 1};
        for (auto id = first; id < first + count; ++id) {
            state_.inodes.push_back(
                {NodeId{id}, 1, PathLocation{dir_, "gone" + std::to_string(id)}, {}});
            state_.trailer->files.push_back({S_IFREG, (std::uint64_t{1} << 40U) + id, 1});
        }
        const auto is_dir = [this](const auto& inode) { return inode.id == dir_; };
        std::find_if(state_.inodes.begin(), state_.inodes.end(), is_dir)->refcount += count;
        const auto loaded = destination_.load(state_);
        EXPECT_TRUE(loaded) << loaded.error().describe();
    }

    State state_;
    NodeId last_{};
    Side destination_{here_.root()};
};

TEST_F(ManyUnopenedFiles, AreKnownToTheFirstRequest) {
    EXPECT_EQ(error_of(destination_.getattr(last_)), ESTALE);
}

TEST_F(ManyUnopenedFiles, DoNotKeepOpenOnesWaiting) {
    EXPECT_EQ(destination_.read(handle_), "open");
}

TEST_F(ManyUnopenedFiles, AreTheInodesThatTheGuestFindsAgain) {
    EXPECT_EQ(destination_.node("closed", dir_), closed_);
}

TEST_F(ManyUnopenedFiles, KeepTheirIdsFromNewFiles) {
    here_.write("new", "new");

    EXPECT_GT(destination_.node("new"), last_);
}

TEST_F(ManyUnopenedFiles, CanBeForgottenAtOnce) {
    EXPECT_TRUE(destination_.fs->inodes().forget(last_, 1));

    EXPECT_EQ(error_of(destination_.getattr(last_)), EBADF);
}

TEST_F(ManyUnopenedFiles, AreAllSeenByTheNextMigration) {
    std::size_t known = 0;
    destination_.fs->inodes().for_each([&known](const auto& /*inode*/) { ++known; });

    EXPECT_EQ(known, state_.inodes.size());
}

TEST_F(ManyUnopenedFiles, AreGoneWhenTheGuestUnmounts) {
    destination_.fs->destroy();

    EXPECT_EQ(destination_.fs->inodes().size(), 1U);
    EXPECT_EQ(error_of(destination_.getattr(last_)), EBADF);
}

} // namespace
} // namespace vfskit::device_state
