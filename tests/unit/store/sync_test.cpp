// SPDX-License-Identifier: Apache-2.0
#include "core/store/sync.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;
using Mappings = std::vector<DirectoryMapping>;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

DirectoryMapping at(std::string id, std::string path) {
    DirectoryMapping mapping;
    mapping.id = std::move(id);
    mapping.paths = {{"n1", std::move(path)}};
    return mapping;
}

const auto old_one = at("one", "/old");
const auto new_one = at("one", "/new");
const auto other_one = at("one", "/other");

TEST(SyncPlan, AddsChangesAndRemovesWhatFromDid) {
    const auto plan = plan_sync({old_one, at("two", "/2")},
                                {new_one, at("three", "/3")},
                                {old_one, at("two", "/2")},
                                Prefer::nobody);
    ASSERT_EQ(plan.changes.size(), 3U);
    EXPECT_EQ(plan.changes[0].kind, ChangeKind::changed);
    EXPECT_EQ(plan.changes[1].kind, ChangeKind::added);
    EXPECT_EQ(plan.changes[2].kind, ChangeKind::removed);
    EXPECT_THAT(plan.base, ElementsAre(new_one, at("three", "/3")));
}

TEST(SyncPlan, KeepsWhatOnlyToHasChanged) {
    const auto plan = plan_sync({old_one}, {old_one}, {new_one, at("two", "/2")}, Prefer::nobody);
    EXPECT_THAT(plan.changes, IsEmpty());
    EXPECT_THAT(plan.conflicts, IsEmpty());
    EXPECT_THAT(plan.kept, ElementsAre("one", "two"));
    EXPECT_THAT(plan.base, ElementsAre(old_one));
}

TEST(SyncPlan, DoesNotBringBackWhatToHasRemoved) {
    const auto plan = plan_sync({old_one}, {old_one}, {}, Prefer::nobody);
    EXPECT_THAT(plan.changes, IsEmpty());
    EXPECT_THAT(plan.kept, ElementsAre("one"));
}

TEST(SyncPlan, SeesAConflictWhereBothChangedIt) {
    const auto plan = plan_sync({old_one}, {new_one}, {other_one}, Prefer::nobody);
    EXPECT_THAT(plan.changes, IsEmpty());
    ASSERT_EQ(plan.conflicts.size(), 1U);
    EXPECT_EQ(plan.conflicts[0].base, old_one);
    EXPECT_EQ(plan.conflicts[0].from, new_one);
    EXPECT_EQ(plan.conflicts[0].to, other_one);
}

TEST(SyncPlan, SeesAConflictWhereOneRemovedAndTheOtherChangedIt) {
    EXPECT_EQ(plan_sync({old_one}, {}, {new_one}, Prefer::nobody).conflicts.size(), 1U);
    EXPECT_EQ(plan_sync({old_one}, {new_one}, {}, Prefer::nobody).conflicts.size(), 1U);
}

TEST(SyncPlan, SeesAConflictWhereTheyNeverAgreed) {
    EXPECT_EQ(plan_sync({}, {new_one}, {other_one}, Prefer::nobody).conflicts.size(), 1U);
}

TEST(SyncPlan, IsDoneWhereBothMadeTheSameChange) {
    const auto plan = plan_sync({old_one}, {new_one}, {new_one}, Prefer::nobody);
    EXPECT_THAT(plan.changes, IsEmpty());
    EXPECT_THAT(plan.conflicts, IsEmpty());
    EXPECT_THAT(plan.base, ElementsAre(new_one));
}

TEST(SyncPlan, LetsThePreferredEndWin) {
    const auto forth = plan_sync({old_one}, {new_one}, {other_one}, Prefer::from);
    ASSERT_EQ(forth.changes.size(), 1U);
    EXPECT_EQ(forth.changes[0].after, new_one);
    const auto back = plan_sync({old_one}, {new_one}, {other_one}, Prefer::to);
    EXPECT_THAT(back.changes, IsEmpty());
    EXPECT_THAT(back.kept, ElementsAre("one"));
}

