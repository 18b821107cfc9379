// SPDX-License-Identifier: Apache-2.0
#include "core/store/section_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const HeaderRule any_header = [](std::string_view) { return Result<void>{}; };

std::vector<std::string> ids(const SectionFile& file) {
    std::vector<std::string> result;
    for (const auto& section : file.sections) {
        result.emplace_back(section.id);
    }
    return result;
}

TEST(SectionConfig, ReadsAnEmptyFile) {
    const auto file = parse_sections("", any_header);
    EXPECT_THAT(file.lines, IsEmpty());
    EXPECT_TRUE(file.ends_with_line_feed);
    EXPECT_FALSE(file.ends_inside_section);
}

TEST(SectionConfig, ReadsHeaderAndProperties) {
    const auto file = parse_sections("media\n\tmap a=1\n\tdescription two words\n\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("media"));
    const auto& section = file.sections[0];
    ASSERT_THAT(section.properties, SizeIs(2));
    EXPECT_EQ(section.properties[0].key, "map");
    EXPECT_EQ(section.properties[0].value, "a=1");
    EXPECT_EQ(section.properties[1].value, "two words");
    EXPECT_EQ(section.end, 3U);
}

TEST(SectionConfig, SkipsCommentsAlsoInsideASection) {
    const auto file = parse_sections("# top\naa\n  # in\n\t#in\n\tk v\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("aa"));
    EXPECT_THAT(file.sections[0].properties, SizeIs(1));
    EXPECT_THAT(file.sections[0].ignored, IsEmpty());
}

TEST(SectionConfig, EndsASectionAtALineOfZero) {
    const auto file = parse_sections("aa\n\tk 1\n0\nbb\n\tk 2\n", any_header);
    EXPECT_THAT(ids(file), ElementsAre("aa", "bb"));
}

TEST(SectionConfig, DoesNotEndASectionAtTwoZeros) {
    const auto file = parse_sections("aa\n\tk 1\n00\n\tk 2\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("aa"));
    EXPECT_THAT(file.sections[0].ignored, ElementsAre(2U));
    EXPECT_THAT(file.sections[0].properties, SizeIs(2));
}

TEST(SectionConfig, DoesNotEndASectionAtALineOfBlanks) {
    const auto file = parse_sections("aa\n\tk 1\n \t\n\tk 2\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("aa"));
    EXPECT_THAT(file.sections[0].ignored, ElementsAre(2U));
}

TEST(SectionConfig, MergesASectionWhoseEmptyLineIsMissing) {
    const auto file = parse_sections("aa\n\tk 1\nbb\n\tk 2\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("aa"));
    EXPECT_THAT(file.sections[0].ignored, ElementsAre(2U));
    EXPECT_THAT(file.sections[0].properties, SizeIs(2));
}

TEST(SectionConfig, MergesAllSectionsOfAFileWithCarriageReturns) {
    const auto file = parse_sections("aa\r\n\tk 1\r\n\r\nbb\r\n\tk 2\r\n", any_header);
    ASSERT_THAT(ids(file), ElementsAre("aa"));
    EXPECT_EQ(file.sections[0].properties[0].value, "1");
    EXPECT_THAT(file.sections[0].ignored, ElementsAre(2U, 3U));
}

TEST(SectionConfig, ReadsALastLineWithoutLineFeed) {
    const auto file = parse_sections("aa\n\tk 1", any_header);
    EXPECT_FALSE(file.ends_with_line_feed);
    EXPECT_TRUE(file.ends_inside_section);
    EXPECT_EQ(file.sections[0].properties[0].value, "1");
}

TEST(SectionConfig, TakesIndentedLinesOutsideASectionForJunk) {
    const auto file = parse_sections("\tk 1\naa bb\ndir: aa\n", any_header);
    EXPECT_THAT(file.sections, IsEmpty());
    EXPECT_THAT(file.ignored, ElementsAre(0U, 1U, 2U));
}

TEST(SectionConfig, GivesAKeyWithoutValue) {
    const auto file = parse_sections("aa\n\tk  \n", any_header);
    EXPECT_EQ(file.sections[0].properties[0].value, std::nullopt);
}

TEST(SectionConfig, SkipsASectionWithABadHeaderUpToTheEmptyLine) {
    const HeaderRule rule = [](std::string_view word) {
        return word == "bad" ? Result<void>{Error{EINVAL, "no"}} : Result<void>{};
    };
    const auto file = parse_sections("bad\n\tk 1\naa\n\nbb\n", rule);
    ASSERT_THAT(ids(file), ElementsAre("bad", "bb"));
    EXPECT_EQ(file.sections[0].problem, "no");
    EXPECT_THAT(file.sections[0].properties, IsEmpty());
}

TEST(SectionConfig, KnowsPerlsWhiteSpaceForBytes) {
    EXPECT_TRUE(is_perl_space('\x0b'));
    EXPECT_TRUE(is_perl_space('\f'));
    EXPECT_FALSE(is_perl_space('\x85'));
    EXPECT_FALSE(is_perl_space('\xa0'));
    EXPECT_FALSE(is_perl_space('\0'));
}

TEST(LineEditor, LeavesEveryByteOfOtherLines) {
    const std::string content = "# c\xe4\r\n\naa  \n   k 1\n\n\n";
    const auto file = parse_sections(content, any_header);
    LineEditor editor{file};
    editor.replace(3, "   k 2");
    EXPECT_EQ(editor.apply(any_header), "# c\xe4\r\n\naa  \n   k 2\n\n\n");
}

TEST(LineEditor, KeepsAMissingLineFeedAtTheEnd) {
    const auto file = parse_sections("aa\n\tk 1", any_header);
    LineEditor editor{file};
    editor.replace(0, "bb");
    EXPECT_EQ(editor.apply(any_header), "bb\n\tk 1");
}

TEST(LineEditor, EndsAnOpenSectionBeforeANewOne) {
    const auto file = parse_sections("aa\n\tk 1", any_header);
    LineEditor editor{file};
    editor.append_section("bb", {"k 2"});
    EXPECT_EQ(editor.apply(any_header), "aa\n\tk 1\n\nbb\n\tk 2\n\n");
}

TEST(LineEditor, AppendsDirectlyAfterAClosedSection) {
    const auto file = parse_sections("aa\n\tk 1\n\n", any_header);
    LineEditor editor{file};
    editor.append_section("bb", {"k 2"});
    EXPECT_EQ(editor.apply(any_header), "aa\n\tk 1\n\nbb\n\tk 2\n\n");
}

TEST(LineEditor, RemovesASectionWithTheLineThatEndsIt) {
    const auto file = parse_sections("# top\naa\n\tk 1\n\nbb\n\tk 2\n", any_header);
    LineEditor editor{file};
    remove_section(editor, file, file.sections[0]);
    EXPECT_EQ(editor.apply(any_header), "# top\nbb\n\tk 2\n");
}

} // namespace
} // namespace vfskit::store
