// SPDX-License-Identifier: Apache-2.0
#include "core/base/sha1.h"
#include "core/store/pve_files.h"
#include "core/store/pve_store.h"
#include "tests/support/kill_at_every_step.h"
#include "tests/support/stock_proxmox.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

namespace vfskit::store {
namespace {

namespace fs = std::filesystem;
using mapping::DirectoryMapping;
using mapping::MigrationMethod;
using mapping::NodePath;
using mapping::PathRelation;
using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* directory_cfg = "mapping/directory.cfg";
constexpr const char* truth_cfg = "mapping/vfskit.cfg";

DirectoryMapping mapping_of(std::string id, std::vector<NodePath> paths) {
    DirectoryMapping mapping;
    mapping.id = std::move(id);
    mapping.paths = std::move(paths);
    return mapping;
}

DirectoryMapping media() {
    auto mapping = mapping_of("media", {{"n1", "/a"}, {"n2", "/b"}});
    mapping.live_migration_method = MigrationMethod::find_paths;
    mapping.path_relation = PathRelation::replicas;
    return mapping;
}

DirectoryMapping home() {
    return mapping_of("home", {{"n1", "/home"}});
}

/// Goes on by `step` at each look and by what is slept.
class FakeClock final : public PveClock {
public:
    explicit FakeClock(milliseconds step) : step_{step} {}
    milliseconds now() override { return now_ += step_; }
    void sleep(milliseconds duration) override {
        now_ += duration;
        ++sleeps;
        if (on_sleep) {
            on_sleep();
        }
    }
    int sleeps = 0;
    std::function<void()> on_sleep; ///< what others do meanwhile

private:
    milliseconds step_;
    milliseconds now_{0};
};

class PveStoreTest : public testing::Test {
protected:
    PveStoreTest() { fs::create_directories(dir_.path("mapping")); }

    [[nodiscard]] std::unique_ptr<MappingStore> open() const {
        return std::move(open_pve_store(dir_.root())).value();
    }
    [[nodiscard]] Snapshot snapshot() const { return open()->snapshot().value(); }
    [[nodiscard]] Result<Revision> commit(const std::vector<Edit>& edits) const {
        const auto store = open();
        VFSKIT_TRY_ASSIGN(const auto now, store->snapshot());
        return store->commit(now.revision, edits);
    }
    void put(const DirectoryMapping& mapping) const { ASSERT_TRUE(commit({PutMapping{mapping}})); }
    [[nodiscard]] test::FakeStockNode stock_node() const {
        return test::FakeStockNode{dir_.root()};
    }
    [[nodiscard]] std::string lock_path() const {
        return dir_.path(std::string{"priv/lock/"} + pve_mapping_lock);
    }
    void hold_lock() const { fs::create_directories(lock_path()); }

