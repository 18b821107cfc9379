// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;
using test::ProgramUnderTest;
using testing::HasSubstr;
using testing::Not;
using vfsctl::ExitCode;

ProgramUnderTest& with_media(ProgramUnderTest& program) {
    program.add("media", {{"n1", "/srv/media"}, {"n2", "/mnt/media"}});
    return program;
}

TEST(MappingAdd, DefinesAMappingWithAllItsProperties) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping",
                           "add",
                           "media",
                           "n1:/srv/media",
                           "n2:/mnt/media",
                           "--method",
                           "find-paths",
                           "--relation",
                           "replicas",
                           "--description",
                           "Films"}),
              ExitCode::ok)
        << program.err();

    const auto* media = program.find("media");
    ASSERT_NE(media, nullptr);
    EXPECT_EQ(media->paths,
              (std::vector<mapping::NodePath>{{"n1", "/srv/media"}, {"n2", "/mnt/media"}}));
    EXPECT_EQ(media->live_migration_method, MigrationMethod::find_paths);
    EXPECT_EQ(media->path_relation, PathRelation::replicas);
    EXPECT_EQ(media->description, "Films");
    EXPECT_EQ(program.out(), "Added 'media' in fake:store\n");
}

TEST(MappingAdd, TakesABarePathForThisNode) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "media", "/srv/media"}), ExitCode::ok);

    EXPECT_EQ(program.find("media")->paths, (std::vector<mapping::NodePath>{{"n1", "/srv/media"}}));
}

TEST(MappingAdd, RefusesAnIdThatExists) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1:/x"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Mapping 'media' exists already"));
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingAdd, RefusesWhatTheStrictRulesRefuse) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1:/srv/a;b"}), ExitCode::refused);

    EXPECT_EQ(program.find("media"), nullptr);
}

TEST(MappingAdd, TakesWhatProxmoxTakesWhereAsked) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1:/srv/a;b", "--rules", "pve"}),
              ExitCode::ok)
        << program.err();
}

TEST(MappingAdd, RefusesAWordThatIsNoNodePath) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1"}), ExitCode::usage);

    EXPECT_THAT(program.err(), HasSubstr("NODE:PATH: 'n1' is not NODE:PATH"));
}

TEST(MappingAdd, ShowsADiffAndWritesNothingInADryRun) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1:/srv/media", "--dry-run"}), ExitCode::ok);

    EXPECT_EQ(program.out(),
              "'media' would be added in fake:store:\n+ id: media\n+ paths:\n+   n1: /srv/media\n");
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingAdd, LosesNothingWhenAnotherWriterIsFaster) {
    ProgramUnderTest program;
    program.content->race = [](test::FakeStoreContent& content) {
        content.snapshot.mappings.push_back({"other", {{"n1", "/o"}}, {}, {}, {}});
        content.bump();
    };

    EXPECT_EQ(program.run({"mapping", "add", "media", "n1:/srv/media"}), ExitCode::ok);

    EXPECT_NE(program.find("other"), nullptr);
    EXPECT_NE(program.find("media"), nullptr);
}

TEST(MappingSet, ChangesOnlyWhatIsGiven) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "media", "--method", "file-handles"}), ExitCode::ok);

    EXPECT_EQ(program.find("media")->live_migration_method, MigrationMethod::file_handles);
    EXPECT_EQ(program.find("media")->paths.size(), 2U);
    EXPECT_EQ(program.out(), "Changed 'media' in fake:store\n");
}

TEST(MappingSet, AddsReplacesAndRemovesPaths) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping",
                           "set",
                           "media",
                           "--path",
                           "n3:/x",
                           "--path",
                           "n1:/y",
                           "--remove-path",
                           "n2"}),
              ExitCode::ok);

    EXPECT_EQ(program.find("media")->paths,
              (std::vector<mapping::NodePath>{{"n1", "/y"}, {"n3", "/x"}}));
}

