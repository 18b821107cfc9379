// SPDX-License-Identifier: Apache-2.0
#include "core/control/server.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/vfsctl/program_under_test.h"
#include "vfsctl/output/quantities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>

namespace vfskit::vfsctl {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class FakeDaemon : public control::Handlers {
public:
    control::Status status() override {
        const std::lock_guard lock{mutex_};
        return status_;
    }
    Result<void> set_log_level(LogLevel) override { return {}; }
    /// Half a second in which it served `reads` reads of 4 KiB, each within 2 µs.
    void serve(std::uint64_t reads) {
        const std::lock_guard lock{mutex_};
        status_.uptime += std::chrono::milliseconds{500};
        status_.bytes_read += reads * 4096;
        auto& read = status_.operations[0];
        read.count += reads;
        read.total += reads * std::chrono::nanoseconds{1500};
        read.latency[1] += reads;
    }

private:
    static control::Status fresh() {
        control::Status status;
        status.version = "virtiofsd 1";
        status.pid = 42;
        status.shared_dir = "/srv/media";
        status.log_level = "info";
        status.inodes = 1234;
        status.fds = 12;
        status.fd_budget = 100;
        status.is_connected = true;
        status.queues = {{0, 0, 0}, {1, 3, 9}};
        status.latency_limits = {std::chrono::nanoseconds{1000}, std::chrono::nanoseconds{2000}};
        status.operations = {{"read", 5, 0, std::chrono::nanoseconds{900}, {5, 0, 0}}};
        return status;
    }
    std::mutex mutex_;
    control::Status status_ = fresh();
};

class DaemonVerbs : public ::testing::Test {
protected:
    DaemonVerbs() {
        program.variables["VFSKIT_RUN_DIR"] = run_dir.path("");
        start();
        program.on_pause = [this] { daemon.serve(500); };
    }
    void start() {
        std::filesystem::create_directories(run_dir.path("100"));
        auto listener = control::listen_at(run_dir.path("100") + "/media.control");
        ASSERT_TRUE(listener);
        auto started = control::Server::start(std::move(*listener), daemon);
        ASSERT_TRUE(started);
        server = std::move(*started);
    }

    test::TempDir run_dir;
    FakeDaemon daemon;
    std::unique_ptr<control::Server> server;
    test::ProgramUnderTest program;
};

TEST_F(DaemonVerbs, TopShowsWhatHappenedDuringAnInterval) {
    ASSERT_EQ(program.run({"top", "--once"}), ExitCode::ok);
    EXPECT_THAT(program.out(),
                ContainsRegex("100 +media +1.0k +2.0 µs +2.0 µs +3.9 MiB +0 B +3 +1.2k +12 "
                              "+/srv/media"));
    EXPECT_THAT(program.out(), ContainsRegex("\nread +1.0k +1.5 µs +2.0 µs +2.0 µs +0\n"));
}

TEST_F(DaemonVerbs, TopAsJsonHoldsTheSameNumbers) {
    ASSERT_EQ(program.run({"top", "--once", "--json"}), ExitCode::ok);
    const auto daemon_json = program.json()["daemons"][0];
    EXPECT_EQ(daemon_json["vm"], "100");
    EXPECT_EQ(daemon_json["queue-depth"], 3);
    EXPECT_EQ(daemon_json["rates"]["operations-per-second"], 1000.0);
    EXPECT_EQ(daemon_json["rates"]["bytes-read-per-second"], 4096000.0);
    EXPECT_EQ(daemon_json["rates"]["operations"][0]["mean-ns"], 1500);
}

TEST_F(DaemonVerbs, TopTakesUpADaemonThatComesBack) {
    int pauses = 0;
    program.on_pause = [&] {
        ++pauses;
        if (pauses == 1) {
            server.reset();
        } else if (pauses == 2) {
            std::filesystem::remove(run_dir.path("100") + "/media.control");
            start();
        }
        daemon.serve(500);
    };
    ASSERT_EQ(program.run({"top", "--count", "3"}), ExitCode::ok);
    const auto out = program.out();
    const auto second_page = out.find("\nVM ");
    EXPECT_THAT(out.substr(0, second_page), Not(HasSubstr("/srv/media")));
    EXPECT_THAT(out, ContainsRegex("100 +media +- +- +- +- +- +3 "));
    EXPECT_THAT(out, ContainsRegex("100 +media +1.0k "));
}

TEST_F(DaemonVerbs, StatusAddsUpTheRequests) {
    ASSERT_EQ(program.run({"daemon", "status"}), ExitCode::ok);
    EXPECT_THAT(
        program.out(),
        ContainsRegex("100 +media +42 +connected +0s +info +5 +0 +1.2k +12/100 +0 B . 0 B +/srv"));
}

TEST_F(DaemonVerbs, ASocketAndAVmDoNotGoTogether) {
    EXPECT_EQ(program.run({"daemon", "status", "100", "--control-socket", "/x"}),
              ExitCode::refused);
    EXPECT_THAT(program.err(), HasSubstr("Leave one of them out"));
}

TEST(Quantities, KeepTwoDigits) {
    EXPECT_EQ(short_count(0), "0");
    EXPECT_EQ(short_count(950), "950");
    EXPECT_EQ(short_count(1234), "1.2k");
    EXPECT_EQ(short_count(9960), "10k");
    EXPECT_EQ(short_count(35'400'000), "35M");
    EXPECT_EQ(short_bytes(1536), "1.5 KiB");
}

TEST(Quantities, NeverReachTheNextUnit) {
    EXPECT_EQ(short_count(999.6), "1.0k");
    EXPECT_EQ(short_count(999'700), "1.0M");
    EXPECT_EQ(short_duration(std::chrono::nanoseconds{999}), "999 ns");
    EXPECT_EQ(short_duration(std::chrono::nanoseconds{999'999}), "1.0 ms");
}

TEST(Quantities, ShowAnAgeInItsTwoLargestUnits) {
    EXPECT_EQ(short_age(std::chrono::seconds{59}), "59s");
    EXPECT_EQ(short_age(std::chrono::seconds{3599}), "59m 59s");
    EXPECT_EQ(short_age(std::chrono::hours{25}), "1d 1h");
}

} // namespace
} // namespace vfskit::vfsctl
