// SPDX-License-Identifier: Apache-2.0
#include "core/store/etcd_store.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <deque>

namespace vfskit::store {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(EtcdUrl, NamesEndpointsAndPrefix) {
    const auto url = parse_etcd_url("etcd://a,b:23790,[::1]/vfskit/");
    ASSERT_TRUE(url) << url.error().describe();
    EXPECT_THAT(url->endpoints,
                ElementsAre("http://a:2379", "http://b:23790", "http://[::1]:2379"));
    EXPECT_EQ(url->prefix, "/vfskit");
}

TEST(EtcdUrl, TakesTlsAndPasswordFromFiles) {
    const auto url =
        parse_etcd_url("etcds://root@a/p?ca=/ca&cert=/c&key=/k&password-file=/pw&cache=/cache");
    ASSERT_TRUE(url) << url.error().describe();
    EXPECT_THAT(url->endpoints, ElementsAre("https://a:2379"));
    EXPECT_EQ(url->ca, "/ca");
    EXPECT_EQ(url->cert, "/c");
    EXPECT_EQ(url->key, "/k");
    EXPECT_EQ(url->user, "root");
    EXPECT_EQ(url->password_file, "/pw");
    EXPECT_EQ(url->cache_directory, "/cache");
}

TEST(EtcdUrl, RefusesWhatItCannotMean) {
    EXPECT_FALSE(parse_etcd_url("etcd:///prefix"));
    EXPECT_FALSE(parse_etcd_url("etcd://a:port/p"));
    EXPECT_FALSE(parse_etcd_url("etcd://a:70000/p"));
    EXPECT_FALSE(parse_etcd_url("etcd://a/p?colour=red"));
    EXPECT_FALSE(parse_etcd_url("etcd://a/p?ca="));
    EXPECT_FALSE(parse_etcd_url("etcd://a/p?ca=/ca"));
    EXPECT_FALSE(parse_etcd_url("etcds://a/p?cert=/c"));
    EXPECT_FALSE(parse_etcd_url("etcd://root@a/p"));
}

TEST(EtcdUrl, DoesNotRepeatAPasswordThatStandsInIt) {
    const auto url = parse_etcd_url("etcd://root:geheim@a/p");
    ASSERT_FALSE(url);
    EXPECT_EQ(url.error().describe().find("geheim"), std::string::npos);
}

TEST(Base64, GivesBackEveryLength) {
    EXPECT_EQ(to_base64(""), "");
    EXPECT_EQ(to_base64("f"), "Zg==");
    EXPECT_EQ(to_base64("fo"), "Zm8=");
    EXPECT_EQ(to_base64("foo"), "Zm9v");
    EXPECT_EQ(*from_base64("Zg=="), "f");
    EXPECT_EQ(*from_base64("/+8="), "\xFF\xEF");
    EXPECT_FALSE(from_base64("Zg="));
    EXPECT_FALSE(from_base64("Z*=="));
}

/// Answers what it was told to, in turn; no answer left: nobody is there.
class FakeHttp : public Http {
public:
    using Script = std::deque<Result<HttpAnswer>>;
    FakeHttp(std::shared_ptr<Script> script, std::shared_ptr<std::vector<HttpRequest>> seen)
        : script_{std::move(script)}, seen_{std::move(seen)} {}

    Result<HttpAnswer> post(const HttpRequest& request) override {
        seen_->push_back(request);
        if (script_->empty()) {
            return Error{EHOSTUNREACH, "nobody is there"};
        }
        auto answer = script_->front();
        script_->pop_front();
        return answer;
    }

private:
    std::shared_ptr<Script> script_;
    std::shared_ptr<std::vector<HttpRequest>> seen_;
};

HttpAnswer range_answer(int revision, std::vector<std::pair<std::string, std::string>> pairs) {
    json kvs = json::array();
    for (const auto& [key, value] : pairs) {
        kvs.push_back({{"key", to_base64(key)},
                       {"value", to_base64(value)},
                       {"mod_revision", std::to_string(revision)}});
    }
    return {.status = 200,
            .body =
                json{{"header", {{"revision", std::to_string(revision)}}}, {"kvs", kvs}}.dump()};
}

const std::string one_document =
    R"({"version": 1, "mappings": {"one": {"nodes": {"n1": "/one"}}}})";

struct FakedEtcd : ::testing::Test {
    FakedEtcd() : store{"etcd://a,b/v", *parse_etcd_url("etcd://a,b/v?cache=" + dir.root())} {
        store.client().set_http(std::make_unique<FakeHttp>(script, seen));
    }
    /// What the two reads of a snapshot get.
    void script_one_mapping() {
        script->push_back(range_answer(5, {{"/v/head", "h"}}));
        script->push_back(range_answer(5, {{"/v/mappings/one", one_document}}));
    }
    Result<Revision> put(const std::string& id, const Revision& expected) {
        mapping::DirectoryMapping mapping;
        mapping.id = id;
        mapping.paths = {{"n1", "/" + id}};
        return store.commit(expected, {PutMapping{mapping}});
    }

