// SPDX-License-Identifier: Apache-2.0
#include "core/store/doctor_findings.h"
#include "tests/support/stock_proxmox.h"
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

TEST_F(Doctor, FindsNothingInAHealthyStore) {
    write("media\n\tmap node=n1,path=/a\n\tmap node=n2,path=/a\n\tdescription first\n\n");
    write_vm("virtiofs0: media\n");
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Doctor, WritesNothingWhenThereIsNothingToMend) {
    write("media\n\tmap node=n1,path=/a\n\n");
    const auto repaired = fix();
    EXPECT_THAT(repaired.fixed, IsEmpty());
    EXPECT_THAT(repaired.backups, IsEmpty());
    EXPECT_FALSE(fs::exists(dir_.path("priv")));
}

TEST_F(Doctor, TurnsAPoisonSectionIntoComments) {
    write("good\n\tmap node=n1,path=/a\n\nbad\n\tmap node=n1\n\tdescription keep me\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M001 bad", StartsWith("VFS-M013")));
    EXPECT_FALSE(test::FakeStockNode{dir_.root()}.rewrite());
    const auto repaired = fix();
    EXPECT_THAT(codes(repaired.fixed), ElementsAre("VFS-M001 bad"));
    EXPECT_EQ(dir_.read(directory_cfg),
              "good\n\tmap node=n1,path=/a\n\n#bad\n#\tmap node=n1\n#\tdescription keep me\n\n");
    EXPECT_TRUE(test::FakeStockNode{dir_.root()}.rewrite());
}

TEST_F(Doctor, KeepsACopyOfTheFileItMends) {
    const std::string old = "bad\n\tmap node=n1\n\n";
    write(old);
    const auto repaired = fix();
    ASSERT_THAT(repaired.backups, SizeIs(1));
    EXPECT_THAT(repaired.backups[0], StartsWith(dir_.path(directory_cfg) + "."));
    EXPECT_THAT(repaired.backups[0], HasSubstr("Z.bak"));
    EXPECT_EQ(dir_.read(repaired.backups[0].substr(dir_.root().size() + 1)), old);
}

TEST_F(Doctor, LeavesAPoisonSectionThatHidesAnOlderDefinition) {
    write("aa\n\tmap node=n1,path=/a\n\naa\n\tmap node=n1\n\n");
    const auto found = findings();
    ASSERT_THAT(codes(found), testing::Contains("VFS-M001 aa"));
    EXPECT_FALSE(found[0].fixable);
}

