// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit {
namespace {

using test::ProgramUnderTest;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using vfsctl::ExitCode;

TEST(CommandLine, PrintsTopHelpWithEveryGroup) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"--help"}), ExitCode::ok);

    EXPECT_THAT(program.out(), StartsWith("Usage: vfsctl [OPTIONS] VERB"));
    EXPECT_THAT(program.out(), HasSubstr("mapping"));
    EXPECT_THAT(program.out(), HasSubstr("--store URL"));
    EXPECT_THAT(program.out(), Not(HasSubstr("complete words")));
}

TEST(CommandLine, PrintsGroupHelpWithItsVerbs) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "--help"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("mapping add"));
    EXPECT_THAT(program.out(), Not(HasSubstr("xml patch")));
}

TEST(CommandLine, PrintsVerbHelpWithExamples) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "--help"}), ExitCode::ok);

    EXPECT_THAT(program.out(), StartsWith("Usage: vfsctl mapping add [OPTIONS] ID NODE:PATH..."));
    EXPECT_THAT(program.out(), HasSubstr("Examples:\n  vfsctl mapping add media"));
}

TEST(CommandLine, TakesHelpAsAVerb) {
    ProgramUnderTest program;
    program.run({"mapping", "add", "--help"});
    const auto expected = program.out();

    EXPECT_EQ(program.run({"help", "mapping", "add"}), ExitCode::ok);

    EXPECT_EQ(program.out(), expected);
}

TEST(CommandLine, EveryVerbHasHelpWithAnExample) {
    for (const auto& verb : vfsctl::all_verbs().verbs) {
        EXPECT_FALSE(verb.summary.empty()) << verb.path;
        EXPECT_THAT(verb.examples, HasSubstr("vfsctl " + verb.path)) << verb.path;
    }
}

TEST(CommandLine, ListsVerbsAToZ) {
    const auto table = vfsctl::all_verbs();

    EXPECT_TRUE(std::ranges::is_sorted(table.verbs, {}, &vfsctl::Verb::path));
    EXPECT_TRUE(std::ranges::is_sorted(table.groups, {}, &vfsctl::VerbGroup::name));
}

TEST(CommandLine, EveryVisibleVerbHasAGroup) {
    const auto table = vfsctl::all_verbs();

    for (const auto& verb : table.verbs) {
        EXPECT_TRUE(verb.is_hidden || table.find_group(verb.group()) != nullptr) << verb.path;
    }
}

TEST(CommandLine, PrintsTheVersionWithoutAVerb) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"--version"}), ExitCode::ok);

    EXPECT_THAT(program.out(), testing::MatchesRegex("vfsctl [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, PrintsTheVersionAsJson) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"--version", "--json"}), ExitCode::ok);

    EXPECT_EQ(program.json()["kind"], "version");
}

TEST(CommandLine, RefusesAMissingVerb) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({}), ExitCode::usage);

    EXPECT_EQ(program.err(), "vfsctl: vfsctl: A verb is missing. See 'vfsctl --help'.\n");
}

TEST(CommandLine, SuggestsAMistypedGroup) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"maping", "list"}), ExitCode::usage);

    EXPECT_EQ(program.err(), "vfsctl: vfsctl has no verb 'maping'. Did you mean 'mapping'?\n");
}

TEST(CommandLine, SuggestsAMistypedVerb) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "lsit"}), ExitCode::usage);

    EXPECT_EQ(program.err(), "vfsctl: vfsctl mapping has no verb 'lsit'. Did you mean 'list'?\n");
}

TEST(CommandLine, SuggestsAMistypedOption) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list", "--jsno"}), ExitCode::usage);

    EXPECT_EQ(program.err(),
              "vfsctl: vfsctl mapping list has no option '--jsno'. Did you mean '--json'?\n");
}

TEST(CommandLine, SuggestsAnOptionOfWhichTheBeginningIsMissing) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"daemon", "command", "media", "--direct-io"}), ExitCode::usage);

    EXPECT_THAT(program.err(),
                HasSubstr("no option '--direct-io'. Did you mean '--allow-direct-io'?"));
}

TEST(CommandLine, TakesWordsOfAnotherVerbForValues) {
    ProgramUnderTest program;
    program.add("list", {{"sync", "/srv"}});

    EXPECT_EQ(program.run({"mapping", "show", "list", "--node", "sync"}), ExitCode::ok)
        << program.err();
}

TEST(CommandLine, NamesEtcdAmongTheStores) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"--help"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("etcd://host:2379/prefix"));
}

TEST(CommandLine, SuggestsAMistypedOptionThatHasAValue) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list", "--metod=none"}), ExitCode::usage);

    EXPECT_THAT(program.err(), HasSubstr("no option '--metod'. Did you mean '--method'?"));
}

