// SPDX-License-Identifier: Apache-2.0
#include "core/node/path_probe.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace vfskit::node {
namespace {

using namespace std::chrono_literals;

/// Hangs at paths that begin with /hang and dies at /die.
PathFacts scripted_look(const MappedPath& mapped) {
    if (mapped.path.starts_with("/hang")) {
        for (;;) {
            ::pause();
        }
    }
    if (mapped.path == "/die") {
        ::_exit(3);
    }
    PathFacts facts;
    facts.state = ProbeState::answered;
    facts.exists = true;
    return facts;
}

constexpr ProbeLimits short_limits{.per_path = 300ms, .together = 2000ms};

TEST(PathProbe, SeesWhatADirectoryIs) {
    const test::TempDir dir;
    const auto facts = look_at({"media", dir.root()});
    EXPECT_EQ(facts.state, ProbeState::answered);
    EXPECT_EQ(facts.exists, true);
    EXPECT_EQ(facts.is_directory, true);
    EXPECT_EQ(facts.is_empty, true);
    struct stat status {};
    ASSERT_EQ(::stat(dir.root().c_str(), &status), 0);
    EXPECT_EQ(facts.inode, status.st_ino);
    EXPECT_TRUE(facts.fs_id);
    EXPECT_TRUE(facts.fs_type);
    EXPECT_TRUE(facts.free_bytes);
}

TEST(PathProbe, TellsTwoDirectoriesOfOneFilesystemApartByHandle) {
    const test::TempDir a;
    const test::TempDir b;
    const auto first = look_at({"a", a.root()});
    const auto second = look_at({"b", b.root()});
    ASSERT_EQ(first.name_to_handle_works, true) << first.problem.value_or("");
    EXPECT_EQ(first.fs_id, second.fs_id);
    EXPECT_NE(first.root_handle, second.root_handle);
    EXPECT_NE(first.inode, second.inode);
    EXPECT_EQ(look_at({"a", a.root()}).root_handle, first.root_handle);
}

TEST(PathProbe, SeesAFileWhereADirectoryBelongs) {
    const test::TempDir dir;
    std::ofstream{dir.root() + "/file"} << "x";
    const auto facts = look_at({"media", dir.root() + "/file"});
    EXPECT_EQ(facts.exists, true);
    EXPECT_EQ(facts.is_directory, false);
}

TEST(PathProbe, SeesThatNothingIsThere) {
    const auto facts = look_at({"media", "/nonexistent/media"});
    EXPECT_EQ(facts.state, ProbeState::answered);
    EXPECT_EQ(facts.exists, false);
    EXPECT_FALSE(facts.is_directory);
}

TEST(PathProbe, GivesFactsOfEveryPathById) {
    const test::TempDir dir;
    std::ofstream{dir.root() + "/entry"} << "x";
    const auto facts = probe_paths({{"b", dir.root()}, {"a", "/nonexistent"}}, {dir.root()});
    ASSERT_EQ(facts.size(), 2U);
    EXPECT_EQ(facts[0].dirid, "a");
    EXPECT_EQ(facts[0].exists, false);
    EXPECT_EQ(facts[1].dirid, "b");
    EXPECT_EQ(facts[1].is_empty, false);
    // Something is expected there, and nothing is mounted.
    EXPECT_EQ(facts[1].expected_mount_point, dir.root());
    EXPECT_EQ(facts[1].is_expected_mount, false);
}

TEST(PathProbe, GoesOnBehindAPathThatHangs) {
    const auto begin = std::chrono::steady_clock::now();
    const auto facts =
        probe_paths({{"a", "/ok"}, {"b", "/hang"}, {"c", "/ok"}}, {}, short_limits, scripted_look);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1900ms);
    ASSERT_EQ(facts.size(), 3U);
    EXPECT_EQ(facts[0].state, ProbeState::answered);
    EXPECT_EQ(facts[1].state, ProbeState::timed_out);
    EXPECT_FALSE(facts[1].exists);
    EXPECT_EQ(facts[1].mount_point, "/");
    EXPECT_EQ(facts[2].state, ProbeState::answered);
}

TEST(PathProbe, EndsInTimeWhenEverythingHangs) {
    std::vector<MappedPath> paths;
    for (int i = 0; i < 50; ++i) {
        paths.push_back({std::to_string(i), "/hang"});
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto facts = probe_paths(paths, {}, short_limits, scripted_look);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
    ASSERT_EQ(facts.size(), 50U);
    EXPECT_EQ(facts.back().state, ProbeState::timed_out);
}

TEST(PathProbe, SaysSoWhenTheLookItselfBreaks) {
    const auto facts = probe_paths({{"a", "/die"}, {"b", "/ok"}}, {}, short_limits, scripted_look);
    ASSERT_EQ(facts.size(), 2U);
    EXPECT_EQ(facts[0].state, ProbeState::failed);
    EXPECT_TRUE(facts[0].problem);
    EXPECT_EQ(facts[1].state, ProbeState::answered);
}

} // namespace
} // namespace vfskit::node
