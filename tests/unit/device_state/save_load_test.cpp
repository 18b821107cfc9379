// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/inode_tree.h"
#include "tests/unit/device_state/side.h"
#include "tests/unit/device_state/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <map>

namespace vfskit::device_state {
namespace {

using test::error_of;
using test::Side;
using ::testing::HasSubstr;
namespace wire = fuse::wire;

class Migration : public ::testing::Test {
protected:
    Migration() {
        for (const auto* root : {&here_, &there_}) {
            std::filesystem::create_directories(root->path("dir/sub"));
            root->write("a", "a");
            root->write("dir/sub/b", "b");
        }
        there_.write("dir/sub/b", "copy of b");
    }
    test::TempDir here_;
    test::TempDir there_;
};

const SavedInode& inode_of(const State& state, NodeId id) {
    return *std::find_if(state.inodes.begin(), state.inodes.end(), [id](const auto& inode) {
        return inode.id == id;
    });
}

// ---- what has no place
// ---------------------------------------------------------------------------------------

TEST_F(Migration, TellsWhileTheGuestRunsWhatHasNoPath) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    (void)source.open(a, O_RDONLY);
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    ASSERT_TRUE(source.unlink("a"));

    const auto files = find_unreachable(*source.fs, source.save_options);

    ASSERT_EQ(files.size(), 1U);
    EXPECT_EQ(files.front().id, a);
    EXPECT_EQ(files.front().path, "a");
    EXPECT_TRUE(files.front().is_deleted);
    EXPECT_THAT(files.front().reason, HasSubstr("deleted"));
    EXPECT_TRUE(source.getattr(b));
}

TEST_F(Migration, TellsOfNothingWhereEverythingHasAName) {
    Side source{here_.root()};
    source.mount();
    (void)source.node("sub", source.node("dir"));
    std::filesystem::rename(here_.path("dir"), here_.path("renamed"));

    const auto files = find_unreachable(*source.fs, source.save_options);

    EXPECT_TRUE(files.empty());
}

TEST_F(Migration, FindsWhatWasDeletedBeforeTheSwitchOver) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    (void)source.open(a, O_RDONLY);
    (void)source.open(b, O_RDONLY);
    ASSERT_TRUE(source.unlink("a"));
    std::filesystem::remove(here_.path("dir/sub/b")); // which the guest has not heard of
    const std::atomic<bool> never{false};
    auto& inodes = source.fs->inodes();

    const auto deleted = find_deleted(inodes, find_suspects(inodes, never), never, 10);
    EXPECT_EQ(deleted, (std::vector<NodeId>{std::min(a, b), std::max(a, b)}));
    EXPECT_EQ(find_deleted(inodes, find_suspects(inodes, never), never, 1).size(), 1U);
}

TEST_F(Migration, BringsAFileByHandleByItsHandleToTheSameDirectory) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDONLY);
    ASSERT_TRUE(source.unlink("a"));
    Side destination{here_.root()};

    const auto loaded = destination.load(source.save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle), "a");
    EXPECT_EQ(destination.getattr(a)->nlink, 0U);
}

TEST_F(Migration, NeverOpensAFileByHandleByItsHandleInAnotherDirectory) {
    Side source{here_.root()};
    source.mount();
    (void)source.open(source.node("a"), O_RDONLY);
    ASSERT_TRUE(source.unlink("a"));
    Side destination{there_.root()};

    const auto loaded = destination.load(source.save());

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ENOENT);
    EXPECT_THAT(loaded.error().message(), HasSubstr("not proved to be the source's"));
}

// ---- paths
// ---------------------------------------------------------------------------------------

TEST_F(Migration, BringsInodesAndOpenFilesToACopy) {
    Side source{here_.root()};
    source.mount();
    const auto sub = source.node("sub", source.node("dir"));
    const auto b = source.node("b", sub);
    const auto handle = source.open(b, O_RDWR);
    Side destination{there_.root()};

    const auto loaded = destination.load(source.save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle), "copy of b");
    EXPECT_TRUE(destination.getattr(b));
    EXPECT_EQ(destination.node("b", sub), b);
    EXPECT_EQ(*loaded, source.fs->negotiated());
}

