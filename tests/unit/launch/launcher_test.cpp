// SPDX-License-Identifier: Apache-2.0
#include "core/base/file.h"
#include "core/launch/launch.h"
#include "core/launch/processes.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/launch/fake_service_manager.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace vfskit::test {
namespace {

using launch::DaemonState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class DirectLauncher : public testing::Test {
protected:
    DirectLauncher() { std::filesystem::create_directory(dir_.root() + "/share"); }
    ~DirectLauncher() override { static_cast<void>(launcher_.stop({}).has_value()); }

    launch::StartRequest request(const std::string& tag = "media",
                                 const std::string& directory = "share") {
        launch::StartRequest result;
        result.vm = "web";
        result.share.dirid = tag;
        result.share.tag = tag;
        result.share.path = dir_.root() + "/" + directory;
        result.program = VFSKIT_STAND_IN_DAEMON;
        return result;
    }
    [[nodiscard]] launch::SharePaths paths(const std::string& tag = "media") const {
        return *launcher_.layout().paths("web", tag);
    }
    DaemonState state() {
        const auto all = launcher_.list();
        return all && all->size() == 1 ? all->front().state : DaemonState::ended;
    }
    UniqueFd connect() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, paths().socket.c_str(), sizeof(address.sun_path) - 1);
        UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        EXPECT_EQ(
            ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
            0);
        return socket;
    }
    bool becomes(DaemonState wanted) {
        for (int i = 0; i < 500; ++i) {
            if (state() == wanted) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        return false;
    }
    [[nodiscard]] bool is_clean() const { return !std::filesystem::exists(paths().directory); }

    TempDir dir_;
    launch::Launcher launcher_{launch::Layout{dir_.root() + "/run"}, nullptr};
};

TEST_F(DirectLauncher, StartsADaemonThatListensInASessionOfItsOwn) {
    const auto record = launcher_.start(request());

    ASSERT_TRUE(record) << record.error().describe();
    EXPECT_EQ(state(), DaemonState::waiting);
    EXPECT_NE(::getsid(record->process.pid), ::getsid(0));
    EXPECT_EQ(*base::read_file(paths().pid_file, 64), fmt::format("{}\n", record->process.pid));
}

TEST_F(DirectLauncher, RecordsWhatItStarted) {
    const auto record = launcher_.start(request());

    ASSERT_TRUE(record) << record.error().describe();
    EXPECT_EQ(*launch::read_record(paths().record), *record);
}

TEST_F(DirectLauncher, GivesTheDaemonNoDescriptorOfOurs) {
    const UniqueFd ours{::dup(STDERR_FILENO)};

    const auto record = launcher_.start(request());

    ASSERT_TRUE(record) << record.error().describe();
    for (const auto& entry :
         std::filesystem::directory_iterator{fmt::format("/proc/{}/fd", record->process.pid)}) {
        const auto target = std::filesystem::read_symlink(entry.path()).string();
        EXPECT_TRUE(target == "/dev/null" || target == paths().log || target == paths().pid_file ||
                    target == paths().socket_pid_file() || target.starts_with("socket:"))
            << target;
    }
}

TEST_F(DirectLauncher, RefusesASecondDaemonForTheSocket) {
    ASSERT_TRUE(launcher_.start(request()));

    const auto second = launcher_.start(request());

    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), EADDRINUSE);
    EXPECT_THAT(second.error().describe(), HasSubstr("vfsctl daemon stop"));
    EXPECT_EQ(state(), DaemonState::waiting);
}

TEST_F(DirectLauncher, ReplacesADaemonThatWaits) {
    const auto first = launcher_.start(request());
    ASSERT_TRUE(first);
    auto again = request();
    again.replaces_waiting = true;

    const auto second = launcher_.start(again);

    ASSERT_TRUE(second) << second.error().describe();
    EXPECT_NE(second->process, first->process);
    EXPECT_FALSE(launch::is_alive(first->process));
}

TEST_F(DirectLauncher, NeverReplacesADaemonThatAVmUses) {
    ASSERT_TRUE(launcher_.start(request()));
    const auto front_end = connect();
    ASSERT_TRUE(becomes(DaemonState::connected));
    auto again = request();
    again.replaces_waiting = true;

    const auto second = launcher_.start(again);

    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), EADDRINUSE);
    EXPECT_EQ(state(), DaemonState::connected);
}

