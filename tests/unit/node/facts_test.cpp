// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"
#include "core/node/facts.h"
#include "tests/support/source_tree.h"
#include "tests/unit/node/sample_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdlib>
#include <fstream>

namespace vfskit::node {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

/// A node of which nothing but the name is known.
NodeFacts bare_node() {
    NodeFacts facts;
    facts.node = "n2";
    facts.collected_at = test::at(1);
    return facts;
}

std::string with(const NodeFacts& facts, const char* key, const Json& value) {
    auto json = Json::parse(to_json(facts));
    json[key] = value;
    return json.dump();
}

/// The sample of the schema is the very text that is written; VFSKIT_UPDATE_GOLDEN rewrites it.
void expect_sample(const std::string& name, const NodeFacts& facts) {
    const auto path =
        vfskit::test::source_path("schemas/samples/valid/node-facts/" + name + ".json");
    const auto text = to_json(facts) + "\n";
    if (std::getenv("VFSKIT_UPDATE_GOLDEN") != nullptr) {
        std::ofstream{path} << text;
    }
    const auto sample = base::read_file(path, 1 << 20);
    ASSERT_TRUE(sample) << sample.error().describe();
    EXPECT_EQ(text, *sample);
}

TEST(FactsTime, IsWrittenInUtcWithMilliseconds) {
    EXPECT_EQ(to_string(test::at(1'795'000'100, 7)), "2026-11-18T11:08:20.007Z");
}

TEST(FactsTime, ReadsWhatItWrites) {
    const auto time = test::at(951'782'399, 999); // the last of 28 February 2000
    const auto read = parse_time(to_string(time));
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(*read, time);
}

TEST(FactsTime, ReadsAFractionOfAnyLengthOrNone) {
    EXPECT_EQ(*parse_time("1970-01-01T00:00:01Z"), test::at(1));
    EXPECT_EQ(*parse_time("1970-01-01T00:00:01.5Z"), test::at(1, 500));
    EXPECT_EQ(*parse_time("1970-01-01T00:00:01.123456789Z"), test::at(1, 123));
}

TEST(FactsTime, RefusesOtherZonesAndImpossibleDates) {
    EXPECT_FALSE(parse_time("1970-01-01T00:00:01+01:00"));
    EXPECT_FALSE(parse_time("1970-02-30T00:00:01Z"));
    EXPECT_FALSE(parse_time("1970-01-01T24:00:00Z"));
    EXPECT_FALSE(parse_time("1970-01-01T00:00:0xZ"));
    EXPECT_FALSE(parse_time("1970-01-01T00:00:01.Z"));
    EXPECT_FALSE(parse_time("yesterday"));
}

TEST(FactsJson, OfAFullNodeIsTheSchemasSample) {
    expect_sample("everything", test::sample_node());
}

TEST(FactsJson, OfABareNodeIsTheSchemasSample) {
    expect_sample("nothing-known", bare_node());
}

TEST(FactsJson, GivesBackEveryMember) {
    const auto facts = parse_facts(to_json(test::sample_node()));
    ASSERT_TRUE(facts) << facts.error().describe();
    EXPECT_EQ(*facts, test::sample_node());
}

TEST(FactsJson, KeepsTheUnknownUnknown) {
    const auto facts = parse_facts(to_compact_json(bare_node()));
    ASSERT_TRUE(facts) << facts.error().describe();
    EXPECT_EQ(*facts, bare_node());
}

TEST(FactsJson, IsOneLineWhereSizeCounts) {
    EXPECT_EQ(to_compact_json(test::sample_node()).find('\n'), std::string::npos);
}

TEST(FactsJson, ReadsAPathThatIsNotUtf8AsLatin1) {
    auto facts = bare_node();
    facts.paths = {test::sample_path()};
    facts.paths[0].path = "/srv/f\xFCr";
    const auto read = parse_facts(to_json(facts));
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(read->paths[0].path, "/srv/für");
}

TEST(FactsJson, IgnoresMembersItDoesNotKnow) {
    EXPECT_TRUE(parse_facts(with(bare_node(), "colour", "green")));
}

TEST(FactsJson, RefusesANewerFormat) {
    const auto facts = parse_facts(with(bare_node(), "version", 2));
    ASSERT_FALSE(facts);
    EXPECT_EQ(facts.error().code(), EPROTONOSUPPORT);
}

TEST(FactsJson, RefusesAnotherKindOfDocument) {
    EXPECT_EQ(parse_facts(with(bare_node(), "kind", "mapping")).error().code(), EBADMSG);
    EXPECT_EQ(parse_facts("[]").error().code(), EBADMSG);
    EXPECT_EQ(parse_facts("{\"kind\":").error().code(), EBADMSG);
    EXPECT_EQ(parse_facts("").error().code(), EBADMSG);
}

TEST(FactsJson, NamesTheMemberThatIsWrong) {
    auto json = Json::parse(to_json(test::sample_node()));
    json["paths"][0]["root-handle"]["bytes"] = "0g";
    EXPECT_THAT(parse_facts(json.dump()).error().message(),
                HasSubstr("'facts.paths[0].root-handle.bytes'"));
}

TEST(FactsJson, NamesTheMemberThatIsMissing) {
    auto json = Json::parse(to_json(test::sample_node()));
    json["daemons"][0].erase("manager");
    EXPECT_THAT(parse_facts(json.dump()).error().message(),
                HasSubstr("'facts.daemons[0].manager' is missing"));
}

TEST(FactsJson, RefusesNumbersOutOfRange) {
    auto json = Json::parse(to_json(test::sample_node()));
    json["guests"][0]["pid"] = 4'294'967'296;
    EXPECT_FALSE(parse_facts(json.dump()));
    json["guests"][0]["pid"] = -1;
    EXPECT_FALSE(parse_facts(json.dump()));
    json["guests"][0]["pid"] = 1.5;
    EXPECT_FALSE(parse_facts(json.dump()));
}

TEST(Facts, FindADaemonThatLivesBeforeOneThatIsGone) {
    auto facts = test::sample_node();
    auto dead = test::sample_daemon();
    dead.is_alive = false;
    facts.daemons = {dead, test::sample_daemon()};
    const auto* daemon = facts.find_daemon("web", "media");
    ASSERT_NE(daemon, nullptr);
    EXPECT_TRUE(daemon->is_alive);
    EXPECT_EQ(facts.find_daemon("web", "other"), nullptr);
}

TEST(Facts, FindAGuestByNameOrVmid) {
    const auto facts = test::sample_node();
    EXPECT_NE(facts.find_guest("web"), nullptr);
    EXPECT_NE(facts.find_guest("100"), nullptr);
    EXPECT_EQ(facts.find_guest("10"), nullptr);
}

} // namespace
} // namespace vfskit::node
