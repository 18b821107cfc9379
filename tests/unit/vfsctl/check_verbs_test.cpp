// SPDX-License-Identifier: Apache-2.0
#include "core/check/vm_reader.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/check/world.h"
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace vfskit {
namespace {

using test::ProgramUnderTest;
using test::World;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using vfsctl::ExitCode;

/// The tests' world in files, checked by the program.
class CheckVerbs : public testing::Test {
protected:
    ExitCode check(const World& world, std::vector<std::string> words) {
        program.content->snapshot.mappings = world.mappings;
        dir.write("n1.json", node::to_json(fresh(world.source)));
        dir.write("n2.json", node::to_json(fresh(world.target)));
        dir.write("vm.json", check::to_json(world.vm));
        words.insert(words.begin(), "check");
        words.insert(words.end(),
                     {"--description",
                      dir.path("vm.json"),
                      "--facts",
                      dir.path("n1.json"),
                      "--facts",
                      dir.path("n2.json"),
                      "--no-ssh"});
        return program.run(words);
    }
    static node::NodeFacts fresh(node::NodeFacts facts) {
        facts.collected_at =
            std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
        return facts;
    }
    /// With facts of n1, which this is, collected for this very check.
    bool asks_daemons(std::vector<std::string> words) {
        dir.write("vm.json", check::to_json(World{}.vm));
        words.insert(words.begin(), {"check", "--description", dir.path("vm.json"), "--no-ssh"});
        program.collect_request = {};
        program.run(words);
        EXPECT_EQ(program.collect_request.node, "n1") << program.err();
        return program.collect_request.asks_daemons;
    }
    std::vector<std::string> codes() {
        std::vector<std::string> codes;
        const auto document = program.json();
        for (const auto& vm : document["vms"]) {
            for (const auto& finding : vm["findings"]) {
                codes.push_back(finding["code"]);
            }
            for (const auto& target : vm["targets"]) {
                for (const auto& finding : target["findings"]) {
                    codes.push_back(finding["code"]);
                }
            }
        }
        return codes;
    }

    test::TempDir dir;
    ProgramUnderTest program;
};

TEST_F(CheckVerbs, EndsWithOkWhenNothingIsWorseThanANote) {
    EXPECT_EQ(check(World{}, {"--to", "n2"}), ExitCode::ok) << program.out() << program.err();

    EXPECT_THAT(program.out(), HasSubstr("To 'n2': can be done"));
}

TEST_F(CheckVerbs, EndsWithBlockerAndSaysWhatToDo) {
    World world;
    world.target_path().exists = false;

    EXPECT_EQ(check(world, {"--to", "n2"}), ExitCode::blocker);

    EXPECT_THAT(program.out(),
                HasSubstr("blocker VFS-C020 share 'media': There is no '/mnt/media' on 'n2'."));
    EXPECT_THAT(program.out(), HasSubstr("Create or mount the directory on the target."));
}

TEST_F(CheckVerbs, EndsWithWarningWhenThatIsTheWorst) {
    World world;
    world.target.libvirt->version = node::Version{9, 0, 0};

    EXPECT_EQ(check(world, {"--to", "n2"}), ExitCode::warning) << program.out();
}

TEST_F(CheckVerbs, PrintsOneDocumentWithTheAgeOfTheFacts) {
    World world;
    world.media().live_migration_method.reset();

    EXPECT_EQ(check(world, {"--to", "n2", "--json"}), ExitCode::blocker);

    const auto document = program.json();
    EXPECT_EQ(document["kind"], "check");
    EXPECT_EQ(document["facts"][0]["node"], "n1");
    EXPECT_TRUE(document["facts"][0].contains("age-seconds"));
    EXPECT_EQ(document["vms"][0]["targets"][0]["verdict"], "blocker");
    EXPECT_THAT(codes(), ElementsAre("VFS-C014"));
}

TEST_F(CheckVerbs, TreatsANodeWithoutFactsAsAFinding) {
    EXPECT_EQ(check(World{}, {"--to", "n3", "--json"}), ExitCode::blocker);

    EXPECT_THAT(codes(), testing::Contains("VFS-C002"));
    EXPECT_EQ(program.json()["facts"][1]["node"], "n3");
    EXPECT_TRUE(program.json()["facts"][1].contains("problem"));
}

TEST_F(CheckVerbs, ChecksEveryNodeButItsOwn) {
    EXPECT_EQ(check(World{}, {"--to", "all", "--json"}), ExitCode::ok) << program.out();

    const auto targets = program.json()["vms"][0]["targets"];
    ASSERT_EQ(targets.size(), 1U);
    EXPECT_EQ(targets[0]["node"], "n2");
}

TEST_F(CheckVerbs, TakesTheWayOfTheMigrationFromItsOptions) {
    check(World{},
          {"--to",
           "n2",
           "--json",
           "--post-copy",
           "--descriptor-transfer",
           "cpr-transfer",
           "--uri",
           "tcp:n2:4444"});

    EXPECT_THAT(codes(), testing::IsSupersetOf({"VFS-C073", "VFS-C079", "VFS-C080"}));
}

TEST_F(CheckVerbs, NeedsNoTargetToSave) {
    EXPECT_EQ(check(World{}, {"--operation", "save", "--json"}), ExitCode::warning);

    EXPECT_THAT(codes(), ElementsAre("VFS-C102"));
}

TEST_F(CheckVerbs, AsksTheDaemonsOfThisNodeWhatIsOpenWhenItIsTheSource) {
    EXPECT_TRUE(asks_daemons({"--from", "n1", "--to", "n2"}));
}

TEST_F(CheckVerbs, LeavesTheDaemonsOfThisNodeAloneWhenItIsTheTarget) {
    EXPECT_FALSE(asks_daemons({"--from", "n2", "--to", "n1"}));
    EXPECT_FALSE(asks_daemons({"--target-half", "--to", "n1"}));
}

TEST_F(CheckVerbs, RefusesToGuessTheTarget) {
    EXPECT_EQ(check(World{}, {}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("--to NODE"));
}

TEST_F(CheckVerbs, RefusesSeveralVms) {
    EXPECT_EQ(check(World{}, {"web", "--to", "n2"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("several ways"));
}

TEST_F(CheckVerbs, ChecksTheTargetAlone) {
    World world;
    world.target_path().is_expected_mount = false;

    EXPECT_EQ(check(world, {"--target-half", "--to", "n2", "--json", "--destination-xml"}),
              ExitCode::blocker);

    EXPECT_THAT(codes(), ElementsAre("VFS-C022"));
    EXPECT_FALSE(program.json()["vms"][0].contains("source"));
    EXPECT_EQ(program.json()["facts"].size(), 1U);
}

TEST_F(CheckVerbs, ExplainsACode) {
    EXPECT_EQ(program.run({"check", "--explain", "c032"}), ExitCode::ok);
    EXPECT_THAT(program.out(), HasSubstr("VFS-C032 (blocker): two different directories"));

    EXPECT_EQ(program.run({"check", "--explain", "all", "--json"}), ExitCode::ok);
    EXPECT_EQ(program.json()["findings"].size(), check::catalogue().size());

    EXPECT_EQ(program.run({"check", "--explain", "C999"}), ExitCode::not_found);
}

/// A Proxmox VE cluster of three nodes in a directory.
class PveCheckVerbs : public testing::Test {
protected:
    PveCheckVerbs() {
        program.environment.open_store = store::open_store;
        program.facts_directory = dir.path("facts");
        for (const char* node : {"n1", "n2", "n3"}) {
            std::filesystem::create_directories(
                dir.path(std::string{"pve/nodes/"} + node + "/qemu-server"));
        }
        std::filesystem::create_directories(dir.path("pve/mapping"));
        dir.write("pve/.members",
                  R"({"nodename": "n1", "nodelist": {"n1": {}, "n2": {}, "n3": {}}})");
        dir.write("pve/mapping/directory.cfg",
                  "media\n\tmap node=n1,path=/srv/media\n\tmap node=n2,path=/srv/media\n"
                  "\tlive-migration-method find-paths\n\n"
                  "plain\n\tmap node=n1,path=/srv/plain\n\n");
        dir.write("pve/mapping/pci.cfg",
                  "gpu\n\tmap id=10de:1,node=n1,path=0000:01:00.0\n\tlive-migration-capable 1\n\n"
                  "nic\n\tmap id=10de:2,node=n1,path=0000:02:00.0\n\n");
    }
    ExitCode run(std::vector<std::string> words) {
        words.insert(words.end(), {"--store", "pve:" + dir.path("pve")});
        return program.run(words);
    }

    test::TempDir dir;
    ProgramUnderTest program;
};

TEST_F(PveCheckVerbs, AnswersAsProxmoxVeDoes) {
    dir.write("pve/nodes/n1/qemu-server/100.conf",
              "virtiofs0: media\nvirtiofs1: plain\nhostpci0: mapping=gpu\nhostpci1: mapping=nic\n"
              "hostpci2: 01:00.0\nusb0: spice\nserial0: socket\nserial1: /dev/ttyS0\n"
              "amd-sev: type=std\n");

    EXPECT_EQ(run({"check", "100", "--pve", "--json"}), ExitCode::blocker) << program.err();

    const auto vm = program.json()["vms"][0];
    EXPECT_EQ(vm["refusal"],
              "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: amd-sev");
    EXPECT_EQ(
        vm["local-resources"],
        (std::vector<std::string>{"amd-sev", "hostpci1", "hostpci2", "serial1", "virtiofs1"}));
    EXPECT_EQ(vm["mapped-resources"]["virtiofs0"]["live-migration"], true);
    EXPECT_EQ(vm["mapped-resources"]["virtiofs1"]["live-migration"], false);
    EXPECT_EQ(vm["mapped-resources"]["hostpci0"]["live-migration"], true);
    EXPECT_EQ(vm["missing-mappings-by-node"]["n3"],
              (std::vector<std::string>{"hostpci0", "hostpci1", "virtiofs0", "virtiofs1"}));
    EXPECT_TRUE(vm["missing-mappings-by-node"]["n1"].empty());
}

TEST_F(PveCheckVerbs, LetsAMappedDeviceOfAStoppedVmGo) {
    dir.write("pve/nodes/n1/qemu-server/100.conf", "hostpci0: mapping=nic\namd-sev: type=std\n");

    EXPECT_EQ(run({"check", "100", "--pve", "--stopped", "--json"}), ExitCode::ok);

    EXPECT_FALSE(program.json()["vms"][0].contains("refusal"));
}

TEST_F(PveCheckVerbs, SaysWhereProxmoxVeWouldDie) {
    dir.write("pve/nodes/n1/qemu-server/100.conf", "virtiofs0: gone\n");

    EXPECT_EQ(run({"check", "100", "--pve"}), ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("Can't use an undefined value as an ARRAY reference"));
}

TEST_F(PveCheckVerbs, ShowsAllVmsAndNodesAsAMatrix) {
    dir.write("pve/nodes/n1/qemu-server/100.conf", "virtiofs0: plain\n");
    dir.write("pve/nodes/n2/qemu-server/101.conf", "virtiofs0: media\n");

    EXPECT_EQ(run({"check", "all", "--to", "all", "--no-ssh", "--operation", "live"}),
              ExitCode::blocker)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("VM   ON  n1"));
    EXPECT_THAT(program.out(),
                testing::ContainsRegex("\n100  n1  -  +no C002 C006 C012 C014 C045"));
    EXPECT_THAT(program.out(), HasSubstr("\n101  n2  no"));
}

TEST_F(PveCheckVerbs, DrainsANodeOfStoppedVmsToWhereTheirMappingIs) {
    dir.write("pve/nodes/n1/qemu-server/100.conf", "virtiofs0: media\n");
    dir.write("pve/nodes/n1/qemu-server/101.conf", "memory: 512\n");
    dir.write("pve/nodes/n2/qemu-server/102.conf", "virtiofs0: plain\n");
    std::filesystem::create_directories(dir.path("facts"));
    for (const char* name : {"n1", "n2", "n3"}) {
        auto facts = test::good_node(name, "/srv/media");
        facts.collected_at =
            std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
        dir.write(std::string{"facts/"} + name + ".json", node::to_json(facts));
    }

    run({"drain", "n1", "--no-ssh", "--json"});

    const auto vms = program.json()["vms"];
    ASSERT_EQ(vms.size(), 2U) << program.out();
    EXPECT_EQ(vms[0]["vm"], "100");
    EXPECT_EQ(vms[0]["operation"], "offline");
    EXPECT_EQ(vms[0]["can-go-to"], std::vector<std::string>{"n2"}) << program.out();
    EXPECT_EQ(vms[0]["is-blocked"], false);
    EXPECT_EQ(vms[1]["can-go-to"], (std::vector<std::string>{"n2", "n3"}));
}

} // namespace
} // namespace vfskit
