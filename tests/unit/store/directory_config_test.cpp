// SPDX-License-Identifier: Apache-2.0
#include "core/store/directory_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::store {
namespace {

using mapping::DirectoryMapping;
using mapping::NodePath;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* file_name = "directory.cfg";

DirectoryMapping mapping_of(std::string id, std::vector<NodePath> paths) {
    DirectoryMapping mapping;
    mapping.id = std::move(id);
    mapping.paths = std::move(paths);
    return mapping;
}

std::vector<std::string> messages(const DirectoryConfig& config) {
    std::vector<std::string> result;
    for (const auto& notice : config.notices) {
        result.push_back(std::to_string(notice.place.line) + ": " + notice.message);
    }
    return result;
}

struct MapCase {
    const char* name;
    std::string value;
    bool is_valid;
    NodePath entry;
};
std::ostream& operator<<(std::ostream& out, const MapCase& c) {
    return out << c.name;
}

class MapValue : public testing::TestWithParam<MapCase> {};

TEST_P(MapValue, IsReadAsProxmoxReadsIt) {
    const auto& expected = GetParam();
    const auto entry = parse_map_value(expected.value);
    ASSERT_EQ(entry.has_value(), expected.is_valid);
    EXPECT_EQ(entry ? *entry : NodePath{}, expected.entry);
}

// Each was given to PVE::JSONSchema::parse_property_string with the format of PVE::Mapping::Dir.
INSTANTIATE_TEST_SUITE_P(
    Oddities,
    MapValue,
    testing::Values(
        MapCase{"NodeFirst", "node=n1,path=/x", true, {"n1", "/x"}},
        MapCase{"PathFirst", "path=/x,node=n1", true, {"n1", "/x"}},
        MapCase{"TrailingComma", "node=n1,path=/x,", true, {"n1", "/x"}},
        MapCase{"BlankPart", "node=n1, \t,path=/x", true, {"n1", "/x"}},
        MapCase{"PathWithEquals", "node=n1,path=/x=y", true, {"n1", "/x=y"}},
        MapCase{"PathWithBlanks", "node=n1,path=/a b ", true, {"n1", "/a b "}},
        MapCase{"OddPathAfterFirstCharacter", "node=n1,path=/x;(=)", true, {"n1", "/x;(=)"}},
        MapCase{"ForeignBytes", "node=n1,path=/\xff\xfe", true, {"n1", "/\xff\xfe"}},
        MapCase{"NodeZero", "node=0,path=/0", true, {"0", "/0"}},
        MapCase{"DoubledSlash", "node=n1,path=//", true, {"n1", "//"}},
        MapCase{"BlankBeforeKey", "node=n1, path=/x", false, {}},
        MapCase{"DuplicateNode", "node=n1,path=/x,node=n1", false, {}},
        MapCase{"UnknownKey", "node=n1,path=/x,foo=1", false, {}},
        MapCase{"ValueWithoutKey", "node=n1,path=/x,foo", false, {}},
        MapCase{"EmptyValue", "node=,path=/x", false, {}},
        MapCase{"EmptyKey", "=n1,path=/x", false, {}},
        MapCase{"NoPath", "node=n1", false, {}},
        MapCase{"NoNode", "path=/x", false, {}},
        MapCase{"Empty", "", false, {}},
        MapCase{"RootOnly", "node=n1,path=/", false, {}},
        MapCase{"RelativePath", "node=n1,path=x", false, {}},
        MapCase{"ParenthesisFirst", "node=n1,path=/(x", false, {}},
        MapCase{"NodeWithUnderscore", "node=n_1,path=/x", false, {}},
        MapCase{"NodeEndingInHyphen", "node=n-,path=/x", false, {}}),
    [](const auto& test) { return test.param.name; });

TEST(MapValueFormat, PutsAPathWithATrailingBlankFirst) {
    const auto value = format_map_value({"n1", "/x "});
    ASSERT_TRUE(value);
    EXPECT_EQ(*value, "path=/x ,node=n1");
}

TEST(MapValueFormat, RefusesAComma) {
    const auto value = format_map_value({"n1", "/a,b"});
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code(), EINVAL);
}

