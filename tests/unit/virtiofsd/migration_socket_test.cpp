// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"
#include "virtiofsd/migration_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>

namespace vfskit::virtiofsd {
namespace {

std::size_t entries(const std::string& directory) {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator{directory}, {}));
}

TEST(MigrationSocket, IsForItsOwnerOnlyAndRemoved) {
    const test::TempDir dir;
    const auto place = dir.path("meet");
    {
        const auto socket = listen_for_migration(place);
        ASSERT_TRUE(socket) << socket.error().describe();
        struct stat status {};
        ASSERT_EQ(::stat(place.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0700U);
        ASSERT_EQ(::stat((place + "/" + socket->name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0600U);
        EXPECT_TRUE(S_ISSOCK(status.st_mode));
    }
    EXPECT_EQ(entries(place), 0U);
}

TEST(MigrationSocket, IsOneOfItsOwnForEachDaemon) {
    const test::TempDir dir;
    const auto first = listen_for_migration(dir.path("meet"));
    const auto second = listen_for_migration(dir.path("meet"));
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->name, second->name);
    EXPECT_EQ(entries(dir.path("meet")), 2U);
}

TEST(MigrationSocket, SweepsWhatKilledDaemonsLeft) {
    const test::TempDir dir;
    auto killed = listen_for_migration(dir.path("meet"));
    ASSERT_TRUE(killed);
    killed->listener.file->forget();
    killed->listener.fd.reset();
    dir.write("meet/notes", "somebody's own");

    const auto next = listen_for_migration(dir.path("meet"));

    ASSERT_TRUE(next);
    EXPECT_EQ(entries(dir.path("meet")), 2U);
    EXPECT_TRUE(std::filesystem::exists(dir.path("meet/notes")));
    EXPECT_FALSE(std::filesystem::exists(dir.path("meet/" + killed->name)));
}

TEST(MigrationSocket, NamesADirectoryThatIsTooLong) {
    const test::TempDir dir;
    const auto socket = listen_for_migration(dir.path(std::string(100, 'x')));
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code(), ENAMETOOLONG);
}

TEST(MigrationSocket, NamesADirectoryThatCannotBeMade) {
    const test::TempDir dir;
    const auto socket = listen_for_migration(dir.path("no/such"));
    ASSERT_FALSE(socket);
    EXPECT_EQ(socket.error().code(), ENOENT);
}

TEST(MigrationSocket, HasAUsualPlacePerUser) {
    EXPECT_EQ(default_migration_directory(true, nullptr).value(), "/run/vfskit-migration");
    EXPECT_EQ(default_migration_directory(false, "/run/user/1000").value(),
              "/run/user/1000/vfskit-migration");
    EXPECT_EQ(default_migration_directory(false, nullptr).error().code(), ENOENT);
}

} // namespace
} // namespace vfskit::virtiofsd
