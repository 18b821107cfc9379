// SPDX-License-Identifier: Apache-2.0
#include "core/mapping/mapping.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::mapping {
namespace {

using namespace std::string_literals;

DirectoryMapping media() {
    DirectoryMapping mapping;
    mapping.id = "media";
    mapping.paths = {{"n1", "/srv/media"}, {"n2", "/mnt/media"}};
    return mapping;
}

bool is_dirid(std::string_view id, Rules rules) {
    return validate_dirid(id, rules).has_value();
}
bool is_node(std::string_view node, Rules rules) {
    return validate_node(node, rules).has_value();
}
bool is_path(std::string_view path, Rules rules) {
    return validate_path(path, rules).has_value();
}
bool is_description(std::string_view text, Rules rules) {
    return validate_description(text, rules).has_value();
}

TEST(MigrationMethod, IsSpelledAsInEveryFile) {
    EXPECT_EQ(to_string(MigrationMethod::find_paths), "find-paths");
    EXPECT_EQ(to_string(MigrationMethod::file_handles), "file-handles");
    EXPECT_EQ(to_string(MigrationMethod::fd_passing), "fd-passing");
}

TEST(MigrationMethod, IsParsedBack) {
    EXPECT_EQ(*parse_migration_method("find-paths"), MigrationMethod::find_paths);
    EXPECT_EQ(*parse_migration_method("file-handles"), MigrationMethod::file_handles);
    EXPECT_EQ(*parse_migration_method("fd-passing"), MigrationMethod::fd_passing);
}

TEST(MigrationMethod, ErrorNamesValueKeyAndTheWordThatWasMeant) {
    const auto parsed = parse_migration_method("find-path");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code(), EINVAL);
    EXPECT_EQ(parsed.error().describe(),
              "key 'live-migration-method': 'find-path' is not one of find-paths, file-handles, "
              "fd-passing. Did you mean 'find-paths'?");
}

TEST(MigrationMethod, ErrorListsTheWordsWhenNoneIsNear) {
    EXPECT_EQ(parse_migration_method("postcopy").error().remedy(),
              "Use one of find-paths, file-handles, fd-passing");
}

TEST(MigrationMethod, IsParsedWithCaseAndWithoutBlanks) {
    EXPECT_FALSE(parse_migration_method("Find-Paths"));
    EXPECT_FALSE(parse_migration_method("find-paths "));
    EXPECT_FALSE(parse_migration_method("find_paths"));
    EXPECT_FALSE(parse_migration_method(""));
}

TEST(PathRelation, IsSpelledAndParsed) {
    EXPECT_EQ(to_string(PathRelation::same_directory), "same-directory");
    EXPECT_EQ(to_string(PathRelation::replicas), "replicas");
    EXPECT_EQ(*parse_path_relation("same-directory"), PathRelation::same_directory);
    EXPECT_EQ(*parse_path_relation("replicas"), PathRelation::replicas);
    EXPECT_EQ(parse_path_relation("replica").error().remedy(), "Did you mean 'replicas'?");
}

TEST(FindPath, GivesTheFirstEntryOfTheNode) {
    auto mapping = media();
    mapping.paths.push_back({"n1", "/second"});
    EXPECT_EQ(find_path(mapping, "n1"), "/srv/media");
    EXPECT_EQ(find_path(mapping, "n3"), std::nullopt);
    EXPECT_EQ(find_path(mapping, "N1"), std::nullopt);
}

TEST(Dirid, NeedsALetterAndOneMoreCharacter) {
    EXPECT_TRUE(is_dirid("ab", Rules::pve));
    EXPECT_TRUE(is_dirid("a-", Rules::pve));
    EXPECT_TRUE(is_dirid("Z_9", Rules::pve));
    EXPECT_FALSE(is_dirid("", Rules::pve));
    EXPECT_FALSE(is_dirid("a", Rules::pve));
    EXPECT_FALSE(is_dirid("1a", Rules::pve));
    EXPECT_FALSE(is_dirid("_a", Rules::pve));
    EXPECT_FALSE(is_dirid("-a", Rules::pve));
}

