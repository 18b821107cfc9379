// SPDX-License-Identifier: Apache-2.0
// Migration by passing descriptors between two daemons as processes, in every sandbox and as root
// and as an ordinary user.
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using ::testing::HasSubstr;
using vhost_user::TransferDirection;

constexpr uid_t nobody = 65534;

void become(uid_t user) {
    const bool is_done =
        user == 0 || (::setgroups(0, nullptr) == 0 && ::setresgid(user, user, user) == 0 &&
                      ::setresuid(user, user, user) == 0);
    if (!is_done) {
        ::_exit(126);
    }
}

/// The device's part in a migration, as QEMU plays it.
class MovingGuest : public SystemGuest {
public:
    using SystemGuest::SystemGuest;

    void stop() {
        for (unsigned i = 0; i < queue_count(); ++i) {
            bases_.push_back(frontend().stop_queue(static_cast<std::uint16_t>(i)));
        }
    }
    void go_on() {
        for (unsigned i = 0; i < queue_count(); ++i) {
            start_queue(i, bases_.at(i));
        }
        bases_.clear();
    }
    std::string save() {
        auto pipe = start_transfer(TransferDirection::save);
        pipe[1].reset();
        std::string bytes;
        std::array<char, 4096> chunk{};
        for (;;) {
            const auto got = ::read(pipe[0].get(), chunk.data(), chunk.size());
            if (got <= 0) {
                break;
            }
            bytes.append(chunk.data(), static_cast<std::size_t>(got));
        }
        EXPECT_EQ(frontend().get(vhost_user::VHOST_USER_CHECK_DEVICE_STATE), 0U);
        return bytes;
    }
    /// Whether the daemon took it over.
    bool load(const std::string& bytes) {
        auto pipe = start_transfer(TransferDirection::load);
        pipe[0].reset();
        EXPECT_EQ(::write(pipe[1].get(), bytes.data(), bytes.size()),
                  static_cast<ssize_t>(bytes.size()));
        pipe[1].reset();
        return frontend().get(vhost_user::VHOST_USER_CHECK_DEVICE_STATE) == 0;
    }

private:
    std::array<UniqueFd, 2> start_transfer(TransferDirection direction) {
        std::array<int, 2> raw{-1, -1};
        EXPECT_EQ(::pipe2(raw.data(), O_CLOEXEC), 0);
        std::array<UniqueFd, 2> ends{UniqueFd{raw[0]}, UniqueFd{raw[1]}};
        frontend().send(
            vhost_user::VHOST_USER_SET_DEVICE_STATE_FD,
            vhost_user::VhostUserTransferDeviceState{static_cast<std::uint32_t>(direction), 0},
            {direction == TransferDirection::save ? ends[1].get() : ends[0].get()});
        static_cast<void>(
            frontend().receive_as<std::uint64_t>(vhost_user::VHOST_USER_SET_DEVICE_STATE_FD));
        return ends;
    }

    std::vector<std::uint16_t> bases_;
};

struct Setup {
    const char* name;
    uid_t user;
    const char* sandbox;
};

class PassingDescriptors : public testing::TestWithParam<Setup> {
protected:
    PassingDescriptors() {
        for (const auto& path : {place_.path(""), place_.share()}) {
            EXPECT_EQ(::chown(path.c_str(), GetParam().user, GetParam().user), 0);
        }
    }
    /// An ordinary user cannot chroot.
    static std::string sandbox_of(uid_t user) {
        const std::string sandbox = GetParam().sandbox;
        return user != 0 && sandbox == "chroot" ? "none" : sandbox;
    }
    std::unique_ptr<DaemonProcess> start(const std::string& socket, uid_t user) {
        auto daemon = std::make_unique<DaemonProcess>(
            Start{.arguments = {"--socket-path=" + place_.path(socket),
                                "--shared-dir=" + place_.share(),
                                "--migration-mode=fd-passing",
                                "--migration-socket-dir=" + place_.path("meet"),
                                std::string{"--sandbox="} + sandbox_of(user)},
                  .prepare = [user] { become(user); }});
        EXPECT_TRUE(daemon->wait_ready()) << daemon->log();
        return daemon;
    }
    void start_source() {
        source_ = start("here", GetParam().user);
        here_.emplace(place_.path("here"));
        here_->uid = here_->gid = GetParam().user;
    }
    void start_destination(uid_t user) {
        destination_ = start("there", user);
        there_.emplace(place_.path("there"), GuestSetup{.initializes = false});
        there_->stop();
    }
    void start_destination() { start_destination(GetParam().user); }

