// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/inode_tree.h"
#include "tests/unit/device_state/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::device_state {
namespace {

using ::testing::HasSubstr;

void expect_refused(const State& state, const std::string& because) {
    const auto tree = InodeTree::make(state);
    ASSERT_FALSE(tree);
    EXPECT_EQ(tree.error().code(), EBADMSG);
    EXPECT_THAT(tree.error().message(), HasSubstr(because));
}

std::vector<std::uint64_t> lookup_counts(const InodeTree& tree) {
    std::vector<std::uint64_t> counts;
    for (const auto& node : tree.nodes) {
        counts.push_back(node.lookup_count);
    }
    return counts;
}

TEST(InodeTree, TakesTheChildrensReferencesOff) {
    const auto tree = InodeTree::make(test::paths_state());
    ASSERT_TRUE(tree) << tree.error().describe();
    EXPECT_EQ(lookup_counts(*tree), (std::vector<std::uint64_t>{2, 2, 1, 1, 1}));
}

TEST(InodeTree, CountsTrailerPlacesOnlyWhereTheyStandForALocation) {
    const auto tree = InodeTree::make(test::full_state());
    ASSERT_TRUE(tree) << tree.error().describe();
    EXPECT_EQ(lookup_counts(*tree), (std::vector<std::uint64_t>{2, 2, 1, 1, 1, 1, 1, 3, 1}));
    EXPECT_TRUE(tree->nodes[5].is_found_by_place);
    EXPECT_FALSE(tree->nodes[7].is_found_by_place);
}

TEST(InodeTree, PutsParentsFirstWhateverTheirOrder) {
    auto state = test::paths_state();
    std::reverse(state.inodes.begin(), state.inodes.end());
    const auto tree = InodeTree::make(state);
    ASSERT_TRUE(tree) << tree.error().describe();
    EXPECT_EQ(tree->order, (std::vector<std::size_t>{4, 2, 1, 0, 3}));
}

TEST(InodeTree, RefusesAnInodeBelowItself) {
    auto state = test::paths_state();
    state.inodes[2].location = PathLocation{NodeId{4}, "dir"};
    state.inodes[3].refcount = 3;
    expect_refused(state, "below itself");
}

TEST(InodeTree, RefusesItsOwnParent) {
    auto state = test::paths_state();
    state.inodes[1].location = PathLocation{NodeId{2}, "self"};
    expect_refused(state, "inode 2 below itself");
}

TEST(InodeTree, RefusesAnIdTwice) {
    auto state = test::paths_state();
    state.inodes[2].id = NodeId{2};
    expect_refused(state, "inode 2 twice");
}

TEST(InodeTree, RefusesAParentThatIsMissing) {
    auto state = test::paths_state();
    state.inodes[4].location = PathLocation{NodeId{77}, "b"};
    expect_refused(state, "directory 77");
}

TEST(InodeTree, RefusesASecondRoot) {
    auto state = test::paths_state();
    state.inodes[1].location = RootLocation{};
    expect_refused(state, "inode 2 is the root");
}

TEST(InodeTree, RefusesARootThatIsFoundByName) {
    auto state = test::paths_state();
    state.inodes[0].location = FullPathLocation{"a"};
    expect_refused(state, "root");
}

TEST(InodeTree, RefusesFewerReferencesThanChildren) {
    auto state = test::paths_state();
    state.inodes[0].refcount = 1;
    expect_refused(state, "inode 1 1 references");
}

TEST(InodeTree, RefusesIdsThatLeaveNoneToGive) {
    auto state = test::paths_state();
    state.inodes[1].id = NodeId{UINT64_MAX};
    expect_refused(state, "impossible");
    auto next = test::paths_state();
    next.next_handle = HandleId{UINT64_MAX};
    expect_refused(next, "no ids left");
}

TEST(InodeTree, RefusesAnOpenFileOfNoInode) {
    auto state = test::paths_state();
    state.handles[0].node = NodeId{77};
    expect_refused(state, "inode 77");
}

TEST(InodeTree, RefusesAnOpenFileTwice) {
    auto state = test::paths_state();
    state.handles[1].id = HandleId{0};
    expect_refused(state, "open file 0 twice");
}

TEST(InodeTree, RefusesFlagsOfNoOpenFile) {
    auto state = test::full_state();
    state.trailer->guest_flags[0].id = HandleId{77};
    expect_refused(state, "open file 77");
}

TEST(InodeTree, RefusesASecondPlace) {
    auto state = test::full_state();
    state.trailer->places.push_back({NodeId{2}, NodeId{1}, "also"});
    expect_refused(state, "place for inode 2");
}

TEST(InodeTree, RefusesACircleOfTrailerPlaces) {
    auto state = test::full_state();
    state.trailer->places = {{NodeId{6}, NodeId{9}, "a"}, {NodeId{9}, NodeId{6}, "b"}};
    expect_refused(state, "below itself");
}

TEST(InodeTree, AcceptsEverythingThatAStateCanHold) {
    const auto tree = InodeTree::make(test::full_state());
    EXPECT_TRUE(tree) << tree.error().describe();
}

TEST(InodeTree, RefusesLocksOfNothing) {
    auto state = test::full_state();
    state.trailer->locks.posix[0].node = NodeId{1000};
    expect_refused(state, "lock on inode 1000");
    state = test::full_state();
    state.trailer->locks.flocks = {HandleId{1}, HandleId{1}};
    expect_refused(state, "lock of open file 1");
}

TEST(InodeTree, RefusesLocksWithoutTheirDescriptors) {
    auto state = test::full_state();
    state.trailer->offer.reset();
    expect_refused(state, "no offer");
}

TEST(InodeTree, RefusesAHandleForWhatHasAName) {
    auto state = test::full_state();
    state.trailer->nameless[0].id = NodeId{5};
    expect_refused(state, "file handle for inode 5");
    state.trailer->nameless[0].id = NodeId{6}; // has a place
    expect_refused(state, "file handle for inode 6");
}

TEST(InodeTree, RefusesTheHandleOfAnOpenFileThatHasNoPlaceOrIsNotThere) {
    auto state = test::full_state();
    state.trailer->opened[0].id = NodeId{9};
    expect_refused(state, "file handle for open inode 9");
    state.trailer->opened[0].id = NodeId{1000};
    expect_refused(state, "file handle for open inode 1000");
    state = test::full_state();
    state.trailer->opened.push_back(state.trailer->opened[0]);
    expect_refused(state, "file handle for open inode 5");
}

TEST(InodeTree, FindsItsWayThroughIdsFarApart) {
    auto state = test::paths_state();
    state.inodes[4].id = NodeId{1'000'000'000};
    state.handles[0].node = NodeId{1'000'000'000};
    const auto tree = InodeTree::make(state);
    ASSERT_TRUE(tree) << tree.error().describe();
    EXPECT_EQ(tree->nodes[4].parent, 3U);
}

TEST(InodeTree, RefusesANumberTwice) {
    auto state = test::full_state();
    state.trailer->numbers[1].id = NodeId{1};
    expect_refused(state, "file number for inode 1");
}

} // namespace
} // namespace vfskit::device_state
