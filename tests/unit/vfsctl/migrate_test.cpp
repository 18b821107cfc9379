// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"
#include "tests/unit/check/world.h"
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

using test::FakeHost;
using testing::HasSubstr;
using testing::Not;

const std::string here = "qemu:///system";
const std::string there = "qemu+ssh://n2/system";

std::string share_xml(const std::string& binary) {
    return "<filesystem type='mount'><driver type='virtiofs'/>" + binary +
           "<source dir='/srv/media'/><target dir='media'/></filesystem>";
}

std::string domain_xml(const std::string& binary = "") {
    return "<domain type='kvm'><name>web</name>"
           "<metadata><v:shares xmlns:v='urn:vfskit:domain:1'>"
           "<v:share tag='media' dirid='media'/></v:shares></metadata>"
           "<memory>1024</memory>"
           "<memoryBacking><access mode='shared'/></memoryBacking><devices>" +
           share_xml(binary) + "</devices></domain>";
}

class Migrate : public testing::Test {
protected:
    Migrate() {
        auto& web = source().domains["web"];
        web.state = {.name = "web",
                     .uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
                     .is_running = true,
                     .is_paused = false,
                     .is_persistent = true,
                     .has_snapshots = false};
        web.stored = domain_xml();
        web.live = domain_xml("<binary path='/usr/libexec/virtiofsd'/>");
        destination().versions.hostname = "n2";
    }

    FakeHost& source() { return program.libvirt[here]; }
    FakeHost& destination() { return program.libvirt[there]; }

    /// With the facts of the world, fresh.
    ExitCode migrate(std::vector<std::string> words = {}, const std::string& to = "n2") {
        program.content->snapshot.mappings = world.mappings;
        words.insert(words.begin(), {"migrate", "web", to, "--no-ssh"});
        for (auto* facts : {&world.source, &world.target}) {
            facts->collected_at =
                std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
            dir.write(facts->node + ".json", node::to_json(*facts));
            words.insert(words.end(), {"--facts", dir.path(facts->node + ".json")});
        }
        return program.run(words);
    }

    test::TempDir dir;
    test::World world;
    test::ProgramUnderTest program;
};

TEST_F(Migrate, SendsTheRunningAndTheStoredDefinitionForTheDestination) {
    ASSERT_EQ(migrate(), ExitCode::ok) << program.err();

    ASSERT_TRUE(source().migration);
    EXPECT_THAT(source().migration->destination_xml, HasSubstr("<source dir='/mnt/media'/>"));
    ASSERT_TRUE(source().migration->persistent_xml);
    EXPECT_THAT(*source().migration->persistent_xml, HasSubstr("<source dir='/mnt/media'/>"));
    EXPECT_THAT(program.out(), HasSubstr("media: source dir /srv/media -> /mnt/media"));
    EXPECT_THAT(program.out(),
                HasSubstr("'web' runs on n2: 1.5 s in all, standing still for 30 ms"));
}

TEST_F(Migrate, LeavesTheDaemonThatLibvirtFoundHereToTheLibvirtThere) {
    ASSERT_EQ(migrate(), ExitCode::ok) << program.err();

    EXPECT_THAT(source().migration->destination_xml, Not(HasSubstr("/usr/libexec/virtiofsd")));
}

TEST_F(Migrate, KeepsTheDaemonThatTheAdministratorHasChosen) {
    source().domains["web"].stored = domain_xml("<binary path='/usr/libexec/virtiofsd'/>");

    ASSERT_EQ(migrate(), ExitCode::ok) << program.err();

    EXPECT_THAT(source().migration->destination_xml, HasSubstr("/usr/libexec/virtiofsd"));
}

TEST_F(Migrate, StoresNothingForATransientMigration) {
    ASSERT_EQ(migrate({"--transient"}), ExitCode::ok) << program.err();

    EXPECT_EQ(source().migration->persistent_xml, std::nullopt);
}

TEST_F(Migrate, MovesNothingWhenTriedOnly) {
    ASSERT_EQ(migrate({"--dry-run"}), ExitCode::ok) << program.err();

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.out(), HasSubstr("/srv/media -> /mnt/media"));
}

TEST_F(Migrate, RefusesWhenADaemonHasEnded) {
    source().dead = {"chr-vu-fs0"};

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.err(), HasSubstr("The daemon of chr-vu-fs0 has ended"));
}

TEST_F(Migrate, RefusesWhatQemuBlocks) {
    source().blockers = {"Migration is disabled when VirtFS export path '/srv' is mounted"};

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.err(), HasSubstr("VirtFS export path '/srv' is mounted"));
}

