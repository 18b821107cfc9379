// SPDX-License-Identifier: Apache-2.0
#include "core/store/facts_store.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

namespace vfskit::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
constexpr std::chrono::seconds lifetime{60};

TEST(FactsDirectory, GivesBackWhatEachNodePublished) {
    const test::TempDir dir;
    const auto store = open_facts_directory(dir.root() + "/not/yet");
    ASSERT_TRUE(store->publish("n2", "two", lifetime));
    ASSERT_TRUE(store->publish("n1", "old", lifetime));
    ASSERT_TRUE(store->publish("n1", "one", lifetime));
    EXPECT_THAT(*store->read_all(),
                ElementsAre(PublishedFacts{"n1", "one"}, PublishedFacts{"n2", "two"}));
    EXPECT_EQ(*store->read("n1"), "one");
}

TEST(FactsDirectory, IsEmptyBeforeAnythingIsPublished) {
    const auto store = open_facts_directory("/nonexistent/facts");
    EXPECT_THAT(*store->read_all(), IsEmpty());
    EXPECT_EQ(*store->read("n1"), std::nullopt);
    EXPECT_TRUE(store->withdraw("n1"));
}

TEST(FactsDirectory, ForgetsWhatIsWithdrawn) {
    const test::TempDir dir;
    const auto store = open_facts_directory(dir.root());
    ASSERT_TRUE(store->publish("n1", "one", lifetime));
    ASSERT_TRUE(store->withdraw("n1"));
    EXPECT_EQ(*store->read("n1"), std::nullopt);
}

TEST(FactsDirectory, PassesOverOtherFiles) {
    const test::TempDir dir;
    std::ofstream{dir.root() + "/n1.json.123.tmp"} << "half";
    std::ofstream{dir.root() + "/README"} << "x";
    EXPECT_THAT(*open_facts_directory(dir.root())->read_all(), IsEmpty());
}

TEST(FactsDirectory, RefusesNodeNamesThatLeaveIt) {
    const test::TempDir dir;
    const auto store = open_facts_directory(dir.root());
    EXPECT_FALSE(store->publish("../n1", "x", lifetime));
    EXPECT_FALSE(store->read("../n1"));
    EXPECT_FALSE(store->withdraw("a/b"));
}

TEST(FactsDirectory, RefusesMoreThanTheBound) {
    const test::TempDir dir;
    const auto store = open_facts_directory(dir.root());
    EXPECT_TRUE(store->publish("n1", std::string(max_facts_bytes, 'x'), lifetime));
    const auto refused = store->publish("n1", std::string(max_facts_bytes + 1, 'x'), lifetime);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EFBIG);
}

TEST(PveFacts, LieBesideTheMappings) {
    const test::TempDir dir;
    std::filesystem::create_directories(dir.root() + "/mapping");
    const auto store = open_facts_store("pve:" + dir.root() + "/");
    ASSERT_TRUE(store) << store.error().describe();
    ASSERT_TRUE((*store)->publish("n1", "one", lifetime));
    EXPECT_TRUE(std::filesystem::exists(dir.root() + "/mapping/vfskit-facts/n1.json"));
}

TEST(PveFacts, AreNotPublishedWithoutQuorum) {
    const test::TempDir dir;
    // pmxcfs takes the write bits of its entries away; a link's own cannot be, a directory's can.
    std::filesystem::create_directory(dir.root() + "/local");
    std::filesystem::permissions(dir.root() + "/local", std::filesystem::perms::owner_read);
    const auto published = (*open_facts_store("pve:" + dir.root()))->publish("n1", "one", lifetime);
    ASSERT_FALSE(published);
    EXPECT_EQ(published.error().code(), EACCES);
}

TEST(FactsStore, IsUnknownWhereTheStoreIs) {
    EXPECT_EQ(open_facts_store("gopher://x").error().code(), EINVAL);
}

} // namespace
} // namespace vfskit::store
