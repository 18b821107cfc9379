// SPDX-License-Identifier: Apache-2.0
#include "pve-plugin/launcher/settings.h"
#include "tests/support/source_tree.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

namespace vfskit::pve_plugin {
namespace {

using testing::HasSubstr;

Result<Settings> settings_from(const std::string& content) {
    const test::TempDir dir;
    dir.write("pve.yaml", content);
    return read_settings(dir.path("pve.yaml"));
}

TEST(LauncherSettings, AreTheDefaultsWithoutAFile) {
    const test::TempDir dir;
    const auto settings = read_settings(dir.path("pve.yaml"));
    ASSERT_TRUE(settings);
    EXPECT_EQ(*settings, Settings{});
}

TEST(LauncherSettings, AreReadFromEverySample) {
    const std::filesystem::path samples{test::source_path("schemas/samples/valid/pve-settings")};
    for (const auto& sample : std::filesystem::directory_iterator{samples}) {
        const auto settings = read_settings(sample.path());
        EXPECT_TRUE(settings) << settings.error().describe();
    }
}

TEST(LauncherSettings, RefuseEveryInvalidSample) {
    const std::filesystem::path samples{test::source_path("schemas/samples/invalid/pve-settings")};
    for (const auto& sample : std::filesystem::directory_iterator{samples}) {
        EXPECT_FALSE(read_settings(sample.path())) << sample.path();
    }
}

TEST(LauncherSettings, ReadEveryKey) {
    const auto settings =
        read_settings(test::source_path("schemas/samples/valid/pve-settings/full.yaml"));
    ASSERT_TRUE(settings);
    EXPECT_EQ(settings->daemon, DaemonChoice::system);
    EXPECT_TRUE(settings->compat);
    EXPECT_EQ(settings->on_error, share::OnError::guest_error);
    EXPECT_EQ(settings->bundled_daemon, "/opt/virtiofsd");
    EXPECT_EQ(settings->system_daemon, "/usr/lib/qemu/virtiofsd");
    EXPECT_EQ(settings->pve_root, "/srv/pve");
}

TEST(LauncherSettings, NameLineKeyAndRemedyOfAMistake) {
    const auto settings = settings_from("version: 1\n\ndaemom: system\n");
    ASSERT_FALSE(settings);
    EXPECT_EQ(settings.error().place().line, 3U);
    EXPECT_EQ(settings.error().place().key, "daemom");
    EXPECT_THAT(settings.error().remedy(), HasSubstr("\"daemon\""));
}

TEST(LauncherSettings, NameTheLineOfBrokenYaml) {
    const auto settings = settings_from("version: 1\ndaemon: [\n");
    ASSERT_FALSE(settings);
    EXPECT_EQ(settings.error().code(), EBADMSG);
    EXPECT_GE(settings.error().place().line, 2U);
}

TEST(LauncherSettings, AreNoList) {
    EXPECT_FALSE(settings_from("- daemon\n"));
}

} // namespace
} // namespace vfskit::pve_plugin