TEST_F(Doctor, SplitsMergedSections) {
    write("aa\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M002 bb"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M002 bb"));
    EXPECT_EQ(dir_.read(directory_cfg),
              "aa\n\tmap node=n1,path=/a\n\nbb\n\tmap node=n2,path=/b\n\n");
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Doctor, SplitsAWholeFileWithCarriageReturns) {
    write("aa\r\n\tmap node=n1,path=/a\r\n\r\nbb\r\n\tmap node=n2,path=/b\r\n\r\n"
          "cc\r\n\tmap node=n2,path=/c\r\n");
    const auto fixed = fix().fixed;
    EXPECT_THAT(codes(fixed), ElementsAre("VFS-M002 bb", "VFS-M002 cc"));
    EXPECT_THAT(snapshot().mappings, SizeIs(3));
}

TEST_F(Doctor, DoesNotSplitWhereAMappingWouldBeLeftWithoutPath) {
    write("aa\nbb\n\tmap node=n2,path=/b\n\n");
    const auto found = findings();
    ASSERT_THAT(codes(found), ElementsAre("VFS-M002 bb"));
    EXPECT_FALSE(found[0].fixable);
}

TEST_F(Doctor, DoesNotSplitOffTheOnlyPathBesideAnotherMergedDefinition) {
    write("aa\naa\n\tmap node=n1,path=/a\nbb\n\tmap node=n1,path=/b\naa\n"
          "\tmap node=n1,path=/c\n\n");
    const auto repaired = fix();
    EXPECT_THAT(codes(repaired.fixed), ElementsAre("VFS-M002 bb"));
    EXPECT_THAT(snapshot().mappings, SizeIs(2));
}

TEST_F(Doctor, LeavesAMergedSectionWhoseSplitWouldEmptyTheOther) {
    write("aa\nbb\n\tmap node=n1,path=/b\naa\n\tmap node=n1,path=/a\n\n");
    const auto repaired = fix();
    EXPECT_THAT(repaired.fixed, IsEmpty());
    EXPECT_THAT(snapshot().mappings, SizeIs(1));
}

TEST_F(Doctor, DoesNotChooseBetweenPathsOfTwoMergedMappings) {
    const std::string before = "aa\nbb\n\tmap node=n1,path=/b\naa\n\tmap node=n1,path=/a\n\n";
    write(before);
    const auto left = fix().left;
    ASSERT_THAT(codes(left), testing::Contains("VFS-M003 aa"));
    EXPECT_EQ(dir_.read(directory_cfg), before);
}

TEST_F(Doctor, DropsASecondEqualPathOfANode) {
    write("aa\n\tmap node=n1,path=/a\n\tmap path=/a,node=n1\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M003 aa"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M003 aa"));
    EXPECT_EQ(dir_.read(directory_cfg), "aa\n\tmap node=n1,path=/a\n\n");
}

TEST_F(Doctor, KeepsTheFirstOfTwoDifferentPathsOfANodeAndTheOthersAsComments) {
    const std::string before = "aa\n\tmap node=n1,path=/a\n\tmap node=n2,path=/c\n"
                               "\tmap node=n1,path=/b\n\tmap node=n2,path=/d\n\n";
    write(before);
    const auto repaired = fix();
    EXPECT_THAT(codes(repaired.fixed), ElementsAre("VFS-M003 aa", "VFS-M003 aa"));
    EXPECT_THAT(repaired.left, IsEmpty());
    EXPECT_EQ(dir_.read(directory_cfg),
              "aa\n\tmap node=n1,path=/a\n\tmap node=n2,path=/c\n"
              "# Taken out by 'vfsctl mapping doctor': node 'n1' stands above with another path\n"
              "#\tmap node=n1,path=/b\n"
              "# Taken out by 'vfsctl mapping doctor': node 'n2' stands above with another path\n"
              "#\tmap node=n2,path=/d\n\n");
    ASSERT_THAT(repaired.backups, SizeIs(1));
    EXPECT_EQ(dir_.read(fs::relative(repaired.backups[0], dir_.root()).native()), before);
}

TEST_F(Doctor, GivesASectionItsLinesBackThatALineZeroCutOff) {
    write("aa\n\tmap node=n1,path=/a\n0\n\tmap node=n2,path=/a\n\tdescription x\nbb\n"
          "\tmap node=n1,path=/b\n\n");
    const auto found = findings();
    ASSERT_THAT(codes(found), ElementsAre("VFS-M018 aa"));
    EXPECT_EQ(found[0].place.line, 3U);
    EXPECT_THAT(found[0].message, HasSubstr("false in Perl, so it loses the 2 lines below"));
    EXPECT_THAT(fix().left, IsEmpty());
    EXPECT_EQ(dir_.read(directory_cfg),
              "aa\n\tmap node=n1,path=/a\n#0\n\tmap node=n2,path=/a\n\tdescription x\n\nbb\n"
              "\tmap node=n1,path=/b\n\n");
}

TEST_F(Doctor, MendsASectionThatALineZeroLeftWithoutPath) {
    write("aa\n0\n\tmap node=n1,path=/a\n\n");
    EXPECT_THAT(fix().left, IsEmpty());
    EXPECT_EQ(dir_.read(directory_cfg), "aa\n#0\n\tmap node=n1,path=/a\n\n");
}

TEST_F(Doctor, EmptiesALineZeroThatOnlyEndsASection) {
    write("aa\n\tmap node=n1,path=/a\n0\nbb\n\tmap node=n1,path=/b\n\n");
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M018 aa"));
    EXPECT_EQ(dir_.read(directory_cfg),
              "aa\n\tmap node=n1,path=/a\n\nbb\n\tmap node=n1,path=/b\n\n");
}

TEST_F(Doctor, LeavesALineZeroWhoseLostLinesWouldDoubleANode) {
    const std::string before = "aa\n\tmap node=n1,path=/a\n0\n\tmap node=n1,path=/b\n\n";
    write(before);
    const auto repaired = fix();
    EXPECT_THAT(codes(repaired.left), ElementsAre("VFS-M018 aa"));
    EXPECT_THAT(repaired.left[0].remedy, StartsWith("Decide which"));
    EXPECT_EQ(dir_.read(directory_cfg), before);
}

TEST_F(Doctor, FindsUndefinedMappingsOfVms) {
    write("media\n\tmap node=n1,path=/a\n\n");
    write_vm("virtiofs0: media\nvirtiofs1: gone\n[PENDING]\nvirtiofs2: later\n"
             "[snap]\nvirtiofs0: before\n");
    const auto found = findings();
    ASSERT_THAT(codes(found), ElementsAre("VFS-M005 VM 100", "VFS-M005 VM 100", "VFS-M005 VM 100"));
    EXPECT_EQ(found[0].severity, Severity::error);
    EXPECT_THAT(found[0].message, HasSubstr("'gone'"));
    EXPECT_EQ(found[0].place.line, 2U);
    EXPECT_THAT(found[2].message, HasSubstr("snapshot 'snap'"));
}

TEST_F(Doctor, FindsOneMappingTwiceInAVm) {
    write("media\n\tmap node=n1,path=/a\n\n");
    write_vm("virtiofs0: media\nvirtiofs1: media,cache=never\n");
    EXPECT_THAT(codes(findings()), ElementsAre("VFS-M011 VM 100"));
}

TEST_F(Doctor, RestoresALostMethod) {
    dir_.write(truth_cfg, "@options\n\tmirror yes\n\n");
    mapping::DirectoryMapping media;
    media.id = "media";
    media.paths = {{"n1", "/a"}};
    media.live_migration_method = mapping::MigrationMethod::find_paths;
    const auto store = open_pve_store(dir_.root()).value();
    ASSERT_TRUE(store->commit(store->snapshot()->revision, {PutMapping{media}}));
    ASSERT_TRUE(test::FakeStockNode{dir_.root()}.rewrite());
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M006 media"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M006 media"));
    EXPECT_THAT(dir_.read(directory_cfg), HasSubstr("\tlive-migration-method find-paths\n"));
}

