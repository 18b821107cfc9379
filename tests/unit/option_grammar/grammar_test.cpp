// SPDX-License-Identifier: Apache-2.0
// The grammars by themselves; what is made of them is tested in share and passthrough.
#include "core/option_grammar/option_grammar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vfskit::option_grammar {
namespace {

using ::testing::HasSubstr;

TEST(XattrRules, ComeInTheirOrderWithTheirFields) {
    const std::vector<XattrRule> expected{
        {XattrRuleType::prefix, XattrScope::client, "trusted.", "user.x."},
        {XattrRuleType::unsupported, XattrScope::server, "", "security."},
        {XattrRuleType::ok, XattrScope::all, "", ""}};
    const auto rules = parse_xattr_map(
        " :prefix:client:trusted.:user.x.:/unsupported/server//security./\n:ok:all:::\t",
        WordCase::lower);
    ASSERT_TRUE(rules) << rules.error().describe();
    EXPECT_EQ(*rules, expected);
}

TEST(XattrRules, ReplaceTheShortFormWithKey) {
    const std::vector<XattrRule> expected{
        {XattrRuleType::prefix, XattrScope::all, "trusted.", "user.x."},
        {XattrRuleType::bad, XattrScope::all, "user.x.", "trusted."},
        {XattrRuleType::ok, XattrScope::all, "", ""}};
    const auto rules = parse_xattr_map(":map:trusted.:user.x.:", WordCase::lower);
    ASSERT_TRUE(rules);
    EXPECT_EQ(*rules, expected);
}

TEST(XattrRules, ReplaceTheShortFormWithoutKey) {
    const std::vector<XattrRule> expected{{XattrRuleType::prefix, XattrScope::all, "", "user.x."},
                                          {XattrRuleType::bad, XattrScope::all, "", ""}};
    const auto rules = parse_xattr_map(":map::user.x.:", WordCase::lower);
    ASSERT_TRUE(rules);
    EXPECT_EQ(*rules, expected);
}

TEST(XattrRules, TakeCapitalsOnlyWhereTold) {
    EXPECT_TRUE(parse_xattr_map(":OK:All:::", WordCase::any));
    const auto refused = parse_xattr_map(":OK:all:::", WordCase::lower);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().place().key, "xattrmap");
    EXPECT_THAT(refused.error().message(), HasSubstr("unknown type \"OK\""));
}

TEST(XattrRules, TellWhoseNamesHaveNoRule) {
    EXPECT_THAT(parse_xattr_map(":ok:client:::", WordCase::any).error().message(),
                HasSubstr("names of the host"));
    EXPECT_THAT(parse_xattr_map(":ok:server:::", WordCase::any).error().message(),
                HasSubstr("names of the guest"));
}

TEST(CapabilityChanges, KeepTheirOrderAndLoseTheirCapitals) {
    const std::vector<CapabilityChange> expected{{.adds = true, .name = "sys_admin"},
                                                 {.adds = false, .name = "no_such"}};
    const auto changes = parse_capability_changes("+SYS_ADMIN:-no_such");
    ASSERT_TRUE(changes);
    EXPECT_EQ(*changes, expected);
}

TEST(CapabilityChanges, RefuseEmptyElementsAndMissingSigns) {
    EXPECT_FALSE(parse_capability_changes(""));
    EXPECT_FALSE(parse_capability_changes("+mknod:"));
    EXPECT_FALSE(parse_capability_changes("+"));
    EXPECT_FALSE(parse_capability_changes("mknod"));
}

TEST(IdTranslation, ReadsEveryType) {
    EXPECT_EQ(parse_id_translation("map:0:100000:65536")->kind, TranslationKind::map);
    EXPECT_EQ(parse_id_translation("guest:0:1:2")->kind, TranslationKind::guest);
    EXPECT_EQ(parse_id_translation("host:0:1:2")->kind, TranslationKind::host);
    EXPECT_EQ(parse_id_translation("squash-guest:0:1:2")->kind, TranslationKind::squash_guest);
    EXPECT_EQ(parse_id_translation("squash-host:0:1:2")->kind, TranslationKind::squash_host);
    EXPECT_EQ(parse_id_translation("forbid-guest:0:2")->kind, TranslationKind::forbid_guest);
}

TEST(IdTranslation, ReadsItsNumbers) {
    const IdTranslation expected{
        .kind = TranslationKind::map, .from = 1, .to = 100000, .count = 65535};
    EXPECT_EQ(*parse_id_translation("map:1:100000:65535"), expected);
}

TEST(IdTranslation, TakesAnySeparatorAndCase) {
    EXPECT_TRUE(parse_id_translation("MAP.0.1.2"));
}

TEST(IdTranslation, RefusesWhatVirtiofsdRefuses) {
    EXPECT_FALSE(parse_id_translation(":map:0:1:2"));
    EXPECT_FALSE(parse_id_translation("map:0:1:2:"));
    EXPECT_FALSE(parse_id_translation("map:0:1"));
    EXPECT_FALSE(parse_id_translation("map: 0:1:2"));
    EXPECT_FALSE(parse_id_translation("forbid-guest:0:1:2"));
    EXPECT_FALSE(parse_id_translation("map:0:4294967296:1"));
    EXPECT_FALSE(parse_id_translation(""));
}

TEST(IdTranslation, SuggestsTheNearestType) {
    const auto result = parse_id_translation("sqash-guest:0:1:2");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().remedy(), HasSubstr("squash-guest"));
}

} // namespace
} // namespace vfskit::option_grammar