TEST_F(Migration, NeverGivesAnIdAgain) {
    Side source{here_.root()};
    source.mount();
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    const auto handle = source.open(b, O_RDONLY);
    Side destination{there_.root()};
    ASSERT_TRUE(destination.load(source.save()));

    EXPECT_GT(destination.node("a"), b);
    EXPECT_GT(destination.open(b, O_RDONLY), handle);
}

/// What upstream's reader does with reference counts: every inode found by path takes one off its
/// parent, and an inode without references goes.
std::map<std::uint64_t, std::uint64_t> read_counts_as_upstream(const State& state) {
    std::map<std::uint64_t, std::uint64_t> counts;
    for (const auto& inode : state.inodes) {
        counts[static_cast<std::uint64_t>(inode.id)] = inode.refcount;
    }
    for (const auto& inode : state.inodes) {
        if (const auto* path = std::get_if<PathLocation>(&inode.location)) {
            --counts.at(static_cast<std::uint64_t>(path->parent));
        }
    }
    return counts;
}

TEST_F(Migration, CountsReferencesAsUpstreamsReaderTakesThemOff) {
    Side source{here_.root()};
    source.mount();
    const auto dir = source.node("dir");
    const auto sub = source.node("sub", dir);
    const auto b = source.node("b", sub);
    (void)source.node("b", sub);
    const auto counts = read_counts_as_upstream(source.save());

    EXPECT_EQ(counts.at(1), 2U); // upstream's root begins at 2
    EXPECT_EQ(counts.at(static_cast<std::uint64_t>(dir)), 1U);
    EXPECT_EQ(counts.at(static_cast<std::uint64_t>(sub)), 1U);
    EXPECT_EQ(counts.at(static_cast<std::uint64_t>(b)), 2U);
}

TEST_F(Migration, ForgetsWhatTheGuestForgetsAfterIt) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    (void)source.node("a");
    Side destination{there_.root()};
    ASSERT_TRUE(destination.load(source.save()));
    auto ctx = destination.context();

    destination.fs->forget(ctx, a, 1);
    EXPECT_TRUE(destination.getattr(a));
    destination.fs->forget(ctx, a, 1);
    EXPECT_EQ(error_of(destination.getattr(a)), EBADF);
}

TEST_F(Migration, SendsTheNameThatTheGuestGaveLast) {
    Side source{here_.root()};
    source.mount();
    const auto dir = source.node("dir");
    const auto sub = source.node("sub", dir);
    const auto b = source.node("b", sub);
    ASSERT_TRUE(source.rename(sub, "b", dir, "c"));

    EXPECT_EQ(inode_of(source.save(), b).location, (Location{PathLocation{dir, "c"}}));
}

TEST_F(Migration, FindsWhatSomebodyElseRenamed) {
    Side source{here_.root()};
    source.mount();
    const auto dir = source.node("dir");
    const auto b = source.node("b", source.node("sub", dir));
    std::filesystem::rename(here_.path("dir/sub/b"), here_.path("dir/other"));

    EXPECT_EQ(inode_of(source.save(), b).location, (Location{PathLocation{dir, "other"}}));
}

TEST_F(Migration, FindsTheOtherNameOfAFile) {
    std::filesystem::create_hard_link(here_.path("a"), here_.path("dir/second"));
    Side source{here_.root()};
    source.mount();
    const auto dir = source.node("dir");
    const auto a = source.node("a");
    ASSERT_EQ(source.node("second", dir), a);
    ASSERT_TRUE(source.unlink("a"));

    EXPECT_EQ(inode_of(source.save(), a).location, (Location{PathLocation{dir, "second"}}));
}

TEST_F(Migration, SendsAWholePathWhereTheGuestDoesNotKnowTheDirectory) {
    Side source{here_.root()};
    source.mount();
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    std::filesystem::create_directories(here_.path("new/place"));
    std::filesystem::rename(here_.path("dir/sub/b"), here_.path("new/place/b"));
    const auto state = source.save();

    EXPECT_EQ(inode_of(state, b).location, Location{FullPathLocation{"new/place/b"}});
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(state));
    EXPECT_TRUE(destination.getattr(b));
}

TEST_F(Migration, SaysWhichFileHasNoName) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    ASSERT_TRUE(source.unlink("a"));
    const auto state = source.save();

    EXPECT_EQ(inode_of(state, a).location, Location{InvalidLocation{}});
    EXPECT_THAT(source.log.text, HasSubstr("deleted"));
}

