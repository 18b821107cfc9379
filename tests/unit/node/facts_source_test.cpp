// SPDX-License-Identifier: Apache-2.0
#include "core/node/facts_source.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/node/sample_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

namespace vfskit::node {
namespace {

using ::testing::HasSubstr;

NodeFacts facts_of(std::string node) {
    auto facts = test::sample_node();
    facts.node = std::move(node);
    return facts;
}

/// n1, a minute after the sample facts were collected; n2 is asked over ssh.
struct FactsSource : ::testing::Test {
    FactsWorld world() {
        return {.this_node = "n1",
                .collect_here = []() -> Result<NodeFacts> { return facts_of("n1"); },
                .open_store = [this]() -> Result<std::unique_ptr<store::FactsStore>> {
                    return store::open_facts_directory(dir.root());
                },
                .run_ssh = [this](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
                    asked.push_back(spec);
                    return answer;
                },
                .now = [this] { return now; }};
    }
    void publish(const NodeFacts& facts) {
        ASSERT_TRUE(store::open_facts_directory(dir.root())
                        ->publish(facts.node, to_compact_json(facts), std::chrono::seconds{60}));
    }

    vfskit::test::TempDir dir;
    Time now = test::sample_node().collected_at + std::chrono::seconds{60};
    base::ProcessOutput answer{.exit_status = 255, .out = "", .err = "No route to host\n"};
    std::vector<ProcessSpec> asked;
};

TEST_F(FactsSource, CollectsItsOwn) {
    const auto found = find_facts({.node = "n1"}, world());
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_EQ(found->origin, "here");
}

TEST_F(FactsSource, TakesPublishedFactsAndSaysTheirAge) {
    publish(facts_of("n2"));
    const auto found = find_facts({.node = "n2"}, world());
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_EQ(found->age, std::chrono::seconds{60});
    EXPECT_EQ(found->facts, facts_of("n2"));
    EXPECT_TRUE(asked.empty());
}

TEST_F(FactsSource, DoesNotTakeFactsThatAreTooOld) {
    publish(facts_of("n2"));
    now += std::chrono::seconds{841};
    const auto found = find_facts({.node = "n2", .may_use_ssh = false}, world());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ESTALE);
    EXPECT_THAT(found.error().message(), HasSubstr("901 s old"));
}

TEST_F(FactsSource, TakesFactsThatAreJustYoungEnough) {
    publish(facts_of("n2"));
    now += std::chrono::seconds{840};
    EXPECT_TRUE(find_facts({.node = "n2", .may_use_ssh = false}, world()));
}

TEST_F(FactsSource, AsksOverSshWhenNothingFreshIsPublished) {
    answer = {.exit_status = 0, .out = to_json(facts_of("n2")), .err = ""};
    const auto found = find_facts({.node = "n2", .ssh_destination = "root@far"}, world());
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_EQ(found->origin, "node 'root@far' over ssh");
    ASSERT_EQ(asked.size(), 1U);
    EXPECT_THAT(asked[0].args, ::testing::Contains("-oBatchMode=yes"));
    EXPECT_EQ(asked[0].args.back(), "vfsctl node facts --json --node n2");
}

TEST_F(FactsSource, TellsWhatEachWaySaidWhenAllFail) {
    const auto found = find_facts({.node = "n2"}, world());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), ENOENT);
    EXPECT_THAT(found.error().message(), HasSubstr("has published no facts"));
    EXPECT_THAT(found.error().message(), HasSubstr("No route to host"));
}

TEST_F(FactsSource, RefusesFactsOfAnotherNode) {
    answer = {.exit_status = 0, .out = to_json(facts_of("n3")), .err = ""};
    const auto found = find_facts({.node = "n2", .may_use_store = false}, world());
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), EINVAL);
}

TEST_F(FactsSource, DoesNotHandSshAnOptionForADestination) {
    EXPECT_FALSE(find_facts(
        {.node = "n2", .may_use_store = false, .ssh_destination = "-oProxyCommand=touch /tmp/x"},
        world()));
    EXPECT_TRUE(asked.empty());
}

TEST_F(FactsSource, ReadsAFileAtAnyAge) {
    const auto path = dir.root() + "/facts";
    std::ofstream{path} << to_json(facts_of("n2"));
    now += std::chrono::hours{1000};
    const auto found = find_facts({.node = "n2", .file = path}, world());
    ASSERT_TRUE(found) << found.error().describe();
    EXPECT_GT(found->age, std::chrono::hours{999});
}

TEST_F(FactsSource, DoesNotGoAnotherWayWhenTheFileIsMissing) {
    publish(facts_of("n2"));
    EXPECT_EQ(find_facts({.node = "n2", .file = dir.root() + "/none"}, world()).error().code(),
              ENOENT);
}

} // namespace
} // namespace vfskit::node