TEST_F(DirectLauncher, RefusesASocketThatAStrangerServes) {
    std::filesystem::create_directories(paths().directory);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, paths().socket.c_str(), sizeof(address.sun_path) - 1);
    const UniqueFd stranger{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(::bind(stranger.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    ASSERT_EQ(::listen(stranger.get(), 1), 0);

    const auto started = launcher_.start(request());

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), EADDRINUSE);
    EXPECT_TRUE(std::filesystem::exists(paths().socket));
    std::filesystem::remove_all(paths().directory);
}

TEST_F(DirectLauncher, MendsWhatAKilledDaemonLeft) {
    const auto first = launcher_.start(request());
    ASSERT_TRUE(first);
    ::kill(first->process.pid, SIGKILL);
    ASSERT_TRUE(becomes(DaemonState::ended));
    ASSERT_TRUE(std::filesystem::exists(paths().socket));

    const auto second = launcher_.start(request());

    EXPECT_TRUE(second) << second.error().describe();
    EXPECT_EQ(state(), DaemonState::waiting);
}

TEST_F(DirectLauncher, TellsTheLastWordsOfADaemonThatEnds) {
    const auto started = launcher_.start(request("media", "fails"));

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), ECHILD);
    EXPECT_THAT(started.error().describe(), HasSubstr("the directory is not to be shared"));
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, LeavesNothingOfADaemonThatNeverListens) {
    launcher_.set_patience(std::chrono::milliseconds{200});

    const auto started = launcher_.start(request("media", "silent"));

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), ETIMEDOUT);
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, TellsAProgramThatIsNotThere) {
    auto missing = request();
    missing.program = dir_.root() + "/none";

    const auto started = launcher_.start(missing);

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), ENOENT);
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, RefusesLimitsThatNobodyWouldKeep) {
    auto limited = request();
    limited.limits.cpu_percent = 50;

    const auto started = launcher_.start(limited);

    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code(), ENOTSUP);
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, StopEndsTheDaemonAndRemovesItsFiles) {
    const auto record = launcher_.start(request());
    ASSERT_TRUE(record);

    const auto stopped = launcher_.stop({.vm = "web", .tag = {}});

    ASSERT_TRUE(stopped) << stopped.error().describe();
    EXPECT_THAT(*stopped, SizeIs(1));
    EXPECT_FALSE(launch::is_alive(record->process));
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, StopKillsADaemonThatIgnoresSigterm) {
    launcher_.set_patience(std::chrono::milliseconds{300});
    const auto record = launcher_.start(request("media", "stubborn"));
    ASSERT_TRUE(record) << record.error().describe();

    const auto stopped = launcher_.stop({});

    ASSERT_TRUE(stopped) << stopped.error().describe();
    EXPECT_FALSE(launch::is_alive(record->process));
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, StopTakesOnlyWhatIsSelected) {
    ASSERT_TRUE(launcher_.start(request("media")));
    ASSERT_TRUE(launcher_.start(request("home")));

    ASSERT_TRUE(launcher_.stop({.vm = "web", .tag = "home"}));

    const auto left = launcher_.list();
    ASSERT_TRUE(left);
    ASSERT_THAT(*left, SizeIs(1));
    EXPECT_EQ(left->front().record.tag, "media");
}

TEST_F(DirectLauncher, StaleSparesTheDaemonThatMayStillGetItsVm) {
    ASSERT_TRUE(launcher_.start(request()));

    EXPECT_THAT(*launcher_.stop({}, true), IsEmpty());
    EXPECT_EQ(state(), DaemonState::waiting);

    EXPECT_THAT(*launcher_.stop({}, true, std::chrono::seconds{0}), SizeIs(1));
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, StaleSparesTheDaemonThatAVmUses) {
    ASSERT_TRUE(launcher_.start(request()));
    const auto front_end = connect();
    ASSERT_TRUE(becomes(DaemonState::connected));

    EXPECT_THAT(*launcher_.stop({}, true, std::chrono::seconds{0}), IsEmpty());

    EXPECT_EQ(state(), DaemonState::connected);
}

