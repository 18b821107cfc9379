// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_content.h"
#include "core/store/yaml_edit.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;
using mapping::MigrationMethod;
using mapping::PathRelation;

const std::string file = "mappings.yaml";

constexpr std::string_view commented = R"(# Shares of the house
version: 1   # the format

# Everything that n1 and n2 have
mappings:
  # for the living room
  media:            # films
    description: 'Films'  # keep the quotes
    owner: "alice"        # not ours
    nodes:
      n1:   /srv/media    # raid
      n2: "/mnt/media"
      # n3 comes later

  home:
    nodes:
      n1: /home

trailer: true  # unknown as well
)";

DirectoryMapping read_one(std::string_view text, std::string_view id) {
    auto content = read_yaml(text, file);
    EXPECT_TRUE(content) << (content ? "" : content.error().describe());
    for (const auto& mapping : content->mappings) {
        if (mapping.id == id) {
            return mapping;
        }
    }
    ADD_FAILURE() << "no mapping " << id;
    return {};
}

std::string put(std::string_view text, const DirectoryMapping& mapping) {
    auto edited = edit_yaml(text, {PutMapping{mapping}}, file);
    EXPECT_TRUE(edited) << (edited ? "" : edited.error().describe());
    return edited ? *edited : std::string{};
}

std::string remove(std::string_view text, std::string_view id) {
    auto edited = edit_yaml(text, {RemoveMapping{std::string{id}}}, file);
    EXPECT_TRUE(edited) << (edited ? "" : edited.error().describe());
    return edited ? *edited : std::string{};
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
    std::string result{text};
    result.replace(result.find(from), from.size(), to);
    return result;
}

DirectoryMapping example() {
    DirectoryMapping mapping;
    mapping.id = "scratch";
    mapping.description = "Scratch";
    mapping.live_migration_method = MigrationMethod::find_paths;
    mapping.path_relation = PathRelation::replicas;
    mapping.paths = {{"n1", "/scratch"}, {"n2", "/var/scratch"}};
    return mapping;
}

TEST(YamlEdit, ChangesOnlyTheBytesOfTheValue) {
    auto media = read_one(commented, "media");
    media.paths[0].path = "/srv/films";
    EXPECT_EQ(put(commented, media), replaced(commented, "/srv/media", "/srv/films"));
}

TEST(YamlEdit, KeepsTheQuotesOfAChangedValue) {
    auto media = read_one(commented, "media");
    media.description = "It's films";
    media.paths[1].path = "/mnt/films";
    EXPECT_EQ(put(commented, media),
              replaced(replaced(commented, "'Films'", "'It''s films'"),
                       "\"/mnt/media\"",
                       "\"/mnt/films\""));
}

TEST(YamlEdit, LeavesTheTextAloneWhenNothingChanges) {
    EXPECT_EQ(put(commented, read_one(commented, "media")), commented);
    EXPECT_EQ(remove(commented, "nobody"), commented);
}

TEST(YamlEdit, LeavesTheTextAloneWhenOnlyTheOrderOfNodesDiffers) {
    auto media = read_one(commented, "media");
    std::swap(media.paths[0], media.paths[1]);
    EXPECT_EQ(put(commented, media), commented);
}

TEST(YamlEdit, ChangesAValueWhereTheOrderOfNodesDiffersToo) {
    auto media = read_one(commented, "media");
    std::swap(media.paths[0], media.paths[1]);
    media.paths[1].path = "/srv/films";
    EXPECT_EQ(put(commented, media), replaced(commented, "/srv/media", "/srv/films"));
}

TEST(YamlEdit, AddsANodeBehindTheLastOne) {
    auto media = read_one(commented, "media");
    media.paths.push_back({"n3", "/data/my films"});
    EXPECT_EQ(
        put(commented, media),
        replaced(commented, "\"/mnt/media\"\n", "\"/mnt/media\"\n      n3: /data/my films\n"));
}

TEST(YamlEdit, RemovesTheLineOfANode) {
    auto media = read_one(commented, "media");
    media.paths.erase(media.paths.begin());
    EXPECT_EQ(put(commented, media), replaced(commented, "      n1:   /srv/media    # raid\n", ""));
}

TEST(YamlEdit, ReplacesEveryNode) {
    auto home = read_one(commented, "home");
    home.paths = {{"n7", "/a"}, {"n8", "/b"}};
    EXPECT_EQ(put(commented, home),
              replaced(commented, "      n1: /home\n", "      n7: /a\n      n8: /b\n"));
}

TEST(YamlEdit, AddsAnOptionalKeyInItsPlace) {
    auto media = read_one(commented, "media");
    media.live_migration_method = MigrationMethod::file_handles;
    EXPECT_EQ(put(commented, media),
              replaced(commented,
                       "# keep the quotes\n",
                       "# keep the quotes\n    live-migration-method: file-handles\n"));
    auto home = read_one(commented, "home");
    home.description = "Homes";
    home.path_relation = PathRelation::same_directory;
    EXPECT_EQ(put(commented, home),
              replaced(commented,
                       "  home:\n",
                       "  home:\n    description: Homes\n    path-relation: same-directory\n"));
}