TEST(MapValueFormat, RefusesACarriageReturn) {
    EXPECT_FALSE(format_map_value({"n1", "/a\rb"}));
}

TEST(DirectoryConfig, ReadsAMapping) {
    const auto config = parse_directory_config(
        "media\n\tmap node=n1,path=/a\n\tmap node=n2,path=/b\n\tdescription hi # there\n\n",
        file_name);
    const auto* section = config->find("media");
    ASSERT_NE(section, nullptr);
    EXPECT_THAT(section->mapping.paths, ElementsAre(NodePath{"n1", "/a"}, NodePath{"n2", "/b"}));
    EXPECT_EQ(section->mapping.description, "hi # there");
    EXPECT_THAT(config->notices, IsEmpty());
}

TEST(DirectoryConfig, DropsABadMapLineAndKeepsTheOthers) {
    const auto config =
        parse_directory_config("media\n\tmap node=n1,path=/a\n\tmap node=n2\n\n", file_name);
    EXPECT_THAT(config->find("media")->mapping.paths, SizeIs(1));
    EXPECT_THAT(messages(*config), ElementsAre(HasSubstr("3: Proxmox VE drops 'map'")));
}

TEST(DirectoryConfig, CallsASectionWithoutValidMapLinePoison) {
    const auto config = parse_directory_config("media\n\tmap node=n2\n\n", file_name);
    ASSERT_NE(config->find("media"), nullptr);
    EXPECT_TRUE(config->find("media")->is_poison);
}

TEST(DirectoryConfig, LetsTheLastOfTwoDefinitionsWin) {
    const auto config = parse_directory_config("aa\n\tmap node=n1,path=/old\n\n"
                                               "bb\n\tmap node=n1,path=/b\n\n"
                                               "aa\n\tmap node=n1,path=/new\n\n",
                                               file_name);
    EXPECT_TRUE(config->sections[0].is_superseded);
    EXPECT_THAT(config->find("aa")->mapping.paths, ElementsAre(NodePath{"n1", "/new"}));
}

TEST(DirectoryConfig, LetsALastPoisonDefinitionWin) {
    const auto config = parse_directory_config("aa\n\tmap node=n1,path=/old\n\naa\n\n", file_name);
    EXPECT_TRUE(config->find("aa")->is_poison);
}

TEST(DirectoryConfig, TakesTheFirstOfTwoDescriptions) {
    const auto config = parse_directory_config(
        "aa\n\tdescription one\n\tdescription two\n\tmap node=n1,path=/a\n\n", file_name);
    EXPECT_EQ(config->find("aa")->mapping.description, "one");
    EXPECT_THAT(messages(*config), ElementsAre(HasSubstr("duplicate attribute")));
}

TEST(DirectoryConfig, TakesTheSecondDescriptionWhenTheFirstIsTooLong) {
    const std::string too_long(4097, 'x');
    const auto config = parse_directory_config("aa\n\tdescription " + too_long +
                                                   "\n\tdescription two\n"
                                                   "\tmap node=n1,path=/a\n\n",
                                               file_name);
    EXPECT_EQ(config->find("aa")->mapping.description, "two");
}

TEST(DirectoryConfig, WarnsOfAnUnknownKeyAndKeepsTheSection) {
    const auto config =
        parse_directory_config("aa\n\tfoo bar\n\tmap node=n1,path=/a\n\n", file_name);
    EXPECT_FALSE(config->find("aa")->is_poison);
    EXPECT_THAT(messages(*config), ElementsAre(HasSubstr("unknown property type")));
}

TEST(DirectoryConfig, ReadsOurKeysWhereTheyStand) {
    const auto config =
        parse_directory_config("aa\n\tmap node=n1,path=/a\n\tlive-migration-method find-paths\n"
                               "\tpath-relation replicas\n\n",
                               file_name);
    const auto& mapping = config->find("aa")->mapping;
    EXPECT_EQ(mapping.live_migration_method, mapping::MigrationMethod::find_paths);
    EXPECT_EQ(mapping.path_relation, mapping::PathRelation::replicas);
}

