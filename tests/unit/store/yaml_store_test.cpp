// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"
#include "core/store/yaml_store.h"
#include "tests/support/kill_at_every_step.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;
using namespace std::chrono_literals;

constexpr std::string_view one_mapping = "version: 1\nmappings:\n  media:\n    nodes:\n"
                                         "      n1: /srv/media # raid\n";

DirectoryMapping make(const std::string& id, const std::string& path = "/srv") {
    DirectoryMapping mapping;
    mapping.id = id;
    mapping.paths = {{"n1", path}};
    return mapping;
}

std::set<std::string> names_in(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator{directory}) {
        names.insert(entry.path().filename());
    }
    return names;
}

Result<Revision> put(MappingStore& store, const DirectoryMapping& mapping) {
    return update(store, [&](const Snapshot&) -> Result<std::vector<Edit>> {
        return std::vector<Edit>{PutMapping{mapping}};
    });
}

// Root passes over permission bits: what they forbid is tried as nobody, in a child.
int run_as_nobody(const std::function<int()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        constexpr uid_t nobody = 65534;
        if (::geteuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) {
            ::_exit(99);
        }
        ::_exit(body());
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(YamlStore, NamesItself) {
    EXPECT_EQ(YamlStore{"/etc/vfskit/mappings.yaml"}.url(), "yaml:/etc/vfskit/mappings.yaml");
}

TEST(YamlStore, IsEmptyWhenItsFileIsMissing) {
    const test::TempDir dir;
    YamlStore store{dir.path("none/mappings.yaml")};
    const auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot);
    EXPECT_TRUE(snapshot->mappings.empty());
    EXPECT_EQ(snapshot->revision.text, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST(YamlStore, MakesFileAndDirectoryAtTheFirstCommit) {
    const test::TempDir dir;
    YamlStore store{dir.path("vfskit/mappings.yaml")};
    ASSERT_TRUE(put(store, make("media")));
    EXPECT_EQ(store.snapshot()->mappings.at(0), make("media"));
    EXPECT_EQ(names_in(dir.path("vfskit")),
              (std::set<std::string>{"mappings.yaml", "mappings.yaml.lock"}));
}

class WorkingDirectory {
public:
    explicit WorkingDirectory(const std::string& path) : before_{std::filesystem::current_path()} {
        std::filesystem::current_path(path);
    }
    WorkingDirectory(const WorkingDirectory&) = delete;
    WorkingDirectory& operator=(const WorkingDirectory&) = delete;
    ~WorkingDirectory() { std::filesystem::current_path(before_); }

private:
    std::filesystem::path before_;
};

TEST(YamlStore, TakesANameWithoutADirectory) {
    const test::TempDir dir;
    const WorkingDirectory here{dir.root()};
    YamlStore store{"mappings.yaml"};
    const auto added = put(store, make("media"));
    ASSERT_TRUE(added) << added.error().describe();
    EXPECT_EQ(store.snapshot()->mappings.at(0), make("media"));
    EXPECT_EQ(names_in(dir.root()), (std::set<std::string>{"mappings.yaml", "mappings.yaml.lock"}));
}

TEST(YamlStore, DoesNotMakeParentsOfItsDirectory) {
    const test::TempDir dir;
    YamlStore store{dir.path("a/b/mappings.yaml")};
    const auto committed = put(store, make("media"));
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), ENOENT);
}

TEST(YamlStore, RevisionIsTheDigestOfTheBytes) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    YamlStore store{dir.path("m.yaml")};
    const auto before = store.snapshot()->revision;
    const auto after = *put(store, make("home"));
    EXPECT_NE(before, after);
    EXPECT_EQ(store.snapshot()->revision, after);
    EXPECT_EQ(YamlStore{dir.path("m.yaml")}.snapshot()->revision, after);
}

TEST(YamlStore, RefusesACommitWhenTheFileHasChanged) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    YamlStore store{dir.path("m.yaml")};
    const auto seen = store.snapshot()->revision;
    dir.write("m.yaml", std::string{one_mapping} + "# changed\n");
    const auto committed = store.commit(seen, {RemoveMapping{"media"}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), ESTALE);
    EXPECT_EQ(dir.read("m.yaml"), std::string{one_mapping} + "# changed\n");
}