TEST(MappingSet, RefusesAMethodThatReplicasCannotHave) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].path_relation = PathRelation::replicas;

    EXPECT_EQ(program.run({"mapping", "set", "media", "--method", "file-handles"}),
              ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("needs the same directory on every node"));
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingSet, RefusesReplicasWhereTheMethodNeedsTheSameDirectory) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].live_migration_method = MigrationMethod::fd_passing;

    EXPECT_EQ(program.run({"mapping", "set", "media", "--relation", "replicas"}),
              ExitCode::refused);
    EXPECT_EQ(program.run({"mapping", "set", "media", "--relation", "replicas", "--rules", "pve"}),
              ExitCode::ok)
        << program.err();
}

TEST(MappingSet, ChangesWhatIsRightInAMappingWhoseMethodWasWrongBefore) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].live_migration_method = MigrationMethod::file_handles;
    program.content->snapshot.mappings[0].path_relation = PathRelation::replicas;

    EXPECT_EQ(program.run({"mapping", "set", "media", "--description", "Films"}), ExitCode::ok)
        << program.err();
}

TEST(MappingSet, RefusesTwoPathsForOneNode) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "media", "--path", "n2:/x", "--path", "n2:/y"}),
              ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Node 'n2' is given two paths. Give one path per node."));
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingSet, TakesAPropertyAwayWithNone) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].live_migration_method = MigrationMethod::find_paths;

    EXPECT_EQ(program.run({"mapping", "set", "media", "--method", "none"}), ExitCode::ok);

    EXPECT_EQ(program.find("media")->live_migration_method, std::nullopt);
}

TEST(MappingSet, WritesNothingWhenNothingChanges) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "media", "--path", "n1:/srv/media"}), ExitCode::ok);

    EXPECT_EQ(program.out(), "Nothing to change in fake:store\n");
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingSet, SuggestsAMistypedId) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "medai", "--method", "none"}), ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("Did you mean 'media'?"));
}

TEST(MappingSet, NamesTheNodesOfAMistypedOne) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "media", "--remove-path", "web"}),
              ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("has no path on node 'web'. It has paths on: n1, n2."));
}

TEST(MappingSet, RefusesToRemoveTheLastPath) {
    ProgramUnderTest program;
    program.add("one", {{"n1", "/srv"}});

    EXPECT_EQ(program.run({"mapping", "set", "one", "--remove-path", "n1"}), ExitCode::refused);

    EXPECT_EQ(program.find("one")->paths.size(), 1U);
}

TEST(MappingSet, LetsOldLaxPathsStandUnderStrictRules) {
    ProgramUnderTest program;
    program.add("lax", {{"n1", "/srv/a;b"}});

    EXPECT_EQ(program.run({"mapping", "set", "lax", "--description", "Old"}), ExitCode::ok)
        << program.err();
}

TEST(MappingSet, RefusesAnotherRevisionThanTheOneNamed) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(
        program.run({"mapping", "set", "media", "--method", "find-paths", "--if-revision", "old"}),
        ExitCode::conflict);

    EXPECT_THAT(program.err(), HasSubstr("The store is at revision rev-0 and no longer at old"));
    EXPECT_EQ(program.content->commits, 0);
}

TEST(MappingSet, DoesNotTryAgainWithARevision) {
    ProgramUnderTest program;
    with_media(program);
    program.content->race = [](test::FakeStoreContent& content) { content.bump(); };

    EXPECT_EQ(program.run(
                  {"mapping", "set", "media", "--method", "find-paths", "--if-revision", "rev-0"}),
              ExitCode::conflict);

    EXPECT_EQ(program.find("media")->live_migration_method, std::nullopt);
}

TEST(MappingSet, ReportsTheChangeAsJson) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "set", "media", "--method", "find-paths", "--json"}),
              ExitCode::ok);

    const auto document = program.json();
    EXPECT_EQ(document["kind"], "mapping-change");
    EXPECT_EQ(document["revision-before"], "rev-0");
    EXPECT_EQ(document["revision"], "rev-1");
    EXPECT_EQ(document["changes"][0]["action"], "changed");
    EXPECT_EQ(document["changes"][0]["after"]["live-migration-method"], "find-paths");
}