TEST(DirectoryConfig, MergesMapsOfASwallowedSection) {
    const auto config = parse_directory_config(
        "aa\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n\n", file_name);
    EXPECT_THAT(config->find("aa")->mapping.paths, SizeIs(2));
    EXPECT_EQ(config->find("bb"), nullptr);
}

// ---- edits

constexpr const char* two_sections = "# head\n"
                                     "aa\n"
                                     "    # inside\n"
                                     "    map path=/a,node=n1\n"
                                     "    map node=n2,path=/a\n"
                                     "    foo\x01 \xe4\n"
                                     "    description old\n"
                                     "\n"
                                     "bb\n"
                                     "\tmap node=n1,path=/b\n"
                                     "\n";

Result<std::string> edit(std::string content, const std::vector<SectionWish>& wishes) {
    return edit_directory_config(
        *parse_directory_config(std::move(content), file_name), file_name, wishes);
}

DirectoryMapping aa() {
    auto mapping = mapping_of("aa", {{"n1", "/a"}, {"n2", "/a"}});
    mapping.description = "old";
    return mapping;
}

TEST(DirectoryEdit, ChangesNothingWhenNothingChanges) {
    const auto edited = edit(two_sections, {{"aa", aa(), false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, two_sections);
}

TEST(DirectoryEdit, ReplacesOnlyTheMapLineThatChanged) {
    auto wanted = aa();
    wanted.paths[1].path = "/moved";
    const auto edited = edit(two_sections, {{"aa", wanted, false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited,
              "# head\naa\n    # inside\n    map path=/a,node=n1\n    map node=n2,path=/moved\n"
              "    foo\x01 \xe4\n    description old\n\nbb\n\tmap node=n1,path=/b\n\n");
}

TEST(DirectoryEdit, InsertsAMapLineInItsPlaceWithTheSectionsIndentation) {
    auto wanted = aa();
    wanted.paths.push_back({"n3", "/c"});
    const auto edited = edit(two_sections, {{"aa", wanted, false}});
    ASSERT_TRUE(edited);
    EXPECT_THAT(*edited, HasSubstr("    map node=n2,path=/a\n    map node=n3,path=/c\n    foo"));
}

TEST(DirectoryEdit, RemovesAMapLine) {
    auto wanted = aa();
    wanted.paths.erase(wanted.paths.begin());
    const auto edited = edit(two_sections, {{"aa", wanted, false}});
    ASSERT_TRUE(edited);
    EXPECT_THAT(*edited, HasSubstr("    # inside\n    map node=n2,path=/a\n    foo"));
}

TEST(DirectoryEdit, RemovesEveryDescriptionSoThatNoDeadOneComesToLife) {
    const auto edited = edit("aa\n\tmap node=n1,path=/a\n\tdescription one\n\tdescription two\n\n",
                             {{"aa", mapping_of("aa", {{"n1", "/a"}}), false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "aa\n\tmap node=n1,path=/a\n\n");
}

TEST(DirectoryEdit, AppendsANewSectionAsProxmoxWritesIt) {
    auto wanted = mapping_of("cc", {{"n1", "/c"}, {"n2", "/d"}});
    wanted.description = "new";
    wanted.live_migration_method = mapping::MigrationMethod::file_handles;
    const auto edited = edit(two_sections, {{"cc", wanted, true}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited,
              std::string{two_sections} +
                  "cc\n\tmap node=n1,path=/c\n\tmap node=n2,path=/d\n\tdescription new\n"
                  "\tlive-migration-method file-handles\n\n");
}

TEST(DirectoryEdit, KeepsOurKeysOutWhereTheyAreNotMirrored) {
    auto wanted = mapping_of("cc", {{"n1", "/c"}});
    wanted.live_migration_method = mapping::MigrationMethod::file_handles;
    const auto edited = edit("", {{"cc", wanted, false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "cc\n\tmap node=n1,path=/c\n\n");
}

TEST(DirectoryEdit, ChangesAKeyOfOursThatIsThereAlready) {
    auto wanted = mapping_of("aa", {{"n1", "/a"}});
    wanted.live_migration_method = mapping::MigrationMethod::file_handles;
    const auto edited = edit("aa\n\tmap node=n1,path=/a\n\tlive-migration-method find-paths\n\n",
                             {{"aa", wanted, false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "aa\n\tmap node=n1,path=/a\n\tlive-migration-method file-handles\n\n");
}

TEST(DirectoryEdit, RemovesAllDefinitionsOfAnId) {
    const auto edited = edit("aa\n\tmap node=n1,path=/1\n\nbb\n\tmap node=n1,path=/b\n\n"
                             "aa\n\tmap node=n1,path=/2\n\n",
                             {{"aa", std::nullopt, false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "bb\n\tmap node=n1,path=/b\n\n");
}

TEST(DirectoryEdit, CuresAPoisonSectionThatGetsAPath) {
    const auto edited = edit("aa\n\tmap node=n1\n\n", {{"aa", mapping_of("aa", {{"n1", "/a"}})}});
    ASSERT_TRUE(edited);
    EXPECT_FALSE(parse_directory_config(*edited, file_name)->find("aa")->is_poison);
}

TEST(DirectoryEdit, KeepsSomebodyElsesPoisonSection) {
    const auto edited = edit("aa\n\tmap node=n1\n\n", {{"bb", mapping_of("bb", {{"n1", "/b"}})}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "aa\n\tmap node=n1\n\nbb\n\tmap node=n1,path=/b\n\n");
}

TEST(DirectoryEdit, RefusesAMappingWithoutPathBecauseItWouldBePoison) {
    const auto edited = edit(two_sections, {{"cc", mapping_of("cc", {})}});
    ASSERT_FALSE(edited);
    EXPECT_EQ(edited.error().code(), EINVAL);
}

TEST(DirectoryEdit, RefusesADescriptionThatWouldBeTrimmed) {
    auto wanted = aa();
    wanted.description = " led by a blank";
    EXPECT_FALSE(edit(two_sections, {{"aa", wanted, false}}));
}

TEST(DirectoryEdit, RefusesADescriptionOfTooManyBytes) {
    auto wanted = aa();
    wanted.description = std::string(4097, 'x');
    EXPECT_FALSE(edit(two_sections, {{"aa", wanted, false}}));
}

TEST(DirectoryEdit, RefusesToRemoveASectionThatHasSwallowedAnother) {
    const auto edited = edit("aa\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n\n",
                             {{"aa", std::nullopt, false}});
    ASSERT_FALSE(edited);
    EXPECT_THAT(edited.error().message(), HasSubstr("swallowed mapping 'bb'"));
    EXPECT_EQ(edited.error().place().line, 3U);
}

TEST(DirectoryEdit, RefusesToRemoveSwallowedMapLines) {
    const auto edited = edit("aa\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n\n",
                             {{"aa", mapping_of("aa", {{"n1", "/a"}}), false}});
    EXPECT_FALSE(edited);
}

TEST(DirectoryEdit, ChangesOwnLinesOfASectionThatHasSwallowedAnother) {
    const auto edited = edit("aa\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n\n",
                             {{"aa", mapping_of("aa", {{"n1", "/new"}, {"n2", "/b"}}), false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "aa\n\tmap node=n1,path=/new\nbb\n\tmap node=n2,path=/b\n\n");
}

TEST(DirectoryEdit, EndsAnUnfinishedFileBeforeANewSection) {
    const auto edited =
        edit("aa\n\tmap node=n1,path=/a", {{"bb", mapping_of("bb", {{"n1", "/b"}})}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "aa\n\tmap node=n1,path=/a\n\nbb\n\tmap node=n1,path=/b\n\n");
}

TEST(DirectoryEdit, AppliesManyWishesAtOnce) {
    const auto edited = edit(two_sections,
                             {{"aa", std::nullopt, false},
                              {"cc", mapping_of("cc", {{"n1", "/c"}}), false},
                              {"bb", mapping_of("bb", {{"n1", "/b2"}}), false}});
    ASSERT_TRUE(edited);
    EXPECT_EQ(*edited, "# head\nbb\n\tmap node=n1,path=/b2\n\ncc\n\tmap node=n1,path=/c\n\n");
}

} // namespace
} // namespace vfskit::store