    test::TempDir dir;
    std::shared_ptr<FakeHttp::Script> script = std::make_shared<FakeHttp::Script>();
    std::shared_ptr<std::vector<HttpRequest>> seen = std::make_shared<std::vector<HttpRequest>>();
    EtcdStore store;
};

TEST_F(FakedEtcd, IsReadFromTheLastStateWhenNobodyAnswers) {
    script_one_mapping();
    const auto before = store.snapshot();
    ASSERT_TRUE(before) << before.error().describe();
    EXPECT_TRUE(before->notices.empty());
    const auto after = store.snapshot();
    ASSERT_TRUE(after) << after.error().describe();
    EXPECT_EQ(after->mappings, before->mappings);
    EXPECT_EQ(after->revision, before->revision);
    ASSERT_EQ(after->notices.size(), 1U);
    EXPECT_THAT(after->notices[0].message, HasSubstr("cannot be reached"));
}

TEST_F(FakedEtcd, FailsWhenNobodyAnswersAndNothingWasEverRead) {
    const auto snapshot = store.snapshot();
    ASSERT_FALSE(snapshot);
    EXPECT_EQ(snapshot.error().code(), EHOSTUNREACH);
}

TEST_F(FakedEtcd, IsNotWrittenWhenNobodyAnswers) {
    script_one_mapping();
    const auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot);
    const auto refused = put("two", snapshot->revision);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EHOSTUNREACH);
}

TEST_F(FakedEtcd, AsksTheNextMemberAndStaysThere) {
    script->push_back(Error{EHOSTUNREACH, "a is away"});
    script_one_mapping();
    ASSERT_TRUE(store.snapshot());
    ASSERT_EQ(seen->size(), 3U);
    EXPECT_THAT((*seen)[0].url, HasSubstr("http://a:"));
    EXPECT_THAT((*seen)[1].url, HasSubstr("http://b:"));
    EXPECT_THAT((*seen)[2].url, HasSubstr("http://b:"));
}

TEST_F(FakedEtcd, AMemberWithoutQuorumIsNoAnswer) {
    script->push_back(HttpAnswer{.status = 503, .body = R"({"code": 14, "message": "no leader"})"});
    script_one_mapping();
    EXPECT_TRUE(store.snapshot());
}

TEST_F(FakedEtcd, SaysThatAnotherWriterWasFaster) {
    script_one_mapping();
    const auto seen_revision = store.snapshot()->revision;
    script_one_mapping();
    script->push_back(HttpAnswer{.status = 200, .body = R"({"header": {"revision": "6"}})"});
    script->push_back(range_answer(6, {{"/v/head", "somebody else"}}));
    const auto late = put("two", seen_revision);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), ESTALE);
}

TEST_F(FakedEtcd, DoesNotKnowAWriteWhoseAnswerWasLostAndNobodyElseCanTell) {
    script_one_mapping();
    const auto seen_revision = store.snapshot()->revision;
    script_one_mapping();
    script->push_back(Error{ETIMEDOUT, "a broke off"});
    const auto lost = put("two", seen_revision);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code(), EHOSTUNREACH);
    EXPECT_THAT(lost.error().message(), HasSubstr("not known whether"));
}

/// A member that carries the transaction out and dies before it answers; the next one then finds
/// the condition broken, by ourselves.
class ForgetfulHttp : public Http {
public:
    Result<HttpAnswer> post(const HttpRequest& request) override {
        if (request.url.ends_with("/v3/kv/txn")) {
            if (head_.empty()) {
                const auto put = json::parse(request.body)["success"][0]["requestPut"];
                head_ = *from_base64(put["value"].get<std::string>());
                return Error{EPROTO, "the connection broke"};
            }
            return HttpAnswer{.status = 200, .body = R"({"header": {"revision": "6"}})"};
        }
        const auto key = *from_base64(json::parse(request.body)["key"].get<std::string>());
        if (key == "/v/head" && !head_.empty()) {
            return range_answer(6, {{"/v/head", head_}});
        }
        return range_answer(5, {});
    }

private:
    std::string head_;
};

TEST_F(FakedEtcd, KnowsItsOwnWriteWhenTheAnswerWasLost) {
    store.client().set_http(std::make_unique<ForgetfulHttp>());
    const auto revision = store.snapshot()->revision;
    const auto written = put("two", revision);
    ASSERT_TRUE(written) << written.error().describe();
}

TEST_F(FakedEtcd, GivesNoticeOfWhatIsNoMapping) {
    script->push_back(range_answer(5, {}));
    script->push_back(
        range_answer(5, {{"/v/mappings/bad", "no mapping"}, {"/v/mappings/one", one_document}}));
    const auto snapshot = store.snapshot();
    ASSERT_TRUE(snapshot) << snapshot.error().describe();
    EXPECT_EQ(snapshot->mappings.size(), 1U);
    ASSERT_EQ(snapshot->notices.size(), 1U);
    EXPECT_THAT(snapshot->notices[0].place.file, HasSubstr("bad"));
}

} // namespace
} // namespace vfskit::store
