// SPDX-License-Identifier: Apache-2.0
#include "core/control/control.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace vfskit::control {
namespace {

using ::testing::HasSubstr;

Status sample_status() {
    Status status;
    status.version = "1.2.3";
    status.pid = 42;
    status.uptime = std::chrono::milliseconds{1500};
    status.shared_dir = "/srv/media";
    status.tag = "media";
    status.is_connected = true;
    status.log_level = "info";
    status.inodes = 7;
    status.fds = 5;
    status.fd_budget = 100;
    status.bytes_read = 4096;
    status.queues = {{0, 0, 3}, {1, 2, 100}};
    status.latency_limits = {std::chrono::nanoseconds{1024}, std::chrono::nanoseconds{2048}};
    status.operations = {{"lookup", 10, 2, std::chrono::nanoseconds{9000}, {7, 2, 1}}};
    return status;
}

MigrationReport sample_report() {
    MigrationReport report;
    report.mode = "find-paths";
    report.inodes = 12;
    report.handles = 3;
    report.posix_locks = 2;
    report.flocks = 1;
    report.unreachable = 2;
    report.deleted = 1;
    report.files = {{5, 77, "dir/a", true, 1, Passage::same_directory, "It was deleted"},
                    {9, 0, "", false, 0, Passage::none, "It was lost in an earlier migration"}};
    return report;
}

class FakeDaemon : public Handlers {
public:
    Status status() override { return sample_status(); }
    Result<MigrationReport> migration_report() override { return sample_report(); }
    Result<void> set_log_level(LogLevel wanted) override {
        level = wanted;
        return {};
    }
    Result<std::string> call(std::string_view method, std::string_view params) override {
        if (method == "echo") {
            return std::string{params};
        }
        return Handlers::call(method, params);
    }
    std::atomic<LogLevel> level{LogLevel::info};
};

class ControlTest : public ::testing::Test {
protected:
    ControlTest() {
        auto listener = listen_at(path);
        EXPECT_TRUE(listener);
        auto started = Server::start(std::move(*listener), daemon);
        EXPECT_TRUE(started);
        server = std::move(*started);
    }

    UniqueFd connect_raw() {
        UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
        EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
                  0);
        return socket;
    }
    static std::string ask_raw(const UniqueFd& socket, const std::string& line) {
        EXPECT_EQ(::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(line.size()));
        return read_line(socket);
    }
    static std::string read_line(const UniqueFd& socket) {
        std::string reply;
        char c = 0;
        while (::recv(socket.get(), &c, 1, 0) == 1 && c != '\n') {
            reply.push_back(c);
        }
        return reply;
    }
    Client connect() {
        auto client = Client::connect(path);
        EXPECT_TRUE(client);
        return std::move(*client);
    }

    test::TempDir dir;
    std::string path = dir.path("control.sock");
    FakeDaemon daemon;
    std::unique_ptr<Server> server;
};

TEST_F(ControlTest, StatusArrivesAsItIs) {
    const auto status = connect().status();
    ASSERT_TRUE(status);
    EXPECT_EQ(*status, sample_status());
}

TEST_F(ControlTest, MigrationReportArrivesAsItIs) {
    const auto report = connect().migration_report();
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_EQ(*report, sample_report());
}

TEST(MigrationReportJson, NamesWhatIsWrong) {
    auto json = to_json(sample_report());
    json.replace(json.find("same-directory"), 4, "some");
    const auto report = parse_migration_report(json);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), EBADMSG);
    EXPECT_THAT(report.error().message(), HasSubstr("some-directory"));
    EXPECT_EQ(parse_migration_report("{}").error().code(), EBADMSG);
}

TEST_F(ControlTest, MetricsArePrometheusText) {
    const auto text = connect().metrics();
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("vfskit_virtiofsd_inodes 7\n"));
    EXPECT_THAT(*text, HasSubstr("vfskit_virtiofsd_queue_depth{queue=\"1\"} 2\n"));
    EXPECT_THAT(*text, HasSubstr("_duration_seconds_bucket{op=\"lookup\",le=\"2.048e-06\"} 9\n"));
    EXPECT_THAT(*text, HasSubstr("_duration_seconds_bucket{op=\"lookup\",le=\"+Inf\"} 10\n"));
    EXPECT_THAT(*text, HasSubstr("_duration_seconds_count{op=\"lookup\"} 10\n"));
}

