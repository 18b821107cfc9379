// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace vfskit {
namespace {

using test::ProgramUnderTest;
using testing::HasSubstr;
using testing::Not;

std::string complete(ProgramUnderTest& program, std::vector<std::string> words) {
    words.insert(words.begin(), {"complete", "words", "--"});
    program.run(words);
    return program.out();
}

TEST(Completion, OffersGroups) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"ma"}),
              "mapping\tDefine directory mappings: one id, a path per node\n");
}

TEST(Completion, HidesItsOwnVerbs) {
    ProgramUnderTest program;

    EXPECT_THAT(complete(program, {"comp"}), Not(HasSubstr("complete")));
}

TEST(Completion, OffersVerbsOfAGroup) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"mapping", "se"}), "set\tChange a directory mapping\n");
}

TEST(Completion, OffersOptionsOfTheVerbAndGlobalOnes) {
    ProgramUnderTest program;

    const auto text = complete(program, {"mapping", "list", "--"});

    EXPECT_THAT(text, HasSubstr("--method\t"));
    EXPECT_THAT(text, HasSubstr("--json\t"));
    EXPECT_THAT(text, Not(HasSubstr("--remove-path")));
}

TEST(Completion, LeavesOutOptionsThatAreSpent) {
    ProgramUnderTest program;

    EXPECT_THAT(complete(program, {"mapping", "list", "--json", "--"}), Not(HasSubstr("--json")));
}

TEST(Completion, OffersRepeatableOptionsAgain) {
    ProgramUnderTest program;

    EXPECT_THAT(complete(program, {"mapping", "set", "media", "--path", "n1:/x", "--pa"}),
                HasSubstr("--path"));
}

TEST(Completion, OffersTheWordsOfAnOption) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"mapping", "list", "--method", "fi"}),
              "file-handles\nfind-paths\n");
}

TEST(Completion, OffersTheWordsAfterAnEqualsSign) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"mapping", "list", "--method=fin"}), "--method=find-paths\n");
}

TEST(Completion, OffersIdsOfTheStore) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv"}});
    program.add("home", {{"n1", "/home"}});

    EXPECT_EQ(complete(program, {"mapping", "show", "m"}), "media\n");
}

TEST(Completion, ReadsTheStoreThatTheLineNames) {
    ProgramUnderTest program;

    complete(program, {"--store", "yaml:/other", "mapping", "show", ""});

    EXPECT_EQ(program.opened_url, "yaml:/other");
}

TEST(Completion, OffersNodesOfTheStoreAndThisOne) {
    ProgramUnderTest program;
    program.add("media", {{"n2", "/srv"}});

    EXPECT_EQ(complete(program, {"mapping", "list", "--node", ""}), "n1\nn2\n");
}

TEST(Completion, OffersNodesBeforeAPath) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"mapping", "add", "media", "n"}), ":nospace\nn1:\n");
}

TEST(Completion, OffersDirectoriesAfterANode) {
    const test::TempDir dir;
    std::filesystem::create_directory(dir.path("media"));
    dir.write("file", "");
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"mapping", "add", "media", "n7:" + dir.root() + "/"}),
              ":nospace\nn7:" + dir.root() + "/media/\n");
}

TEST(Completion, LeavesFilesToTheShell) {
    ProgramUnderTest program;

    EXPECT_EQ(complete(program, {"--store", "x"}), ":file\n");
}

TEST(Completion, IsSilentWhenTheStoreCannotBeRead) {
    ProgramUnderTest program;
    program.environment.open_store =
        [](std::string_view) -> Result<std::unique_ptr<store::MappingStore>> {
        return Error{EACCES, "No"};
    };

    EXPECT_EQ(complete(program, {"mapping", "show", ""}), "");
    EXPECT_EQ(program.err(), "");
}

TEST(Completion, TreatsWordsAfterTheMarkAsArguments) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv"}});

    EXPECT_EQ(complete(program, {"mapping", "show", "--", "-"}), "");
}

} // namespace
} // namespace vfskit