TEST(CommandLine, SuggestsAMistypedWord) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list", "--method", "find-path"}), ExitCode::usage);

    EXPECT_EQ(
        program.err(),
        "vfsctl: --method: 'find-path' is none of find-paths, file-handles, fd-passing, none. "
        "Did you mean 'find-paths'?\n");
}

TEST(CommandLine, RefusesAnOptionGivenTwice) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list", "--method", "none", "--method", "none"}),
              ExitCode::usage);

    EXPECT_THAT(program.err(), HasSubstr("--method: Given more than once"));
}

TEST(CommandLine, RefusesAnOptionWithoutItsValue) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list", "--method"}), ExitCode::usage);

    EXPECT_THAT(program.err(), HasSubstr("--method"));
    EXPECT_THAT(program.err(), HasSubstr("See 'vfsctl mapping list --help'"));
}

TEST(CommandLine, RefusesAnArgumentTooMany) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "show", "media", "home"}), ExitCode::usage);

    EXPECT_THAT(program.err(), HasSubstr("vfsctl mapping show has no argument 'home'"));
}

TEST(CommandLine, RefusesAMissingArgument) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "show"}), ExitCode::usage);

    EXPECT_EQ(program.err(),
              "vfsctl: vfsctl mapping show: ID is required. See 'vfsctl mapping show --help'.\n");
}

TEST(CommandLine, TakesGlobalOptionsBeforeAndAfterTheVerb) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"--store", "yaml:/a", "mapping", "list", "--json"}), ExitCode::ok);

    EXPECT_EQ(program.opened_url, "yaml:/a");
    EXPECT_EQ(program.json()["kind"], "mapping-list");
}

TEST(CommandLine, TakesTheStoreFromTheEnvironment) {
    ProgramUnderTest program;
    program.variables["VFSKIT_STORE"] = "yaml:/env";

    program.run({"mapping", "list"});

    EXPECT_EQ(program.opened_url, "yaml:/env");
}

TEST(CommandLine, PrefersTheStoreOptionToTheEnvironment) {
    ProgramUnderTest program;
    program.variables["VFSKIT_STORE"] = "yaml:/env";

    program.run({"mapping", "list", "--store=yaml:/option"});

    EXPECT_EQ(program.opened_url, "yaml:/option");
}

TEST(CommandLine, TakesAnIdThatIsAVerbsName) {
    ProgramUnderTest program;
    program.add("list", {{"n1", "/srv/list"}});

    EXPECT_EQ(program.run({"mapping", "show", "list"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("/srv/list"));
}

TEST(CommandLine, TakesAnEmptyValueAfterAnEqualsSign) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv/media"}});
    program.content->snapshot.mappings[0].description = "Films";

    EXPECT_EQ(program.run({"mapping", "set", "media", "--description=", "--dry-run"}),
              ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("- description: Films"));
}

TEST(CommandLine, TakesAValueThatBeginsWithAHyphen) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv/media"}});

    EXPECT_EQ(
        program.run(
            {"daemon", "command", "media", "--fd", "3", "--dialect", "1.13.2", "--modcaps=-mknod"}),
        ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("--modcaps=-mknod"));
}

TEST(CommandLine, ReportsFailuresAsJsonWhereAsked) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "show", "media", "--json"}), ExitCode::not_found);

    const auto error = nlohmann::json::parse(program.err());
    EXPECT_EQ(error["kind"], "error");
    EXPECT_EQ(error["exit-status"], 3);
    EXPECT_EQ(program.out(), "");
}

TEST(CommandLine, ReportsUsageErrorsAsJsonWhereAsked) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "shwo", "--json"}), ExitCode::usage);

    EXPECT_EQ(nlohmann::json::parse(program.err())["remedy"], "Did you mean 'show'?");
}

TEST(CommandLine, ColoursOnATerminalOnly) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv/media"}});
    program.run({"mapping", "list"});
    EXPECT_THAT(program.out(), Not(HasSubstr("\033")));
    program.environment.out_is_terminal = true;

    program.run({"mapping", "list"});

    EXPECT_THAT(program.out(), HasSubstr("\033[1mID"));
}

TEST(CommandLine, HonoursNoColor) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv/media"}});
    program.environment.out_is_terminal = true;
    program.variables["NO_COLOR"] = "1";

    program.run({"mapping", "list"});

    EXPECT_THAT(program.out(), Not(HasSubstr("\033")));
}

TEST(CommandLine, ColoursAlwaysWhenAsked) {
    ProgramUnderTest program;
    program.add("media", {{"n1", "/srv/media"}});
    program.variables["NO_COLOR"] = "1";

    program.run({"mapping", "list", "--color=always"});

    EXPECT_THAT(program.out(), HasSubstr("\033[1mID"));
}

TEST(CommandLine, PrintsFailuresAlsoWhenQuiet) {
    ProgramUnderTest program;

    program.run({"mapping", "show", "media", "-q"});

    EXPECT_THAT(program.err(), HasSubstr("There is no mapping 'media'"));
}

} // namespace
} // namespace vfskit
