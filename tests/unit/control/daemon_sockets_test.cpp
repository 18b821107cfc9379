// SPDX-License-Identifier: Apache-2.0
#include "core/control/daemon_sockets.h"
#include "core/control/server.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace vfskit::control {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DaemonSockets : public ::testing::Test {
protected:
    std::string make_socket(const std::string& vm, const std::string& file) {
        std::filesystem::create_directories(run.path(vm));
        auto path = run.path(vm) + "/" + file;
        auto listener = listen_at(path);
        EXPECT_TRUE(listener);
        return path;
    }
    std::vector<DaemonSocket> find() {
        auto found = find_daemon_sockets(run.path(""));
        EXPECT_TRUE(found);
        return std::move(*found);
    }
    test::TempDir run;
};

TEST_F(DaemonSockets, AreFoundByVmAndTag) {
    const auto web = make_socket("web", "media.control");
    const auto home = make_socket("100", "home.control");
    const auto first = make_socket("100", "a%2Fb.control");
    EXPECT_THAT(find(),
                ElementsAre(DaemonSocket{"100", "a/b", first},
                            DaemonSocket{"100", "home", home},
                            DaemonSocket{"web", "media", web}));
}

TEST_F(DaemonSockets, AreNotTheOtherFilesOfADaemon) {
    make_socket("100", "media.sock");
    std::ofstream{run.path("100") + "/media.control"} << "no socket";
    std::ofstream{run.path("virtiofsd.control")} << "no directory of a VM";
    EXPECT_THAT(find(), IsEmpty());
}

TEST_F(DaemonSockets, AreNoneWhereNothingEverRan) {
    const auto found = find_daemon_sockets(run.path("missing"));
    ASSERT_TRUE(found);
    EXPECT_THAT(*found, IsEmpty());
}

TEST_F(DaemonSockets, AFailureNamesTheDirectory) {
    std::filesystem::create_symlink("loop", run.path("loop"));
    const auto found = find_daemon_sockets(run.path("loop"));
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ELOOP);
    EXPECT_THAT(found.error().message(), ::testing::HasSubstr(run.path("loop")));
}

TEST(TagFileStem, KeepsPlainTags) {
    EXPECT_EQ(tag_to_file_stem("media-2_x.y"), "media-2_x.y");
    EXPECT_EQ(tag_from_file_stem("media-2_x.y"), "media-2_x.y");
}

TEST(TagFileStem, HoldsAnyTag) {
    const std::string tag = "a/b %41\xC3\xBC";
    EXPECT_EQ(tag_to_file_stem(tag), "a%2Fb%20%2541%C3%BC");
    EXPECT_EQ(tag_from_file_stem(tag_to_file_stem(tag)), tag);
}

TEST(TagFileStem, LeavesAPercentSignThatIsNoByte) {
    EXPECT_EQ(tag_from_file_stem("100%"), "100%");
    EXPECT_EQ(tag_from_file_stem("%zz%2"), "%zz%2");
    EXPECT_EQ(tag_from_file_stem("%-1x"), "%-1x");
}

} // namespace
} // namespace vfskit::control
