// SPDX-License-Identifier: Apache-2.0
#include "tests/support/temp_dir.h"
#include "tests/unit/check/world.h"
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <sstream>

namespace vfskit::vfsctl {

namespace {

using test::FakeHost;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string domain_xml(const std::string& binary = "",
                       const std::string& directory = "/srv/media") {
    return "<domain type='kvm'><name>web</name>"
           "<metadata><v:shares xmlns:v='urn:vfskit:domain:1'>"
           "<v:share tag='media' dirid='media'/></v:shares></metadata>"
           "<memory>1024</memory>"
           "<memoryBacking><access mode='shared'/></memoryBacking><devices>"
           "<filesystem type='mount'><driver type='virtiofs'/>" +
           binary + "<source dir='" + directory +
           "'/><target dir='media'/></filesystem></devices></domain>";
}

const std::string found_binary = "<binary path='/usr/libexec/virtiofsd'/>";

class SavedGuest : public testing::Test {
protected:
    FakeHost& here() { return program.libvirt["qemu:///system"]; }

    /// With the facts of the world, fresh.
    ExitCode run(std::vector<std::string> words) {
        program.content->snapshot.mappings = world.mappings;
        words.emplace_back("--no-ssh");
        for (auto* facts : {&world.source, &world.target}) {
            facts->collected_at =
                std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
            dir.write(facts->node + ".json", node::to_json(*facts));
            words.insert(words.end(), {"--facts", dir.path(facts->node + ".json")});
        }
        return program.run(words);
    }
    std::vector<std::string> events() {
        std::istringstream lines{program.out()};
        std::vector<std::string> names;
        for (std::string line; std::getline(lines, line);) {
            names.push_back(nlohmann::json::parse(line).at("event"));
        }
        return names;
    }

    test::TempDir dir;
    test::World world;
    test::ProgramUnderTest program;
};

class Save : public SavedGuest {
protected:
    Save() {
        auto& web = here().domains["web"];
        web.state = {.name = "web",
                     .uuid = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0",
                     .is_running = true,
                     .is_paused = false,
                     .is_persistent = true,
                     .has_snapshots = false};
        web.stored = domain_xml();
        web.live = domain_xml(found_binary);
    }

    ExitCode save(std::vector<std::string> words = {}) {
        words.insert(words.begin(), {"save", "web", file});
        return run(words);
    }

    const std::string file = dir.path("saved");
};

class Restore : public SavedGuest {
protected:
    Restore() {
        there().saved[file] = domain_xml();
        here().saved[file] = domain_xml();
    }

    FakeHost& there() { return program.libvirt["qemu+ssh://n2/system"]; }

    ExitCode restore(std::vector<std::string> words = {}) {
        words.insert(words.begin(), {"restore", file});
        return run(words);
    }

