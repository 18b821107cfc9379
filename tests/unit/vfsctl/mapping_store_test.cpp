// SPDX-License-Identifier: Apache-2.0
// The verbs that need more of a store than an interface: real files.
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
using vfsctl::ExitCode;

class StoreVerbs : public testing::Test {
protected:
    StoreVerbs() { program.environment.open_store = store::open_store; }

    ExitCode run(std::string_view store, std::vector<std::string> words) {
        words.insert(words.end(), {"--store", std::string{store}});
        return program.run(words);
    }
    std::string make_pve(std::string_view config) {
        std::filesystem::create_directories(dir.path("pve/mapping"));
        std::filesystem::create_directories(dir.path("pve/nodes/n1/qemu-server"));
        dir.write("pve/mapping/directory.cfg", config);
        return "pve:" + dir.path("pve");
    }

    test::TempDir dir;
    ProgramUnderTest program;
    std::string yaml = "yaml:" + dir.path("mappings.yaml");
};

TEST_F(StoreVerbs, ExportsWhatImportTakes) {
    run(yaml, {"mapping", "add", "media", "n1:/srv/media", "--method", "find-paths"});
    ASSERT_EQ(run(yaml, {"mapping", "export"}), ExitCode::ok);
    dir.write("document.yaml", program.out());
    const auto other = "yaml:" + dir.path("other.yaml");

    EXPECT_EQ(run(other, {"mapping", "import", dir.path("document.yaml")}), ExitCode::ok)
        << program.err();

    EXPECT_EQ(dir.read("other.yaml"), dir.read("mappings.yaml"));
}

TEST_F(StoreVerbs, ImportsFromStandardInput) {
    program.in.str(R"({"version": 1, "mappings": {"media": {"nodes": {"n1": "/srv"}}}})");

    EXPECT_EQ(run(yaml, {"mapping", "import", "-"}), ExitCode::ok) << program.err();

    EXPECT_THAT(dir.read("mappings.yaml"), HasSubstr("n1: /srv"));
}

