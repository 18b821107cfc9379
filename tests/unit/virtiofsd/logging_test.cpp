// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/logging.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vfskit::virtiofsd {
namespace {

using namespace std::chrono_literals;

class FakeSink final : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel level) const override { return level <= highest; }
    void write(LogLevel /*level*/, std::string_view line) override { lines.emplace_back(line); }
    LogLevel highest = LogLevel::trace;
    std::vector<std::string> lines;
};

const RateLimitedSink::Clock::time_point start{1000s};

TEST(RateLimitedSink, PassesABurstOfOneCauseAndNoMore) {
    FakeSink sink;
    RateLimitedSink limited{sink, {2, 10s}};
    limited.write_at(LogLevel::warn, "Node 1 is unknown", start);
    limited.write_at(LogLevel::warn, "Node 2 is unknown", start);
    limited.write_at(LogLevel::warn, "Node 3 is unknown", start);
    EXPECT_EQ(sink.lines, (std::vector<std::string>{"Node 1 is unknown", "Node 2 is unknown"}));
}

TEST(RateLimitedSink, TellsHowManyWereLeftOut) {
    FakeSink sink;
    RateLimitedSink limited{sink, {1, 10s}};
    limited.write_at(LogLevel::warn, "Cannot open 'a'", start);
    limited.write_at(LogLevel::warn, "Cannot open 'b'", start + 1s);
    limited.write_at(LogLevel::warn, "Cannot open 'c'", start + 2s);
    limited.write_at(LogLevel::warn, "Cannot open 'd'", start + 11s);
    EXPECT_EQ(sink.lines.back(), "Cannot open 'd' (2 more like this were left out)");
}

TEST(RateLimitedSink, KeepsCausesAndLevelsApart) {
    FakeSink sink;
    RateLimitedSink limited{sink, {1, 10s}};
    limited.write_at(LogLevel::warn, "One", start);
    limited.write_at(LogLevel::error, "One", start);
    limited.write_at(LogLevel::warn, "Another", start);
    EXPECT_EQ(sink.lines.size(), 3U);
}

TEST(RateLimitedSink, DropsWhatTheNextSinkDoesNotWant) {
    FakeSink sink;
    sink.highest = LogLevel::error;
    RateLimitedSink limited{sink, {}};
    limited.write(LogLevel::info, "Client connected");
    EXPECT_TRUE(sink.lines.empty());
}

TEST(RateLimitedSink, MakesOneLineOfWhateverAFileIsCalled) {
    FakeSink sink;
    RateLimitedSink limited{sink, {}};
    limited.write(LogLevel::warn, "Cannot find 'a\n[ERROR virtiofsd] b\033[2J\x7f\r\303\244'");
    EXPECT_EQ(sink.lines.back(), "Cannot find 'a?[ERROR virtiofsd] b?[2J??\303\244'");
}

TEST(DaemonLog, LevelCanBeChangedAtRunTime) {
    Options options;
    const auto log = open_log(options);
    ASSERT_TRUE(log);
    EXPECT_FALSE((*log)->is_enabled(LogLevel::debug));
    (*log)->set_level(LogLevel::debug);
    EXPECT_TRUE((*log)->is_enabled(LogLevel::debug));
}

TEST(DaemonLog, OffSilencesErrorsToo) {
    Options options;
    options.log_off = true;
    EXPECT_FALSE((*open_log(options))->is_enabled(LogLevel::error));
}

} // namespace
} // namespace vfskit::virtiofsd