TEST(MappingRemove, RemovesSeveral) {
    ProgramUnderTest program;
    with_media(program);
    program.add("home", {{"n1", "/home"}});

    EXPECT_EQ(program.run({"mapping", "remove", "media", "home"}), ExitCode::ok);

    EXPECT_TRUE(program.content->snapshot.mappings.empty());
}

TEST(MappingRemove, RemovesNoneWhenOneIsUnknown) {
    ProgramUnderTest program;
    with_media(program);

    EXPECT_EQ(program.run({"mapping", "remove", "media", "nope"}), ExitCode::not_found);

    EXPECT_NE(program.find("media"), nullptr);
}

TEST(MappingList, AlignsColumns) {
    ProgramUnderTest program;
    with_media(program);
    program.add("a-longer-id", {{"n2", "/srv"}});

    EXPECT_EQ(program.run({"mapping", "list"}), ExitCode::ok);

    EXPECT_EQ(program.out(),
              "ID           METHOD  RELATION  NODES  PATH ON n1  DESCRIPTION\n"
              "media        -       -         n1,n2  /srv/media\n"
              "a-longer-id  -       -         n2     -\n");
}

TEST(MappingList, KeepsThoseOfANode) {
    ProgramUnderTest program;
    with_media(program);
    program.add("here", {{"n1", "/srv"}});

    program.run({"mapping", "list", "--node", "n2"});

    EXPECT_THAT(program.out(), HasSubstr("media"));
    EXPECT_THAT(program.out(), Not(HasSubstr("here")));
}

TEST(MappingList, KeepsThoseOfAMethod) {
    ProgramUnderTest program;
    with_media(program);
    program.add("here", {{"n1", "/srv"}});
    program.content->snapshot.mappings[1].live_migration_method = MigrationMethod::find_paths;

    program.run({"mapping", "list", "--method", "none", "--json"});

    ASSERT_EQ(program.json()["mappings"].size(), 1U);
    EXPECT_EQ(program.json()["mappings"][0]["id"], "media");
}

TEST(MappingList, SaysThatThereAreNone) {
    ProgramUnderTest program;

    EXPECT_EQ(program.run({"mapping", "list"}), ExitCode::ok);

    EXPECT_THAT(program.out(), testing::StartsWith("No mappings in yaml:/"));
}

TEST(MappingList, WarnsOfWhatTheStoreCouldNotRead) {
    ProgramUnderTest program;
    program.content->snapshot.notices = {{{"/f", 3, "map"}, "A line was dropped"}};

    program.run({"mapping", "list"});

    EXPECT_EQ(program.err(), "vfsctl: warning: /f:3: key 'map': A line was dropped.\n");
}

TEST(MappingList, ReadsALatin1DescriptionAsProxmoxDoes) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].description = "f\xFCr alle";

    program.run({"mapping", "list", "--json"});

    EXPECT_EQ(program.json()["mappings"][0]["description"], "für alle");
}

TEST(MappingList, DefusesControlCharacters) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].description = "\033[2J";

    program.run({"mapping", "list"});

    EXPECT_THAT(program.out(), HasSubstr("\\x1b[2J"));
}

TEST(MappingShow, SaysWhatTheMethodMeans) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].live_migration_method = MigrationMethod::find_paths;

    EXPECT_EQ(program.run({"mapping", "show", "media"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("live-migration-method: find-paths"));
    EXPECT_THAT(program.out(), HasSubstr("path-relation:         not said, treated as replicas"));
    EXPECT_THAT(program.out(), HasSubstr("n2    /mnt/media"));
    EXPECT_THAT(program.out(), HasSubstr("in its own copy"));
}

TEST(MappingShow, WarnsOfHandlesInReplicas) {
    ProgramUnderTest program;
    with_media(program);
    program.content->snapshot.mappings[0].live_migration_method = MigrationMethod::file_handles;

    program.run({"mapping", "show", "media", "--json"});

    EXPECT_THAT(program.json()["migration"].get<std::string>(), HasSubstr("Not safe as it stands"));
}

} // namespace
} // namespace vfskit