    test::TempDir dir_;
};

TEST_F(PveStoreTest, IsEmptyWithoutFiles) {
    EXPECT_THAT(snapshot().mappings, IsEmpty());
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST_F(PveStoreTest, WritesWhatProxmoxKnowsToItsFileAndTheRestBesideIt) {
    put(media());
    EXPECT_EQ(dir_.read(directory_cfg), "media\n\tmap node=n1,path=/a\n\tmap node=n2,path=/b\n\n");
    EXPECT_THAT(dir_.read(truth_cfg),
                StartsWith("media\n\tlive-migration-method find-paths\n\tpath-relation replicas\n"
                           "\tpaths "));
    EXPECT_THAT(snapshot().mappings, ElementsAre(media()));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST_F(PveStoreTest, LeavesTheSecondFileAloneWhenThereIsNothingToSay) {
    put(home());
    EXPECT_FALSE(fs::exists(dir_.path(truth_cfg)));
}

TEST_F(PveStoreTest, BeginsItsRevisionWithProxmoxsDigest) {
    put(home());
    EXPECT_THAT(snapshot().revision.text, StartsWith(base::sha1_hex(dir_.read(directory_cfg))));
}

TEST_F(PveStoreTest, GivesTheRevisionThatTheNextSnapshotHas) {
    const auto revision = commit({PutMapping{media()}});
    ASSERT_TRUE(revision);
    EXPECT_EQ(*revision, snapshot().revision);
}

TEST_F(PveStoreTest, ReleasesTheLock) {
    put(home());
    EXPECT_FALSE(fs::exists(lock_path()));
}

TEST_F(PveStoreTest, RefusesAnOldRevision) {
    const auto old = snapshot().revision;
    put(home());
    const auto committed = open()->commit(old, {PutMapping{media()}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), ESTALE);
    EXPECT_THAT(snapshot().mappings, ElementsAre(home()));
}

TEST_F(PveStoreTest, AppliesAllEditsOrNone) {
    put(home());
    const auto committed =
        commit({RemoveMapping{"home"}, PutMapping{mapping_of("bad", {{"n1", "/a,b"}})}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), EINVAL);
    EXPECT_THAT(snapshot().mappings, ElementsAre(home()));
}

TEST_F(PveStoreTest, RemovesAMappingFromBothFiles) {
    put(media());
    ASSERT_TRUE(commit({RemoveMapping{"media"}}));
    EXPECT_EQ(dir_.read(directory_cfg), "");
    EXPECT_EQ(dir_.read(truth_cfg), "");
}

TEST_F(PveStoreTest, ForgetsThatAMappingMayLiveMigrate) {
    put(media());
    auto plain = media();
    plain.live_migration_method.reset();
    plain.path_relation.reset();
    put(plain);
    EXPECT_THAT(snapshot().mappings, ElementsAre(plain));
}

TEST_F(PveStoreTest, KeepsCommentsAndUnknownKeysOfBothFiles) {
    put(media());
    const auto truth = "# ours\n" + dir_.read(truth_cfg);
    dir_.write(truth_cfg, truth);
    dir_.write(directory_cfg, "# theirs\n" + dir_.read(directory_cfg));
    put(home());
    EXPECT_EQ(dir_.read(truth_cfg), truth);
    EXPECT_THAT(dir_.read(directory_cfg), StartsWith("# theirs\nmedia\n"));
}

TEST_F(PveStoreTest, TakesTheLastOfSeveralEditsOfOneId) {
    auto other = home();
    other.paths[0].path = "/other";
    ASSERT_TRUE(commit({PutMapping{home()}, RemoveMapping{"home"}, PutMapping{other}}));
    EXPECT_THAT(snapshot().mappings, ElementsAre(other));
}

TEST_F(PveStoreTest, TakesAnEmptyDescriptionForNone) {
    auto mapping = home();
    mapping.description = "";
    put(mapping);
    EXPECT_THAT(snapshot().mappings, ElementsAre(home()));
}

// ---- what stock nodes do

TEST_F(PveStoreTest, KeepsTheMethodWhenAStockNodeRewritesTheFile) {
    put(media());
    ASSERT_TRUE(stock_node().rewrite());
    EXPECT_THAT(snapshot().mappings, ElementsAre(media()));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST_F(PveStoreTest, KeepsTheMethodWhenAStockNodeChangesOnePath) {
    put(media());
    ASSERT_TRUE(stock_node().rewrite([](auto& sections) { sections[0].paths[0].path = "/moved"; }));
    EXPECT_EQ(snapshot().mappings[0].live_migration_method, MigrationMethod::find_paths);
}

TEST_F(PveStoreTest, DropsTheMethodWhenTheIdWasDefinedAnewWithOtherPaths) {
    put(media());
    ASSERT_TRUE(stock_node().rewrite([](auto& sections) {
        sections[0] = mapping_of("media", {{"n1", "/x"}, {"n3", "/y"}});
    }));
    const auto now = snapshot();
    EXPECT_EQ(now.mappings[0].live_migration_method, std::nullopt);
    EXPECT_THAT(now.notices,
                ElementsAre(Field(&Notice::message, HasSubstr("somebody defined it anew"))));
}

TEST_F(PveStoreTest, NotesWhatIsLeftOfADeletedMapping) {
    put(media());
    ASSERT_TRUE(stock_node().rewrite([](auto& sections) { sections.clear(); }));
    EXPECT_THAT(snapshot().mappings, IsEmpty());
    EXPECT_THAT(snapshot().notices,
                ElementsAre(Field(&Notice::message, HasSubstr("not defined in directory.cfg"))));
}

TEST_F(PveStoreTest, ReadsAMethodThatOnlyProxmoxsFileHas) {
    dir_.write(directory_cfg,
               "home\n\tmap node=n1,path=/home\n\tlive-migration-method file-handles\n\n");
    EXPECT_EQ(snapshot().mappings[0].live_migration_method, MigrationMethod::file_handles);
    EXPECT_THAT(snapshot().notices,
                ElementsAre(Field(&Notice::message, HasSubstr("stands only in directory.cfg"))));
}

TEST_F(PveStoreTest, TakesTheNewerMethodOfProxmoxsFile) {
    put(media());
    dir_.write(directory_cfg,
               "media\n\tmap node=n1,path=/a\n\tlive-migration-method file-handles\n\n");
    EXPECT_EQ(snapshot().mappings[0].live_migration_method, MigrationMethod::file_handles);
}

TEST_F(PveStoreTest, MirrorsTheMethodWhereTheClusterKnowsIt) {
    dir_.write(truth_cfg, "@options\n\tmirror yes\n\n");
    put(media());
    EXPECT_THAT(dir_.read(directory_cfg), HasSubstr("\tlive-migration-method find-paths\n"));
    EXPECT_THAT(dir_.read(truth_cfg), HasSubstr("\tmirrored yes\n"));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST_F(PveStoreTest, NoticesAndRestoresALostMirror) {
    dir_.write(truth_cfg, "@options\n\tmirror yes\n\n");
    put(media());
    ASSERT_TRUE(stock_node().rewrite());
    EXPECT_THAT(snapshot().mappings, ElementsAre(media()));
    EXPECT_THAT(snapshot().notices, ElementsAre(Field(&Notice::message, HasSubstr("has lost"))));
    put(media());
    EXPECT_THAT(dir_.read(directory_cfg), HasSubstr("\tlive-migration-method find-paths\n"));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST_F(PveStoreTest, LosesNoChangeOfTwoWritersAndAStockNode) {
    constexpr int rounds = 15;
    const auto add_mappings = [&](char writer) {
        const auto store = open();
        for (int i = 0; i < rounds; ++i) {
            auto mapping = mapping_of(fmt::format("{}-{}", writer, i), {{"n1", "/x"}});
            mapping.live_migration_method = MigrationMethod::find_paths;
            const auto updated = update(
                *store,
                [&](const Snapshot&) { return std::vector<Edit>{PutMapping{mapping}}; },
                1000);
            EXPECT_TRUE(updated) << updated.error().describe();
        }
    };
    std::thread first{add_mappings, 'a'};
    std::thread second{add_mappings, 'b'};
    for (int i = 0; i < rounds; ++i) {
        EXPECT_TRUE(stock_node().rewrite([&](auto& sections) {
            sections.push_back(mapping_of(fmt::format("stock-{}", i), {{"n2", "/y"}}));
        }));
    }
    first.join();
    second.join();
    const auto now = snapshot();
    EXPECT_THAT(now.mappings, SizeIs(3 * rounds));
    EXPECT_EQ(std::count_if(now.mappings.begin(),
                            now.mappings.end(),
                            [](const auto& m) { return m.live_migration_method.has_value(); }),
              2 * rounds);
}

// ---- crashes

/// Old and new contents for a change that needs both files.
class PveStoreCrash : public PveStoreTest {
protected:
    // As on pmxcfs, whose writers do not sync: hundreds of syncs would only take time here.
    PveStoreCrash() { fs::create_symlink("nodes/n1", dir_.path("local")); }

    void prepare() {
        fs::remove_all(dir_.path("priv"));
        dir_.write(directory_cfg, old_directory_);
        dir_.write(truth_cfg, old_truth_);
    }
    void remember() {
        old_directory_ = dir_.read(directory_cfg);
        old_truth_ = dir_.read(truth_cfg);
        old_ = snapshot();
    }
    void expect_old_or_new(int step, const std::vector<Edit>& edits) {
        const auto now = snapshot();
        EXPECT_TRUE(now.mappings == old_.mappings || now.mappings == new_) << "step " << step;
        if (step == 0) {
            EXPECT_EQ(now.mappings, new_);
        }
        // Proxmox VE can go on writing, and so can we once the dead writer's lock is gone.
        fs::remove_all(dir_.path("priv"));
        ASSERT_TRUE(commit(edits)) << "step " << step;
        EXPECT_EQ(snapshot().mappings, new_) << "step " << step;
        EXPECT_THAT(snapshot().notices, IsEmpty()) << "step " << step;
        ASSERT_TRUE(stock_node().rewrite());
        EXPECT_EQ(snapshot().mappings, new_) << "step " << step;
    }
    void kill_everywhere(const std::vector<Edit>& edits) {
        const auto kills =
            test::kill_at_every_step([&] { prepare(); },
                                     [&] { return open()->commit(old_.revision, edits) ? 0 : 1; },
                                     [&](int step) { expect_old_or_new(step, edits); });
        if (!kills && kills.error().code() == ENOTSUP) {
            GTEST_SKIP() << kills.error().describe();
        }
        ASSERT_TRUE(kills) << kills.error().describe();
        EXPECT_GT(*kills, 30);
    }

    std::string old_directory_;
    std::string old_truth_;
    Snapshot old_;
    std::vector<DirectoryMapping> new_;
};

TEST_F(PveStoreCrash, LeavesOldOrNewWhenAddingWithMethod) {
    put(home());
    remember();
    new_ = {home(), media()};
    kill_everywhere({PutMapping{media()}});
}

TEST_F(PveStoreCrash, LeavesOldOrNewWhenChangingPathsAndMethod) {
    put(media());
    remember();
    auto changed = media();
    changed.paths = {{"n1", "/other"}};
    changed.live_migration_method = MigrationMethod::file_handles;
    new_ = {changed};
    kill_everywhere({PutMapping{changed}});
}

TEST_F(PveStoreCrash, LeavesOldOrNewWhenOneMappingChangesItsMethodAndAnotherIsAdded) {
    put(media());
    remember();
    auto changed = media();
    changed.live_migration_method = MigrationMethod::file_handles;
    new_ = {changed, home()};
    kill_everywhere({PutMapping{changed}, PutMapping{home()}});
}

TEST_F(PveStoreCrash, LeavesOldOrNewWhenRemoving) {
    put(media());
    put(home());
    remember();
    new_ = {home()};
    kill_everywhere({RemoveMapping{"media"}});
}

TEST_F(PveStoreTest, SettlesAnUnfinishedChangeThatAStockNodeHasWrittenOver) {
    // The writer died before directory.cfg changed; then a stock node added a mapping.
    put(home());
    const auto before = base::sha1_hex(dir_.read(directory_cfg));
    dir_.write(truth_cfg,
               "@commit\n\tbefore " + before + "\n\tafter " + std::string(40, '0') +
                   "\n\nnext:media\n\tlive-migration-method find-paths\n\tpaths 11111111\n\n");
    ASSERT_TRUE(stock_node().rewrite([](auto& sections) {
        sections.push_back(mapping_of("other", {{"n1", "/o"}}));
    }));
    EXPECT_THAT(snapshot().mappings, ElementsAre(home(), mapping_of("other", {{"n1", "/o"}})));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

// ---- what cannot be written

TEST_F(PveStoreTest, RefusesWhatTheClusterFilesystemDoesNotTakeBeforeWriting) {
    put(home());
    std::vector<Edit> edits;
    for (int i = 0; i < 300; ++i) {
        auto mapping = mapping_of(fmt::format("big-{}", i), {{"n1", "/x"}});
        mapping.description = std::string(4000, 'x');
        edits.emplace_back(PutMapping{mapping});
    }
    const auto committed = commit(edits);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), EFBIG);
    EXPECT_THAT(snapshot().mappings, ElementsAre(home()));
}

TEST_F(PveStoreTest, RefusesToWriteWithoutQuorum) {
    put(home());
    // pmxcfs takes the write bits away; here a directory stands for its link.
    fs::create_directory(dir_.path("local"));
    ASSERT_EQ(::chmod(dir_.path("local").c_str(), 0555), 0);
    const auto committed = commit({PutMapping{media()}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), EACCES);
    EXPECT_THAT(committed.error().message(), HasSubstr("quorum"));
    EXPECT_THAT(snapshot().mappings, ElementsAre(home()));
}

TEST_F(PveStoreTest, NeedsAnAbsoluteRootThatExists) {
    EXPECT_EQ(open_pve_store("relative").error().code(), EINVAL);
    EXPECT_EQ(open_pve_store(dir_.path("nothing")).error().code(), ENOENT);
}

/// Runs `work` in a child with its own mounts and a tmpfs of `size` on `where`; gives its exit
/// status, or nothing where user namespaces are not allowed.
std::optional<int> in_small_filesystem(const std::string& where,
                                       const char* options,
                                       const std::function<int()>& work) {
    constexpr int not_allowed = 77;
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (::unshare(CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("tmpfs", where.c_str(), "tmpfs", 0, options) != 0) {
            ::_exit(not_allowed);
        }
        ::_exit(work());
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == not_allowed) {
        return std::nullopt;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(PveStoreTest, ChangesNothingOnAFullDisk) {
    const auto status = in_small_filesystem(dir_.root(), "size=64k", [&] {
        fs::create_directories(dir_.path("mapping"));
        if (!commit({PutMapping{media()}})) {
            return 1;
        }
        const auto revision = snapshot().revision;
        auto big = home();
        big.description = std::string(4000, 'x');
        std::vector<Edit> edits;
        for (int i = 0; i < 30; ++i) {
            big.id = fmt::format("big-{}", i);
            edits.emplace_back(PutMapping{big});
        }
        const auto committed = commit(edits);
        if (committed || committed.error().code() != ENOSPC) {
            return 2;
        }
        return snapshot().revision == revision ? 0 : 3;
    });
    if (!status) {
        GTEST_SKIP() << "Mounting a tmpfs needs user namespaces or root";
    }
    EXPECT_EQ(*status, 0);
}

TEST_F(PveStoreTest, ChangesNothingOnAReadOnlyFilesystem) {
    const auto status = in_small_filesystem(dir_.root(), "size=1m", [&] {
        fs::create_directories(dir_.path("mapping"));
        if (!commit({PutMapping{media()}})) {
            return 1;
        }
        const auto revision = snapshot().revision;
        if (::mount("none", dir_.root().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) {
            return 2;
        }
        const auto committed = commit({PutMapping{home()}});
        if (committed || committed.error().code() != EROFS) {
            return 3;
        }
        return snapshot().revision == revision ? 0 : 4;
    });
    if (!status) {
        GTEST_SKIP() << "Mounting a tmpfs needs user namespaces or root";
    }
    EXPECT_EQ(*status, 0);
}

// ---- the lock

TEST_F(PveStoreTest, GivesUpAfterTenSecondsOfSomebodyElsesLock) {
    hold_lock();
    FakeClock clock{milliseconds{0}};
    const auto lock = PveLock::acquire(dir_.root(), pve_mapping_lock, PveLockOptions{}, clock);
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().code(), ETIMEDOUT);
    EXPECT_EQ(clock.now(), milliseconds{10'000});
    EXPECT_TRUE(fs::exists(lock_path()));
}

TEST_F(PveStoreTest, DropsTheLockOfADeadWriterInAPlainDirectory) {
    hold_lock();
    fs::last_write_time(lock_path(), fs::file_time_type::clock::now() - std::chrono::seconds{121});
    FakeClock clock{milliseconds{0}};
    EXPECT_TRUE(PveLock::acquire(dir_.root(), pve_mapping_lock, PveLockOptions{}, clock));
    EXPECT_EQ(clock.sleeps, 1);
}

TEST_F(PveStoreTest, AsksPmxcfsToDropALockByZeroTimes) {
    fs::create_symlink("nodes/n1", dir_.path("local"));
    hold_lock();
    FakeClock clock{milliseconds{0}};
    EXPECT_FALSE(PveLock::acquire(dir_.root(), pve_mapping_lock, PveLockOptions{}, clock));
    struct stat info {};
    ASSERT_EQ(::stat(lock_path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mtim.tv_sec, 0);
    // A second at most between two requests, each of which is a message to the whole cluster.
    EXPECT_GE(clock.sleeps, 10);
    EXPECT_LE(clock.sleeps, 60);
}

// A filesystem that cannot make directories answers root's mkdir with EPERM, as pmxcfs does for a
// moment when its members change.
class PveLockInTroubleTest : public PveStoreTest {
protected:
    PveLockInTroubleTest() {
        fs::create_symlink("nodes/n1", dir_.path("local"));
        fs::create_directories(dir_.path("priv"));
        fs::create_directory_symlink("/dev/pts", dir_.path("priv/lock"));
    }
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "Needs root";
        }
    }
    [[nodiscard]] Result<PveLock> acquire() {
        return PveLock::acquire(dir_.root(), pve_mapping_lock, PveLockOptions{}, clock_);
    }
    FakeClock clock_{milliseconds{0}};
};

TEST_F(PveLockInTroubleTest, TriesAgainWhileTheClusterFilesystemCannotSay) {
    clock_.on_sleep = [this] {
        fs::remove(dir_.path("priv/lock"));
        fs::create_directories(dir_.path("priv/lock"));
    };
    EXPECT_TRUE(acquire());
    EXPECT_EQ(clock_.sleeps, 1);
}

TEST_F(PveLockInTroubleTest, SaysThatTheQuorumWasLostMeanwhile) {
    clock_.on_sleep = [this] {
        fs::remove(dir_.path("local"));
        fs::create_directory(dir_.path("local"));
        fs::permissions(dir_.path("local"), fs::perms::owner_read);
    };
    const auto lock = acquire();
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().code(), EACCES);
}

TEST_F(PveLockInTroubleTest, GivesUpAfterTenSeconds) {
    const auto lock = acquire();
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().code(), EPERM);
    EXPECT_EQ(clock_.now(), milliseconds{10'000});
}

TEST_F(PveStoreTest, WritesNothingAfterAMinuteUnderTheLock) {
    FakeClock slow{milliseconds{61'000}};
    const auto store = open_pve_store(dir_.root(), PveLockOptions{}, slow);
    ASSERT_TRUE(store);
    const auto committed = (*store)->commit(snapshot().revision, {PutMapping{media()}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), ETIMEDOUT);
    EXPECT_FALSE(fs::exists(dir_.path(directory_cfg)));
    EXPECT_FALSE(fs::exists(dir_.path(truth_cfg)));
}

TEST_F(PveStoreTest, DoesNotRemoveALockThatMayBeAnothersByNow) {
    FakeClock slow{milliseconds{121'000}};
    EXPECT_TRUE(PveLock::acquire(dir_.root(), pve_mapping_lock, PveLockOptions{}, slow));
    EXPECT_TRUE(fs::exists(lock_path()));
}

// ---- waiting

TEST_F(PveStoreTest, SeesAChangeByContent) {
    put(home());
    const auto seen = snapshot().revision;
    std::thread writer{[&] { put(media()); }};
    const auto changed = open()->wait_for_change(seen, milliseconds{10'000});
    writer.join();
    ASSERT_TRUE(changed);
    EXPECT_TRUE(*changed);
}

TEST_F(PveStoreTest, SeesThatNothingChanges) {
    put(home());
    const auto changed = open()->wait_for_change(snapshot().revision, milliseconds{300});
    ASSERT_TRUE(changed);
    EXPECT_FALSE(*changed);
}

TEST_F(PveStoreTest, ReadsAgainWhenPmxcfssCounterHasRestarted) {
    put(home());
    const auto seen = snapshot().revision;
    dir_.write(".version", R"({"starttime":1,"mapping/directory.cfg":7})");
    std::thread writer{[&] {
        std::this_thread::sleep_for(milliseconds{100});
        put(media());
        dir_.write(".version", R"({"starttime":2,"mapping/directory.cfg":7})");
    }};
    const auto changed = open()->wait_for_change(seen, milliseconds{10'000});
    writer.join();
    ASSERT_TRUE(changed);
    EXPECT_TRUE(*changed);
}

} // namespace
} // namespace vfskit::store
