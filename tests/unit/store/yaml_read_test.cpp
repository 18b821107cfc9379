// SPDX-License-Identifier: Apache-2.0
// What is refused, with which place and remedy.
#include "core/store/yaml_content.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::store {
namespace {

Error read_error(std::string_view text) {
    auto content = read_yaml(text, "m.yaml");
    EXPECT_FALSE(content);
    return content ? Error{0, "no error"} : std::move(content).error();
}

std::string describe(std::string_view text) {
    const auto error = read_error(text);
    EXPECT_EQ(error.code(), EBADMSG);
    return error.describe();
}

std::string with_body(std::string_view body) {
    return "version: 1\nmappings:\n  media:\n" + std::string{body};
}

TEST(YamlRead, AcceptsAFileOfComments) {
    EXPECT_TRUE(read_yaml("", "m")->mappings.empty());
    EXPECT_TRUE(read_yaml("# nothing\n\n", "m")->mappings.empty());
    EXPECT_TRUE(read_yaml("---\n", "m")->mappings.empty());
    EXPECT_TRUE(read_yaml("version: 1\n", "m")->mappings.empty());
    EXPECT_TRUE(read_yaml("version: 1\nmappings:\n", "m")->mappings.empty());
    EXPECT_TRUE(read_yaml("version: 1\nmappings: {}\n", "m")->mappings.empty());
}

TEST(YamlRead, NamesKeyAndLinesOfADuplicate) {
    EXPECT_EQ(describe(with_body("    nodes: {n: /a}\n  media:\n    nodes: {n: /a}\n")),
              "m.yaml:5: key 'media': It is defined a second time; the first is in line 3. Remove "
              "or rename one of the two");
    EXPECT_EQ(read_error(with_body("    nodes:\n      n: /a\n      n: /b\n")).place(),
              (Place{"m.yaml", 6, "n"}));
    EXPECT_EQ(read_error(with_body("    nodes: {n: /a, n: /b}\n")).place(),
              (Place{"m.yaml", 4, "n"}));
    EXPECT_EQ(read_error("version: 1\nversion: 1\n").place(), (Place{"m.yaml", 2, "version"}));
    EXPECT_EQ(read_error(with_body("    x: 1\n    nodes: {n: /a}\n    x: 2\n")).place(),
              (Place{"m.yaml", 6, "x"}));
}

TEST(YamlRead, NamesTheLineOfAWrongType) {
    EXPECT_EQ(describe(with_body("    nodes:\n      - n: /a\n")),
              "m.yaml:4: key 'nodes': It is a list, nodes with their paths are expected. Write "
              "'NODE: /path' on a line of its own below it, indented deeper");
    EXPECT_EQ(read_error(with_body("    nodes:\n      n: [/a]\n")).place(),
              (Place{"m.yaml", 5, "n"}));
    EXPECT_EQ(read_error(with_body("    description: {a: b}\n    nodes: {n: /a}\n")).place(),
              (Place{"m.yaml", 4, "description"}));
    EXPECT_EQ(read_error("version: 1\nmappings: [media]\n").place(),
              (Place{"m.yaml", 2, "mappings"}));
    EXPECT_EQ(read_error("- media\n").place(), (Place{"m.yaml", 1, {}}));
    EXPECT_EQ(read_error("version: 1\nmappings:\n  media: /srv\n").place(),
              (Place{"m.yaml", 3, "media"}));
}

TEST(YamlRead, NamesTheLineOfAMissingValue) {
    EXPECT_EQ(read_error("version: 1\nmappings:\n  media:\n").place(),
              (Place{"m.yaml", 3, "media"}));
    EXPECT_EQ(describe(with_body("    description:\n    nodes: {n: /a}\n")),
              "m.yaml:4: key 'description': Its value is empty, a text is expected. Give it a "
              "value, or remove the key");
    EXPECT_EQ(read_error(with_body("    nodes:\n      n: ~\n")).place(), (Place{"m.yaml", 5, "n"}));
    EXPECT_EQ(read_error(with_body("    description: x\n")).place(), (Place{"m.yaml", 3, "media"}));
    EXPECT_EQ(read_error(with_body("    nodes: {}\n")).place(), (Place{"m.yaml", 3, "media"}));
}

TEST(YamlRead, RefusesOtherVersions) {
    EXPECT_EQ(describe("version: 2\nmappings: {}\n"),
              "m.yaml:1: key 'version': Version '2' is not known. Write 'version: 1' (a number), "
              "or use a newer vfskit for this file");
    EXPECT_EQ(read_error("version: \"1\"\n").place().key, "version");
    EXPECT_EQ(describe("mappings: {}\n"),
              "m.yaml:1: key 'version': It is missing. Write 'version: 1' as the first line");
}

TEST(YamlRead, NamesTheLineOfAValueThatBreaksARule) {
    EXPECT_EQ(describe(with_body("    live-migration-method: find-path\n    nodes: {n: /a}\n")),
              "m.yaml:4: key 'live-migration-method': 'find-path' is not one of find-paths, "
              "file-handles, fd-passing. Did you mean 'find-paths'?");
    EXPECT_EQ(read_error(with_body("    nodes:\n      n: srv\n")).place(),
              (Place{"m.yaml", 5, "n"}));
    EXPECT_EQ(read_error(with_body("    nodes:\n      n.example.org: /srv\n")).place(),
              (Place{"m.yaml", 5, "n.example.org"}));
    EXPECT_EQ(read_error("version: 1\nmappings:\n  a b:\n    nodes: {n: /a}\n").place(),
              (Place{"m.yaml", 3, "a b"}));
    EXPECT_EQ(read_error(with_body("    path-relation: same\n    nodes: {n: /a}\n")).place(),
              (Place{"m.yaml", 4, "path-relation"}));
    EXPECT_EQ(
        read_error(with_body("    description: |\n      a\n      b\n    nodes: {n: /a}\n")).place(),
        (Place{"m.yaml", 4, "description"}));
}

TEST(YamlRead, ExplainsTabs) {
    const auto error = read_error(with_body("\tnodes:\n\t\tn: /a\n"));
    EXPECT_EQ(error.place().line, 4U) << error.describe();
    EXPECT_EQ(error.remedy(), "Indent with blanks: YAML does not allow tabs there");
}

TEST(YamlRead, NamesTheLineOfASyntaxError) {
    EXPECT_EQ(read_error("version: 1\nmappings:\n  media: {nodes: {n: /a}\n").code(), EBADMSG);
    EXPECT_EQ(read_error(with_body("    nodes: {n: /a}\n    description: a: b\n")).place().line,
              5U);
    EXPECT_EQ(read_error("version: 1\n a\n").code(), EBADMSG);
}

TEST(YamlRead, NamesTheLineOfForeignBytes) {
    EXPECT_EQ(read_error("version: 1\n# \xe4\n").place(), (Place{"m.yaml", 2, {}}));
    EXPECT_EQ(read_error("version: 1\n# \x01\n").place(), (Place{"m.yaml", 2, {}}));
    EXPECT_EQ(read_error(std::string_view{"version: 1\n\0", 12}).place(), (Place{"m.yaml", 2, {}}));
}

// They are looked for in blocks: wherever in one they stand, and in what is left behind the last.
class ForbiddenByte : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(AtEveryPlace, ForbiddenByte, testing::Range<std::size_t>(0, 140));

TEST_P(ForbiddenByte, IsFound) {
    const std::string begin = "version: 1\n# ";
    for (const char forbidden : {'\x01', '\x1f', '\x7f', '\r'}) {
        auto comment = std::string(140, '-');
        comment[GetParam()] = forbidden;
        EXPECT_EQ(read_error(begin + comment + "-\n").place(), (Place{"m.yaml", 2, {}}))
            << static_cast<int>(forbidden);
    }
}

TEST(YamlRead, TakesTabsAndBytesBeyondAsciiInLongComments) {
    const auto text = "version: 1\n# " + std::string(100, '\t') + "\xc3\xa4" +
                      std::string(100, '~') + "\r\nmappings: {}\r\n";
    EXPECT_TRUE(read_yaml(text, "m.yaml"));
}

TEST(YamlRead, RefusesSeveralDocumentsAndMergeKeys) {
    EXPECT_EQ(read_error("version: 1\n---\nversion: 1\n").code(), EBADMSG);
    EXPECT_EQ(
        read_error("version: 1\nx: &x {nodes: {n: /a}}\nmappings:\n  media:\n    <<: *x\n").place(),
        (Place{"m.yaml", 5, "<<"}));
}

TEST(YamlRead, RefusesACarriageReturnThatEndsNoLine) {
    EXPECT_EQ(
        describe("version: 1\r\nmappings: {}\n# a\rb\n"),
        "m.yaml:3: The line contains the control character 0x0d. Remove it, or write it as an "
        "escape in double quotes");
    EXPECT_EQ(read_error("version: 1\r").place().line, 1U);
}

TEST(YamlRead, RefusesAKeyThatIsNoText) {
    EXPECT_EQ(read_error("version: 1\nmappings:\n  null:\n    nodes: {n: /a}\n").place().line, 3U);
    EXPECT_EQ(read_error("version: 1\n? [a]\n: b\n").place().line, 2U);
}

TEST(YamlRead, ReadsAliasesAndWhatElseYamlHas) {
    const auto content = read_yaml(
        "version: 1\nmappings:\n  aa: &x\n    nodes: &n\n      n1: \"/a\\x41\n        b\"\n"
        "  bb: *x\n  cc: {nodes: *n,\n description: 'two\n lines'}\n",
        "m");
    ASSERT_TRUE(content) << content.error().describe();
    ASSERT_EQ(content->mappings.size(), 3U);
    EXPECT_EQ(content->mappings[0].paths[0].path, "/aA b");
    EXPECT_EQ(content->mappings[1].paths, content->mappings[0].paths);
    EXPECT_EQ(content->mappings[2].description, "two lines");
}

TEST(YamlRead, TakesEveryScalarAsItsText) {
    const auto content = read_yaml(with_body("    description: 012\n    nodes: {1: /a}\n"), "m");
    ASSERT_TRUE(content);
    EXPECT_EQ(content->mappings[0].description, "012");
    EXPECT_EQ(content->mappings[0].paths[0].node, "1");
}

TEST(YamlRead, NoticesUnknownKeysInOrder) {
    const auto content = read_yaml(
        "mapping: 1\nversion: 1\nmappings:\n  aa:\n    Nodes: 1\n    nodes: {n: /a}\nz: 1\n", "m");
    ASSERT_TRUE(content);
    ASSERT_EQ(content->notices.size(), 3U);
    EXPECT_EQ(content->notices[0].message,
              "Unknown key 'mapping' is kept and ignored; did you mean 'mappings'?");
    EXPECT_EQ(content->notices[1].place, (Place{"m", 5, "Nodes"}));
    EXPECT_EQ(content->notices[2].message, "Unknown key 'z' is kept and ignored");
}

TEST(ReadYaml, NamesAMisspeltNodesKey) {
    const auto content =
        read_yaml("version: 1\nmappings:\n  media:\n    nods:\n      n1: /a\n", "m.yaml");
    ASSERT_FALSE(content);
    EXPECT_EQ(content.error().place().line, 4U);
    EXPECT_EQ(content.error().place().key, "nods");
    EXPECT_EQ(content.error().remedy(), "Did you mean 'nodes'?");
}

} // namespace
} // namespace vfskit::store
