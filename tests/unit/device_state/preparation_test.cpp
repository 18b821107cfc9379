// SPDX-License-Identifier: Apache-2.0
// What is prepared while the guest runs must come to the same as what is saved when it stands
// still.
#include "core/device_state/preparation.h"
#include "core/passthrough/host_calls.h"
#include "tests/unit/device_state/side.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <utility>

namespace vfskit::device_state {
namespace {

using test::Side;
using ::testing::IsEmpty;

template <class T>
void sort_by_id(std::vector<T>& all) {
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

/// Order says nothing in a state, but that files go with inodes.
State sorted(State state) {
    auto& files = state.trailer->files;
    std::vector<std::pair<NodeId, SavedFile>> by_id;
    for (std::size_t i = 0; i < files.size(); ++i) {
        by_id.emplace_back(state.inodes.at(i).id, files[i]);
    }
    std::sort(
        by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::transform(
        by_id.begin(), by_id.end(), files.begin(), [](const auto& file) { return file.second; });
    sort_by_id(state.inodes);
    sort_by_id(state.trailer->places);
    sort_by_id(state.trailer->numbers);
    return state;
}

class Prepared : public ::testing::TestWithParam<SaveMode> {
protected:
    Prepared() {
        std::filesystem::create_directories(here_.path("dir/sub"));
        std::filesystem::create_directories(here_.path("other"));
        for (const auto* name : {"a", "b", "dir/c", "dir/sub/d", "dir/sub/e", "other/f"}) {
            here_.write(name, name);
        }
        source_ = std::make_unique<Side>(here_.root());
        source_->save_options.mode = GetParam();
        source_->mount();
        a_ = source_->node("a");
        dir_ = source_->node("dir");
        c_ = source_->node("c", dir_);
        sub_ = source_->node("sub", dir_);
        d_ = source_->node("d", sub_);
        e_ = source_->node("e", sub_);
        other_ = source_->node("other");
    }

    void forget(NodeId id, std::uint64_t count = 1) {
        auto ctx = source_->context();
        source_->fs->forget(ctx, id, count);
    }

    /// Prepares, lets `change` happen, and saves; the same as without the preparation.
    State save_after(const std::function<void()>& change, bool confirms_places = false) {
        Preparation preparation{*source_->fs, source_->save_options};
        wait_for(preparation);
        change();
        const auto state = preparation.save(confirms_places, source_->log);
        EXPECT_TRUE(state) << state.error().describe();
        Preparation unprepared{*source_->fs, source_->save_options};
        const auto expected = unprepared.save(confirms_places, source_->log);
        EXPECT_TRUE(expected) << expected.error().describe();
        EXPECT_TRUE(sorted(*state) == sorted(*expected)) << describe(*state) << "expected\n"
                                                         << describe(*expected);
        return *state;
    }

    void wait_for(Preparation& preparation) {
        std::atomic<bool> is_done{false};
        preparation.start([&is_done](const auto&, const auto&) {
            is_done = true;
            is_done.notify_all();
        });
        is_done.wait(false);
    }

    static std::string describe(const State& state) {
        std::string text;
        const auto ordered = sorted(state);
        for (const auto& inode : ordered.inodes) {
            const auto* path = std::get_if<PathLocation>(&inode.location);
            text += std::to_string(static_cast<std::uint64_t>(inode.id)) + " refs " +
                    std::to_string(inode.refcount) + " kind " +
                    std::to_string(inode.location.index()) +
                    (path != nullptr ? " " + path->name : std::string{}) + '\n';
        }
        for (const auto& place : ordered.trailer->places) {
            text += std::to_string(static_cast<std::uint64_t>(place.id)) + " in " +
                    std::to_string(static_cast<std::uint64_t>(place.parent)) + ": " + place.name +
                    '\n';
        }
        return text;
    }

    test::TempDir here_;
    std::unique_ptr<Side> source_;
    NodeId a_{}, dir_{}, c_{}, sub_{}, d_{}, e_{}, other_{};
};

INSTANTIATE_TEST_SUITE_P(Modes,
                         Prepared,
                         ::testing::Values(SaveMode::find_paths,
                                           SaveMode::file_handles,
                                           SaveMode::fd_passing),
                         [](const auto& mode) {
                             switch (mode.param) {
                             case SaveMode::find_paths:
                                 return "paths";
                             case SaveMode::file_handles:
                                 return "handles";
                             case SaveMode::fd_passing:
                                 break;
                             }
                             return "descriptors";
                         });

TEST_P(Prepared, StaysWhereNothingChanges) {
    const auto state = save_after([] {});
    EXPECT_EQ(state.inodes.size(), 8U);
}

TEST_P(Prepared, CountsLookupsAndForgets) {
    (void)save_after([this] {
        (void)source_->node("a");
        (void)source_->node("dir");
        (void)source_->node("d", sub_);
        forget(dir_);
        (void)source_->node("d", sub_);
        forget(d_);
    });
}

TEST_P(Prepared, TakesInNewFiles) {
    const auto state = save_after([this] {
        (void)source_->node("b");
        (void)source_->node("f", other_);
    });
    EXPECT_EQ(state.inodes.size(), 10U);
}

TEST_P(Prepared, DropsForgottenFilesAndThenTheirDirectory) {
    const auto state = save_after([this] {
        forget(d_);
        forget(e_);
        forget(sub_);
        forget(c_);
    });
    EXPECT_EQ(state.inodes.size(), 4U);
}

TEST_P(Prepared, BeginsAnewWhereADirectoryIsForgottenBeforeItsFiles) {
    (void)save_after([this] { forget(sub_); });
}

TEST_P(Prepared, FollowsTheGuestsRenames) {
    (void)save_after([this] {
        ASSERT_TRUE(source_->rename(NodeId::root, "a", sub_, "moved"));
        ASSERT_TRUE(source_->rename(sub_, "d", NodeId::root, "d"));
        ASSERT_TRUE(source_->rename(dir_, "sub", other_, "sub2"));
    });
}

TEST_P(Prepared, FollowsDirectoriesThatChangePlaces) {
    (void)save_after([this] {
        ASSERT_TRUE(source_->rename(dir_, "sub", NodeId::root, "sub"));
        ASSERT_TRUE(source_->rename(NodeId::root, "dir", sub_, "dir"));
    });
}

TEST_P(Prepared, FindsNoPlaceForWhatTheGuestRemoves) {
    (void)source_->open(a_, O_RDONLY);
    (void)save_after([this] { ASSERT_TRUE(source_->unlink("a")); });
    EXPECT_EQ(GetParam() != SaveMode::file_handles,
              source_->log.text.find("last seen as 'a'") != std::string::npos);
}

TEST_P(Prepared, KeepsWhatHadNoPlaceWhenItBegan) {
    (void)source_->open(a_, O_RDONLY);
    ASSERT_TRUE(source_->unlink("a"));
    (void)save_after([this] { (void)source_->node("b"); });
}

TEST_P(Prepared, KeepsWhatSomebodyElseRenamedBefore) {
    std::filesystem::rename(here_.path("dir/sub"), here_.path("sub"));
    std::filesystem::rename(here_.path("a"), here_.path("other/z"));
    (void)save_after([] {});
}

TEST_P(Prepared, ConfirmsThatSomebodyElseRenamedMeanwhile) {
    const auto state = save_after(
        [this] {
            std::filesystem::rename(here_.path("dir/sub/d"), here_.path("other/d"));
            std::filesystem::rename(here_.path("dir/sub"), here_.path("sub"));
        },
        true);
    if (GetParam() != SaveMode::file_handles) {
        const auto at = std::find_if(state.inodes.begin(),
                                     state.inodes.end(),
                                     [this](const auto& inode) { return inode.id == d_; });
        EXPECT_EQ(at->location, (Location{PathLocation{other_, "d"}}));
    }
}

TEST_P(Prepared, TellsNamesThatAreNotUtf8) {
    here_.write("dir/sub/\xff", "raw");
    std::filesystem::create_directories(here_.path("raw\xfe"));
    here_.write("raw\xfe/g", "g");
    const auto raw = source_->node("raw\xfe");
    (void)source_->node("g", raw);
    (void)save_after([&] {
        (void)source_->node("\xff", sub_);
        ASSERT_TRUE(source_->rename(dir_, "c", raw, "c"));
        ASSERT_TRUE(source_->rename(NodeId::root, "dir", NodeId::root, "dir\xfd"));
    });
}

TEST_P(Prepared, BeginsAnewWhenTheGuestUnmountsAndMountsAgain) {
    (void)save_after([this] {
        source_->fs->destroy();
        source_->mount();
        (void)source_->node("b");
    });
}

TEST_P(Prepared, SendsNothingForAGuestThatHasUnmounted) {
    const auto state = save_after([this] {
        source_->fs->destroy();
        source_->fs->init({});
    });
    EXPECT_THAT(state.inodes, IsEmpty());
}

TEST_P(Prepared, VerifiesHandlesOfWhatCameLater) {
    source_->save_options.verify_handles = true;
    (void)save_after([this] {
        (void)source_->node("b");
        ASSERT_TRUE(source_->rename(NodeId::root, "a", sub_, "moved"));
        forget(c_);
    });
}

TEST_P(Prepared, NotesNothingOnceItWasCancelled) {
    Preparation preparation{*source_->fs, source_->save_options};
    wait_for(preparation);
    preparation.cancel();
    (void)source_->node("b");
    EXPECT_THAT(*source_->fs->inodes().take_changes(), IsEmpty());
    EXPECT_TRUE(preparation.save(false, source_->log));
}

TEST_P(Prepared, IsReadyForTheNextTryOnceItWasClearedUp) {
    Preparation preparation{*source_->fs, source_->save_options};
    wait_for(preparation);
    auto first = preparation.save(false, source_->log);
    ASSERT_TRUE(first);
    const auto known = first->inodes.size();
    preparation.clear_up(std::move(*first));
    wait_for(preparation);
    (void)source_->node("b");

    const auto next = preparation.save(false, source_->log);

    ASSERT_TRUE(next);
    EXPECT_EQ(next->inodes.size(), known + 1);
}

TEST_P(Prepared, NotesNothingOnceItWasClearedUp) {
    {
        Preparation preparation{*source_->fs, source_->save_options};
        wait_for(preparation);
        auto state = preparation.save(false, source_->log);
        ASSERT_TRUE(state);
        preparation.clear_up(std::move(*state));
    }
    (void)source_->node("b");
    EXPECT_THAT(*source_->fs->inodes().take_changes(), IsEmpty());
}

// ---- directories that nobody has changed
// ----------------------------------------------------------

class DirectoryTimesTest : public ::testing::Test {
protected:
    DirectoryTimesTest() {
        std::filesystem::create_directories(here_.path("dir"));
        here_.write("dir/a", "a");
        source_.mount();
        dir_ = source_.node("dir");
        a_ = source_.node("a", dir_);
        fd_.reset(::open(here_.path("dir").c_str(), O_PATH));
    }
    /// As if it had been left alone for `seconds`.
    bool remember_dir(std::int64_t seconds) {
        struct statx status {};
        EXPECT_EQ(passthrough::stat_fd(fd_.get(), status), 0);
        return times_.remember(dir_, fd_.get(), status, status.stx_ctime.tv_sec + seconds);
    }

    test::TempDir here_;
    test::Side source_{here_.root()};
    NodeId dir_{}, a_{};
    UniqueFd fd_;
    DirectoryTimes times_;
};

TEST_F(DirectoryTimesTest, ShowWhatSomebodyElseRenamed) {
    if (!remember_dir(4)) {
        GTEST_SKIP() << "needs ext4, xfs, btrfs, f2fs or tmpfs";
    }
    std::filesystem::rename(here_.path("dir/a"), here_.path("dir/b"));
    EXPECT_EQ(find_new_suspects(source_.fs->inodes(), times_),
              Suspects{static_cast<std::uint64_t>(a_)});
}

TEST_F(DirectoryTimesTest, ShowADirectoryThatSomebodyElseReplaced) {
    if (!remember_dir(4)) {
        GTEST_SKIP() << "needs ext4, xfs, btrfs, f2fs or tmpfs";
    }
    std::filesystem::rename(here_.path("dir"), here_.path("was"));
    std::filesystem::create_directories(here_.path("dir"));
    EXPECT_EQ(
        find_new_suspects(source_.fs->inodes(), times_).count(static_cast<std::uint64_t>(dir_)),
        1U);
}

TEST_F(DirectoryTimesTest, SpareFilesInDirectoriesThatAreAsTheyWere) {
    if (!remember_dir(4)) {
        GTEST_SKIP() << "needs ext4, xfs, btrfs, f2fs or tmpfs";
    }
    // What the guest believes is wrong from the start, and only looking at the file would show it.
    source_.fs->inodes().move_place(
        source_.fs->inodes().find(a_), {dir_, "a"}, {dir_, "never was"});
    EXPECT_THAT(find_new_suspects(source_.fs->inodes(), times_), IsEmpty());
}

TEST_F(DirectoryTimesTest, SayNothingOfADirectoryThatHasJustChanged) {
    EXPECT_FALSE(remember_dir(3));
    source_.fs->inodes().move_place(
        source_.fs->inodes().find(a_), {dir_, "a"}, {dir_, "never was"});
    EXPECT_EQ(find_new_suspects(source_.fs->inodes(), times_).size(), 1U);
}

TEST_F(DirectoryTimesTest, SayNothingOfAFilesystemThatOthersMayChange) {
    const UniqueFd fd{::open("/proc", O_PATH)};
    struct statx status {};
    ASSERT_EQ(passthrough::stat_fd(fd.get(), status), 0);
    EXPECT_FALSE(times_.remember(dir_, fd.get(), status, status.stx_ctime.tv_sec + 1000));
}

} // namespace
} // namespace vfskit::device_state
