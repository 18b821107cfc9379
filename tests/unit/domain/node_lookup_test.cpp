// SPDX-License-Identifier: Apache-2.0
#include "core/domain/node_lookup.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

constexpr auto not_found = nullptr;

DomainFilesystem managed(const std::string& dir) {
    DomainFilesystem filesystem;
    filesystem.driver = "virtiofs";
    filesystem.tag = "media";
    filesystem.dirid = "media";
    filesystem.source_dir = dir;
    return filesystem;
}

DomainFilesystem recorded(DomainFilesystem filesystem) {
    filesystem.dirid_from_metadata = true;
    return filesystem;
}

DomainFilesystem external() {
    auto filesystem = recorded(managed(""));
    filesystem.source_dir.reset();
    filesystem.source_socket = "/run/vfskit/web/media.sock";
    return filesystem;
}

const mapping::DirectoryMapping media{.id = "media",
                                      .paths = {{"n1", "/srv/media"}, {"n2", "/mnt/media"}},
                                      .description = {},
                                      .live_migration_method = {},
                                      .path_relation = {}};

Result<std::optional<NodeShare>> look_up(const DomainFilesystem& filesystem, NodeRules rules) {
    const auto lookup = lookup_by_mapping(
        [](std::string_view id) { return id == "media" ? &media : not_found; }, std::move(rules));
    return lookup(filesystem);
}

NodeRules on(const std::string& node) {
    return {.node = node, .binary = KeepBinary{}, .socket = {}};
}

TEST(NodeLookup, GivesTheDirectoryOfTheNode) {
    const auto here = look_up(recorded(managed("/srv/media")), on("n2"));

    ASSERT_TRUE(here && *here);
    EXPECT_EQ((*here)->source_dir, "/mnt/media");
    EXPECT_EQ((*here)->source_socket, std::nullopt);
}

TEST(NodeLookup, KnowsAShareWithoutMetadataByTagAndDirectory) {
    const auto here = look_up(managed("/srv/media"), on("n2"));

    ASSERT_TRUE(here && *here);
    EXPECT_EQ((*here)->source_dir, "/mnt/media");
}

TEST(NodeLookup, LeavesAShareAloneThatOnlyHasTheNameOfAMapping) {
    const auto here = look_up(managed("/home/somebody/else"), on("n2"));

    ASSERT_TRUE(here);
    EXPECT_FALSE(*here);
}

TEST(NodeLookup, KeepsASocketWhoseNameIsTheSameEverywhere) {
    const auto here = look_up(external(), on("n2"));

    ASSERT_TRUE(here && *here);
    EXPECT_EQ((*here)->source_socket, "/run/vfskit/web/media.sock");
    EXPECT_EQ((*here)->source_dir, std::nullopt);
}

TEST(NodeLookup, AsksForTheSocketOfTheNode) {
    auto rules = on("n2");
    rules.socket = [](std::string_view tag) -> Result<std::string> {
        return "/run/other/" + std::string{tag};
    };

    const auto here = look_up(external(), rules);

    ASSERT_TRUE(here && *here);
    EXPECT_EQ((*here)->source_socket, "/run/other/media");
}

TEST(NodeLookup, SetsTheBinaryOfVirtiofsOnly) {
    auto rules = on("n2");
    rules.binary = SetBinary{"/usr/bin/vfskit-virtiofsd"};
    auto ninep = recorded(managed("/srv/media"));
    ninep.driver = "path";

    const auto virtiofs = look_up(recorded(managed("/srv/media")), rules);
    const auto plan9 = look_up(ninep, rules);

    ASSERT_TRUE(virtiofs && *virtiofs && plan9 && *plan9);
    EXPECT_EQ((*virtiofs)->binary, rules.binary);
    EXPECT_EQ((*plan9)->binary, BinaryRewrite{KeepBinary{}});
}

TEST(NodeLookup, RefusesANodeThatTheMappingDoesNotHave) {
    const auto here = look_up(recorded(managed("/srv/media")), on("n3"));

    ASSERT_FALSE(here);
    EXPECT_EQ(here.error().code(), ENOENT);
    EXPECT_EQ(here.error().message(),
              "Mapping 'media' of the share 'media' has no path on node 'n3'");
    EXPECT_EQ(here.error().remedy(), "Add it: vfsctl mapping set media --path n3:PATH");
}

TEST(NodeLookup, RefusesARecordedMappingThatIsNotDefined) {
    auto gone = recorded(managed("/srv/media"));
    gone.dirid = "gone";

    const auto here = look_up(gone, on("n2"));

    ASSERT_FALSE(here);
    EXPECT_EQ(here.error().code(), ENOENT);
    EXPECT_EQ(here.error().message(),
              "The share 'media' is of mapping 'gone', which is not defined on 'n2'");
}

} // namespace
} // namespace vfskit::domain
