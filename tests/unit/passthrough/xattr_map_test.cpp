// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/xattr_map.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace vfskit::passthrough {
namespace {

XattrMap parse(std::string_view text) {
    auto map = XattrMap::parse(text);
    EXPECT_TRUE(map.has_value()) << (map ? "" : map.error().describe());
    return map ? std::move(map).value() : XattrMap{};
}

std::string to_host(const XattrMap& map, std::string_view name) {
    XattrName host;
    const int error = map.to_host(name, host);
    return error == 0 ? std::string{host.view()} : "errno " + std::to_string(error);
}

TEST(XattrMap, PrefixesAndStripsNames) {
    const auto map = parse(":prefix:all::user.virtiofs.::bad:all:::");
    EXPECT_EQ(to_host(map, "security.selinux"), "user.virtiofs.security.selinux");
    EXPECT_EQ(map.to_guest("user.virtiofs.security.selinux"), "security.selinux");
    EXPECT_EQ(map.to_guest("user.other"), "");
}

TEST(XattrMap, LetsTheFirstMatchDecide) {
    const auto map = parse("/bad/all/trusted./trusted.//ok/all///");
    EXPECT_EQ(to_host(map, "trusted.x"), "errno " + std::to_string(EPERM));
    EXPECT_EQ(to_host(map, "user.x"), "user.x");
    EXPECT_EQ(map.to_guest("trusted.x"), "");
    EXPECT_EQ(map.to_guest("user.x"), "user.x");
}

TEST(XattrMap, AnswersEnotsupForUnsupported) {
    const auto map = parse(":unsupported:client:security.:: :ok:all:::");
    EXPECT_EQ(to_host(map, "security.x"), "errno " + std::to_string(ENOTSUP));
    EXPECT_EQ(map.to_guest("security.x"), "security.x");
}

TEST(XattrMap, KeepsClientAndServerScopeApart) {
    const auto map =
        parse(":prefix:client:user.:x.: :ok:client::: :bad:server::hide.: :ok:server:::");
    EXPECT_EQ(to_host(map, "user.a"), "x.user.a");
    EXPECT_EQ(map.to_guest("x.user.a"), "x.user.a");
    EXPECT_EQ(map.to_guest("hide.a"), "");
}

TEST(XattrMap, ExpandsTheShortFormWithKey) {
    const auto map = parse(":map:trusted.:user.virtiofs.:");
    EXPECT_EQ(to_host(map, "trusted.a"), "user.virtiofs.trusted.a");
    EXPECT_EQ(to_host(map, "user.virtiofs.trusted.a"), "errno " + std::to_string(EPERM));
    EXPECT_EQ(to_host(map, "user.a"), "user.a");
    EXPECT_EQ(map.to_guest("user.virtiofs.trusted.a"), "trusted.a");
    EXPECT_EQ(map.to_guest("trusted.a"), "");
    EXPECT_EQ(map.to_guest("user.a"), "user.a");
}

TEST(XattrMap, ExpandsTheShortFormWithoutKey) {
    const auto map = parse(":map::user.virtiofs.:");
    EXPECT_EQ(to_host(map, "trusted.a"), "user.virtiofs.trusted.a");
    EXPECT_EQ(map.to_guest("trusted.a"), "");
}

TEST(XattrMap, RefusesAMapWithoutALastRule) {
    const auto map = XattrMap::parse(":prefix:all:trusted.:user.x.:");
    ASSERT_FALSE(map.has_value());
    EXPECT_EQ(map.error().code(), EINVAL);
    EXPECT_NE(map.error().describe().find(":ok:all:::"), std::string::npos);
}

TEST(XattrMap, RefusesAMapThatLeavesOneDirectionOpen) {
    EXPECT_FALSE(XattrMap::parse(":ok:client:::").has_value());
    EXPECT_FALSE(XattrMap::parse(":ok:server:::").has_value());
    EXPECT_TRUE(XattrMap::parse(":ok:client::: :ok:server:::").has_value());
}

TEST(XattrMap, RefusesUnterminatedRules) {
    EXPECT_FALSE(XattrMap::parse(":ok:all::").has_value());
    EXPECT_FALSE(XattrMap::parse(":").has_value());
    EXPECT_FALSE(XattrMap::parse("").has_value());
    EXPECT_FALSE(XattrMap::parse("  \n ").has_value());
    EXPECT_FALSE(XattrMap::parse(":map:a:").has_value());
}

TEST(XattrMap, RefusesUnknownWordsAndRulesAfterTheShortForm) {
    EXPECT_FALSE(XattrMap::parse(":allow:all:::").has_value());
    EXPECT_FALSE(XattrMap::parse(":ok:both:::").has_value());
    EXPECT_FALSE(XattrMap::parse(":map::x.: :ok:all:::").has_value());
}

TEST(XattrMap, KeepsEveryByteOfAName) {
    const auto map = parse(":prefix:all:user.\xc3\xa4:host.\xff.: :ok:all:::");
    EXPECT_EQ(to_host(map, "user.\xc3\xa4z"), "host.\xff.user.\xc3\xa4z");
    EXPECT_EQ(to_host(map, "user.\xff"), "user.\xff");
}

TEST(XattrMap, AnswersErangeWhenTheMappedNameIsTooLong) {
    const auto map = parse(":prefix:all::user.virtiofs.: :bad:all:::");
    EXPECT_EQ(to_host(map, std::string(250, 'x')), "errno " + std::to_string(ERANGE));
}

} // namespace
} // namespace vfskit::passthrough