TEST(PrometheusText, OfSeveralDaemonsHoldsEachMetricOnceWithTheirPlaces) {
    const std::vector<PlacedStatus> daemons{{"100", "a\"b", sample_status()},
                                            {"web", "home", sample_status()}};
    const auto text = to_prometheus(daemons);
    EXPECT_THAT(text,
                HasSubstr("# TYPE vfskit_virtiofsd_inodes gauge\n"
                          "vfskit_virtiofsd_inodes{vm=\"100\",tag=\"a\\\"b\"} 7\n"
                          "vfskit_virtiofsd_inodes{vm=\"web\",tag=\"home\"} 7\n"));
    EXPECT_THAT(text, HasSubstr("queue_depth{vm=\"web\",tag=\"home\",queue=\"1\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("_count{vm=\"web\",tag=\"home\",op=\"lookup\"} 10\n"));
    const auto head = text.find("# TYPE vfskit_virtiofsd_request_duration_seconds");
    EXPECT_EQ(text.find("# TYPE vfskit_virtiofsd_request_duration_seconds", head + 1),
              std::string::npos);
}

TEST_F(ControlTest, LogLevelReachesTheDaemon) {
    EXPECT_TRUE(connect().set_log_level(LogLevel::debug));
    EXPECT_EQ(daemon.level, LogLevel::debug);
}

TEST_F(ControlTest, UnknownMethodIsAnErrorThatLeavesTheConnectionUsable) {
    auto client = connect();
    const auto reply = client.call("fly");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code(), ENOSYS);
    EXPECT_TRUE(client.status());
}

TEST_F(ControlTest, FurtherMethodsGetTheirParameters) {
    EXPECT_EQ(connect().call("echo", R"({"a":[1,2]})").value(), R"({"a":[1,2]})");
}

TEST_F(ControlTest, ParametersThatAreNotJsonAreRefusedByTheClient) {
    EXPECT_EQ(connect().call("echo", "{").error().code(), EINVAL);
}

// Hostile clients.

TEST_F(ControlTest, GarbageIsAnsweredWithAnError) {
    const auto socket = connect_raw();
    EXPECT_THAT(ask_raw(socket, "garbage\n"), HasSubstr("\"error\""));
    EXPECT_THAT(ask_raw(socket, "\n"), HasSubstr("\"error\""));
    EXPECT_THAT(ask_raw(socket, "[[[[\n"), HasSubstr("\"error\""));
    EXPECT_THAT(ask_raw(socket, "{\"id\":1,\"method\":7}\n"), HasSubstr("\"error\""));
    EXPECT_THAT(ask_raw(socket, "{\"id\":{},\"method\":\"status\",\"params\":3}\n"),
                HasSubstr("\"result\""));
    EXPECT_THAT(ask_raw(socket, std::string("\xff\xfe\0\n", 4)), HasSubstr("\"error\""));
    EXPECT_THAT(ask_raw(socket, "{\"id\":1,\"method\":\"\xff\"}\n"), HasSubstr("\"error\""));
    EXPECT_THAT(
        ask_raw(socket,
                "{\"id\":2,\"method\":\"set-log-level\",\"params\":{\"level\":\"loud\"}}\n"),
        HasSubstr("Use error, warn"));
    EXPECT_TRUE(connect().status());
}

TEST_F(ControlTest, DeepNestingIsSurvived) {
    const auto socket = connect_raw();
    EXPECT_THAT(ask_raw(socket, std::string(16000, '[') + "\n"), HasSubstr("\"error\""));
}

TEST_F(ControlTest, EndlessRequestIsCutOff) {
    const auto socket = connect_raw();
    const std::string flood(Server::max_request_size + 1, 'x');
    EXPECT_THAT(ask_raw(socket, flood), HasSubstr("may have 16384 bytes"));
    EXPECT_EQ(read_line(socket), "");
    EXPECT_TRUE(connect().status());
}