TEST(Dirid, HasNoOtherCharacters) {
    EXPECT_FALSE(is_dirid("a.b", Rules::pve));
    EXPECT_FALSE(is_dirid("a b", Rules::pve));
    EXPECT_FALSE(is_dirid("a/b", Rules::pve));
    EXPECT_FALSE(is_dirid("a\xc3\xa4", Rules::pve));
    EXPECT_FALSE(is_dirid("ab\0"s, Rules::pve));
}

TEST(Dirid, MayEndInOneLineFeedAsPerlReadsIt) {
    EXPECT_TRUE(is_dirid("ab\n", Rules::pve));
    EXPECT_FALSE(is_dirid("ab\n\n", Rules::pve));
    EXPECT_FALSE(is_dirid("a\n", Rules::pve));
    EXPECT_FALSE(is_dirid("ab\nc", Rules::pve));
    EXPECT_FALSE(is_dirid("ab\n", Rules::strict));
}

TEST(Dirid, FitsATagUnderStrictRules) {
    EXPECT_TRUE(is_dirid(std::string(36, 'a'), Rules::strict));
    EXPECT_FALSE(is_dirid(std::string(37, 'a'), Rules::strict));
    EXPECT_TRUE(is_dirid(std::string(5000, 'a'), Rules::pve));
}

TEST(Dirid, ErrorNamesValueKeyAndRemedy) {
    EXPECT_EQ(validate_dirid("a b", Rules::strict).error().describe(),
              "key 'id': 'a b' is not an id: it begins with a letter and goes on with at least one "
              "letter, digit, '_' or '-'. Choose an id such as 'media' or 'home-1'");
}

TEST(Node, IsOneHostLabel) {
    EXPECT_TRUE(is_node("n", Rules::pve));
    EXPECT_TRUE(is_node("1", Rules::pve));
    EXPECT_TRUE(is_node("pve-node-1", Rules::pve));
    EXPECT_TRUE(is_node("a--b", Rules::pve));
    EXPECT_FALSE(is_node("", Rules::pve));
    EXPECT_FALSE(is_node("-a", Rules::pve));
    EXPECT_FALSE(is_node("a-", Rules::pve));
    EXPECT_FALSE(is_node("-", Rules::pve));
    EXPECT_FALSE(is_node("a_b", Rules::pve));
    EXPECT_FALSE(is_node("n1.example.org", Rules::pve));
}

TEST(Node, MayEndInOneLineFeedAsPerlReadsIt) {
    EXPECT_TRUE(is_node("n\n", Rules::pve));
    EXPECT_FALSE(is_node("\n", Rules::pve));
    EXPECT_FALSE(is_node("n\n\n", Rules::pve));
    EXPECT_FALSE(is_node("n\n", Rules::strict));
}

TEST(Node, HasAtMost63BytesUnderStrictRules) {
    EXPECT_TRUE(is_node(std::string(63, 'n'), Rules::strict));
    EXPECT_FALSE(is_node(std::string(64, 'n'), Rules::strict));
    EXPECT_TRUE(is_node(std::string(64, 'n'), Rules::pve));
}

TEST(Path, NeedsASlashAndOneAllowedCharacter) {
    EXPECT_TRUE(is_path("/a", Rules::pve));
    EXPECT_FALSE(is_path("", Rules::pve));
    EXPECT_FALSE(is_path("/", Rules::pve));
    EXPECT_FALSE(is_path("srv", Rules::pve));
    EXPECT_FALSE(is_path(" /srv", Rules::pve));
    EXPECT_FALSE(is_path("/;x", Rules::pve));
    EXPECT_FALSE(is_path("/,x", Rules::pve));
    EXPECT_FALSE(is_path("/=x", Rules::pve));
    EXPECT_FALSE(is_path("/(x", Rules::pve));
    EXPECT_FALSE(is_path("/)x", Rules::pve));
}