TEST_F(Migration, SaysWhichFileLeftTheShare) {
    Side source{here_.path("dir")};
    source.mount();
    const auto b = source.node("b", source.node("sub"));
    std::filesystem::rename(here_.path("dir/sub/b"), here_.path("outside"));

    EXPECT_EQ(inode_of(source.save(), b).location, Location{InvalidLocation{}});
    EXPECT_THAT(source.log.text, HasSubstr("outside the shared directory"));
}

TEST_F(Migration, BringsNamesThatAreNotUtf8) {
    const std::string odd = "d\xff";
    std::filesystem::create_directory(here_.path(odd));
    here_.write(odd + "/plain", "plain");
    Side source{here_.root()};
    source.mount();
    const auto directory = source.node(odd);
    const auto file = source.node("plain", directory);
    const auto state = source.save();

    EXPECT_EQ(inode_of(state, directory).location, Location{InvalidLocation{}});
    Side destination{here_.root()};
    ASSERT_TRUE(destination.load(state));
    EXPECT_EQ(destination.node("plain", directory), file);
    EXPECT_EQ(destination.node(odd), directory);
}

TEST_F(Migration, IsTheSameAfterManyHops) {
    Side source{here_.root()};
    source.mount();
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    const auto handle = source.open(b, O_WRONLY | O_APPEND);
    const auto first = source.save();
    Side second{here_.root()};
    ASSERT_TRUE(second.load(first));
    Side third{here_.root()};
    ASSERT_TRUE(third.load(second.save()));

    EXPECT_EQ(third.save(), first);
    EXPECT_TRUE(third.write(handle, "x", 0));
}

TEST_F(Migration, BringsAGuestThatHasNotMounted) {
    Side source{here_.root()};
    Side destination{there_.root()};
    const auto state = source.save();

    EXPECT_TRUE(state.inodes.empty());
    const auto loaded = destination.load(state);
    ASSERT_TRUE(loaded);
    EXPECT_FALSE(loaded->is_initialized());
}

// ---- what is not there
// ---------------------------------------------------------------------------

TEST_F(Migration, LeavesNothingHalfDoneWhenAFileIsMissing) {
    Side source{here_.root()};
    source.mount();
    const auto dir = source.node("dir");
    (void)source.open(source.node("b", source.node("sub", dir)), O_RDONLY);
    std::filesystem::remove(there_.path("dir/sub/b"));
    Side destination{there_.root()};
    const auto loaded = destination.load(source.save());

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ENOENT);
    EXPECT_THAT(loaded.error().message(), HasSubstr("'dir/sub/b'"));
    EXPECT_EQ(error_of(destination.getattr(dir)), EBADF);
    EXPECT_EQ(destination.fs->gauges().inodes, 1U);
    EXPECT_EQ(destination.fs->gauges().handles, 0U);
    EXPECT_FALSE(destination.fs->negotiated().is_initialized());
}

TEST_F(Migration, AnswersEioForWhatIsMissingIfToldTo) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    const auto sub = source.node("sub", source.node("dir"));
    const auto b = source.node("b", sub);
    const auto handle = source.open(b, O_RDONLY);
    std::filesystem::remove_all(there_.path("dir/sub"));
    Side destination{there_.root()};
    destination.load_options.on_error = OnError::guest_error;
    ASSERT_TRUE(destination.load(source.save()));

    EXPECT_TRUE(destination.getattr(a));
    EXPECT_EQ(error_of(destination.getattr(sub)), EIO);
    EXPECT_EQ(error_of(destination.getattr(b)), EIO);
    EXPECT_EQ(destination.read(handle), "errno " + std::to_string(EIO));
    EXPECT_THAT(destination.log.text, HasSubstr("dir/sub/b"));
}

TEST_F(Migration, KeepsWhatIsLostLostOnTheNextHop) {
    Side source{here_.root()};
    source.mount();
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDONLY);
    std::filesystem::remove(there_.path("a"));
    Side second{there_.root()};
    second.load_options.on_error = OnError::guest_error;
    ASSERT_TRUE(second.load(source.save()));
    Side third{here_.root()};
    third.load_options.on_error = OnError::guest_error;
    ASSERT_TRUE(third.load(second.save()));

    EXPECT_EQ(error_of(third.getattr(a)), EIO);
    EXPECT_EQ(third.read(handle), "errno " + std::to_string(EIO));
}