TEST(YamlStore, AcceptsARevisionThatAnotherObjectRead) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    const auto seen = YamlStore{dir.path("m.yaml")}.snapshot()->revision;
    YamlStore store{dir.path("m.yaml")};
    EXPECT_TRUE(store.commit(seen, {RemoveMapping{"media"}}));
}

TEST(YamlStore, WritesNothingWhenAnyEditIsInvalid) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    YamlStore store{dir.path("m.yaml")};
    const auto seen = store.snapshot()->revision;
    const auto committed =
        store.commit(seen, {RemoveMapping{"media"}, PutMapping{make("bad", "relative")}});
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), EINVAL);
    EXPECT_EQ(dir.read("m.yaml"), one_mapping);
}

TEST(YamlStore, DoesNotTouchTheFileWhenNothingChanges) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    struct stat before {};
    ASSERT_EQ(::stat(dir.path("m.yaml").c_str(), &before), 0);
    YamlStore store{dir.path("m.yaml")};
    ASSERT_TRUE(put(store, make("media", "/srv/media")));
    struct stat after {};
    ASSERT_EQ(::stat(dir.path("m.yaml").c_str(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST(YamlStore, WritesThroughALinkUnderTheLockOfTheRealFile) {
    const test::TempDir dir;
    std::filesystem::create_directory(dir.path("real"));
    dir.write("real/m.yaml", one_mapping);
    std::filesystem::create_symlink("real/m.yaml", dir.path("link.yaml"));
    YamlStore store{dir.path("link.yaml")};
    ASSERT_TRUE(put(store, make("home")));
    EXPECT_TRUE(std::filesystem::is_symlink(dir.path("link.yaml")));
    EXPECT_EQ(names_in(dir.path("real")), (std::set<std::string>{"m.yaml", "m.yaml.lock"}));
}

TEST(YamlStore, GivesNoticeOfUnknownKeys) {
    const test::TempDir dir;
    dir.write("m.yaml", std::string{one_mapping} + "    decsription: x\n");
    const auto snapshot = YamlStore{dir.path("m.yaml")}.snapshot();
    ASSERT_TRUE(snapshot);
    ASSERT_EQ(snapshot->notices.size(), 1U);
    EXPECT_EQ(snapshot->notices[0],
              (Notice{{dir.path("m.yaml"), 6, "decsription"},
                      "Unknown key 'decsription' of mapping 'media' is kept and ignored; did you "
                      "mean 'description'?"}));
}

TEST(YamlStore, WaitsNoLongerThanTheTimeout) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    YamlStore store{dir.path("m.yaml")};
    EXPECT_FALSE(*store.wait_for_change(store.snapshot()->revision, 20ms));
}

TEST(YamlStore, SeesAtOnceThatItHasChangedBefore) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    YamlStore store{dir.path("m.yaml")};
    EXPECT_TRUE(*store.wait_for_change(Revision{"another"}, 0ms));
}

TEST(YamlStore, WakesUpWhenTheFileIsReplaced) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    // Polling would take an hour: what wakes it is the rename.
    YamlStore store{dir.path("m.yaml"), {10s, 1h}};
    const auto seen = store.snapshot()->revision;
    std::thread writer{[&] {
        std::this_thread::sleep_for(50ms);
        YamlStore other{dir.path("m.yaml")};
        EXPECT_TRUE(put(other, make("home")));
    }};
    EXPECT_TRUE(*store.wait_for_change(seen, 30s));
    writer.join();
}

TEST(YamlStore, SeesByPollingWhatInotifyDoesNotReport) {
    const test::TempDir dir;
    YamlStore store{dir.path("later/m.yaml"), {10s, 10ms}};
    const auto seen = store.snapshot()->revision;
    std::thread writer{[&] {
        std::this_thread::sleep_for(50ms);
        std::filesystem::create_directory(dir.path("later"));
        dir.write("later/m.yaml", one_mapping);
    }};
    EXPECT_TRUE(*store.wait_for_change(seen, 30s));
    writer.join();
}

