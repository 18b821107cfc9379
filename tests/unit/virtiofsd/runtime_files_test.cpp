// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"
#include "virtiofsd/capabilities.h"
#include "virtiofsd/runtime_files.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace vfskit::virtiofsd {
namespace {

using std::filesystem::exists;

TEST(PidFile, IsTruncatedAndRemoved) {
    const test::TempDir dir;
    dir.write("s.pid", "1234567890\n");
    {
        const auto file = PidFile::create(dir.path("s.pid"));
        ASSERT_TRUE(file);
        EXPECT_EQ(dir.read("s.pid"), std::to_string(::getpid()) + "\n");
    }
    EXPECT_FALSE(exists(dir.path("s.pid")));
}

TEST(PidFile, RefusesASecondDaemonAndLeavesTheFirstsFile) {
    const test::TempDir dir;
    const auto first = PidFile::create(dir.path("s.pid"));
    const auto second = PidFile::create(dir.path("s.pid"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), EAGAIN);
    EXPECT_TRUE(exists(dir.path("s.pid")));
}

TEST(Listener, ReplacesAStaleSocketAndRemovesItsOwn) {
    const test::TempDir dir;
    dir.write("sock", "");
    {
        const auto listener = listen_on(dir.path("sock"), std::nullopt);
        ASSERT_TRUE(listener) << listener.error().describe();
        struct stat info {};
        ASSERT_EQ(::stat(dir.path("sock").c_str(), &info), 0);
        EXPECT_EQ(info.st_mode, S_IFSOCK | 0700U);
    }
    EXPECT_FALSE(exists(dir.path("sock")));
}

TEST(Listener, GivesTheSocketToAGroup) {
    const test::TempDir dir;
    const auto listener = listen_on(dir.path("sock"), "root");
    ASSERT_TRUE(listener);
    struct stat info {};
    ASSERT_EQ(::stat(dir.path("sock").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0770U);
}

TEST(Listener, NamesWhatIsWrong) {
    const test::TempDir dir;
    EXPECT_EQ(listen_on(dir.path("sock"), "no-such-group").error().code(), EINVAL);
    EXPECT_EQ(listen_on(dir.path("missing/sock"), std::nullopt).error().code(), ENOENT);
    EXPECT_EQ(listen_on("/tmp/" + std::string(120, 'x'), std::nullopt).error().code(), EINVAL);
}

TEST(Listener, AdoptsOnlyAListeningSocket) {
    const int plain = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(adopt_listener(plain).error().code(), EINVAL);
    EXPECT_EQ(adopt_listener(STDIN_FILENO).error().code(), EINVAL);
    ::close(plain);
}

TEST(Capabilities, FileHandlesAddOne) {
    EXPECT_FALSE(needed_capabilities(false).contains(CAP_DAC_READ_SEARCH));
    EXPECT_TRUE(needed_capabilities(true).contains(CAP_DAC_READ_SEARCH));
}

TEST(Capabilities, ModcapsAddsAndRemovesInAnyCase) {
    const auto set = modify_capabilities(needed_capabilities(false), "+SYS_ADMIN:-mknod", false);
    ASSERT_TRUE(set);
    EXPECT_TRUE(set->contains(CAP_SYS_ADMIN));
    EXPECT_FALSE(set->contains(CAP_MKNOD));
}

TEST(Capabilities, ModcapsNamesItsMistakes) {
    EXPECT_EQ(modify_capabilities({}, "+sys_admn", false).error().remedy(),
              "Did you mean 'sys_admin'?");
    EXPECT_FALSE(modify_capabilities({}, "sys_admin", false));
    EXPECT_FALSE(modify_capabilities({}, "", false));
    EXPECT_FALSE(modify_capabilities({}, "-dac_read_search", true));
}

} // namespace
} // namespace vfskit::virtiofsd