TEST(Path, IsNotCheckedBehindItsSecondCharacterByPve) {
    EXPECT_TRUE(is_path("/a;b", Rules::pve));
    EXPECT_TRUE(is_path("/a,b", Rules::pve));
    EXPECT_TRUE(is_path("/a=b", Rules::pve));
    EXPECT_TRUE(is_path("/a(b)", Rules::pve));
    EXPECT_TRUE(is_path("//", Rules::pve));
    EXPECT_TRUE(is_path("//x/../y", Rules::pve));
    EXPECT_TRUE(is_path("/a\0b"s, Rules::pve));
    EXPECT_TRUE(is_path("/\n", Rules::pve));
    EXPECT_TRUE(is_path("/\xff", Rules::pve));
    EXPECT_TRUE(is_path("/ ", Rules::pve));
}

TEST(Path, HasNoSeparatorsUnderStrictRules) {
    EXPECT_FALSE(is_path("/a;b", Rules::strict));
    EXPECT_FALSE(is_path("/a,b", Rules::strict));
    EXPECT_FALSE(is_path("/a=b", Rules::strict));
    EXPECT_FALSE(is_path("/a(b", Rules::strict));
    EXPECT_FALSE(is_path("/a)b", Rules::strict));
}

TEST(Path, IsNormalisedUnderStrictRules) {
    EXPECT_TRUE(is_path("/srv/media", Rules::strict));
    EXPECT_TRUE(is_path("/srv/..media/.hidden/...", Rules::strict));
    EXPECT_FALSE(is_path("//", Rules::strict));
    EXPECT_FALSE(is_path("//srv", Rules::strict));
    EXPECT_FALSE(is_path("/srv//media", Rules::strict));
    EXPECT_FALSE(is_path("/srv/", Rules::strict));
    EXPECT_FALSE(is_path("/srv/.", Rules::strict));
    EXPECT_FALSE(is_path("/./srv", Rules::strict));
    EXPECT_FALSE(is_path("/srv/../etc", Rules::strict));
    EXPECT_FALSE(is_path("/..", Rules::strict));
}

TEST(Path, IsPrintableUnderStrictRules) {
    EXPECT_TRUE(is_path("/srv/my films", Rules::strict));
    EXPECT_TRUE(is_path("/srv/\xc3\xa4", Rules::strict));
    EXPECT_FALSE(is_path("/srv/x ", Rules::strict));
    EXPECT_FALSE(is_path("/srv/x\t", Rules::strict));
    EXPECT_FALSE(is_path("/srv/\nx", Rules::strict));
    EXPECT_FALSE(is_path("/srv/\x7f", Rules::strict));
    EXPECT_FALSE(is_path("/srv/\0x"s, Rules::strict));
    EXPECT_FALSE(is_path("/srv/\xff", Rules::strict));
}

TEST(Path, HasAtMost4095BytesUnderStrictRules) {
    EXPECT_TRUE(is_path("/" + std::string(4094, 'a'), Rules::strict));
    EXPECT_FALSE(is_path("/" + std::string(4095, 'a'), Rules::strict));
    EXPECT_TRUE(is_path("/" + std::string(4095, 'a'), Rules::pve));
}

TEST(Path, ErrorShowsForeignBytesEscaped) {
    EXPECT_NE(validate_path("/srv/\xff", Rules::strict).error().message().find("'/srv/\\xff'"),
              std::string::npos);
    EXPECT_NE(validate_path("a\nb", Rules::pve).error().message().find("'a\\nb'"),
              std::string::npos);
}

TEST(Description, HasAtMost4096Bytes) {
    EXPECT_TRUE(is_description(std::string(4096, 'x'), Rules::pve));
    EXPECT_FALSE(is_description(std::string(4097, 'x'), Rules::pve));
    EXPECT_TRUE(is_description(std::string(4096, 'x'), Rules::strict));
    EXPECT_FALSE(is_description(std::string(4097, 'x'), Rules::strict));
}

