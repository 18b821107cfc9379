// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/exit_code.h"
#include "vfsctl/output/diff.h"
#include "vfsctl/output/json.h"
#include "vfsctl/output/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <sstream>

namespace vfskit::vfsctl {
namespace {

Output plain_output(std::size_t columns = 0) {
    static std::ostringstream sink;
    return Output{sink, sink, {.columns = columns}};
}

TEST(Table, MeasuresCombiningAndWideCharacters) {
    EXPECT_EQ(display_width("abc"), 3U);
    EXPECT_EQ(display_width("für"), 3U);
    EXPECT_EQ(display_width("e\xCC\x81"), 1U);
    EXPECT_EQ(display_width("共有"), 4U);
}

TEST(Table, AlignsByDisplayWidth) {
    Table table{{"A", "B"}};
    table.add({"共有", "x"});
    table.add({"ab", "y"});

    EXPECT_EQ(table.render(plain_output()), "A     B\n共有  x\nab    y\n");
}

TEST(Table, ClipsTheLastColumnOfANarrowTerminal) {
    Table table{{"ID", "DESCRIPTION"}};
    table.add({"media", "a very long description"});

    EXPECT_EQ(table.render(plain_output(17)), "ID     DESCRIPTION\nmedia  a very lo…\n");
}

TEST(Table, ClipsNothingInAPipe) {
    Table table{{"ID", "DESCRIPTION"}};
    table.add({"media", std::string(500, 'x')});

    EXPECT_THAT(table.render(plain_output()), testing::HasSubstr(std::string(500, 'x')));
}

TEST(Table, ClipsNeverInsideACharacter) {
    EXPECT_EQ(clip("共有共有", 4), "共…");
    EXPECT_EQ(clip("共有", 4), "共有");
}

TEST(Table, IsEmptyWithoutRows) {
    EXPECT_EQ(Table{{"A"}}.render(plain_output()), "");
}

TEST(Diff, ShowsWhatWentAndCame) {
    EXPECT_EQ(render_line_diff({"a", "b", "c"}, {"a", "x", "c"}, plain_output()),
              "  a\n- b\n+ x\n  c\n");
}

TEST(Diff, LeavesOutWhatIsFarFromAChange) {
    const std::string before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    const std::string after = "1\n2\n3\n4\n5\n6\nseven\n8\n9\n";

    EXPECT_EQ(render_short_diff(before, after, plain_output(), 1),
              "@@ line 6 @@\n  6\n- 7\n+ seven\n  8\n");
}

TEST(Diff, IsEmptyForEqualTexts) {
    EXPECT_EQ(render_short_diff("a\nb\n", "a\nb\n", plain_output()), "");
}

TEST(Output, ReadsBrokenUtf8AsLatin1) {
    EXPECT_EQ(to_utf8("f\xFCr"), "für");
    EXPECT_EQ(to_utf8("für"), "für");
}

TEST(Output, DefusesControlCharacters) {
    EXPECT_EQ(printable("a\tb\x7F"), "a\\x09b\\x7f");
}

TEST(Json, WritesMappingsInADocumentAsTheirValuesWouldBeWritten) {
    mapping::DirectoryMapping full;
    full.id = "media";
    full.paths = {{"n1", "/a \"b\"\\c\n\x01\x7f"}, {"n2", "/f\xFCr"}};
    full.description = "f\xc3\xbcr \b\f\r\t / \x1f";
    full.live_migration_method = mapping::MigrationMethod::find_paths;
    full.path_relation = mapping::PathRelation::replicas;
    mapping::DirectoryMapping empty;
    empty.id = "home";
    auto document = make_document("mapping-list");
    document["mappings"] = nlohmann::ordered_json::array();
    document["notices"] = nlohmann::ordered_json::array();
    std::ostringstream out;
    Output output{out, out, {}};

    print_with_mappings(
        output, document, std::array<const mapping::DirectoryMapping*, 2>{&full, &empty});

    document["mappings"] = {to_json(full), to_json(empty)};
    EXPECT_EQ(out.str(), to_text(document) + "\n");
}

TEST(Output, EndsASentenceOnce) {
    EXPECT_EQ(with_full_stop("It is so"), "It is so.");
    EXPECT_EQ(with_full_stop("Is it so?"), "Is it so?");
}

TEST(ExitCode, FollowsTheErrno) {
    EXPECT_EQ(exit_code_for(Error{ENOENT, ""}), ExitCode::not_found);
    EXPECT_EQ(exit_code_for(Error{EINVAL, ""}), ExitCode::refused);
    EXPECT_EQ(exit_code_for(Error{EEXIST, ""}), ExitCode::refused);
    EXPECT_EQ(exit_code_for(Error{ESTALE, ""}), ExitCode::conflict);
    EXPECT_EQ(exit_code_for(Error{ETIMEDOUT, ""}), ExitCode::conflict);
    EXPECT_EQ(exit_code_for(Error{ENOSPC, ""}), ExitCode::failed);
    EXPECT_EQ(exit_code_for(Error{EBADMSG, ""}), ExitCode::failed);
}

} // namespace
} // namespace vfskit::vfsctl