TEST_F(Migration, NeverFollowsALinkOutOfTheShare) {
    Side source{here_.root()};
    source.mount();
    (void)source.node("b", source.node("sub", source.node("dir")));
    std::filesystem::rename(there_.path("dir"), there_.path("elsewhere"));
    ASSERT_EQ(::symlink("elsewhere", there_.path("dir").c_str()), 0);
    Side destination{there_.root()};

    EXPECT_FALSE(destination.load(source.save()));
}

TEST_F(Migration, RefusesAnotherFileWhereHandlesAreVerified) {
    Side source{here_.root()};
    source.save_options.verify_handles = true;
    source.mount();
    const auto a = source.node("a");
    const auto state = source.save();
    ASSERT_TRUE(inode_of(state, a).verify_handle);
    Side same{here_.root()};
    EXPECT_TRUE(same.load(state));
    Side copy{there_.root()};
    EXPECT_EQ(copy.load(state).error().code(), ESTALE);
}

TEST_F(Migration, RefusesAStateThatContradictsItself) {
    auto state = test::paths_state();
    state.inodes[2].id = NodeId{2};
    Side destination{there_.root()};
    EXPECT_EQ(destination.load(state).error().code(), EBADMSG);
}

// ---- file handles
// --------------------------------------------------------------------------------

TEST_F(Migration, FindsFilesByHandleWhateverTheirNames) {
    Side source{here_.root()};
    source.save_options.mode = SaveMode::file_handles;
    source.mount();
    const auto b = source.node("b", source.node("sub", source.node("dir")));
    const auto handle = source.open(b, O_RDONLY);
    std::filesystem::rename(here_.path("dir/sub/b"), here_.path("moved"));
    Side destination{here_.root()};
    const auto loaded = destination.load(source.save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle), "b");
}

TEST_F(Migration, RefusesHandlesOfAnotherDirectory) {
    Side source{here_.root()};
    source.save_options.mode = SaveMode::file_handles;
    source.mount();
    (void)source.node("a");
    Side destination{there_.root()};
    const auto loaded = destination.load(source.save());

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), EXDEV);
    EXPECT_EQ(destination.fs->gauges().inodes, 1U);
}

TEST_F(Migration, RefusesUpstreamsHandlesOfAnotherDirectory) {
    Side source{here_.path("dir")};
    source.save_options.mode = SaveMode::file_handles;
    source.mount();
    (void)source.node("b", source.node("sub"));
    auto state = source.save();
    state.trailer.reset();

    Side same{here_.path("dir")};
    EXPECT_TRUE(same.load(state));
    Side above{here_.root()};
    EXPECT_EQ(above.load(state).error().code(), EXDEV);
    Side below{here_.path("dir/sub")};
    EXPECT_EQ(below.load(state).error().code(), EXDEV);
    Side beside{there_.path("dir")};
    EXPECT_EQ(beside.load(state).error().code(), EXDEV);
}

TEST_F(Migration, RefusesUpstreamsHandlesWhereTheRootHasNoneOfTheFiles) {
    Side source{here_.root()};
    source.save_options.mode = SaveMode::file_handles;
    source.mount();
    (void)source.node("a");
    auto state = source.save();
    state.trailer.reset();

    Side same{here_.root()};
    EXPECT_TRUE(same.load(state));
    Side beside{there_.root()};
    EXPECT_EQ(beside.load(state).error().code(), EXDEV);
}

// ---- open flags
// ----------------------------------------------------------------------------------

TEST_F(Migration, SendsFlagsThatUpstreamCanUseAsTheyAre) {
    constexpr auto writeback = Side::usual_flags | wire::FUSE_WRITEBACK_CACHE;
    Side source{here_.root(), {}, writeback};
    source.mount(writeback);
    const auto handle = source.open(source.node("a"), O_WRONLY | O_APPEND | O_DIRECT);
    const auto state = source.save();

    EXPECT_EQ(state.handles.at(0).open_flags, O_RDWR);
    EXPECT_EQ(state.trailer->guest_flags.at(0),
              (GuestFlags{handle, static_cast<std::uint32_t>(O_WRONLY | O_APPEND | O_DIRECT)}));
}