TEST_F(Migrate, RefusesALibvirtThatCannotMigrateVirtiofs) {
    world.source.libvirt->version = node::Version{9, 0, 0};

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.err(), HasSubstr("stands in the way: VFS-C062"));
}

TEST_F(Migrate, WarnsOfADestinationThatIsAOneWayDoor) {
    world.target.libvirt->version = node::Version{9, 0, 0};

    EXPECT_EQ(migrate(), ExitCode::ok);

    EXPECT_TRUE(source().migration);
    EXPECT_THAT(program.out(), HasSubstr("warning VFS-C063 node 'n2'"));
}

TEST_F(Migrate, RefusesWhatTheCheckFinds) {
    world.target_path().exists = false;

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.out(),
                HasSubstr("blocker VFS-C020 share 'media': There is no '/mnt/media' on 'n2'"));
    EXPECT_THAT(program.err(), HasSubstr("stands in the way: VFS-C020"));
    EXPECT_THAT(program.err(), HasSubstr("--force"));
}

TEST_F(Migrate, RefusesANodeWithoutFacts) {
    program.libvirt["qemu+ssh://n3/system"] = {};
    world.media().paths.push_back({"n3", "/media"});

    EXPECT_EQ(migrate({}, "n3"), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("VFS-C002"));
    EXPECT_THAT(program.out(), HasSubstr("No facts of 'n3'"));
}

TEST_F(Migrate, GoesOnInSpiteOfAFindingWhenForced) {
    world.target_path().exists = false;

    EXPECT_EQ(migrate({"--force"}), ExitCode::ok) << program.err();

    EXPECT_TRUE(source().migration);
    EXPECT_THAT(program.out(), HasSubstr("VFS-C020"));
}

TEST_F(Migrate, MixesNoDirectoriesEvenWhenForced) {
    world.use_file_handles();
    world.target_path().inode = 1;
    world.target_path().root_handle->bytes = {9};

    EXPECT_EQ(migrate({"--force"}), ExitCode::refused);

    EXPECT_FALSE(source().migration);
    EXPECT_THAT(program.err(), HasSubstr("would lose the guest or its files: VFS-C032"));
}

TEST_F(Migrate, TriedOnlyItEndsLikeTheCheck) {
    world.target_path().exists = false;
    EXPECT_EQ(migrate({"--dry-run"}), ExitCode::blocker) << program.err();
    EXPECT_THAT(program.out(), Not(HasSubstr("goes to n2")));

    world.target_path().exists = true;
    world.target.libvirt->version = node::Version{9, 0, 0};
    EXPECT_EQ(migrate({"--dry-run"}), ExitCode::warning) << program.err();
    EXPECT_THAT(program.out(), HasSubstr("'web' goes to n2"));

    EXPECT_FALSE(source().migration);
}

TEST_F(Migrate, TellsOnceWhatItWaitsFor) {
    source().waits = {std::chrono::seconds{1}, std::chrono::seconds{4}, std::chrono::seconds{5}};

    EXPECT_EQ(migrate(), ExitCode::ok) << program.err();

    const auto said = program.err();
    const auto first = said.find("Waiting for n2: its hooks");
    ASSERT_NE(first, std::string::npos);
    EXPECT_EQ(said.find("Waiting", first + 1), std::string::npos);
}

TEST_F(Migrate, RefusesANodeWithoutAPath) {
    world.media().paths.pop_back();

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_THAT(program.out(), HasSubstr("Mapping 'media' has no path on 'n2'"));
    EXPECT_THAT(program.out(), HasSubstr("vfsctl mapping set media n2:PATH"));
}

TEST_F(Migrate, RefusesADomainThatDoesNotRun) {
    source().domains["web"].state.is_running = false;

    EXPECT_EQ(migrate(), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("'web' does not run"));
}

TEST_F(Migrate, AsksWhichNodeAnotherHostsLibvirtIsOn) {
    program.libvirt["qemu+ssh://n3/system"] = source();

    EXPECT_EQ(migrate({"-c", "qemu+ssh://n3/system"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Name it, as the mappings do: --from NODE"));
    EXPECT_FALSE(source().migration);
}

TEST_F(Migrate, PrintsOneDocumentALine) {
    ASSERT_EQ(migrate({"--json"}), ExitCode::ok) << program.err();

    std::istringstream lines{program.out()};
    std::vector<std::string> events;
    for (std::string line; std::getline(lines, line);) {
        events.push_back(nlohmann::json::parse(line).at("event"));
    }
    EXPECT_THAT(events, testing::ElementsAre("checked", "planned", "progress", "done"));
}

TEST_F(Migrate, SaysThatACancelledGuestGoesOnHere) {
    program.interrupted = true;

    EXPECT_EQ(migrate(), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("It was cancelled"));
}

} // namespace

} // namespace vfskit::vfsctl