TEST(YamlStore, NamesTheHolderOfTheLock) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    const auto lock = base::FileLock::acquire(dir.path("m.yaml.lock"), 1s);
    ASSERT_TRUE(lock);
    YamlStore store{dir.path("m.yaml"), {20ms, 1s}};
    const auto committed = put(store, make("home"));
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code(), ETIMEDOUT);
    EXPECT_NE(committed.error().message().find(std::to_string(::getpid())), std::string::npos);
    EXPECT_EQ(dir.read("m.yaml"), one_mapping);
}

TEST(YamlStore, SaysWhoMayWriteWhenItMayNot) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    std::filesystem::permissions(dir.root(), std::filesystem::perms{0555});
    std::filesystem::permissions(dir.path("m.yaml"), std::filesystem::perms{0644});
    const int code = run_as_nobody([&] {
        YamlStore store{dir.path("m.yaml")};
        const auto committed = put(store, make("home"));
        const bool is_clear =
            !committed && committed.error().code() == EACCES &&
            committed.error().remedy().find("Nothing was changed") != std::string::npos;
        return is_clear ? 0 : 1;
    });
    std::filesystem::permissions(dir.root(), std::filesystem::perms{0755});
    EXPECT_EQ(code, 0);
    EXPECT_EQ(names_in(dir.root()), std::set<std::string>{"m.yaml"});
    EXPECT_EQ(dir.read("m.yaml"), one_mapping);
}

TEST(YamlStore, LeavesTheOldContentWhenTheFileMayNotGrow) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    std::filesystem::permissions(dir.root(), std::filesystem::perms{0777});
    const int limited = run_as_nobody([&] {
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{64, 64};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        YamlStore store{dir.path("m.yaml")};
        const auto committed = put(store, make("home"));
        return !committed && committed.error().code() == EFBIG ? 0 : 1;
    });
    EXPECT_EQ(limited, 0);
    EXPECT_EQ(dir.read("m.yaml"), one_mapping);
    EXPECT_EQ(names_in(dir.root()), (std::set<std::string>{"m.yaml", "m.yaml.lock"}));
}

// A mount is private to a child in its own mount namespace, so nothing is left behind.
class YamlStoreOnTmpfs : public ::testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0 || !run([] { return 0; })) {
            GTEST_SKIP() << "needs root and unshare(CLONE_NEWNS) to mount a tmpfs";
        }
    }

    bool run(const std::function<int()>& body) const {
        const pid_t pid = ::fork();
        if (pid == 0) {
            if (::unshare(CLONE_NEWNS) != 0 ||
                ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                ::mount("tmpfs", dir_.root().c_str(), "tmpfs", 0, "size=64k") != 0) {
                ::_exit(99);
            }
            ::_exit(body());
        }
        int status = 0;
        ::waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

    test::TempDir dir_;
};

TEST_F(YamlStoreOnTmpfs, KeepsTheOldContentWhenTheDiskIsFull) {
    EXPECT_TRUE(run([&] {
        dir_.write("m.yaml", one_mapping);
        YamlStore store{dir_.path("m.yaml")};
        const auto seen = store.snapshot()->revision;
        dir_.write("m.yaml.lock", "1");
        dir_.write("ballast", std::string(1 << 20, 'x'));
        const auto committed = store.commit(seen, {PutMapping{make("home")}});
        const bool is_clear = !committed && committed.error().code() == ENOSPC &&
                              committed.error().remedy().find("Make room") != std::string::npos;
        const bool is_untouched =
            dir_.read("m.yaml") == one_mapping &&
            names_in(dir_.root()) == std::set<std::string>{"ballast", "m.yaml", "m.yaml.lock"};
        return is_clear && is_untouched ? 0 : 1;
    }));
}