TEST(YamlEdit, RemovesAnOptionalKey) {
    auto media = read_one(commented, "media");
    media.description.reset();
    EXPECT_EQ(put(commented, media),
              replaced(commented, "    description: 'Films'  # keep the quotes\n", ""));
}

TEST(YamlEdit, AppendsAMappingInTheMannerOfTheFile) {
    EXPECT_EQ(put(commented, example()), replaced(commented, "      n1: /home\n", R"(      n1: /home

  scratch:
    description: Scratch
    live-migration-method: find-paths
    path-relation: replicas
    nodes:
      n1: /scratch
      n2: /var/scratch
)"));
}

TEST(YamlEdit, RemovesAMappingAndTheCommentsInsideIt) {
    EXPECT_EQ(remove(commented, "media"), R"(# Shares of the house
version: 1   # the format

# Everything that n1 and n2 have
mappings:
  # for the living room

  home:
    nodes:
      n1: /home

trailer: true  # unknown as well
)");
}

TEST(YamlEdit, RemovesTheLastMapping) {
    const std::string text = "version: 1\nmappings:\n  aa:\n    nodes:\n      n: /a\n";
    const auto empty = remove(text, "aa");
    EXPECT_EQ(empty, "version: 1\nmappings:\n");
    EXPECT_TRUE(read_yaml(empty, file)->mappings.empty());
}

TEST(YamlEdit, AppliesManyEditsAtOnce) {
    auto home = read_one(commented, "home");
    home.paths[0].path = "/export/home";
    const auto edited = edit_yaml(
        commented, {PutMapping{example()}, RemoveMapping{"media"}, PutMapping{home}}, file);
    ASSERT_TRUE(edited) << edited.error().describe();
    const auto content = read_yaml(*edited, file);
    ASSERT_EQ(content->mappings.size(), 2U);
    EXPECT_EQ(content->mappings[0], home);
    EXPECT_EQ(content->mappings[1], example());
}

TEST(YamlEdit, LastEditOfAnIdWins) {
    auto other = example();
    other.description = "Other";
    auto edited = edit_yaml(
        commented, {PutMapping{example()}, RemoveMapping{"scratch"}, PutMapping{other}}, file);
    ASSERT_TRUE(edited);
    EXPECT_EQ(read_one(*edited, "scratch"), other);
    edited = edit_yaml(commented, {PutMapping{example()}, RemoveMapping{"scratch"}}, file);
    EXPECT_EQ(*edited, commented);
}

TEST(YamlEdit, BeginsAnEmptyFile) {
    EXPECT_EQ(put("", example()), R"(version: 1
mappings:
  scratch:
    description: Scratch
    live-migration-method: find-paths
    path-relation: replicas
    nodes:
      n1: /scratch
      n2: /var/scratch
)");
}

TEST(YamlEdit, KeepsTheCommentsOfAnEmptyFile) {
    const auto edited = put("# mine\n---\n# yours", example());
    EXPECT_TRUE(edited.starts_with("# mine\n---\n# yours\nversion: 1\nmappings:\n")) << edited;
    EXPECT_EQ(read_one(edited, "scratch"), example());
}

TEST(YamlEdit, OpensEmptyBraces) {
    const auto edited = put("version: 1\nmappings: {}  # none yet\nother: 1\n", example());
    EXPECT_TRUE(edited.starts_with("version: 1\nmappings:  # none yet\n  scratch:\n")) << edited;
    EXPECT_TRUE(edited.ends_with("/var/scratch\nother: 1\n")) << edited;
}

TEST(YamlEdit, AddsTheMappingsKeyWhereItIsMissing) {
    EXPECT_TRUE(put("version: 1", example()).starts_with("version: 1\nmappings:\n  scratch:\n"));
}

TEST(YamlEdit, KeepsCrlfAndAMissingLastLineEnd) {
    const std::string text = "version: 1\r\nmappings:\r\n   aa:\r\n       nodes:\r\n         n: /a";
    auto aa = read_one(text, "aa");
    aa.paths.push_back({"m", "/b"});
    EXPECT_EQ(put(text, aa), text + "\r\n         m: /b");
    EXPECT_EQ(put(text, example()),
              text +
                  "\r\n   scratch:\r\n       description: Scratch\r\n"
                  "       live-migration-method: find-paths\r\n       path-relation: replicas\r\n"
                  "       nodes:\r\n         n1: /scratch\r\n         n2: /var/scratch");
}

TEST(YamlEdit, KeepsTheByteOrderMark) {
    const std::string text = "\xEF\xBB\xBFversion: 1\nmappings:\n  aa: {nodes: {n: /a}}\n";
    auto aa = read_one(text, "aa");
    aa.paths[0].path = "/b";
    EXPECT_EQ(put(text, aa), replaced(text, "/a", "/b"));
}

TEST(YamlEdit, ChangesFlowMappings) {
    const std::string text =
        "version: 1\nmappings:\n  aa: {x: [1], nodes: {n1: /a, n2: '/b'}, description: d} # c\n";
    auto aa = read_one(
        "version: 1\nmappings:\n  aa: {x: 1, nodes: {n1: /a, n2: '/b'}, description: d}\n", "aa");
    const std::string plain =
        "version: 1\nmappings:\n  aa: {x: 1, nodes: {n1: /a, n2: '/b'}, description: d} # c\n";
    aa.paths = {{"n2", "/c"}, {"n3", "/d, e"}};
    aa.description.reset();
    aa.path_relation = PathRelation::replicas;
    EXPECT_EQ(put(plain, aa),
              "version: 1\nmappings:\n  aa: {x: 1, nodes: {n2: '/c', n3: \"/d, e\"}, "
              "path-relation: replicas} # c\n");
    EXPECT_EQ(remove(plain, "aa"), "version: 1\nmappings:\n");
    EXPECT_EQ(edit_yaml(text, {PutMapping{aa}}, file).error().code(), ENOTSUP);
}

TEST(YamlEdit, ChangesFlowNodesOverSeveralLines) {
    const std::string text = "version: 1\nmappings:\n  aa:\n    nodes: {\n      n1: /a, # one\n"
                             "      n2: /b  # two\n      } # end\n    description: d\n";
    auto aa = read_one(text, "aa");
    aa.paths[1].path = "/c";
    aa.paths.push_back({"n3", "/d"});
    EXPECT_EQ(put(text, aa), replaced(text, "n2: /b  # two", "n2: /c, n3: /d  # two"));
}

TEST(YamlEdit, ReplacesAFoldedDescription) {
    const std::string text = "version: 1\nmappings:\n  aa:\n    description: >-\n      many\n"
                             "      words\n\n    nodes:\n      n: /a\n";
    auto aa = read_one(text, "aa");
    EXPECT_EQ(aa.description, "many words");
    EXPECT_EQ(put(text, aa), text);
    aa.description = "few";
    EXPECT_EQ(put(text, aa), replaced(text, ">-\n      many\n      words", "few"));
    aa.description.reset();
    EXPECT_EQ(put(text, aa), replaced(text, "    description: >-\n      many\n      words\n", ""));
}

TEST(YamlEdit, KeepsUnknownKeysOfAnyKind) {
    const std::string text = "version: 1\nx-top:\n- a\nmappings:\n";
    EXPECT_EQ(edit_yaml(text, {PutMapping{example()}}, file).error().code(), ENOTSUP);
    const std::string nested =
        "version: 1\nx-top:\n  - &a b: |\n      text\n    c: [1,\n   2]\n"
        "mappings:\n  aa:\n    x: !t\n     {a: 1}\n    nodes:\n      n: /a\n";
    auto aa = read_one(nested, "aa");
    aa.paths[0].path = "/b";
    EXPECT_EQ(put(nested, aa), replaced(nested, "n: /a", "n: /b"));
}

TEST(YamlEdit, RefusesAliasesAndNamesTheLine) {
    const std::string text = "version: 1\nmappings:\n  aa: &a\n    nodes: {n: /a}\n  bb: *a\n";
    EXPECT_EQ(read_yaml(text, file)->mappings.size(), 2U);
    const auto edited = edit_yaml(text, {RemoveMapping{"bb"}}, file);
    ASSERT_FALSE(edited);
    EXPECT_EQ(edited.error().code(), ENOTSUP);
    EXPECT_EQ(edited.error().place(), (Place{file, 3, {}}));
    EXPECT_FALSE(edited.error().remedy().empty());
}

TEST(YamlEdit, RefusesAMappingThatBreaksTheRules) {
    auto bad = example();
    bad.paths[0].path = "relative";
    EXPECT_EQ(edit_yaml(commented, {PutMapping{bad}}, file).error().code(), EINVAL);
    bad = example();
    bad.description = "\xe4";
    EXPECT_EQ(edit_yaml(commented, {PutMapping{bad}}, file).error().place().key, "description");
    bad = example();
    bad.id = "aa\n";
    EXPECT_EQ(edit_yaml(commented, {PutMapping{bad}}, file).error().code(), EINVAL);
}

TEST(YamlEdit, QuotesIdsAndNodesThatOtherReadersTakeForBooleansOrNumbers) {
    auto odd = example();
    odd.id = "yes";
    odd.paths = {{"1", "/a"}, {"no", "/b"}, {"0x1f", "/c"}};
    const auto edited = put("", odd);
    EXPECT_NE(edited.find("  \"yes\":\n"), std::string::npos) << edited;
    EXPECT_NE(edited.find("      \"1\": /a\n      \"no\": /b\n      \"0x1f\": /c\n"),
              std::string::npos)
        << edited;
    EXPECT_EQ(read_one(edited, "yes"), odd);
}

} // namespace
} // namespace vfskit::store
