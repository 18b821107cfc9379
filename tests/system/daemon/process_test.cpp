// SPDX-License-Identifier: Apache-2.0
// The daemon as its supervisor sees it: exit statuses, log lines, files, sockets.
#include "core/control/client.h"
#include "tests/support/source_tree.h"
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

constexpr const char* waiting_line = "Waiting for vhost-user socket connection...";
constexpr const char* connected_line = "Client connected, servicing requests";
constexpr const char* gone_line = "Client disconnected, shutting down";

mode_t mode_of(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// --- What ends it, and how

TEST(ExitStatus, IsTwoAfterAWrongCommandLine) {
    EXPECT_EQ(run_daemon({}).status, 2);
    EXPECT_EQ(run_daemon({"--no-such-option"}).status, 2);
    EXPECT_EQ(run_daemon({"--shared-dir=/tmp"}).status, 2);
    EXPECT_EQ(run_daemon({"--shared-dir=/tmp", "--fd=3", "--socket-path=/tmp/x"}).status, 2);
}

TEST(ExitStatus, IsOneWhenTheConfigurationCannotWork) {
    const Place place;
    const auto ended =
        run_daemon({"--socket-path=" + place.socket(), "--shared-dir=/no/such/directory"});
    EXPECT_EQ(ended.status, 1);
    EXPECT_TRUE(has(ended.err, "/no/such/directory does not exist")) << ended.err;
    EXPECT_TRUE(has(ended.err, "ERROR virtiofsd")) << ended.err;
    EXPECT_EQ(run_daemon(place.arguments({"--modcaps=-dac_read_search"})).status, 1);
    EXPECT_EQ(run_daemon(place.arguments({"--rlimit-nofile=100"})).status, 1);
    EXPECT_EQ(run_daemon(place.arguments({"--socket-group=no-such-group"})).status, 1);
    EXPECT_EQ(run_daemon(place.arguments({"--uid-map=:0:0:1:"})).status, 1);
}

TEST(ExitStatus, IsZeroAfterPrintingSomething) {
    EXPECT_EQ(run_daemon({"--version"}).status, 0);
    EXPECT_EQ(run_daemon({"--help"}).status, 0);
    EXPECT_EQ(run_daemon({"--print-capabilities"}).status, 0);
}

TEST(ExitStatus, IsUpstreamsForADaemonThatASignalEnds) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    ::kill(daemon.serving_pid(), SIGKILL);
    EXPECT_EQ(daemon.wait_exit(), 256 - SIGKILL);
    const auto line = "Child process terminated by signal " + std::to_string(SIGKILL);
    EXPECT_TRUE(has(daemon.log(), line)) << daemon.log();
    EXPECT_FALSE(std::filesystem::exists(place.socket()));
}

TEST(FewDescriptors, AreWarnedOf) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments({"--rlimit-nofile=720"})}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    EXPECT_TRUE(has(daemon.log(), "File descriptor count limit is very small")) << daemon.log();
}

class EverySandbox : public testing::TestWithParam<std::string> {
protected:
    [[nodiscard]] std::vector<std::string> arguments() const {
        return place_.arguments({"--sandbox=" + GetParam()});
    }
    Place place_;
};

TEST_P(EverySandbox, EndsWithZeroWhenTheFrontendLeaves) {
    DaemonProcess daemon{{.arguments = arguments()}};
    {
        SystemGuest guest{place_.socket()};
        EXPECT_TRUE(guest.is_served());
    }
    EXPECT_EQ(daemon.wait_exit(), 0);
    const auto log = daemon.log();
    EXPECT_TRUE(has(log, waiting_line)) << log;
    EXPECT_LT(log.find(waiting_line), log.find(connected_line)) << log;
    EXPECT_LT(log.find(connected_line), log.find(gone_line)) << log;
    EXPECT_FALSE(has(log, "ERROR")) << log;
    EXPECT_FALSE(std::filesystem::exists(place_.socket()));
}

TEST_P(EverySandbox, EndsWithOneOnASignalWhileItServes) {
    DaemonProcess daemon{{.arguments = arguments()}};
    SystemGuest guest{place_.socket()};
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(), 1);
}

