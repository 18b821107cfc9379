// SPDX-License-Identifier: Apache-2.0
// Settings, the wrapper of virtiofsd.
#include "libvirt-hook/config.h"
#include "libvirt-hook/wrapper.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

namespace vfskit::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(HookConfig, TakesItsSettings) {
    const auto config =
        libvirt_hook::parse_config("# a comment\n\nnode = n1\nstore=yaml:/m.yaml\n");

    ASSERT_TRUE(config) << config.error().describe();
    EXPECT_EQ(config->node, "n1");
    EXPECT_EQ(config->store, "yaml:/m.yaml");
    EXPECT_EQ(config->daemon, "/usr/libexec/virtiofsd");
}

TEST(HookConfig, RefusesAMisspeltKey) {
    const auto config = libvirt_hook::parse_config("node = n1\nstor = x\n");

    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().place().line, 2U);
}

TEST(HookConfig, MayBeMissing) {
    EXPECT_EQ(*libvirt_hook::read_config("/nonexistent/libvirt.conf"), libvirt_hook::Config{});
}

class Wrapper : public testing::Test {
protected:
    Wrapper() {
        define("media", "/srv/media", mapping::MigrationMethod::find_paths);
        world.node = "b";
        world.read_store = [this]() -> Result<store::Snapshot> { return snapshot; };
        world.probe = [](const std::string&) -> Result<share::DaemonInfo> {
            return share::DaemonInfo{};
        };
    }
    void define(std::string id, std::string path, std::optional<mapping::MigrationMethod> method) {
        mapping::DirectoryMapping mapping;
        mapping.id = std::move(id);
        mapping.paths = {{"b", std::move(path)}};
        mapping.live_migration_method = method;
        snapshot.mappings.push_back(std::move(mapping));
    }

    store::Snapshot snapshot;
    libvirt_hook::WrapperWorld world;
};

TEST_F(Wrapper, AddsTheMethodOfTheMappingWithThisDirectory) {
    const auto daemon = libvirt_hook::wrap_daemon({"--fd=3", "--shared-dir", "/srv/media/"}, world);

    EXPECT_EQ(daemon.spec.program, "/usr/libexec/virtiofsd");
    EXPECT_THAT(daemon.spec.args, Contains("--migration-mode=find-paths"));
    EXPECT_EQ(daemon.spec.args.front(), "--fd=3");
    EXPECT_THAT(daemon.warning, IsEmpty());
}

TEST_F(Wrapper, ReadsTheOldSpellingsOfTheDirectory) {
    EXPECT_THAT(libvirt_hook::wrap_daemon({"-o", "cache=auto,source=/srv/media"}, world).spec.args,
                Contains("--migration-mode=find-paths"));
    EXPECT_THAT(libvirt_hook::wrap_daemon({"--shared-dir=/srv/media"}, world).spec.args,
                Contains("--migration-mode=find-paths"));
}

TEST_F(Wrapper, PassesQuestionsOnWithoutReadingTheStore) {
    world.read_store = []() -> Result<store::Snapshot> {
        ADD_FAILURE() << "the store was read";
        return store::Snapshot{};
    };

    EXPECT_THAT(libvirt_hook::wrap_daemon({"--print-capabilities"}, world).spec.args,
                ElementsAre("--print-capabilities"));
}

TEST_F(Wrapper, LeavesADirectoryAloneThatNoMappingHas) {
    EXPECT_THAT(libvirt_hook::wrap_daemon({"--shared-dir", "/srv/else"}, world).spec.args,
                ElementsAre("--shared-dir", "/srv/else"));
}

TEST_F(Wrapper, LetsTheVmStartWhenTheStoreCannotBeRead) {
    world.read_store = []() -> Result<store::Snapshot> { return Error{EIO, "It is gone"}; };

    const auto daemon = libvirt_hook::wrap_daemon({"--shared-dir", "/srv/media"}, world);

    EXPECT_THAT(daemon.spec.args, ElementsAre("--shared-dir", "/srv/media"));
    EXPECT_THAT(daemon.warning, HasSubstr("It is gone"));
}

TEST_F(Wrapper, UsesNeitherOfTwoMappingsThatDisagree) {
    define("other", "/srv/media", std::nullopt);

    const auto daemon = libvirt_hook::wrap_daemon({"--shared-dir", "/srv/media"}, world);

    EXPECT_THAT(daemon.spec.args, ElementsAre("--shared-dir", "/srv/media"));
    EXPECT_THAT(daemon.warning, HasSubstr("'media' and 'other'"));
}

} // namespace
} // namespace vfskit::test
