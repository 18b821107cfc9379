// SPDX-License-Identifier: Apache-2.0
// What the daemon's process may still do when it serves, read from /proc.
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <set>
#include <utility>

namespace vfskit::test {
namespace {

using namespace fuse::wire;

std::string capability_field(std::initializer_list<int> capabilities) {
    std::uint64_t bits = 0;
    for (const int capability : capabilities) {
        bits |= 1ULL << capability;
    }
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
    return text;
}

const std::string usual = capability_field({CAP_CHOWN,
                                            CAP_DAC_OVERRIDE,
                                            CAP_FOWNER,
                                            CAP_FSETID,
                                            CAP_SETGID,
                                            CAP_SETUID,
                                            CAP_MKNOD,
                                            CAP_SETFCAP});
const std::string with_handles = capability_field({CAP_CHOWN,
                                                   CAP_DAC_OVERRIDE,
                                                   CAP_DAC_READ_SEARCH,
                                                   CAP_FOWNER,
                                                   CAP_FSETID,
                                                   CAP_SETGID,
                                                   CAP_SETUID,
                                                   CAP_MKNOD,
                                                   CAP_SETFCAP});

class Walls : public testing::TestWithParam<std::string> {
protected:
    // Served once, so that every thread that serves exists.
    void start(std::vector<std::string> options) {
        options.push_back("--sandbox=" + GetParam());
        daemon_.emplace(Start{.arguments = place_.arguments(std::move(options)), .prepare = [] {
                                  const gid_t groups[] = {1, 4242};
                                  ::setgroups(2, groups);
                                  ::umask(0177);
                              }});
        guest_.emplace(place_.socket(), GuestSetup{.request_queues = 2});
        ASSERT_TRUE(guest_->is_served()) << daemon_->log();
    }
    // The values of a field in all threads; one, if they agree.
    [[nodiscard]] std::set<std::string> in_all_threads(const std::string& field) const {
        std::set<std::string> values;
        const auto tasks = "/proc/" + std::to_string(daemon_->serving_pid()) + "/task";
        for (const auto& task : std::filesystem::directory_iterator{tasks}) {
            values.insert(proc_field(task.path() / "status", field));
        }
        return values;
    }
    using Values = std::set<std::string>;