TEST_P(EverySandbox, DiesWithTheProcessThatWasStarted) {
    DaemonProcess daemon{{.arguments = arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    const pid_t serving = daemon.serving_pid();
    daemon.signal(SIGKILL);
    EXPECT_EQ(daemon.wait_exit(), 128 + SIGKILL);
    EXPECT_TRUE(wait_until([serving] { return ::kill(serving, 0) != 0; }));
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         EverySandbox,
                         testing::Values("none", "chroot", "namespace"),
                         [](const auto& tried) { return tried.param; });

TEST(Capabilities, AreUpstreamsAndMore) {
    const auto printed = run_daemon({"--print-capabilities"}).out;
    EXPECT_EQ(printed.rfind("{\n  \"type\": \"fs\",\n  \"features\": [\n", 0), 0U) << printed;
    for (const char* feature : {"migrate-precopy",
                                "posix-acl-negotiation-mode",
                                "security-label-negotiation-mode",
                                "separate-options"}) {
        EXPECT_TRUE(has(printed, '"' + std::string{feature} + '"')) << printed;
    }
}

std::string text_of(const std::string& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

TEST(Capabilities, AreThoseThatLibvirtIsTold) {
    const auto printed = run_daemon({"--print-capabilities"}).out;
    const auto told = text_of(build_path("packaging/vhost-user/50-vfskit-virtiofsd.json"));
    const auto features = [](const std::string& json) {
        const auto start = json.find("\"features\"");
        return json.substr(start, json.find(']', start) - start);
    };
    EXPECT_EQ(features(told), features(printed));
    EXPECT_TRUE(has(told, "/libexec/virtiofsd\"")) << told;
}

TEST(TheManPage, NamesEveryOption) {
    auto page = text_of(source_path("docs/man/virtiofsd.1"));
    std::erase(page, '\\');
    std::istringstream help{run_daemon({"--help"}).out};
    unsigned options = 0;
    for (std::string word; help >> word;) {
        if (word.rfind("--", 0) == 0) {
            ++options;
            const auto name = word.substr(1, word.find_first_of("=[.,;") - 1);
            EXPECT_TRUE(has(page, "Fl " + name)) << name;
        }
    }
    EXPECT_GT(options, 40U);
}

// --- Its files

TEST(PidFile, IsLockedWhileTheDaemonLives) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    EXPECT_EQ(mode_of(place.pid_file()), 0600U);
    const UniqueFd file{::open(place.pid_file().c_str(), O_RDONLY | O_CLOEXEC)};
    EXPECT_EQ(::flock(file.get(), LOCK_SH | LOCK_NB), -1);
}

TEST(PidFile, KeepsASecondDaemonOffTheSocket) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    const auto second = run_daemon(place.arguments());
    EXPECT_EQ(second.status, 1);
    EXPECT_TRUE(has(second.err, "Error creating pid file")) << second.err;
    SystemGuest guest{place.socket()};
    EXPECT_TRUE(guest.is_served());
}

TEST(Socket, IsItsOwnersAlone) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    EXPECT_EQ(mode_of(place.socket()), 0700U);
}

TEST(Socket, IsTheGroupsWithSocketGroup) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments({"--socket-group=daemon"})}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    struct stat info {};
    ASSERT_EQ(::stat(place.socket().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0770U);
    EXPECT_EQ(info.st_gid, 1U); // "daemon" of base-passwd
}

TEST(Socket, ReplacesOneThatAKilledDaemonLeft) {
    const Place place;
    static_cast<void>(listen_at(place.socket()));
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    SystemGuest guest{place.socket()};
    EXPECT_TRUE(guest.is_served());
}

TEST(Socket, TakesNoSecondFrontend) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    SystemGuest guest{place.socket()};
    const auto refused = [&] {
        try {
            const auto second = FakeFrontend::connect(place.socket(), std::chrono::milliseconds{0});
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    };
    EXPECT_TRUE(wait_until(refused));
    EXPECT_TRUE(guest.is_served());
}

// A listening socket at a descriptor of the child.
struct Inherited {
    explicit Inherited(const Place& place, int number)
        : listener{listen_at(place.socket())}, number_{number} {}
    void pass() const {
        ::dup2(listener.get(), number_);
        ::fcntl(number_, F_SETFD, 0); // dup2() to itself leaves FD_CLOEXEC
    }
    UniqueFd listener;

private:
    int number_;
};

TEST(InheritedSocket, IsServed) {
    const Place place;
    Inherited inherited{place, 9};
    DaemonProcess daemon{{.arguments = {"--fd=9", "--shared-dir=" + place.share()},
                          .prepare = [&] { inherited.pass(); }}};
    inherited.listener.reset();
    {
        SystemGuest guest{place.socket()};
        EXPECT_TRUE(guest.is_served());
    }
    EXPECT_EQ(daemon.wait_exit(), 0);
    EXPECT_TRUE(std::filesystem::exists(place.socket())) << "it is not ours to remove";
    EXPECT_FALSE(std::filesystem::exists(place.pid_file()));
}

