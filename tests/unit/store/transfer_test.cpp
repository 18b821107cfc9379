// SPDX-License-Identifier: Apache-2.0
#include "core/store/transfer.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;

DirectoryMapping media() {
    DirectoryMapping mapping;
    mapping.id = "media";
    mapping.description = "Films: \"old\" \xF0\x9F\x8E\x9E";
    mapping.live_migration_method = mapping::MigrationMethod::find_paths;
    mapping.path_relation = mapping::PathRelation::same_directory;
    mapping.paths = {{"n1", "/srv/media"}, {"n2", "/mnt/media"}};
    return mapping;
}

DirectoryMapping home() {
    DirectoryMapping mapping;
    mapping.id = "home";
    mapping.paths = {{"n1", "/home"}};
    return mapping;
}

TEST(Export, WritesYaml) {
    EXPECT_EQ(*export_mappings({media(), home()}, DocumentFormat::yaml), R"(version: 1
mappings:
  media:
    description: "Films: \"old\" 🎞"
    live-migration-method: find-paths
    path-relation: same-directory
    nodes:
      n1: /srv/media
      n2: /mnt/media
  home:
    nodes:
      n1: /home
)");
}

TEST(Export, WritesJson) {
    EXPECT_EQ(*export_mappings({media(), home()}, DocumentFormat::json), R"({
  "version": 1,
  "mappings": {
    "media": {
      "description": "Films: \"old\" 🎞",
      "live-migration-method": "find-paths",
      "path-relation": "same-directory",
      "nodes": {
        "n1": "/srv/media",
        "n2": "/mnt/media"
      }
    },
    "home": {
      "nodes": {
        "n1": "/home"
      }
    }
  }
}
)");
}

TEST(Export, WritesAnEmptyDocument) {
    EXPECT_TRUE(parse_document(*export_mappings({}, DocumentFormat::yaml), "f")->mappings.empty());
    EXPECT_TRUE(parse_document(*export_mappings({}, DocumentFormat::json), "f")->mappings.empty());
}

TEST(Export, NamesTheMappingThatCannotBeWritten) {
    auto latin1 = media();
    latin1.description = "\xe4";
    const auto exported = export_mappings({home(), latin1}, DocumentFormat::json);
    ASSERT_FALSE(exported);
    EXPECT_EQ(exported.error().code(), EINVAL);
    EXPECT_NE(exported.error().message().find("'media'"), std::string::npos);
}

TEST(ParseDocument, ReadsBackWhatWasExported) {
    const std::vector<DirectoryMapping> all{media(), home()};
    EXPECT_EQ(parse_document(*export_mappings(all, DocumentFormat::yaml), "f")->mappings, all);
    EXPECT_EQ(parse_document(*export_mappings(all, DocumentFormat::json), "f")->mappings, all);
}

TEST(ParseDocument, ReadsJsonOfOtherWriters) {
    const auto document = parse_document(
        "{\n\t\"mappings\":{\"media\":{\"description\":\"\\ud83c\\udf9e \\\\u \\/\\u00e4\","
        "\"nodes\":{\"n1\":\"\\/srv\"}}},\"version\":1}",
        "f");
    ASSERT_TRUE(document) << document.error().describe();
    ASSERT_EQ(document->mappings.size(), 1U);
    EXPECT_EQ(document->mappings[0].description, "\xF0\x9F\x8E\x9E \\u /\xc3\xa4");
    EXPECT_EQ(document->mappings[0].paths[0].path, "/srv");
}

TEST(ParseDocument, NamesLineAndKeyOfAFault) {
    const auto document = parse_document(
        "{\n\"version\": 1,\n\"mappings\": {\n\"media\": {\"nodes\": {\"n1\": 5}}}}", "-");
    ASSERT_FALSE(document);
    EXPECT_EQ(document.error().place(), (Place{"standard input", 4, "n1"}));
}

TEST(ParseDocument, RefusesAKeyThatIsThereTwice) {
    EXPECT_EQ(parse_document("{\"version\": 1, \"version\": 1}", "f").error().code(), EBADMSG);
}

TEST(CompareMappings, TellsAddedChangedRemovedAndUnchanged) {
    auto changed = media();
    changed.paths.pop_back();
    auto extra = home();
    extra.id = "extra";
    auto gone = home();
    gone.id = "gone";
    const auto changes =
        compare_mappings({gone, media(), home()}, {extra, home(), changed}, ImportMode::replace);
    ASSERT_EQ(changes.size(), 4U);
    EXPECT_EQ(changes[0].kind, ChangeKind::removed);
    EXPECT_EQ(changes[0].id, "gone");
    EXPECT_EQ(changes[1].kind, ChangeKind::changed);
    EXPECT_EQ(changes[1].before, media());
    EXPECT_EQ(changes[1].after, changed);
    EXPECT_EQ(changes[2].kind, ChangeKind::unchanged);
    EXPECT_EQ(changes[3].kind, ChangeKind::added);
    EXPECT_EQ(changes[3].after, extra);
}

TEST(CompareMappings, KeepsWhatAMergeDoesNotName) {
    const auto changes = compare_mappings({media(), home()}, {home()}, ImportMode::merge);
    EXPECT_TRUE(make_edits(changes).empty());
}

TEST(CompareMappings, IgnoresTheOrderOfNodes) {
    auto swapped = media();
    std::swap(swapped.paths[0], swapped.paths[1]);
    EXPECT_TRUE(make_edits(compare_mappings({media()}, {swapped}, ImportMode::replace)).empty());
}

TEST(MakeEdits, CarriesTheChangesOut) {
    const auto edits = make_edits(compare_mappings({media()}, {home()}, ImportMode::replace));
    ASSERT_EQ(edits.size(), 2U);
    EXPECT_EQ(std::get<RemoveMapping>(edits[0]).id, "media");
    EXPECT_EQ(std::get<PutMapping>(edits[1]).mapping, home());
}

} // namespace
} // namespace vfskit::store