TEST_F(DirectLauncher, ShowsADaemonWhoseStarterDiedHalfWay) {
    auto record = launcher_.start(request());
    ASSERT_TRUE(record);
    // What is written before the start: no process is known yet.
    record->process = {};
    std::ofstream{paths().record} << launch::to_json(*record);

    const auto all = launcher_.list();

    ASSERT_TRUE(all) << all.error().describe();
    ASSERT_THAT(*all, SizeIs(1));
    EXPECT_EQ(all->front().state, DaemonState::waiting);
    EXPECT_NE(all->front().record.process.pid, 0);
}

TEST_F(DirectLauncher, ShowsARecordThatCannotBeRead) {
    std::filesystem::create_directories(paths("a b").directory);
    std::ofstream{paths("a b").record} << "{";

    const auto all = launcher_.list();

    ASSERT_TRUE(all) << all.error().describe();
    ASSERT_THAT(*all, SizeIs(1));
    EXPECT_EQ(all->front().record.tag, "a b");
    EXPECT_EQ(all->front().state, DaemonState::ended);
    EXPECT_THAT(all->front().problem, HasSubstr("no daemon record"));
    ASSERT_TRUE(launcher_.stop({}, true));
    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, DoesNotMistakeAnotherProcessForTheDaemon) {
    auto record = launcher_.start(request());
    ASSERT_TRUE(record);
    ASSERT_TRUE(launch::end_process(record->process, std::chrono::seconds{2}));
    record->process = {::getpid(), 1}; // our number, another start
    std::ofstream{paths().record} << launch::to_json(*record);

    EXPECT_TRUE(launcher_.stop({}));

    EXPECT_TRUE(is_clean());
}

TEST_F(DirectLauncher, TwoAtOnceStartOneDaemon) {
    std::vector<int> codes(4);
    std::vector<std::thread> starters;
    for (auto& code : codes) {
        starters.emplace_back([this, &code] {
            launch::Launcher other{launcher_.layout(), nullptr};
            const auto started = other.start(request());
            code = started ? 0 : started.error().code();
        });
    }
    for (auto& starter : starters) {
        starter.join();
    }

    std::ranges::sort(codes);
    EXPECT_THAT(codes, ElementsAre(0, EADDRINUSE, EADDRINUSE, EADDRINUSE));
}

class SystemdLauncher : public DirectLauncher {
protected:
    SystemdLauncher() { launcher_ = launch::Launcher{launcher_.layout(), &systemd_}; }
    ~SystemdLauncher() override {
        static_cast<void>(launcher_.stop({}).has_value());
        launcher_ = launch::Launcher{launcher_.layout(), nullptr};
    }

    FakeServiceManager systemd_{dir_.root()};
};

TEST_F(SystemdLauncher, StartsATransientUnitWithAPredictableName) {
    const auto record = launcher_.start(request("a-b"));

    ASSERT_TRUE(record) << record.error().describe();
    ASSERT_THAT(systemd_.started, SizeIs(1));
    EXPECT_EQ(systemd_.started.front().name, "vfskit-virtiofsd-web-a\\x2db.service");
    EXPECT_EQ(record->unit, systemd_.started.front().name);
    EXPECT_EQ(record->keeper, launch::Keeper::systemd);
}

TEST_F(SystemdLauncher, StopsTheUnit) {
    const auto record = launcher_.start(request());
    ASSERT_TRUE(record);

    ASSERT_TRUE(launcher_.stop({}));

    EXPECT_FALSE(launch::is_alive(record->process));
    EXPECT_TRUE(is_clean());
}

TEST_F(SystemdLauncher, FindsAUnitWhoseRecordIsGone) {
    ASSERT_TRUE(launcher_.start(request()));
    std::filesystem::remove(paths().record);

    const auto all = launcher_.list();

    ASSERT_TRUE(all) << all.error().describe();
    ASSERT_THAT(*all, SizeIs(1));
    EXPECT_EQ(all->front().record.vm, "web");
    EXPECT_EQ(all->front().record.tag, "media");
    EXPECT_EQ(all->front().state, DaemonState::waiting);
    EXPECT_EQ(launcher_.start(request()).error().code(), EADDRINUSE);
}

TEST_F(SystemdLauncher, TellsTheLastWordsOfTheJournal) {
    const auto started = launcher_.start(request("media", "fails"));

    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().describe(), HasSubstr("the directory is not to be shared"));
}

} // namespace
} // namespace vfskit::test