TEST_F(YamlStoreOnTmpfs, SaysSoWhenTheDiskIsReadOnly) {
    EXPECT_TRUE(run([&] {
        dir_.write("m.yaml", one_mapping);
        ::mount(nullptr, dir_.root().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
        YamlStore store{dir_.path("m.yaml")};
        const auto committed = put(store, make("home"));
        const bool is_clear = !committed && committed.error().code() == EROFS &&
                              committed.error().place().file.find("m.yaml") != std::string::npos;
        return is_clear && dir_.read("m.yaml") == one_mapping ? 0 : 1;
    }));
}

TEST(YamlStoreCrash, LeavesOldOrNewContentWhereverTheWriterDies) {
    const test::TempDir dir;
    const auto path = dir.path("m.yaml");
    const std::string new_text = std::string{one_mapping} + "  home:\n    nodes:\n      n1: /srv\n";
    const auto kills = test::kill_at_every_step(
        [&] { dir.write("m.yaml", one_mapping); },
        [&] {
            YamlStore store{path};
            return put(store, make("home")) ? 0 : 1;
        },
        [&](int step) {
            const auto left = dir.read("m.yaml");
            EXPECT_TRUE(left == new_text || (step != 0 && left == one_mapping)) << step << left;
            YamlStore next{path};
            EXPECT_TRUE(put(next, make("next"))) << step;
            EXPECT_EQ(names_in(dir.root()), (std::set<std::string>{"m.yaml", "m.yaml.lock"}))
                << step;
        });
    if (!kills && kills.error().code() == ENOTSUP) {
        GTEST_SKIP() << kills.error().describe();
    }
    ASSERT_TRUE(kills) << kills.error().describe();
    EXPECT_GT(*kills, 20);
}

TEST(YamlStoreCrash, LeavesNothingOrAllOfAFirstFile) {
    const test::TempDir dir;
    const auto path = dir.path("new/m.yaml");
    const auto kills = test::kill_at_every_step(
        [&] { std::filesystem::remove_all(dir.path("new")); },
        [&] {
            YamlStore store{path};
            return put(store, make("home")) ? 0 : 1;
        },
        [&](int step) {
            YamlStore next{path};
            const auto found = next.snapshot();
            ASSERT_TRUE(found) << step;
            EXPECT_TRUE(found->mappings.empty() || found->mappings[0] == make("home")) << step;
            EXPECT_TRUE(put(next, make("next"))) << step;
        });
    if (!kills && kills.error().code() == ENOTSUP) {
        GTEST_SKIP() << kills.error().describe();
    }
    ASSERT_TRUE(kills) << kills.error().describe();
    EXPECT_GT(*kills, 20);
}

constexpr int writer_count = 6;
constexpr int writes_each = 15;

// Adds a mapping of its own, and one character to the description that all share.
int write_as(const std::string& path, int writer) {
    YamlStore store{path, {60s, 1s}};
    for (int i = 0; i < writes_each; ++i) {
        const auto own = make("w" + std::to_string(writer) + "-" + std::to_string(i));
        const auto written = update(
            store,
            [&](const Snapshot& now) -> Result<std::vector<Edit>> {
                auto shared = *now.find("media");
                shared.description = shared.description.value_or("") + "x";
                return std::vector<Edit>{PutMapping{own}, PutMapping{shared}};
            },
            10000);
        if (!written) {
            return 1;
        }
    }
    return 0;
}

void expect_nothing_lost(const std::string& path) {
    const auto snapshot = YamlStore{path}.snapshot();
    ASSERT_TRUE(snapshot);
    EXPECT_EQ(snapshot->mappings.size(), 1U + writer_count * writes_each);
    EXPECT_EQ(snapshot->find("media")->description, std::string(writer_count * writes_each, 'x'));
}

TEST(YamlStoreWriters, LoseNothingAsProcesses) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    std::vector<pid_t> children;
    for (int writer = 0; writer < writer_count; ++writer) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::_exit(write_as(dir.path("m.yaml"), writer));
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        ::waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    expect_nothing_lost(dir.path("m.yaml"));
}

TEST(YamlStoreWriters, LoseNothingAsThreads) {
    const test::TempDir dir;
    dir.write("m.yaml", one_mapping);
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writer_count; ++writer) {
        threads.emplace_back(
            [&dir, writer] { EXPECT_EQ(write_as(dir.path("m.yaml"), writer), 0); });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    expect_nothing_lost(dir.path("m.yaml"));
}

} // namespace
} // namespace vfskit::store