    struct OpenFile {
        std::uint64_t node = 0;
        std::uint64_t handle = 0;
    };
    OpenFile make_file(const std::string& name, const std::string& content) {
        const auto reply = here_->create(name, O_RDWR);
        EXPECT_EQ(reply.error(), 0);
        const OpenFile file{reply.as<EntryOut>().nodeid, reply.as<OpenOut>(sizeof(EntryOut)).fh};
        EXPECT_EQ(here_->write(file.node, file.handle, content).error(), 0);
        return file;
    }
    static std::string read(MovingGuest& guest, const OpenFile& file) {
        const auto reply = guest.read(file.node, file.handle, 0, 100);
        return reply.error() == 0 ? reply.payload : "errno " + std::to_string(reply.error());
    }

    Place place_;
    std::unique_ptr<DaemonProcess> source_;
    std::unique_ptr<DaemonProcess> destination_;
    std::optional<MovingGuest> here_;
    std::optional<MovingGuest> there_;
};

TEST_P(PassingDescriptors, BringsFilesThatAreDeletedOrTakenAway) {
    start_source();
    const auto deleted = make_file("deleted", "deleted");
    const auto taken = make_file("taken", "taken");
    std::filesystem::remove(place_.share("deleted"));
    ASSERT_EQ(::chown(place_.share("taken").c_str(), 0, 0), 0);
    ASSERT_EQ(::chmod(place_.share("taken").c_str(), 0600), 0);
    start_destination();

    here_->stop();
    ASSERT_TRUE(there_->load(here_->save())) << destination_->log() << source_->log();
    there_->go_on();

    EXPECT_EQ(read(*there_, deleted), "deleted");
    EXPECT_EQ(read(*there_, taken), "taken");
    EXPECT_EQ(there_->write(taken.node, taken.handle, "TAKEN").error(), 0);
    EXPECT_EQ(place_.read("taken"), "TAKEN");
    EXPECT_EQ(there_->create("new", O_RDWR).error(), 0);
}

TEST_P(PassingDescriptors, RefusesWhenTheGuestGoesOnAtTheSource) {
    start_source();
    const auto file = make_file("file", "file");
    start_destination();
    here_->stop();
    const auto state = here_->save();
    here_->go_on();
    EXPECT_EQ(read(*here_, file), "file");

    EXPECT_FALSE(there_->load(state));
    EXPECT_THAT(destination_->log(), HasSubstr("no migration under way"));
    here_->stop();
    EXPECT_TRUE(there_->load(here_->save())) << destination_->log();
}

TEST_P(PassingDescriptors, RefusesWhenTheSourcesDaemonHasDied) {
    start_source();
    static_cast<void>(make_file("file", "file"));
    start_destination();
    here_->stop();
    const auto state = here_->save();
    ASSERT_EQ(::kill(source_->serving_pid(), SIGKILL), 0);
    ASSERT_TRUE(source_->wait_exit());

    EXPECT_FALSE(there_->load(state));
    EXPECT_THAT(destination_->log(), HasSubstr("cannot be reached"));
    EXPECT_THAT(destination_->log(), HasSubstr("--migration-on-error=guest-error"));
}

TEST_P(PassingDescriptors, RefusesAnotherUser) {
    start_source();
    static_cast<void>(make_file("file", "file"));
    const uid_t other = GetParam().user == 0 ? nobody : 0;
    // Into the directory the other may look; that alone must not help.
    ASSERT_EQ(::chmod(place_.path("meet").c_str(), 0777), 0);
    ASSERT_EQ(::chmod(place_.path("").c_str(), 0777), 0);
    for (const auto& entry : std::filesystem::directory_iterator{place_.path("meet")}) {
        ASSERT_EQ(::chmod(entry.path().c_str(), 0777), 0);
    }
    start_destination(other);

    here_->stop();
    EXPECT_FALSE(there_->load(here_->save()));
    EXPECT_THAT(destination_->log(), HasSubstr("another than"));
}

TEST_P(PassingDescriptors, LeavesNoSocketBehind) {
    start_source();
    source_->signal(SIGTERM);
    ASSERT_TRUE(source_->wait_exit());
    EXPECT_TRUE(std::filesystem::is_empty(place_.path("meet")));
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         PassingDescriptors,
                         testing::Values(Setup{"root_none", 0, "none"},
                                         Setup{"root_chroot", 0, "chroot"},
                                         Setup{"root_namespace", 0, "namespace"},
                                         Setup{"user_none", nobody, "none"},
                                         Setup{"user_namespace", nobody, "namespace"}),
                         [](const auto& tried) { return std::string{tried.param.name}; });

} // namespace
} // namespace vfskit::test