TEST(InheritedSocket, IsTakenFromSystemd) {
    const Place place;
    Inherited inherited{place, 3};
    DaemonProcess daemon{{.arguments = {"--shared-dir=" + place.share()}, .prepare = [&] {
                              inherited.pass();
                              ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
                              ::setenv("LISTEN_FDS", "1", 1);
                          }}};
    inherited.listener.reset();
    {
        SystemGuest guest{place.socket()};
        EXPECT_TRUE(guest.is_served());
    }
    EXPECT_EQ(daemon.wait_exit(), 0);
}

TEST(InheritedSocket, MustListen) {
    const Place place;
    EXPECT_EQ(run_daemon({"--fd=0", "--shared-dir=" + place.share()}).status, 1);
}

TEST(KeepListening, ServesTheNextFrontend) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments({"--keep-listening"})}};
    {
        SystemGuest first{place.socket()};
        ASSERT_EQ(first.mkdir(FUSE_ROOT_ID, "left-by-the-first").error(), 0);
    }
    {
        SystemGuest second{place.socket()};
        EXPECT_NE(second.lookup(FUSE_ROOT_ID, "left-by-the-first"), 0U);
    }
    EXPECT_TRUE(daemon.is_alive());
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_FALSE(std::filesystem::exists(place.socket()));
}

TEST(KeepListening, SurvivesAConversationThatBreaksOff) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments({"--keep-listening"})}};
    {
        const auto broken = FakeFrontend::connect(place.socket(), patience);
        const std::uint32_t header[3] = {1, 2, 0xffffffff};
        ASSERT_EQ(::write(broken.get(), header, sizeof header), ssize_t{sizeof header});
        ASSERT_TRUE(daemon.wait_for_log("Client disconnected"));
    }
    SystemGuest next{place.socket()};
    EXPECT_TRUE(next.is_served());
}

// --- Its log

// What a daemon sends to a log service of its own: a directory of the test stands in the place of
// the host's, in a mount namespace of the daemon's.
class LogService {
public:
    LogService(const Place& place, std::string directory, const std::string& socket)
        : replaced_{std::move(directory)}, directory_{place.path("log-service")} {
        const auto path = directory_ + "/" + socket;
        std::filesystem::create_directories(std::filesystem::path{path}.parent_path());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        fd_ = UniqueFd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
                  0);
    }
    /// In the daemon's process.
    void stand_in() const {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
            ::mount(directory_.c_str(), replaced_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
            ::_exit(126);
        }
    }
    /// The next message; "" if none comes.
    [[nodiscard]] std::string next() const {
        pollfd polled{fd_.get(), POLLIN, 0};
        std::string message(8192, '\0');
        const auto wait = static_cast<int>(std::chrono::milliseconds{patience}.count());
        const ssize_t got = ::poll(&polled, 1, wait) == 1
                                ? ::recv(fd_.get(), message.data(), message.size(), 0)
                                : 0;
        message.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        return message;
    }

private:
    std::string replaced_;
    std::string directory_;
    UniqueFd fd_;
};

/// What comes after the first line.
void expect_a_visit(const LogService& service, const Place& place, DaemonProcess& daemon) {
    {
        SystemGuest guest{place.socket()};
        EXPECT_TRUE(has(service.next(), connected_line));
    }
    EXPECT_TRUE(has(service.next(), gone_line));
    EXPECT_EQ(daemon.wait_exit(), 0);
}

TEST(Syslog, GetsEveryLineAlsoOutOfTheSandbox) {
    const Place place;
    const LogService service{place, "/dev", "log"};
    DaemonProcess daemon{{.arguments = place.arguments({"--syslog", "--rlimit-nofile=0"}),
                          .prepare = [&] { service.stand_in(); }}};
    const auto first = service.next();
    EXPECT_EQ(first.rfind("<14>", 0), 0U) << first; // LOG_USER, LOG_INFO
    EXPECT_TRUE(has(first, "virtiofsd[")) << first;
    EXPECT_TRUE(has(first, waiting_line)) << first;
    expect_a_visit(service, place, daemon);
    EXPECT_EQ(daemon.log(), "");
}

TEST(Journal, GetsEveryLineWithItsFields) {
    const Place place;
    const LogService service{place, "/run", "systemd/journal/socket"};
    DaemonProcess daemon{{.arguments = place.arguments({"--journal", "--rlimit-nofile=0"}),
                          .prepare = [&] { service.stand_in(); }}};
    const auto first = service.next();
    EXPECT_TRUE(has(first, std::string{"MESSAGE="} + waiting_line + "\n")) << first;
    EXPECT_TRUE(has(first, "PRIORITY=6\n")) << first;
    EXPECT_TRUE(has(first, "SYSLOG_IDENTIFIER=virtiofsd\n")) << first;
    EXPECT_TRUE(has(first, "VFSKIT_SHARED_DIR=" + place.share() + "\n")) << first;
    expect_a_visit(service, place, daemon);
}

