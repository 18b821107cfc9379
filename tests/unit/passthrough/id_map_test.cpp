// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/id_map.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace vfskit::passthrough {
namespace {

Result<UidMap> parse(const std::vector<std::string>& rules) {
    return UidMap::parse(rules, "--translate-uid");
}

TEST(IdMap, LeavesUnmappedIdsAsTheyAre) {
    const UidMap map;
    EXPECT_EQ(map.to_host(GuestUid{7}), HostUid{7});
    EXPECT_EQ(map.to_guest(HostUid{UINT32_MAX}), GuestUid{UINT32_MAX});
}

TEST(IdMap, MapsBothWays) {
    const auto map = parse({"map:0:100000:65536"});
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->to_host(GuestUid{0}), HostUid{100000});
    EXPECT_EQ(map->to_host(GuestUid{65535}), HostUid{165535});
    EXPECT_EQ(map->to_host(GuestUid{65536}), HostUid{65536});
    EXPECT_EQ(map->to_guest(HostUid{100001}), GuestUid{1});
}

TEST(IdMap, KeepsTheDirectionsApart) {
    const auto map = parse({"guest:0:1000:1", "host:2000:5:2"});
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->to_host(GuestUid{0}), HostUid{1000});
    EXPECT_EQ(map->to_guest(HostUid{1000}), GuestUid{1000});
    EXPECT_EQ(map->to_guest(HostUid{2001}), GuestUid{6});
}

TEST(IdMap, SquashesRanges) {
    const auto map = parse({"squash-guest:0:1000:4294967295", "squash-host:0:0:4294967295"});
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->to_host(GuestUid{4242}), HostUid{1000});
    EXPECT_EQ(map->to_guest(HostUid{4242}), GuestUid{0});
}

TEST(IdMap, ForbidsGuestIds) {
    const auto map = parse({"forbid-guest:0:1000"});
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->to_host(GuestUid{0}), std::nullopt);
    EXPECT_EQ(map->to_host(GuestUid{1000}), HostUid{1000});
    EXPECT_EQ(map->to_guest(HostUid{0}), GuestUid{0});
}

TEST(IdMap, TakesAnySeparator) {
    const auto map = parse({"Map/1/2/3"});
    ASSERT_TRUE(map.has_value());
    EXPECT_EQ(map->to_host(GuestUid{1}), HostUid{2});
}

TEST(IdMap, RefusesOverlappingSources) {
    const auto map = parse({"guest:0:1000:10", "squash-guest:9:0:2"});
    ASSERT_FALSE(map.has_value());
    EXPECT_EQ(map.error().code(), EINVAL);
    EXPECT_NE(map.error().describe().find("intersect previously added entry 0 to 9"),
              std::string::npos);
    EXPECT_FALSE(parse({"forbid-guest:5:1", "map:0:0:10"}).has_value());
}

TEST(IdMap, RefusesRangesBeyondTheGreatestId) {
    EXPECT_FALSE(parse({"guest:4294967295:0:2"}).has_value());
    EXPECT_FALSE(parse({"guest:0:4294967295:2"}).has_value());
    EXPECT_FALSE(parse({"forbid-guest:4294967295:2"}).has_value());
    EXPECT_TRUE(parse({"forbid-guest:4294967295:1"}).has_value());
}

TEST(IdMap, RefusesMalformedRules) {
    EXPECT_FALSE(parse({"guest"}).has_value());
    EXPECT_FALSE(parse({"guest:0:1"}).has_value());
    EXPECT_FALSE(parse({"forbid-guest:0:1:2"}).has_value());
    EXPECT_FALSE(parse({"allow:0:1:2"}).has_value());
    EXPECT_FALSE(parse({"guest:0:x:2"}).has_value());
    EXPECT_FALSE(parse({"guest:0:-1:2"}).has_value());
    EXPECT_FALSE(parse({""}).has_value());
}

} // namespace
} // namespace vfskit::passthrough
