// SPDX-License-Identifier: Apache-2.0
#include "core/store/doctor_findings.h"
#include "tests/unit/store/doctor_fixture.h"

#include <gmock/gmock.h>

#include <filesystem>

namespace vfskit::store {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

TEST_F(Doctor, FindsAnIdThatIsTooLongForATag) {
    const std::string id(37, 'x');
    write(id + "\n\tmap node=n1,path=/a\n\n");
    EXPECT_THAT(codes(findings()), ElementsAre("VFS-M004 " + id));
}

constexpr const char* long_id = "media-archive-of-the-whole-company-since-1999";
constexpr const char* its_short_id = "media-archive-of-the-whole-352f836c";

std::string long_section() {
    return std::string{long_id} + "\n\tmap node=n1,path=/a\n\t# why\n\n";
}

TEST(ShortDirid, FitsATagAndTellsLongIdsApart) {
    EXPECT_EQ(short_dirid(long_id), its_short_id);
    EXPECT_LE(short_dirid(std::string(80, 'x')).size(), mapping::max_tag_bytes);
    EXPECT_NE(short_dirid(std::string(80, 'x')), short_dirid(std::string(81, 'x')));
    EXPECT_TRUE(mapping::validate_dirid(short_dirid(long_id), mapping::Rules::strict));
}

TEST_F(Doctor, RenamesALongIdThatNobodyUsesAndKeepsItsMethod) {
    write(long_section());
    auto store = open_pve_store(dir_.root()).value();
    auto mapping = store->snapshot()->mappings[0];
    mapping.live_migration_method = mapping::MigrationMethod::find_paths;
    ASSERT_TRUE(store->commit(store->snapshot()->revision, {PutMapping{mapping}}));

    const auto repaired = fix();

    EXPECT_THAT(repaired.left, IsEmpty());
    EXPECT_THAT(repaired.backups, SizeIs(2));
    EXPECT_EQ(dir_.read(directory_cfg),
              std::string{its_short_id} + "\n\tmap node=n1,path=/a\n\t# why\n\n");
    EXPECT_EQ(snapshot().mappings[0].live_migration_method, mapping::MigrationMethod::find_paths);
    EXPECT_THAT(dir_.read(truth_cfg), testing::Not(HasSubstr(long_id)));
}

TEST_F(Doctor, LeavesALongIdThatAVmUsesWithTheCommandsToRun) {
    write(long_section());
    write_vm("virtiofs1: dirid=" + std::string{long_id} + ",cache=always\n");
    const auto repaired = fix();
    ASSERT_THAT(codes(repaired.left), ElementsAre(std::string{"VFS-M004 "} + long_id));
    EXPECT_THAT(repaired.left[0].remedy,
                HasSubstr(std::string{"'vfsctl mapping add "} + its_short_id + " n1:/a', "));
    EXPECT_THAT(repaired.left[0].remedy,
                HasSubstr(std::string{"'qm set 100 --virtiofs1 "} + its_short_id +
                          ",cache=always' on node 'n1', then 'vfsctl mapping remove " + long_id));
    EXPECT_EQ(dir_.read(directory_cfg), long_section());
}

TEST_F(Doctor, LeavesALongIdThatASnapshotHas) {
    write(long_section());
    write_vm("[snap]\nvirtiofs0: " + std::string{long_id} + "\n");
    EXPECT_FALSE(findings()[0].fixable);
    EXPECT_THAT(findings()[0].remedy, HasSubstr("snapshot 'snap' of VM 100"));
}

TEST_F(Doctor, LeavesALongIdThatPermissionsName) {
    write(long_section());
    dir_.write("user.cfg",
               "acl:1:/mapping/dir/" + std::string{long_id} + ":a@pve:PVEMappingUser:\n");
    EXPECT_FALSE(findings()[0].fixable);
    EXPECT_THAT(findings()[0].remedy, HasSubstr("'pveum acl modify /mapping/dir/"));
}

TEST_F(Doctor, LeavesALongIdWhoseShortFormIsDefined) {
    write(long_section() + its_short_id + "\n\tmap node=n1,path=/a\n\n");
    EXPECT_FALSE(findings()[0].fixable);
    EXPECT_THAT(findings()[0].remedy, HasSubstr("is defined too"));
}

TEST_F(Doctor, DefinesAgainWhatAVmUsesAndTheNewestCopyKnows) {
    write("media\n\tmap node=n1,path=/a\n\n");
    dir_.write("mapping/directory.cfg.20260101T000000Z.bak", "gone\n\tmap node=n1,path=/old\n\n");
    dir_.write("mapping/directory.cfg.20260201T000000Z.bak", "gone\n\tmap node=n1,path=/new\n\n");
    dir_.write("mapping/directory.cfg.20260301T000000Z.bak", "gone\n\tmap bad\n\n");
    write_vm("virtiofs0: gone\n");
    ASSERT_THAT(findings(), SizeIs(1));
    EXPECT_THAT(findings()[0].remedy, HasSubstr("20260201T000000Z.bak' has for it, n1:/new;"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M005 VM 100"));
    EXPECT_EQ(dir_.read(directory_cfg),
              "media\n\tmap node=n1,path=/a\n\ngone\n\tmap node=n1,path=/new\n\n");
}

TEST_F(Doctor, GivesARestoredMappingTheMethodThatTheTruthFileRemembers) {
    write("gone\n\tmap node=n1,path=/a\n\n");
    auto store = open_pve_store(dir_.root()).value();
    auto mapping = store->snapshot()->mappings[0];
    mapping.live_migration_method = mapping::MigrationMethod::find_paths;
    ASSERT_TRUE(store->commit(store->snapshot()->revision, {PutMapping{mapping}}));
    dir_.write("mapping/directory.cfg.20260101T000000Z.bak", dir_.read(directory_cfg));
    write("");
    write_vm("virtiofs0: gone\n");
    const auto repaired = fix();
    EXPECT_THAT(repaired.left, IsEmpty());
    EXPECT_EQ(snapshot().find("gone")->live_migration_method, mapping::MigrationMethod::find_paths);
}

TEST_F(Doctor, NamesTheCommandsWhereNobodyKnowsAnUndefinedMapping) {
    write("media\n\tmap node=n1,path=/a\n\n");
    write_vm("virtiofs0: medai,cache=never\n[PENDING]\nvirtiofs2: later\n[snap]\nvirtiofs0: old\n");
    const auto left = fix().left;
    ASSERT_THAT(left, SizeIs(3));
    EXPECT_THAT(left[0].remedy, StartsWith("This needs a decision"));
    EXPECT_THAT(left[0].remedy, HasSubstr("'qm set 100 --delete virtiofs0' on node 'n1'"));
    EXPECT_THAT(left[0].remedy, HasSubstr("'qm set 100 --virtiofs0 media,cache=never'"));
    EXPECT_THAT(left[1].remedy, HasSubstr("'qm set 100 --revert virtiofs2'"));
    EXPECT_THAT(left[2].remedy, HasSubstr("'qm delsnapshot 100 snap'"));
}

TEST_F(Doctor, DecodesADescriptionInAYamlStore) {
    const auto yaml = "yaml:" + dir_.path("mappings.yaml");
    mapping::DirectoryMapping media;
    media.id = "media";
    media.paths = {{"n1", "/a"}};
    media.description = "\xc3\x83\xc2\xbc";
    const auto store = open_store(yaml).value();
    ASSERT_TRUE(store->commit(store->snapshot()->revision, {PutMapping{media}}));
    const auto diagnosis = diagnose(yaml);
    ASSERT_TRUE(diagnosis);
    ASSERT_THAT(codes(diagnosis->findings), ElementsAre("VFS-M008 media"));
    const auto repaired = repair(*diagnosis);
    ASSERT_TRUE(repaired);
    EXPECT_THAT(repaired->left, IsEmpty());
    EXPECT_EQ(store->snapshot()->mappings[0].description, "\xc3\xbc");
}

constexpr const char* doubled_yaml = R"(version: 1
mappings:
  media:
    nodes:
      n1: /a
      n2: "/b" # second
      n1:
        /c
    description: hey
  home:
    nodes: {n1: /h, n2: /h, n1: "/i: j"}
  work: {nodes: {n1: /w, n1: /w, n2: /x}, description: d}
)";

TEST_F(Doctor, KeepsTheFirstPathOfANodeThatStandsTwiceInAYamlStore) {
    dir_.write("mappings.yaml", doubled_yaml);
    const auto url = "yaml:" + dir_.path("mappings.yaml");
    ASSERT_FALSE(open_store(url).value()->snapshot());
    const auto diagnosis = diagnose(url);
    ASSERT_TRUE(diagnosis) << diagnosis.error().describe();
    EXPECT_THAT(codes(diagnosis->findings),
                ElementsAre("VFS-M003 home", "VFS-M003 media", "VFS-M003 work"));
    EXPECT_EQ(diagnosis->findings[1].place.line, 7U);

    const auto repaired = repair(*diagnosis);

    ASSERT_TRUE(repaired) << repaired.error().describe();
    EXPECT_THAT(repaired->fixed, SizeIs(3));
    EXPECT_THAT(repaired->left, IsEmpty());
    EXPECT_EQ(dir_.read("mappings.yaml"), R"(version: 1
mappings:
  media:
    nodes:
      n1: /a
      n2: "/b" # second
      # Taken out by 'vfsctl mapping doctor': node 'n1' stands above with another path
#      n1:
#        /c
    description: hey
  home:
    # Taken out by 'vfsctl mapping doctor': node 'n1' stands above with another path
    #   n1: "/i: j"
    nodes: {n1: /h, n2: /h, }
  # Taken out by 'vfsctl mapping doctor': node 'n1' stands above with the same path
  #   n1: /w
  work: {nodes: {n1: /w,  n2: /x}, description: d}
)");
    ASSERT_THAT(repaired->backups, SizeIs(1));
    EXPECT_EQ(dir_.read(fs::relative(repaired->backups[0], dir_.root()).native()), doubled_yaml);
}

TEST_F(Doctor, MendsDoubleNodesOfAYamlStoreBesideAnotherFault) {
    dir_.write("mappings.yaml",
               "version: 1\nmappings:\n  aa:\n    nodes: {n1: /a, n1: /b}\n"
               "  bb:\n    nodes: {n1: relative}\n");
    const auto repaired = repair(diagnose("yaml:" + dir_.path("mappings.yaml")).value());
    ASSERT_TRUE(repaired) << repaired.error().describe();
    EXPECT_THAT(codes(repaired->fixed), ElementsAre("VFS-M003 aa"));
    ASSERT_THAT(repaired->left, SizeIs(1));
    EXPECT_EQ(repaired->left[0].code, "VFS-M017");
}

TEST_F(Doctor, NamesATagForALongIdOfAYamlStore) {
    dir_.write("mappings.yaml",
               "version: 1\nmappings:\n  " + std::string{long_id} + ":\n    nodes: {n1: /a}\n");
    const auto diagnosis = diagnose("yaml:" + dir_.path("mappings.yaml")).value();
    ASSERT_THAT(codes(diagnosis.findings), ElementsAre(std::string{"VFS-M004 "} + long_id));
    EXPECT_THAT(diagnosis.findings[0].remedy, HasSubstr(std::string{"'--tag "} + its_short_id));
}

TEST_F(Doctor, ReportsAYamlStoreThatCannotBeRead) {
    dir_.write("mappings.yaml", "mappings: [\n");
    const auto diagnosis = diagnose("yaml:" + dir_.path("mappings.yaml"));
    ASSERT_TRUE(diagnosis) << diagnosis.error().describe();
    ASSERT_THAT(diagnosis->findings, SizeIs(1));
    EXPECT_EQ(diagnosis->findings[0].code, "VFS-M017");
}

} // namespace
} // namespace vfskit::store