TEST_F(Migration, WritesAtTheOffsetWhateverUpstreamsFlagsSay) {
    auto state = test::paths_state();
    state.handles[0].open_flags = O_RDWR | O_APPEND;
    there_.write("a.txt", "a");
    Side destination{there_.root()};
    ASSERT_TRUE(destination.load(state)) << "a file of the stream is missing";

    ASSERT_TRUE(destination.write(HandleId{0}, "X", 0));
    EXPECT_EQ(destination.read(HandleId{0}), "Xopy of b");
}

TEST_F(Migration, ReadsWhatAWriteOnlyProgramWritesAroundUnderWriteback) {
    constexpr auto writeback = Side::usual_flags | wire::FUSE_WRITEBACK_CACHE;
    auto state = test::paths_state();
    state.options.writeback = true;
    state.handles[0].open_flags = O_WRONLY;
    there_.write("a.txt", "a");
    Side destination{there_.root(), {}, writeback};
    ASSERT_TRUE(destination.load(state));

    EXPECT_EQ(destination.read(HandleId{0}), "copy of b");
}

// ---- what INIT agreed on
// -------------------------------------------------------------------------

TEST_F(Migration, RestoresWhatInitAgreedOn) {
    constexpr auto acl = wire::FUSE_POSIX_ACL | wire::FUSE_DONT_MASK | wire::FUSE_SETXATTR_EXT;
    Side source{here_.root()};
    source.mount(Side::usual_flags | acl);
    Side destination{there_.root(), {}, Side::usual_flags | acl};
    const auto loaded = destination.load(source.save());

    ASSERT_TRUE(loaded);
    EXPECT_EQ(*loaded, test::make_negotiated(Side::usual_flags | acl));
    EXPECT_EQ(destination.fs->negotiated(), *loaded);
}

TEST_F(Migration, DerivesWhatUpstreamDoesNotSend) {
    constexpr auto acl = wire::FUSE_POSIX_ACL | wire::FUSE_DONT_MASK | wire::FUSE_SETXATTR_EXT;
    auto state = test::paths_state();
    state.options = {false, true, true, true};
    there_.write("a.txt", "a");
    Side destination{there_.root(), {}, Side::usual_flags | acl | wire::FUSE_POSIX_LOCKS};
    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_TRUE(loaded->has(wire::FUSE_SETXATTR_EXT));
    EXPECT_TRUE(loaded->has(wire::FUSE_CREATE_SUPP_GROUP));
    EXPECT_FALSE(loaded->has(wire::FUSE_POSIX_LOCKS));
    EXPECT_FALSE(loaded->has(wire::FUSE_WRITEBACK_CACHE));
}

TEST_F(Migration, RefusesToBreakWhatTheGuestWasPromised) {
    Side source{here_.root()};
    source.mount(Side::usual_flags | wire::FUSE_WRITEBACK_CACHE);
    Side destination{there_.root()};
    const auto loaded = destination.load(source.save());

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ENOTSUP);
    EXPECT_THAT(loaded.error().remedy(), HasSubstr("--writeback"));
}

TEST_F(Migration, RefusesUpstreamsPromisesToo) {
    auto state = test::paths_state();
    state.options.posix_acl = true;
    Side destination{there_.root()};
    EXPECT_THAT(destination.load(state).error().remedy(), HasSubstr("--posix-acl"));
}

TEST_F(Migration, RefusesToHideSubmountsThatTheGuestWasShown) {
    Side source{here_.root()};
    source.mount();
    Side destination{there_.root()};
    destination.load_options.announces_submounts = false;
    EXPECT_THAT(destination.load(source.save()).error().remedy(),
                HasSubstr("--announce-submounts"));

    source.save_options.announce_submounts = false; // nothing was promised
    EXPECT_TRUE(destination.load(source.save()));
}

TEST_F(Migration, RefusesFeaturesItDoesNotKnow) {
    Side source{here_.root()};
    source.mount(Side::usual_flags | (std::uint64_t{1} << 60U));
    Side destination{there_.root()};
    EXPECT_EQ(destination.load(source.save()).error().code(), ENOTSUP);
}

} // namespace
} // namespace vfskit::device_state
