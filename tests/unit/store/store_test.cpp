// SPDX-License-Identifier: Apache-2.0
#include "core/store/store.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <optional>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;

// Loses its first `races` commits to somebody else.
class FakeContestedStore final : public MappingStore {
public:
    explicit FakeContestedStore(int races) : races_{races} {}

    [[nodiscard]] std::string url() const override { return "fake:"; }
    Result<Snapshot> snapshot() override {
        ++snapshots;
        return Snapshot{{std::to_string(snapshots)}, {}, {}};
    }
    Result<Revision> commit(const Revision& expected, const std::vector<Edit>& edits) override {
        if (commits++ < races_) {
            return Error{ESTALE, "changed"};
        }
        edits_seen = edits.size();
        return Revision{"after " + expected.text};
    }
    Result<bool> wait_for_change(const Revision&, std::chrono::milliseconds) override {
        return false;
    }

    int snapshots = 0;
    int commits = 0;
    std::size_t edits_seen = 0;

private:
    int races_;
};

Result<std::vector<Edit>> remove_media(const Snapshot&) {
    return std::vector<Edit>{RemoveMapping{"media"}};
}

TEST(Update, BeginsAgainWithAFreshSnapshotAfterALostRace) {
    FakeContestedStore store{2};
    const auto updated = update(store, remove_media);
    ASSERT_TRUE(updated);
    EXPECT_EQ(updated->text, "after 3");
    EXPECT_EQ(store.edits_seen, 1U);
}

TEST(Update, GivesUpAfterTooManyLostRaces) {
    FakeContestedStore store{100};
    const auto updated = update(store, remove_media, 3);
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code(), EAGAIN);
    EXPECT_EQ(store.commits, 3);
    EXPECT_NE(updated.error().message().find("fake:"), std::string::npos);
}

TEST(Update, WritesNothingWithoutEdits) {
    FakeContestedStore store{0};
    const auto updated = update(
        store, [](const Snapshot&) -> Result<std::vector<Edit>> { return std::vector<Edit>{}; });
    EXPECT_EQ(updated->text, "1");
    EXPECT_EQ(store.commits, 0);
}

TEST(Update, EndsWithTheErrorOfTheDecision) {
    FakeContestedStore store{0};
    const auto updated = update(store, [](const Snapshot&) -> Result<std::vector<Edit>> {
        return Error{EEXIST, "already there"};
    });
    EXPECT_EQ(updated.error().code(), EEXIST);
    EXPECT_EQ(store.commits, 0);
}

TEST(Snapshot, FindsAMappingByItsExactId) {
    Snapshot snapshot;
    snapshot.mappings = {DirectoryMapping{"media", {}, {}, {}, {}}};
    EXPECT_EQ(snapshot.find("media"), snapshot.mappings.data());
    EXPECT_EQ(snapshot.find("Media"), nullptr);
}

TEST(OpenStore, KnowsYamlFiles) {
    EXPECT_EQ((*open_store("yaml:/a/b"))->url(), "yaml:/a/b");
    EXPECT_EQ((*open_store("/a/b.yaml"))->url(), "yaml:/a/b.yaml");
    EXPECT_EQ((*open_store("b.yml"))->url(), "yaml:b.yml");
}

TEST(OpenStore, KnowsProxmox) {
    const test::TempDir dir;
    EXPECT_EQ((*open_store("pve:" + dir.root()))->url(), "pve:" + dir.root());
}

TEST(OpenStore, KnowsEtcd) {
    const auto opened = open_store("etcd://a:2379,b:2379/vfskit");
    ASSERT_TRUE(opened) << opened.error().describe();
    EXPECT_EQ((*opened)->url(), "etcd://a:2379,b:2379/vfskit");
}

TEST(OpenStore, ListsWhatIsKnown) {
    const auto opened = open_store("gopher://host");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code(), EINVAL);
    EXPECT_EQ(opened.error().describe(),
              "Store 'gopher://host' is of no known kind. Use yaml:/path/to/mappings.yaml, "
              "pve:/etc/pve, etcd://host:2379/prefix, or the path of a .yaml file");
    EXPECT_FALSE(open_store(""));
    EXPECT_FALSE(open_store("yaml:"));
    EXPECT_FALSE(open_store("yaml:/etc/"));
}

TEST(PveRoot, IsTheDirectoryWithoutSlashesAtItsEnd) {
    EXPECT_EQ(pve_root("pve:/etc/pve"), "/etc/pve");
    EXPECT_EQ(pve_root("pve:/etc/pve//"), "/etc/pve");
    EXPECT_EQ(pve_root("pve:/"), "/");
    EXPECT_EQ(pve_root("yaml:/etc/pve"), std::nullopt);
    EXPECT_EQ(pve_root("/etc/pve"), std::nullopt);
}

TEST(YamlPath, IsWhatStandsBehindTheScheme) {
    EXPECT_EQ(yaml_path("yaml:/a/b"), "/a/b");
    EXPECT_EQ(yaml_path("b.yml"), "b.yml");
}

TEST(ChooseStoreUrl, PrefersOptionThenEnvironmentThenWhatIsThere) {
    EXPECT_EQ(choose_store_url("yaml:/o", "yaml:/e", true), "yaml:/o");
    EXPECT_EQ(choose_store_url("", "yaml:/e", true), "yaml:/e");
    EXPECT_EQ(choose_store_url("", "", true), "pve:/etc/pve");
    EXPECT_EQ(choose_store_url("", "", false), "yaml:/etc/vfskit/mappings.yaml");
}

TEST(IsPmxcfs, LooksForTheLinkThatPmxcfsMakes) {
    const test::TempDir dir;
    EXPECT_FALSE(is_pmxcfs(dir.root()));
    dir.write("local", "a file");
    EXPECT_FALSE(is_pmxcfs(dir.root()));
    std::filesystem::remove(dir.path("local"));
    std::filesystem::create_symlink("nodes/n1", dir.path("local"));
    EXPECT_TRUE(is_pmxcfs(dir.root()));
}

} // namespace
} // namespace vfskit::store