    Place place_;
    std::optional<DaemonProcess> daemon_;
    std::optional<SystemGuest> guest_;
};

TEST_P(Walls, StandAroundEveryThread) {
    start({"--inode-file-handles=never"});
    EXPECT_EQ(in_all_threads("Seccomp"), Values{"2"});
    EXPECT_EQ(in_all_threads("CapEff"), Values{usual});
    EXPECT_EQ(in_all_threads("CapPrm"), Values{usual});
    EXPECT_EQ(in_all_threads("CapBnd"), Values{capability_field({})});
    EXPECT_EQ(in_all_threads("CapInh"), Values{capability_field({})});
    EXPECT_EQ(in_all_threads("CapAmb"), Values{capability_field({})});
    EXPECT_EQ(in_all_threads("Groups"), Values{""});
}

TEST_P(Walls, LetFileHandlesBeOpened) {
    start({"--inode-file-handles=prefer"});
    EXPECT_EQ(in_all_threads("CapEff"), Values{with_handles});
}

TEST_P(Walls, AreWhatModcapsSays) {
    start({"--inode-file-handles=never", "--modcaps=+sys_admin:-mknod:-SETFCAP"});
    EXPECT_EQ(in_all_threads("CapEff"),
              Values{capability_field({CAP_CHOWN,
                                       CAP_DAC_OVERRIDE,
                                       CAP_FOWNER,
                                       CAP_FSETID,
                                       CAP_SETGID,
                                       CAP_SETUID,
                                       CAP_SYS_ADMIN})});
}

TEST_P(Walls, HaveNoFilterWithSeccompNone) {
    start({"--seccomp=none"});
    EXPECT_EQ(in_all_threads("Seccomp"), Values{"0"});
}

TEST_P(Walls, LeaveTheModesToTheGuest) {
    start({});
    ASSERT_EQ(guest_->create("f", O_RDWR, 0666).error(), 0);
    struct stat info {};
    ASSERT_EQ(::stat(place_.share("f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0666U);
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         Walls,
                         testing::Values("none", "chroot", "namespace"),
                         [](const auto& tried) { return tried.param; });

TEST(TheNamespaceSandbox, HasNamespacesOfItsOwn) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    const auto serving = "/proc/" + std::to_string(daemon.serving_pid());
    for (const char* kind : {"mnt", "pid", "net"}) {
        EXPECT_NE(std::filesystem::read_symlink(serving + "/ns/" + kind),
                  std::filesystem::read_symlink(std::string{"/proc/self/ns/"} + kind))
            << kind;
    }
    EXPECT_TRUE(std::filesystem::is_empty(serving + "/root"));
}

TEST(ADaemonThatLacksACapability, NamesIt) {
    const Place place;
    const auto lacks = [](int capability) {
        return [capability] { ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); };
    };
    for (const auto& [capability, name] : {std::pair{CAP_SETPCAP, "setpcap"},
                                           std::pair{CAP_MKNOD, "mknod"},
                                           std::pair{CAP_DAC_READ_SEARCH, "dac_read_search"}}) {
        DaemonProcess daemon{
            {.arguments = place.arguments({"--sandbox=none"}), .prepare = lacks(capability)}};
        EXPECT_EQ(daemon.wait_exit(), 1) << name;
        EXPECT_NE(daemon.log().find(std::string{"runs as root without "} + name), std::string::npos)
            << daemon.log();
    }
}

// --- As an ordinary user

constexpr uid_t nobody = 65534;

void become_nobody() {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(nobody, nobody, nobody) != 0 ||
        ::setresuid(nobody, nobody, nobody) != 0) {
        ::_exit(126);
    }
}

class AsAnOrdinaryUser : public testing::Test {
protected:
    AsAnOrdinaryUser() {
        EXPECT_EQ(::chown(place_.path("").c_str(), nobody, nobody), 0);
        EXPECT_EQ(::chown(place_.share().c_str(), nobody, nobody), 0);
        for (const char* name : {"subuid", "subgid"}) {
            std::ofstream{place_.path(name)} << "nobody:300000:65536\n";
        }
    }
    // /etc/subuid with a range for this user, in a mount namespace of the daemon's own.
    void grant_ids() const {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0 ||
            ::mount(place_.path("subuid").c_str(), "/etc/subuid", nullptr, MS_BIND, nullptr) != 0 ||
            ::mount(place_.path("subgid").c_str(), "/etc/subgid", nullptr, MS_BIND, nullptr) != 0) {
            ::_exit(126);
        }
    }
    Place place_;
};

TEST_F(AsAnOrdinaryUser, OwnFilesAreServedInANamespace) {
    DaemonProcess daemon{{.arguments = place_.arguments(), .prepare = become_nobody}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    SystemGuest guest{place_.socket()};
    guest.uid = guest.gid = nobody;
    EXPECT_EQ(guest.mkdir(FUSE_ROOT_ID, "d").error(), 0);
    struct stat info {};
    ASSERT_EQ(::stat(place_.share("d").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, nobody);
    EXPECT_EQ(daemon.status_field("Seccomp"), "2");
    EXPECT_NE(daemon.log().find("disabling file handles altogether"), std::string::npos)
        << daemon.log();
}

TEST_F(AsAnOrdinaryUser, IdsThatAreNotItsOwnAreRefusedInOneLine) {
    DaemonProcess daemon{
        {.arguments = place_.arguments({"--uid-map=:0:700000:65536:"}), .prepare = become_nobody}};
    EXPECT_EQ(daemon.wait_exit(), 1);
    const auto log = daemon.log();
    EXPECT_EQ(log.find("newuidmap"), log.rfind("'newuidmap") + 1) << log;
    EXPECT_LT(log.find("ERROR virtiofsd] The id maps"), log.find("newuidmap")) << log;
}

TEST_F(AsAnOrdinaryUser, RangesOfIdsAreMappedByNewuidmap) {
    DaemonProcess daemon{{.arguments = place_.arguments({"--uid-map=:0:65534:1:",
                                                         "--uid-map=:1:300000:65535:",
                                                         "--gid-map=:0:65534:1:",
                                                         "--gid-map=:1:300000:65535:"}),
                          .prepare = [this] {
                              grant_ids();
                              become_nobody();
                          }}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    ASSERT_EQ(::chmod(place_.share().c_str(), 0777), 0);
    SystemGuest guest{place_.socket()};
    EXPECT_EQ(guest.mkdir(FUSE_ROOT_ID, "root's").error(), 0);
    guest.uid = guest.gid = 1000;
    EXPECT_EQ(guest.mkdir(FUSE_ROOT_ID, "user's").error(), 0);

    struct stat info {};
    ASSERT_EQ(::stat(place_.share("root's").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, nobody);
    ASSERT_EQ(::stat(place_.share("user's").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 300999U);
    EXPECT_EQ(info.st_gid, 300999U);
}

TEST_F(AsAnOrdinaryUser, SharingGoesOnWithoutASandbox) {
    DaemonProcess daemon{
        {.arguments = place_.arguments({"--sandbox=none"}), .prepare = become_nobody}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    SystemGuest guest{place_.socket()};
    guest.uid = guest.gid = nobody;
    EXPECT_EQ(guest.mkdir(FUSE_ROOT_ID, "d").error(), 0);
}

TEST_F(AsAnOrdinaryUser, AChrootIsRefused) {
    DaemonProcess daemon{
        {.arguments = place_.arguments({"--sandbox=chroot"}), .prepare = become_nobody}};
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_NE(daemon.log().find("chroot"), std::string::npos) << daemon.log();
}

} // namespace
} // namespace vfskit::test
