// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"
#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace vfskit::base {
namespace {

constexpr std::size_t one_mib = 1 << 20;
using namespace std::chrono_literals;

TEST(ReplaceFile, CreatesAMissingFile) {
    const test::TempDir dir;
    ASSERT_TRUE(replace_file(dir.path("new"), "content"));
    EXPECT_EQ(*read_file(dir.path("new"), one_mib), "content");
}

TEST(ReplaceFile, KeepsTheModeOfAnExistingFile) {
    const test::TempDir dir;
    dir.write("old", "before");
    ::chmod(dir.path("old").c_str(), 0640);
    ASSERT_TRUE(replace_file(dir.path("old"), "after"));
    struct stat info {};
    ASSERT_EQ(::stat(dir.path("old").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0640U);
}

TEST(ReplaceFile, ReplacesTheFileBehindALinkAndKeepsTheLink) {
    const test::TempDir dir;
    dir.write("real", "before");
    ASSERT_EQ(::symlink("real", dir.path("link").c_str()), 0);
    ASSERT_TRUE(replace_file(dir.path("link"), "after"));
    EXPECT_TRUE(std::filesystem::is_symlink(dir.path("link")));
    EXPECT_EQ(*read_file(dir.path("real"), one_mib), "after");
}

TEST(ReplaceFile, RefusesADanglingLink) {
    const test::TempDir dir;
    ASSERT_EQ(::symlink("nowhere", dir.path("link").c_str()), 0);
    EXPECT_EQ(replace_file(dir.path("link"), "x").error().code(), ENOENT);
    EXPECT_TRUE(std::filesystem::is_symlink(dir.path("link")));
}

TEST(ReplaceFile, RemovesTheLeftoverOfAKilledWriter) {
    const test::TempDir dir;
    dir.write("file.tmp", "half");
    ASSERT_TRUE(replace_file(dir.path("file"), "whole"));
    EXPECT_EQ(*read_file(dir.path("file"), one_mib), "whole");
    EXPECT_FALSE(std::filesystem::exists(dir.path("file.tmp")));
}

TEST(ReplaceFile, NamesTheFileInItsError) {
    const auto result = replace_file("/proc/no/such/file", "x");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().place().file, "/proc/no/such/file");
}

TEST(ReadFile, RefusesMoreThanTheBound) {
    const test::TempDir dir;
    dir.write("big", "12345");
    EXPECT_EQ(read_file(dir.path("big"), 4).error().code(), EFBIG);
    EXPECT_EQ(*read_file(dir.path("big"), 5), "12345");
}

TEST(FileLock, SecondHolderTimesOutAndNamesTheFirst) {
    const test::TempDir dir;
    const auto first = FileLock::acquire(dir.path("lock"), 1s);
    ASSERT_TRUE(first);
    const auto second = FileLock::acquire(dir.path("lock"), 30ms);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), ETIMEDOUT);
    EXPECT_NE(second.error().message().find(std::to_string(::getpid())), std::string::npos);
}

TEST(FileLock, IsFreeAfterItsHolderIsGone) {
    const test::TempDir dir;
    { const auto first = FileLock::acquire(dir.path("lock"), 1s); }
    EXPECT_TRUE(FileLock::acquire(dir.path("lock"), 30ms));
}

} // namespace
} // namespace vfskit::base