TEST(Description, IsOneLine) {
    EXPECT_FALSE(is_description("a\nb", Rules::pve));
    EXPECT_FALSE(is_description("a\n", Rules::pve));
    EXPECT_TRUE(is_description("a\rb", Rules::pve));
    EXPECT_FALSE(is_description("a\rb", Rules::strict));
}

TEST(Description, IsWhatARereadGivesBackUnderStrictRules) {
    EXPECT_TRUE(is_description("Films # of \xc3\xa4ll", Rules::strict));
    EXPECT_FALSE(is_description("", Rules::strict));
    EXPECT_FALSE(is_description(" a", Rules::strict));
    EXPECT_FALSE(is_description("a ", Rules::strict));
    EXPECT_FALSE(is_description("a\t", Rules::strict));
    EXPECT_FALSE(is_description("a\tb", Rules::strict));
    EXPECT_FALSE(is_description("\xe4", Rules::strict));
    EXPECT_TRUE(is_description(" a\xe4 ", Rules::pve));
    EXPECT_TRUE(is_description("", Rules::pve));
}

TEST(Mapping, IsValidWithAnIdAndOnePath) {
    auto mapping = media();
    mapping.paths.resize(1);
    EXPECT_TRUE(validate(mapping, Rules::strict));
}

TEST(Mapping, NeedsAPath) {
    auto mapping = media();
    mapping.paths.clear();
    const auto valid = validate(mapping, Rules::pve);
    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().describe(),
              "key 'nodes': Mapping 'media': No node has a path. Give the path of the directory on "
              "at least one node");
}

TEST(Mapping, HasOnePathPerNode) {
    auto mapping = media();
    mapping.paths.push_back({"n1", "/srv/media"});
    const auto valid = validate(mapping, Rules::pve);
    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().message(), "Mapping 'media': Node 'n1' has 2 paths");
    EXPECT_EQ(valid.error().place().key, "node");
}

TEST(Mapping, HasOnePathPerNodeInAnyOrder) {
    auto mapping = media();
    mapping.paths = {{"n10", "/a"}, {"n9", "/a"}, {"n2", "/a"}, {"n9", "/b"}, {"n11", "/a"}};
    EXPECT_EQ(validate(mapping, Rules::pve).error().message(),
              "Mapping 'media': Node 'n9' has 2 paths");
    mapping.paths[3].node = "n8";
    EXPECT_TRUE(validate(mapping, Rules::pve));
}

TEST(Mapping, ErrorNamesTheNodeWhosePathIsWrong) {
    auto mapping = media();
    mapping.paths[1].path = "relative";
    const auto error = validate(mapping, Rules::strict).error();
    EXPECT_EQ(error.place().key, "path");
    EXPECT_NE(error.message().find("Mapping 'media': Node 'n2': 'relative'"), std::string::npos);
}

TEST(Mapping, IsCheckedInEveryPart) {
    auto bad_id = media();
    bad_id.id = "m";
    EXPECT_EQ(validate(bad_id, Rules::pve).error().place().key, "id");
    auto bad_node = media();
    bad_node.paths[0].node = "a.b";
    EXPECT_EQ(validate(bad_node, Rules::pve).error().place().key, "node");
    auto bad_description = media();
    bad_description.description = "a\nb";
    EXPECT_EQ(validate(bad_description, Rules::pve).error().place().key, "description");
}

TEST(Mapping, HasNoHandlesBetweenReplicasUnderStrictRules) {
    auto mapping = media();
    mapping.path_relation = PathRelation::replicas;
    mapping.live_migration_method = MigrationMethod::file_handles;
    const auto valid = validate(mapping, Rules::strict);
    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().place().key, "live-migration-method");
    EXPECT_TRUE(validate(mapping, Rules::pve));
    mapping.live_migration_method = MigrationMethod::find_paths;
    EXPECT_TRUE(validate(mapping, Rules::strict));
    mapping.live_migration_method = MigrationMethod::file_handles;
    mapping.path_relation = PathRelation::same_directory;
    EXPECT_TRUE(validate(mapping, Rules::strict));
}

} // namespace
} // namespace vfskit::mapping