TEST_F(StoreVerbs, ImportsAllOrNothing) {
    program.in.str(
        R"({"version": 1, "mappings": {"good": {"nodes": {"n1": "/srv"}},
                                       "bad": {"nodes": {"n1": "/a/../b"}}}})");

    EXPECT_EQ(run(yaml, {"mapping", "import", "-"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Mapping 'bad'"));
    EXPECT_EQ(dir.read("mappings.yaml"), "");
}

TEST_F(StoreVerbs, ImportKeepsOtherMappings) {
    run(yaml, {"mapping", "add", "old", "n1:/old"});
    program.in.str(R"({"version": 1, "mappings": {"media": {"nodes": {"n1": "/srv"}}}})");

    EXPECT_EQ(run(yaml, {"mapping", "import", "-"}), ExitCode::ok);

    EXPECT_THAT(dir.read("mappings.yaml"), HasSubstr("old:"));
}

TEST_F(StoreVerbs, ImportReplacesWhereAsked) {
    run(yaml, {"mapping", "add", "old", "n1:/old"});
    program.in.str(R"({"version": 1, "mappings": {"media": {"nodes": {"n1": "/srv"}}}})");

    EXPECT_EQ(run(yaml, {"mapping", "import", "-", "--replace"}), ExitCode::ok);

    EXPECT_THAT(dir.read("mappings.yaml"), Not(HasSubstr("old:")));
}

TEST_F(StoreVerbs, RecordsAMethodThatOnlyProxmoxHasWritten) {
    const auto pve = make_pve("media\n\tmap node=n1,path=/srv\n"
                              "\tlive-migration-method find-paths\n\n");

    EXPECT_EQ(run(pve, {"mapping", "set", "media", "--method", "find-paths"}), ExitCode::ok);

    EXPECT_THAT(dir.read("pve/mapping/vfskit.cfg"), HasSubstr("live-migration-method find-paths"));
}

TEST_F(StoreVerbs, RefusesToRemoveWhatAVmUses) {
    const auto pve = make_pve("media\n\tmap node=n1,path=/srv\n\n");
    dir.write("pve/nodes/n1/qemu-server/100.conf", "virtiofs0: media\n");

    EXPECT_EQ(run(pve, {"mapping", "remove", "media"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Still in use: 'media' by VM 100"));
    EXPECT_THAT(dir.read("pve/mapping/directory.cfg"), HasSubstr("media"));
}

TEST_F(StoreVerbs, RefusesToRemoveWhatASnapshotUses) {
    const auto pve = make_pve("media\n\tmap node=n1,path=/srv\n\n");
    dir.write("pve/nodes/n1/qemu-server/100.conf", "cores: 1\n\n[before]\nvirtiofs0: media\n");

    EXPECT_EQ(run(pve, {"mapping", "remove", "media"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("VM 100 (snapshot 'before')"));
}

TEST_F(StoreVerbs, RemovesWhatAVmUsesByForce) {
    const auto pve = make_pve("media\n\tmap node=n1,path=/srv\n\n");
    dir.write("pve/nodes/n1/qemu-server/100.conf", "virtiofs0: media\n");

    EXPECT_EQ(run(pve, {"mapping", "remove", "media", "--force"}), ExitCode::ok) << program.err();

    EXPECT_THAT(dir.read("pve/mapping/directory.cfg"), Not(HasSubstr("media")));
}

TEST_F(StoreVerbs, DoctorFindsNothingInAGoodStore) {
    run(yaml, {"mapping", "add", "media", "n1:/srv"});

    EXPECT_EQ(run(yaml, {"mapping", "doctor"}), ExitCode::ok);

    EXPECT_EQ(program.out(), "Nothing found\n");
}

TEST_F(StoreVerbs, DoctorReportsAnErrorByItsExitStatus) {
    const auto pve = make_pve("poison\n\tdescription no map\n\n");

    EXPECT_EQ(run(pve, {"mapping", "doctor"}), ExitCode::blocker);

    EXPECT_THAT(program.out(), HasSubstr("VFS-M001"));
}

TEST_F(StoreVerbs, DoctorReportsAsJson) {
    const auto pve = make_pve("poison\n\tdescription no map\n\n");

    run(pve, {"mapping", "doctor", "--json"});

    EXPECT_EQ(program.json()["kind"], "mapping-doctor");
    EXPECT_EQ(program.json()["findings"][0]["code"], "VFS-M001");
}

TEST_F(StoreVerbs, DoctorMendsWhereAsked) {
    const auto pve = make_pve("media\n\tmap node=n1,path=/a\nhome\n\tmap node=n2,path=/b\n\n");
    ASSERT_NE(run(pve, {"mapping", "doctor"}), ExitCode::ok);

    run(pve, {"mapping", "doctor", "--fix"});

    EXPECT_THAT(program.out(), HasSubstr("[mended]"));
    EXPECT_THAT(dir.read("pve/mapping/directory.cfg"), HasSubstr("path=/a\n\nhome\n"));
}

TEST_F(StoreVerbs, DoctorChangesNothingInADryRun) {
    const std::string config = "media\n\tmap node=n1,path=/a\nhome\n\tmap node=n2,path=/b\n\n";
    const auto pve = make_pve(config);

    run(pve, {"mapping", "doctor", "--fix", "--dry-run"});

    EXPECT_EQ(dir.read("pve/mapping/directory.cfg"), config);
}

TEST_F(StoreVerbs, DoctorRefusesACodeThatIsNone) {
    EXPECT_EQ(run(yaml, {"mapping", "doctor", "--only", "M3"}), ExitCode::usage);
    EXPECT_EQ(run(yaml, {"mapping", "doctor", "--only", "VFS-M019"}), ExitCode::usage);
    EXPECT_EQ(run(yaml, {"mapping", "doctor", "--only", "VFS-M000"}), ExitCode::usage);
    EXPECT_EQ(run(yaml, {"mapping", "doctor", "--only", "VFS-M018"}), ExitCode::ok);
}

TEST_F(StoreVerbs, NamesFileAndLineOfABrokenStore) {
    dir.write("mappings.yaml", "version: 1\nmappings: [\n");

    EXPECT_EQ(run(yaml, {"mapping", "list"}), ExitCode::failed);

    EXPECT_THAT(program.err(), HasSubstr("vfsctl: " + dir.path("mappings.yaml") + ":"));
}

} // namespace
} // namespace vfskit