TEST(Journal, ThatIsNotThereIsSaidAtTheStart) {
    const Place place;
    const LogService service{place, "/run", "another-socket"};
    DaemonProcess daemon{
        {.arguments = place.arguments({"--journal"}), .prepare = [&] { service.stand_in(); }}};
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_TRUE(has(daemon.log(), "Cannot reach the journal")) << daemon.log();
}

// --- The control socket

class ControlSocket : public testing::Test {
protected:
    ControlSocket()
        : daemon_{{.arguments =
                       place_.arguments({"--control-socket=" + place_.control(), "--tag=share"})}} {
        EXPECT_TRUE(daemon_.wait_ready()) << daemon_.log();
    }
    [[nodiscard]] control::Client connect() const {
        auto client = control::Client::connect(place_.control(), patience);
        EXPECT_TRUE(client) << client.error().describe();
        return std::move(*client);
    }

    Place place_;
    DaemonProcess daemon_;
};

TEST_F(ControlSocket, TellsWhatTheGuestDid) {
    auto client = connect();
    const auto before = client.status();
    ASSERT_TRUE(before);
    EXPECT_FALSE(before->is_connected);
    EXPECT_EQ(before->pid, static_cast<std::uint32_t>(daemon_.pid()));
    EXPECT_EQ(before->tag, "share");
    EXPECT_EQ(before->shared_dir, place_.share());
    SystemGuest guest{place_.socket()};
    ASSERT_EQ(guest.mkdir(FUSE_ROOT_ID, "d").error(), 0);

    const auto after = client.status();

    ASSERT_TRUE(after);
    EXPECT_TRUE(after->is_connected);
    EXPECT_GE(after->inodes, 2U);
    const auto mkdir = std::find_if(after->operations.begin(),
                                    after->operations.end(),
                                    [](const auto& each) { return each.name == "mkdir"; });
    ASSERT_NE(mkdir, after->operations.end());
    EXPECT_EQ(mkdir->count, 1U);
}

TEST_F(ControlSocket, GivesMetrics) {
    auto client = connect();
    SystemGuest guest{place_.socket()};
    const auto made = guest.create("f", O_RDWR);
    const auto node = made.as<EntryOut>().nodeid;
    const auto fh = made.as<OpenOut>(sizeof(EntryOut)).fh;
    ASSERT_EQ(guest.write(node, fh, "12345").error(), 0);
    ASSERT_EQ(guest.read(node, fh, 1, 16).payload, "2345");

    const auto metrics = client.metrics();

    ASSERT_TRUE(metrics);
    for (const char* line :
         {"# TYPE vfskit_virtiofsd_request_duration_seconds histogram\n",
          "vfskit_virtiofsd_request_duration_seconds_bucket{op=\"create\",le=\"+Inf\"} 1\n",
          "vfskit_virtiofsd_request_duration_seconds_count{op=\"write\"} 1\n",
          "vfskit_virtiofsd_request_errors_total{op=\"write\"} 0\n",
          "vfskit_virtiofsd_written_bytes_total 5\n",
          "vfskit_virtiofsd_read_bytes_total 4\n",
          "vfskit_virtiofsd_handles 1\n",
          "vfskit_virtiofsd_inodes 2\n",
          "vfskit_virtiofsd_queue_depth{queue=\"1\"} 0\n"}) {
        EXPECT_TRUE(has(*metrics, line)) << line << *metrics;
    }
}

TEST_F(ControlSocket, ChangesTheLogLevel) {
    auto client = connect();
    ASSERT_TRUE(client.set_log_level(LogLevel::error));
    SystemGuest guest{place_.socket()};
    ASSERT_TRUE(guest.is_served());
    EXPECT_FALSE(has(daemon_.log(), connected_line)) << daemon_.log();
    EXPECT_EQ(client.status()->log_level, "error");
}

TEST_F(ControlSocket, IsItsOwnersAloneAndGoesWithTheDaemon) {
    EXPECT_EQ(mode_of(place_.control()), 0600U);
    daemon_.signal(SIGTERM);
    ASSERT_EQ(daemon_.wait_exit(), 1);
    EXPECT_FALSE(std::filesystem::exists(place_.control()));
}

} // namespace
} // namespace vfskit::test
