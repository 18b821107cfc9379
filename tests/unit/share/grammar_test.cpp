// SPDX-License-Identifier: Apache-2.0
// What virtiofsd takes as option values. What is accepted and refused was compared with 1.13.2
// and 1.14.0, but for what is refused here because it would fail later.
#include "core/share/capabilities.h"
#include "core/share/id_translation.h"
#include "core/share/xattr_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vfskit::share {
namespace {

using ::testing::HasSubstr;

// ----- xattrmap -----

TEST(XattrMap, AcceptsAMapRule) {
    EXPECT_TRUE(validate_xattr_map(":map::user.virtiofs.:"));
}

TEST(XattrMap, AcceptsRulesThatEndInOneForEveryName) {
    EXPECT_TRUE(validate_xattr_map(":prefix:all::user.virtiofs.::bad:all:::"));
}

TEST(XattrMap, AcceptsBlanksBetweenRulesAndAnyDelimiter) {
    EXPECT_TRUE(validate_xattr_map("  /prefix/all/trusted./user./\n:ok:all:::  "));
}

TEST(XattrMap, AcceptsALetterAsDelimiter) {
    EXPECT_TRUE(validate_xattr_map("xokxallxxx"));
}

TEST(XattrMap, AcceptsOneCatchAllForEachSide) {
    EXPECT_TRUE(validate_xattr_map(":ok:client::::bad:server:::"));
}

TEST(XattrMap, RefusesAMapWithoutARuleForEveryName) {
    const auto result = validate_xattr_map(":prefix:all::user.virtiofs.:");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message(), HasSubstr("names of the host"));
    EXPECT_THAT(result.error().remedy(), HasSubstr(":bad:all:::"));
}

TEST(XattrMap, RefusesACatchAllForTheGuestOnly) {
    EXPECT_FALSE(validate_xattr_map(":ok:client:::"));
}

TEST(XattrMap, RefusesRulesAfterAMapRule) {
    EXPECT_FALSE(validate_xattr_map(":map::a::ok:all:::"));
}

TEST(XattrMap, RefusesAnUnfinishedRuleAndNamesIt) {
    const auto result = validate_xattr_map(":ok:all::::bad:all:");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message(), HasSubstr("Rule 2"));
}

TEST(XattrMap, RefusesUnknownWordsWithASuggestion) {
    const auto result = validate_xattr_map(":prefx:all:a:b:");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().remedy(), HasSubstr("\"prefix\""));
    EXPECT_FALSE(validate_xattr_map(":ok:both:::"));
    EXPECT_FALSE(validate_xattr_map(":OK:all:::"));
}

TEST(XattrMap, RefusesNothingAndBlanks) {
    EXPECT_FALSE(validate_xattr_map(""));
    EXPECT_FALSE(validate_xattr_map("  \n"));
}

TEST(XattrMap, RefusesWhatVirtiofsdWouldCutToOneByte) {
    EXPECT_FALSE(validate_xattr_map(":map::user.\xC3\xA4.:"));
}

TEST(XattrMap, DeniesANameWhoseFirstRuleIsBadOrUnsupported) {
    EXPECT_TRUE(denies_xattr(":bad:all:::", "security.capability"));
    EXPECT_TRUE(denies_xattr(":unsupported:client:security.:::ok:all:::", "security.capability"));
    EXPECT_FALSE(denies_xattr(":bad:all:user.:user.::ok:all:::", "security.capability"));
    EXPECT_FALSE(denies_xattr(":bad:server::::ok:all:::", "security.capability"));
}

TEST(XattrMap, DeniesWhatAMapRuleWouldCollideWith) {
    EXPECT_TRUE(denies_xattr(":map:trusted.:user.virtiofs.:", "user.virtiofs.x"));
    EXPECT_FALSE(denies_xattr(":map:trusted.:user.virtiofs.:", "security.capability"));
    EXPECT_FALSE(denies_xattr(":map::user.virtiofs.:", "user.virtiofs.x"));
}

// ----- modcaps -----

TEST(Capabilities, ReadsSignsAndNamesInAnyCase) {
    const std::vector<CapabilityChange> expected{{.adds = true, .name = "sys_admin"},
                                                 {.adds = false, .name = "mknod"}};
    const auto changes = parse_capability_changes("+SYS_ADMIN:-mknod");
    ASSERT_TRUE(changes);
    EXPECT_EQ(*changes, expected);
}

TEST(Capabilities, LetTheLastMentionWin) {
    const auto changes = parse_capability_changes("-mknod:+mknod");
    ASSERT_TRUE(changes);
    EXPECT_TRUE(adds_capability(*changes, "mknod"));
    EXPECT_FALSE(removes_capability(*changes, "mknod"));
}

TEST(Capabilities, SuggestTheNearestName) {
    const auto changes = parse_capability_changes("+dac_read_serach");
    ASSERT_FALSE(changes);
    EXPECT_THAT(changes.error().remedy(), HasSubstr("\"dac_read_search\""));
}

TEST(Capabilities, TellThatThePrefixIsLeftOut) {
    const auto changes = parse_capability_changes("+CAP_MKNOD");
    ASSERT_FALSE(changes);
    EXPECT_THAT(changes.error().remedy(), HasSubstr("\"mknod\""));
}

TEST(Capabilities, RefuseEmptyElementsAndMissingSigns) {
    EXPECT_FALSE(parse_capability_changes(""));
    EXPECT_FALSE(parse_capability_changes("+mknod:"));
    EXPECT_FALSE(parse_capability_changes("+"));
    EXPECT_FALSE(parse_capability_changes("mknod"));
}

// ----- translate-uid, translate-gid -----

Result<void> validate_uids(const std::vector<std::string>& translations) {
    return validate_id_translations("translate-uid", translations);
}

TEST(IdTranslations, AcceptDirectionsThatAreIndependent) {
    EXPECT_TRUE(validate_uids({"guest:0:1000:10", "host:0:5000:10"}));
}

TEST(IdTranslations, RefuseOneIdTwiceInADirection) {
    const auto result = validate_uids({"guest:0:1000:10", "squash-guest:9:0:10"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().place().key, "translate-uid");
    EXPECT_THAT(result.error().message(), HasSubstr("9 to 18 overlap the earlier range 0 to 9"));
}

TEST(IdTranslations, CountAMapInBothDirections) {
    EXPECT_FALSE(validate_uids({"map:0:100000:10", "host:100009:0:1"}));
    EXPECT_FALSE(validate_uids({"map:0:100000:10", "forbid-guest:9:1"}));
}

TEST(IdTranslations, FindAnOverlapWithALaterRange) {
    EXPECT_FALSE(validate_uids({"forbid-guest:100:10", "forbid-guest:95:6"}));
}

TEST(IdTranslations, RefuseEmptyRangesAndThoseThatPassTheLastId) {
    EXPECT_FALSE(validate_uids({"map:0:1:0"}));
    EXPECT_FALSE(validate_uids({"map:4294967290:0:6"}));
    EXPECT_TRUE(validate_uids({"map:4294967290:0:5"}));
    EXPECT_FALSE(validate_uids({"guest:0:4294967290:10"}));
}

TEST(IdTranslations, LetManyIdsBecomeTheLastOne) {
    EXPECT_TRUE(validate_uids({"squash-guest:0:65534:65536"}));
}

} // namespace
} // namespace vfskit::share