TEST_F(Doctor, RecordsAMethodThatOnlyProxmoxsFileHas) {
    write("media\n\tmap node=n1,path=/a\n\tlive-migration-method find-paths\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M006 media"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M006 media"));
    ASSERT_TRUE(test::FakeStockNode{dir_.root()}.rewrite());
    EXPECT_TRUE(snapshot().mappings[0].live_migration_method.has_value());
}

TEST_F(Doctor, ForgetsWhatIsLeftOfADeletedMapping) {
    dir_.write(truth_cfg, "# ours\ngone\n\tlive-migration-method find-paths\n\tpaths 11111111\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M007 gone"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M007 gone"));
    EXPECT_EQ(dir_.read(truth_cfg), "# ours\n");
}

TEST_F(Doctor, LeavesTheMethodOfAMappingThatWasDefinedAnewToAPerson) {
    write("media\n\tmap node=n1,path=/a\n\n");
    const std::string truth = "media\n\tlive-migration-method find-paths\n\tpaths 11111111\n\n";
    dir_.write(truth_cfg, truth);
    EXPECT_THAT(codes(fix().left), ElementsAre("VFS-M015 media"));
    EXPECT_EQ(dir_.read(truth_cfg), truth);
}

TEST_F(Doctor, DecodesADoublyEncodedDescription) {
    write("media\n\tmap node=n1,path=/a\n\tdescription M\xc3\x83\xc2\xbcnchen\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M008 media"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M008 media"));
    EXPECT_EQ(snapshot().mappings[0].description, "M\xc3\xbcnchen");
}

TEST_F(Doctor, LeavesALatin1Description) {
    write("media\n\tmap node=n1,path=/a\n\tdescription M\xfcnchen\n\n");
    const auto found = findings();
    ASSERT_THAT(codes(found), ElementsAre("VFS-M009 media"));
    EXPECT_FALSE(found[0].fixable);
}

TEST_F(Doctor, TurnsADeadDefinitionIntoComments) {
    write("aa\n\tmap node=n1,path=/old\n\naa\n\tmap node=n1,path=/new\n\n");
    ASSERT_THAT(codes(findings()), ElementsAre("VFS-M010 aa"));
    EXPECT_THAT(codes(fix().fixed), ElementsAre("VFS-M010 aa"));
    EXPECT_EQ(dir_.read(directory_cfg),
              "#aa\n#\tmap node=n1,path=/old\n\naa\n\tmap node=n1,path=/new\n\n");
}

TEST_F(Doctor, DropsAStaleLock) {
    const auto lock = dir_.path(std::string{"priv/lock/"} + pve_mapping_lock);
    fs::create_directories(lock);
    fs::last_write_time(lock, fs::file_time_type::clock::now() - std::chrono::seconds{200});
    ASSERT_THAT(codes(findings()), ElementsAre(std::string{"VFS-M012 "} + pve_mapping_lock));
    EXPECT_THAT(fix().fixed, SizeIs(1));
    EXPECT_FALSE(fs::exists(lock));
}

TEST_F(Doctor, LeavesAFreshLockAlone) {
    fs::create_directories(dir_.path(std::string{"priv/lock/"} + pve_mapping_lock));
    EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Doctor, NamesLinesThatProxmoxIgnores) {
    write("junk here\naa\n\tmap node=n1,path=/a\n\tfoo bar\n\n");
    const auto found = findings();
    ASSERT_THAT(found, SizeIs(2));
    EXPECT_EQ(found[0].code, "VFS-M013");
    EXPECT_EQ(found[0].severity, Severity::warning);
    EXPECT_EQ(found[0].place.line, 4U);
    EXPECT_EQ(found[1].place.line, 1U);
}

TEST_F(Doctor, NamesAPathThatIsOnlyAllowedByProxmox) {
    write("aa\n\tmap node=n1,path=/a/../b\n\n");
    EXPECT_THAT(codes(findings()), ElementsAre("VFS-M014 aa"));
}

TEST_F(Doctor, RefusesToMendWhatHasChangedSinceItLooked) {
    write("bad\n\tmap node=n1\n\n");
    const auto diagnosis = diagnose(url()).value();
    write("bad\n\tmap node=n2\n\n");
    const auto repaired = repair(diagnosis);
    ASSERT_FALSE(repaired);
    EXPECT_EQ(repaired.error().code(), ESTALE);
}

TEST_F(Doctor, MendsOnlyWhatIsWanted) {
    write("aa\n\tmap node=n1,path=/a\n\tmap node=n1,path=/a\n\nbad\n\tmap\n\n");
    const auto repaired =
        repair(diagnose(url()).value(), [](const Finding& f) { return f.subject == "bad"; });
    ASSERT_TRUE(repaired);
    EXPECT_THAT(codes(repaired->fixed), testing::Contains("VFS-M001 bad"));
    EXPECT_THAT(codes(repaired->left), ElementsAre("VFS-M003 aa"));
}

TEST_F(Doctor, MendsEverythingAtOnce) {
    write("aa\n\tmap node=n1,path=/a\n\tmap node=n1,path=/a\nbb\n\tmap node=n2,path=/b\n"
          "\tdescription \xc3\x83\xc2\xa4\n\nbad\n\n"
          "cc\n\tmap node=n1,path=/1\n\ncc\n\tmap node=n1,path=/2\n"
          "\tlive-migration-method find-paths\n\n");
    dir_.write(truth_cfg, "gone\n\tlive-migration-method find-paths\n\tpaths 11111111\n\n");
    const auto repaired = fix();
    EXPECT_THAT(repaired.left, IsEmpty());
    EXPECT_THAT(repaired.backups, SizeIs(2));
    EXPECT_THAT(snapshot().mappings, SizeIs(3));
    EXPECT_THAT(snapshot().notices, IsEmpty());
}

TEST(DoubleEncoding, IsUndoneToTheInnermostUtf8) {
    EXPECT_EQ(undo_double_encoding("\xc3\x83\xc2\xa4"), "\xc3\xa4");
    EXPECT_EQ(undo_double_encoding("\xc3\x83\xc2\x83\xc3\x82\xc2\xa4"), "\xc3\xa4");
    EXPECT_EQ(undo_double_encoding("\xc3\xa2\xc2\x82\xc2\xac"), "\xe2\x82\xac");
}

TEST(DoubleEncoding, IsNotSeenInPlainText) {
    EXPECT_EQ(undo_double_encoding("ascii"), std::nullopt);
    EXPECT_EQ(undo_double_encoding("M\xc3\xbcnchen"), std::nullopt);
    EXPECT_EQ(undo_double_encoding("\xe4"), std::nullopt);
    EXPECT_EQ(undo_double_encoding("\xe2\x82\xac"), std::nullopt);
}

} // namespace
} // namespace vfskit::store