/// A YAML file and a Proxmox VE root.
struct TwoStores : ::testing::Test {
    TwoStores() { options.state_directory = dir.root() + "/state"; }
    static std::string make_pve_root(const std::string& root) {
        std::filesystem::create_directories(root + "/mapping");
        return root;
    }
    static void put(MappingStore& store, const DirectoryMapping& mapping) {
        const auto done = update(store, [&](const Snapshot&) -> Result<std::vector<Edit>> {
            return std::vector<Edit>{PutMapping{mapping}};
        });
        ASSERT_TRUE(done) << done.error().describe();
    }
    static Mappings content(MappingStore& store) { return store.snapshot()->mappings; }

    test::TempDir dir;
    std::unique_ptr<MappingStore> yaml = *open_store("yaml:" + dir.root() + "/m.yaml");
    std::unique_ptr<MappingStore> pve = *open_store("pve:" + make_pve_root(dir.root() + "/pve"));
    SyncOptions options;
};

TEST_F(TwoStores, AreAlikeAfterwards) {
    auto full = old_one;
    full.live_migration_method = mapping::MigrationMethod::find_paths;
    full.path_relation = mapping::PathRelation::replicas;
    full.description = "Films";
    put(*pve, full);
    const auto result = sync_stores(*pve, *yaml, options);
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_TRUE(result->was_written);
    EXPECT_THAT(content(*yaml), ElementsAre(full));
    const auto again = sync_stores(*pve, *yaml, options);
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->was_written);
}

TEST_F(TwoStores, RememberWhatTheyHadInCommon) {
    put(*pve, old_one);
    ASSERT_TRUE(sync_stores(*pve, *yaml, options));
    put(*yaml, at("two", "/2"));
    put(*pve, new_one);
    const auto result = sync_stores(*pve, *yaml, options);
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_THAT(result->plan.kept, ElementsAre("two"));
    EXPECT_THAT(content(*yaml), ElementsAre(new_one, at("two", "/2")));
}

TEST_F(TwoStores, AreNotTouchedByAConflict) {
    put(*pve, old_one);
    ASSERT_TRUE(sync_stores(*pve, *yaml, options));
    put(*pve, new_one);
    put(*pve, at("two", "/2"));
    put(*yaml, other_one);
    const auto result = sync_stores(*pve, *yaml, options);
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_EQ(result->plan.conflicts.size(), 1U);
    EXPECT_THAT(content(*yaml), ElementsAre(other_one));
    options.prefer = Prefer::from;
    ASSERT_TRUE(sync_stores(*pve, *yaml, options));
    EXPECT_THAT(content(*yaml), ElementsAre(new_one, at("two", "/2")));
}

TEST_F(TwoStores, AreNotTouchedByADryRun) {
    put(*pve, old_one);
    options.dry_run = true;
    const auto result = sync_stores(*pve, *yaml, options);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->plan.changes.size(), 1U);
    EXPECT_THAT(content(*yaml), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(options.state_directory));
}

/// Gives an old state, as an etcd store does that nobody answers.
class OldStore : public MappingStore {
public:
    [[nodiscard]] std::string url() const override { return "old:"; }
    Result<Snapshot> snapshot() override {
        Snapshot snapshot;
        snapshot.is_old = true;
        return snapshot;
    }
    Result<Revision> commit(const Revision& /*expected*/,
                            const std::vector<Edit>& /*edits*/) override {
        return Error{EHOSTUNREACH, "nobody is there"};
    }
    Result<bool> wait_for_change(const Revision& /*seen*/,
                                 std::chrono::milliseconds /*timeout*/) override {
        return false;
    }
};

TEST_F(TwoStores, DoNotTakeAnOldStateForRemovals) {
    put(*yaml, old_one);
    OldStore old;
    const auto result = sync_stores(old, *yaml, options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), EHOSTUNREACH);
    EXPECT_THAT(content(*yaml), ElementsAre(old_one));
}

} // namespace
} // namespace vfskit::store