    const std::string file = "/saved/web";
};

TEST_F(Save, WritesTheGuestAndEndsItHere) {
    ASSERT_EQ(save(), ExitCode::ok) << program.err();

    EXPECT_FALSE(here().domains["web"].state.is_running);
    EXPECT_THAT(here().saved[file], HasSubstr("<source dir='/srv/media'/>"));
    EXPECT_THAT(program.out(), HasSubstr("'web' is saved: 100 B in 1.5 s"));
}

TEST_F(Save, LeavesOutTheDaemonThatLibvirtFoundHere) {
    ASSERT_EQ(save(), ExitCode::ok) << program.err();

    EXPECT_THAT(here().saved[file], Not(HasSubstr("/usr/libexec/virtiofsd")));
}

TEST_F(Save, KeepsTheDaemonThatTheAdministratorHasChosen) {
    here().domains["web"].stored = domain_xml(found_binary);

    ASSERT_EQ(save(), ExitCode::ok) << program.err();

    EXPECT_THAT(here().saved[file], HasSubstr("/usr/libexec/virtiofsd"));
}

TEST_F(Save, RefusesWhatTheCheckFinds) {
    world.media().live_migration_method.reset();

    EXPECT_EQ(save(), ExitCode::refused);

    EXPECT_TRUE(here().domains["web"].state.is_running);
    EXPECT_THAT(program.out(), HasSubstr("VFS-C101"));
    EXPECT_EQ(save({"--force"}), ExitCode::ok) << program.err();
}

TEST_F(Save, RefusesADeadDaemonEvenWhenForced) {
    here().dead = {"chr-vu-fs0"};

    EXPECT_EQ(save({"--force"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("The daemon of chr-vu-fs0 has ended"));
    EXPECT_TRUE(here().saved.empty());
}

TEST_F(Save, WritesOverAFileOnlyWhenToldTo) {
    dir.write("saved", "another guest");

    EXPECT_EQ(save(), ExitCode::refused);
    EXPECT_THAT(program.err(), HasSubstr("is there already"));

    EXPECT_EQ(save({"--replace"}), ExitCode::ok) << program.err();
}

TEST_F(Save, RefusesADomainThatDoesNotRun) {
    here().domains["web"].state.is_running = false;

    EXPECT_EQ(save(), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("'web' does not run"));
}

TEST_F(Save, AsksWhichNodeAnotherHostsLibvirtIsOn) {
    program.libvirt["qemu+ssh://n2/system"] = here();

    EXPECT_EQ(save({"-c", "qemu+ssh://n2/system"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Name it, as the mappings do: --from NODE"));
}

TEST_F(Save, SavesNothingWhenTriedOnly) {
    EXPECT_EQ(save({"--dry-run"}), ExitCode::warning) << program.err(); // the directory may change
    EXPECT_THAT(program.out(), HasSubstr("'web' is saved to"));

    world.media().live_migration_method.reset();
    EXPECT_EQ(save({"--dry-run"}), ExitCode::blocker);

    EXPECT_TRUE(here().saved.empty());
}

TEST_F(Save, SaysThatACancelledGuestGoesOnHere) {
    program.interrupted = true;

    EXPECT_EQ(save(), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("It was cancelled"));
    EXPECT_TRUE(here().domains["web"].state.is_running);
}

TEST_F(Save, PrintsOneDocumentALine) {
    ASSERT_EQ(save({"--json"}), ExitCode::ok) << program.err();

    EXPECT_THAT(events(), ElementsAre("checked", "planned", "progress", "done"));
}

TEST_F(Restore, GivesTheGuestThePathsOfTheNode) {
    ASSERT_EQ(restore({"--on", "n2"}), ExitCode::ok) << program.err();

    EXPECT_THAT(there().domains["web"].live, HasSubstr("<source dir='/mnt/media'/>"));
    EXPECT_THAT(program.out(), HasSubstr("media: source dir /srv/media -> /mnt/media"));
    EXPECT_THAT(program.out(), HasSubstr("'web' runs on n2 after 1.5 s"));
    EXPECT_FALSE(here().restored);
    EXPECT_TRUE(there().calls.empty());
}

TEST_F(Restore, IsForThisNodeWithoutAnother) {
    world.target.node = "n3"; // its facts are not needed
    there().saved.clear();

    ASSERT_EQ(restore({"--force"}), ExitCode::ok) << program.err();

    EXPECT_THAT(here().domains["web"].live, HasSubstr("<source dir='/srv/media'/>"));
}

TEST_F(Restore, AsksWhichNodeAnotherHostsLibvirtIsOn) {
    EXPECT_EQ(restore({"-c", "qemu+ssh://n2/system"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Name it, as the mappings do: --on NODE"));
    EXPECT_FALSE(there().restored);
}

TEST_F(Restore, StoresTheDefinitionWhenAskedTo) {
    ASSERT_EQ(restore({"--on", "n2", "--persistent"}), ExitCode::ok) << program.err();

    EXPECT_THAT(there().domains["web"].stored, HasSubstr("<source dir='/mnt/media'/>"));
}

TEST_F(Restore, GivesWhatIsStoredThereThePathsOfThatNodeWhenAskedTo) {
    auto& web = there().domains["web"];
    web.state.name = "web";
    web.state.is_persistent = true;
    web.stored = domain_xml("", "/srv/of/another/node");

    ASSERT_EQ(restore({"--on", "n2", "--persistent"}), ExitCode::ok) << program.err();

    EXPECT_THAT(web.stored, HasSubstr("<source dir='/mnt/media'/>"));
}

TEST_F(Restore, SaysThatWhatIsStoredThereIsOfAnotherNode) {
    auto& web = there().domains["web"];
    web.state.name = "web";
    web.state.is_persistent = true;
    web.stored = domain_xml();

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("its stored definition has the paths of another node"));
    EXPECT_THAT(program.err(), HasSubstr("vfsctl watch --once"));
}

TEST_F(Restore, RefusesWhatTheCheckFinds) {
    world.target_path().exists = false;

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::refused);

    EXPECT_FALSE(there().restored);
    EXPECT_THAT(program.out(), HasSubstr("VFS-C020 share 'media': There is no '/mnt/media'"));
}

TEST_F(Restore, DoesNotRefuseForAMethodThatShouldHaveBeenSetBefore) {
    world.media().live_migration_method.reset();

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::ok) << program.err();
}

TEST_F(Restore, RefusesASecondGuest) {
    auto& web = there().domains["web"];
    web.state.name = "web";
    web.state.is_running = true;

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("'web' runs there already"));
    EXPECT_FALSE(there().restored);
}

TEST_F(Restore, RefusesAFileThatCannotBeRead) {
    there().saved.clear();

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("Cannot read the saved domain '/saved/web'"));
}

TEST_F(Restore, NoticesWhatAHookThereHasMadeOfTheDefinition) {
    there().hook_from = "/mnt/media";
    there().hook_to = "/srv/media";

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("runs there with other directories than planned"));
}

TEST_F(Restore, NoticesADaemonThatHasEnded) {
    there().dead = {"chr-vu-fs0"};

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("the daemon of chr-vu-fs0 has ended"));
}

TEST_F(Restore, TellsWhatItWaitsFor) {
    there().waits = {std::chrono::seconds{4}};

    EXPECT_EQ(restore({"--on", "n2"}), ExitCode::ok) << program.err();

    EXPECT_THAT(program.err(), HasSubstr("Waiting for n2"));
}

TEST_F(Restore, LeavesThePausedGuestPaused) {
    ASSERT_EQ(restore({"--on", "n2", "--paused"}), ExitCode::ok) << program.err();

    EXPECT_TRUE(there().restored->stays_paused);
    EXPECT_THAT(program.out(), HasSubstr("'web' is paused on n2"));
}

TEST_F(Restore, RestoresNothingWhenTriedOnly) {
    EXPECT_EQ(restore({"--on", "n2", "--dry-run"}), ExitCode::ok) << program.err();
    EXPECT_THAT(program.out(), HasSubstr("'web' goes on at n2"));

    world.target_path().exists = false;
    EXPECT_EQ(restore({"--on", "n2", "--dry-run"}), ExitCode::blocker);

    EXPECT_FALSE(there().restored);
}

TEST_F(Restore, PrintsOneDocumentALine) {
    ASSERT_EQ(restore({"--on", "n2", "--json"}), ExitCode::ok) << program.err();

    EXPECT_THAT(events(), ElementsAre("checked", "planned", "done"));
}

} // namespace

} // namespace vfskit::vfsctl