TEST_F(ControlTest, ClientThatNeverReadsHinderNobody) {
    const auto socket = connect_raw();
    std::string requests;
    for (int i = 0; i < 500; ++i) {
        requests += "{\"id\":1,\"method\":\"metrics\"}\n";
    }
    for (int i = 0; i < 100; ++i) {
        ::send(socket.get(), requests.data(), requests.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    EXPECT_TRUE(connect().status());
}

TEST_F(ControlTest, ClientThatHangsUpInTheMiddleIsForgotten) {
    for (int i = 0; i < 50; ++i) {
        const auto socket = connect_raw();
        ::send(socket.get(), "{\"id\":", 6, MSG_NOSIGNAL);
    }
    EXPECT_TRUE(connect().status());
}

TEST_F(ControlTest, SeveralRequestsInOnePacketAreAnsweredInOrder) {
    const auto socket = connect_raw();
    const auto first =
        ask_raw(socket, "{\"id\":1,\"method\":\"echo\"}\n{\"id\":2,\"method\":\"echo\"}\n");
    EXPECT_EQ(first, "{\"id\":1,\"result\":{}}");
    EXPECT_EQ(read_line(socket), "{\"id\":2,\"result\":{}}");
}

TEST_F(ControlTest, ServerStopsWithClientsConnected) {
    const auto socket = connect_raw();
    server.reset();
    EXPECT_EQ(read_line(socket), "");
}

// The socket's path.

TEST_F(ControlTest, SocketBelongsToItsUserAlone) {
    struct stat found {};
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600U);
}

TEST_F(ControlTest, ServedSocketIsNotTaken) {
    EXPECT_EQ(listen_at(path).error().code(), EADDRINUSE);
}

TEST_F(ControlTest, StaleSocketIsReplaced) {
    server.reset();
    EXPECT_TRUE(listen_at(path));
}

TEST(ListenAt, LeavesAForeignFileAlone) {
    const test::TempDir dir;
    const auto file = dir.path("file");
    ASSERT_EQ(::mknod(file.c_str(), S_IFREG | 0644, 0), 0);
    EXPECT_EQ(listen_at(file).error().code(), EEXIST);
}

TEST(ListenAt, RefusesAPathThatDoesNotFit) {
    EXPECT_EQ(listen_at(std::string(200, 'x')).error().code(), ENAMETOOLONG);
    EXPECT_EQ(Client::connect(std::string(200, 'x')).error().code(), ENAMETOOLONG);
}

TEST(Client, SaysThatNobodyIsThere) {
    const auto client = Client::connect("/nonexistent/control.sock");
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code(), ENOENT);
    EXPECT_THAT(client.error().describe(), HasSubstr("Check that the daemon runs"));
}

TEST(Client, GivesUpOnADaemonThatIsSilent) {
    const test::TempDir dir;
    const auto path = dir.path("silent.sock");
    const auto listener = listen_at(path);
    ASSERT_TRUE(listener);
    auto client = Client::connect(path, std::chrono::milliseconds{50});
    ASSERT_TRUE(client);
    EXPECT_EQ(client->status().error().code(), ETIMEDOUT);
}

// Status as text.

TEST(Status, NamesWhatIsMissing) {
    EXPECT_THAT(parse_status("{}").error().message(), HasSubstr("has no 'version'"));
    EXPECT_THAT(parse_status("[]").error().message(), HasSubstr("is not an object"));
    EXPECT_THAT(parse_status("{").error().message(), HasSubstr("is not an object"));
    EXPECT_THAT(parse_status(R"({"version":1})").error().message(),
                HasSubstr("'version' of The daemon's status is not a string"));
}

TEST(Status, KeepsJsonValidForPathsThatAreNotUtf8) {
    auto status = sample_status();
    status.shared_dir = "/srv/\xff";
    EXPECT_EQ(parse_status(to_json(status)).value().shared_dir, "/srv/\xef\xbf\xbd");
}

TEST(Status, QuantileIsTheLimitOfItsClass) {
    const auto status = sample_status();
    const auto& lookup = status.operations.front();
    EXPECT_EQ(latency_quantile(status, lookup, 0.5).count(), 1024);
    EXPECT_EQ(latency_quantile(status, lookup, 0.9).count(), 2048);
    EXPECT_EQ(latency_quantile(status, lookup, 1.0).count(), 2048);
    EXPECT_EQ(latency_quantile(status, {}, 0.5).count(), 0);
}

TEST(LogLevels, WordsGoBothWays) {
    EXPECT_EQ(parse_log_level("trace").value(), LogLevel::trace);
    EXPECT_EQ(to_string(LogLevel::warn), "warn");
    EXPECT_FALSE(parse_log_level("Warn"));
}

} // namespace
} // namespace vfskit::control
