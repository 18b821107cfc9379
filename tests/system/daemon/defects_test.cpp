// SPDX-License-Identifier: Apache-2.0
// What upstream's daemon does wrong, each as the behaviour that we promise instead. Every test
// fails on virtiofsd 1.13.2 or 1.14.0 (run this program with VFSKIT_VIRTIOFSD=/path/to/it).
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

constexpr std::uint32_t ordinary_user = 1000;
constexpr gid_t extra_group = 4242;

std::string groups_record(const std::vector<std::uint32_t>& groups) {
    RequestBytes body;
    body.add(SuppGroups{static_cast<std::uint32_t>(groups.size())});
    for (const auto group : groups) {
        body.add(group);
    }
    return body.bytes();
}

RequestBytes create_request(const std::string& name, std::uint32_t flags = O_WRONLY) {
    CreateIn in{};
    in.flags = flags | O_CREAT;
    in.mode = S_IFREG | 0644;
    return RequestBytes{}.add(in).name(name);
}

// --- Credentials

TEST(Credentials, KeepNoSupplementaryGroupForTheNextRequest) {
    Served served;
    const auto shared = served.place.share("of-the-group");
    ASSERT_EQ(::mkdir(shared.c_str(), 0), 0);
    ASSERT_EQ(::chown(shared.c_str(), 0, extra_group), 0);
    ASSERT_EQ(::chmod(shared.c_str(), 0770), 0);
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "of-the-group");
    const auto by_root = served.guest.call(
        Opcode::FUSE_CREATE,
        node,
        create_request("a").extension(FUSE_EXT_GROUPS, groups_record({extra_group})));
    ASSERT_EQ(by_root.error(), 0);

    served.guest.uid = served.guest.gid = ordinary_user;
    const auto by_user = served.guest.call(Opcode::FUSE_CREATE, node, create_request("b"));

    EXPECT_EQ(by_user.error(), EACCES);
}

TEST(Credentials, CountASupplementaryGroupInItsOwnRequest) {
    Served served;
    const auto shared = served.place.share("of-the-group");
    ASSERT_EQ(::mkdir(shared.c_str(), 0), 0);
    ASSERT_EQ(::chown(shared.c_str(), 0, extra_group), 0);
    ASSERT_EQ(::chmod(shared.c_str(), 0770), 0);
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "of-the-group");
    served.guest.uid = served.guest.gid = ordinary_user;

    const auto reply = served.guest.call(
        Opcode::FUSE_CREATE,
        node,
        create_request("a").extension(FUSE_EXT_GROUPS, groups_record({extra_group})));

    EXPECT_EQ(reply.error(), 0);
}

// A user namespace with root alone among the users, and all groups: made by the process outside,
// which has to be root.
class RootAloneNamespace {
public:
    RootAloneNamespace() {
        EXPECT_EQ(::pipe2(asked_, O_CLOEXEC), 0);
        EXPECT_EQ(::pipe2(done_, O_CLOEXEC), 0);
        writer_ = std::thread{[this] {
            pid_t target = 0;
            if (::read(asked_[0], &target, sizeof target) == sizeof target) {
                const std::string proc = "/proc/" + std::to_string(target);
                std::ofstream{proc + "/uid_map"} << "0 0 1\n";
                std::ofstream{proc + "/gid_map"} << "0 0 65536\n";
                EXPECT_EQ(::write(done_[1], "x", 1), 1);
            }
        }};
    }
    RootAloneNamespace(const RootAloneNamespace&) = delete;
    RootAloneNamespace& operator=(const RootAloneNamespace&) = delete;
    ~RootAloneNamespace() {
        ::close(asked_[1]);
        writer_.join();
        for (const int fd : {asked_[0], done_[0], done_[1]}) {
            ::close(fd);
        }
    }
    /// In the child.
    void enter() const {
        const pid_t self = ::getpid();
        char byte = 0;
        if (::unshare(CLONE_NEWUSER) != 0 || ::write(asked_[1], &self, sizeof self) < 0 ||
            ::read(done_[0], &byte, 1) != 1) {
            ::_exit(126);
        }
    }

private:
    int asked_[2] = {-1, -1};
    int done_[2] = {-1, -1};
    std::thread writer_;
};

TEST(Credentials, GoBackWhenOnlyTheGroupCouldBeTaken) {
    const Place place;
    const RootAloneNamespace users;
    DaemonProcess daemon{
        {.arguments = place.arguments({"--sandbox=none", "--inode-file-handles=never"}),
         .prepare = [&users] { users.enter(); }}};
    SystemGuest guest{place.socket()};
    guest.uid = guest.gid = ordinary_user;
    ASSERT_NE(guest.mkdir(FUSE_ROOT_ID, "by-nobody-here").error(), 0);

    guest.uid = guest.gid = 0;
    ASSERT_EQ(guest.mkdir(FUSE_ROOT_ID, "by-root").error(), 0);

    struct stat info {};
    ASSERT_EQ(::stat(place.share("by-root").c_str(), &info), 0);
    EXPECT_EQ(info.st_gid, 0U);
}

// --- Rings

// open(2) waits while another process holds a lease on the file: a request as slow as we like.
class Lease {
public:
    explicit Lease(const std::string& path) {
        ::signal(SIGIO, SIG_IGN);
        fd_ = UniqueFd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
        if (::fcntl(fd_.get(), F_SETLEASE, F_WRLCK) != 0) {
            throw std::runtime_error{"no lease on " + path};
        }
    }
    void release() { ::fcntl(fd_.get(), F_SETLEASE, F_UNLCK); }

private:
    UniqueFd fd_;
};

TEST(StoppingARing, WaitsUntilEverythingInFlightIsAnswered) {
    Served served{{"--thread-pool-size=4"}};
    served.place.write("leased", "x");
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "leased");
    Lease lease{served.place.share("leased")};
    const auto slow =
        served.guest.send(Opcode::FUSE_OPEN, node, RequestBytes{}.add(OpenIn{O_RDWR, 0}));
    std::this_thread::sleep_for(std::chrono::milliseconds{300});
    std::thread releases{[&lease] {
        std::this_thread::sleep_for(std::chrono::milliseconds{700});
        lease.release();
    }};

    const auto base = served.guest.frontend().stop_queue(1);
    const auto used_when_stopped = served.guest.queue(1).used_index();
    releases.join();
    std::this_thread::sleep_for(std::chrono::seconds{1});

    EXPECT_EQ(used_when_stopped, base);
    EXPECT_EQ(served.guest.queue(1).used_index(), used_when_stopped);
    EXPECT_EQ(served.guest.finish(slow).error(), 0);
}

TEST(StoppingARing, LeavesNothingInFlightUnderLoad) {
    constexpr unsigned rounds = 10;
    constexpr unsigned in_flight = 30;
    constexpr std::uint32_t size = 256U << 10;
    Served served{{"--thread-pool-size=4"}};
    served.place.write("big", std::string(size, 'x'));
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "big");
    const auto fh = served.guest.open(node, O_RDONLY);
    ReadIn in{};
    in.fh = fh;
    in.size = size;

    for (unsigned round = 0; round < rounds; ++round) {
        std::vector<SystemGuest::Ticket> tickets;
        for (unsigned i = 0; i < in_flight; ++i) {
            tickets.push_back(
                served.guest.send(Opcode::FUSE_READ, node, RequestBytes{}.add(in), size));
        }
        const auto base = served.guest.frontend().stop_queue(1);
        ASSERT_EQ(served.guest.queue(1).used_index(), base);
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        ASSERT_EQ(served.guest.queue(1).used_index(), base);
        served.guest.start_queue(1, base);
        served.guest.queue(1).kick();
        for (const auto& ticket : tickets) {
            ASSERT_EQ(served.guest.finish(ticket).payload.size(), size);
        }
    }
}

// --- Names

class NamesInEverySandbox : public testing::TestWithParam<std::string> {
protected:
    NamesInEverySandbox() : served_{{"--sandbox=" + GetParam(), "--xattr"}} {
        std::ofstream{served_.place.path("outside")} << "host's";
        served_.place.write("inside", "guest's");
    }
    int error_of(Opcode opcode, const RequestBytes& request) {
        return served_.guest.call(opcode, FUSE_ROOT_ID, request).error();
    }
    [[nodiscard]] std::set<std::string> host_files() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator{served_.place.path("")}) {
            names.insert(entry.path().filename());
        }
        return names;
    }
    Served served_;
};

TEST_P(NamesInEverySandbox, NeverLeadOutOfTheShare) {
    const auto before = host_files();
    RenameIn to_root{FUSE_ROOT_ID};
    const auto inside = served_.guest.lookup(FUSE_ROOT_ID, "inside");

    EXPECT_NE(error_of(Opcode::FUSE_LOOKUP, RequestBytes{}.name("../outside")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_CREATE, create_request("../new")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_MKDIR, RequestBytes{}.add(MkdirIn{0755, 0}).name("../new")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_MKNOD,
                       RequestBytes{}.add(MknodIn{S_IFREG | 0644, 0, 0, 0}).name("../new")),
              0);
    EXPECT_NE(error_of(Opcode::FUSE_SYMLINK, RequestBytes{}.name("../new").name("target")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_LINK, RequestBytes{}.add(LinkIn{inside}).name("../new")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_UNLINK, RequestBytes{}.name("../outside")), 0);
    EXPECT_NE(error_of(Opcode::FUSE_RENAME,
                       RequestBytes{}.add(to_root).name("../outside").name("stolen")),
              0);
    EXPECT_NE(
        error_of(Opcode::FUSE_RENAME, RequestBytes{}.add(to_root).name("inside").name("../new")),
        0);
    EXPECT_NE(error_of(Opcode::FUSE_RMDIR, RequestBytes{}.name("..")), 0);

    EXPECT_EQ(host_files(), before);
    EXPECT_EQ(served_.place.read("inside"), "guest's");
    EXPECT_TRUE(served_.guest.is_served());
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         NamesInEverySandbox,
                         testing::Values("none", "chroot", "namespace"),
                         [](const auto& tried) { return tried.param; });

// --- Handles

TEST(CreatedHandles, AreNotDirectUnlessTheOperatorAllowsIt) {
    Served served;
    const auto created = served.guest.create("f", O_RDWR | O_DIRECT);
    ASSERT_EQ(created.error(), 0);
    const auto node = created.as<EntryOut>().nodeid;
    const auto fh = created.as<OpenOut>(sizeof(EntryOut)).fh;

    EXPECT_EQ(served.guest.write(node, fh, "12345").error(), 0);
}

TEST(CreatedHandles, CanBeReadWithWriteback) {
    Served served{{"--writeback"}, with_flags(FUSE_WRITEBACK_CACHE)};
    const auto created = served.guest.create("f", O_WRONLY);
    ASSERT_EQ(created.error(), 0);
    const auto node = created.as<EntryOut>().nodeid;
    const auto fh = created.as<OpenOut>(sizeof(EntryOut)).fh;
    ASSERT_EQ(served.guest.write(node, fh, "12345").error(), 0);

    const auto reply = served.guest.read(node, fh, 0, 16);

    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.payload, "12345");
}

// --- Broken requests

TEST(BrokenRequests, ANameWithoutAnEndIsSurvived) {
    Served served;
    served.guest.finish(
        served.guest.send(Opcode::FUSE_LOOKUP, FUSE_ROOT_ID, RequestBytes{}.raw("abc")));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AHeaderThatSaysLessThanItselfIsSurvived) {
    Served served;
    auto header = served.guest.header(Opcode::FUSE_GETATTR, FUSE_ROOT_ID, {});
    header.len = 10;
    served.guest.finish(
        served.guest.send_bytes({reinterpret_cast<const char*>(&header), sizeof header}, 512));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AnEmptyRequestIsSurvived) {
    Served served;
    served.guest.finish(served.guest.send_bytes({}, 512));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, ABatchOfForgetsThatIsNotThereIsSurvived) {
    Served served;
    served.guest.finish(served.guest.send(
        Opcode::FUSE_BATCH_FORGET, 0, RequestBytes{}.add(BatchForgetIn{0xffffffff, 0}), 0));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, NoRoomForTheReplyIsSurvived) {
    Served served;
    const auto header = served.guest.header(Opcode::FUSE_GETATTR, FUSE_ROOT_ID, {});
    const std::string bytes{reinterpret_cast<const char*>(&header), sizeof header};
    served.guest.finish(served.guest.send_bytes(bytes, 7));
    served.guest.finish(served.guest.send_bytes(bytes, 0));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, NoRoomForTheDataOfAReadIsSurvived) {
    Served served;
    served.place.write("f", "0123456789");
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "f");
    ReadIn in{};
    in.fh = served.guest.open(node, O_RDONLY);
    in.size = 4096;
    served.guest.finish(served.guest.send(Opcode::FUSE_READ, node, RequestBytes{}.add(in), 1));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AReadBeyondEveryFileIsSurvived) {
    Served served;
    served.place.write("f", "x");
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "f");
    const auto fh = served.guest.open(node, O_RDONLY);
    served.guest.read(node, fh, 1ULL << 63, 16);
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AnXattrThatIsShorterThanItSaysIsSurvived) {
    Served served{{"--xattr"}};
    served.place.write("f", "x");
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "f");
    // Without SETXATTR_EXT only the first two fields are sent.
    served.guest.call(Opcode::FUSE_SETXATTR,
                      node,
                      RequestBytes{}.add(std::uint64_t{4096}).name("user.a").raw("v"));
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AnXattrNameThatIsNotUtf8IsServed) {
    Served served{{"--xattr"}};
    served.place.write("f", "x");
    const auto node = served.guest.lookup(FUSE_ROOT_ID, "f");
    const auto reply =
        served.guest.call(Opcode::FUSE_SETXATTR,
                          node,
                          RequestBytes{}.add(std::uint64_t{1}).name("user.\xff").raw("v"));
    EXPECT_EQ(reply.error(), 0);
    EXPECT_TRUE(served.guest.is_served());
}

TEST(BrokenRequests, AnExtensionThatIsCutOffIsSurvived) {
    Served served;
    auto request = create_request("f");
    request.extension(FUSE_EXT_GROUPS, groups_record({1, 2, 3}));
    auto header = served.guest.header(Opcode::FUSE_CREATE, FUSE_ROOT_ID, request);
    header.total_extlen = 0x7fff;
    const std::string bytes{reinterpret_cast<const char*>(&header), sizeof header};
    EXPECT_NE(served.guest.finish(served.guest.send_bytes(bytes + request.bytes(), 512)).error(),
              0);
    EXPECT_TRUE(served.guest.is_served());
}

// --- The start and the end

TEST(StartingWithAnXattrMap, IsRefusedWhenNoRuleMatchesTheRest) {
    const Place place;
    const auto ended = run_daemon(place.arguments({"--xattrmap=:prefix:client:user.a:user.b:"}));
    EXPECT_EQ(ended.status, 2);
    EXPECT_NE(ended.err.find("xattr map"), std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("panicked"), std::string::npos) << ended.err;
}

TEST(RuntimeFiles, ThePidFileHoldsTheNumberAlone) {
    const Place place;
    std::ofstream{place.pid_file()} << "12345678901234567890\n";
    DaemonProcess daemon{{.arguments = place.arguments()}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    std::ifstream file{place.pid_file()};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    EXPECT_EQ(text, std::to_string(daemon.pid()) + "\n");
}

class EndedBySignal : public testing::TestWithParam<std::string> {};

TEST_P(EndedBySignal, TakesItsFilesAlong) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments({"--sandbox=" + GetParam()})}};
    ASSERT_TRUE(daemon.wait_ready()) << daemon.log();
    daemon.signal(SIGTERM);
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_FALSE(std::filesystem::exists(place.socket()));
    EXPECT_FALSE(std::filesystem::exists(place.pid_file()));
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         EndedBySignal,
                         testing::Values("none", "chroot", "namespace"),
                         [](const auto& tried) { return tried.param; });

TEST(ABrokenConversation, EndsWithAnError) {
    const Place place;
    DaemonProcess daemon{{.arguments = place.arguments()}};
    const auto connection = FakeFrontend::connect(place.socket(), patience);
    // Version 2 of the protocol with a payload of 4 GiB: nothing after it can be understood.
    const std::uint32_t header[3] = {1, 2, 0xffffffff};
    ASSERT_EQ(::write(connection.get(), header, sizeof header), ssize_t{sizeof header});
    EXPECT_EQ(daemon.wait_exit(), 1);
    EXPECT_NE(daemon.log().find("ERROR"), std::string::npos) << daemon.log();
}

// --- Listings

// A FUSE mount whose server has gone: whatever touches it gets ENOTCONN.
class DeadMount {
public:
    explicit DeadMount(std::string path) : path_{std::move(path)} {
        std::filesystem::create_directory(path_);
        const UniqueFd device{::open("/dev/fuse", O_RDWR | O_CLOEXEC)};
        const auto options =
            "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=0,group_id=0";
        if (::mount("dead", path_.c_str(), "fuse", 0, options.c_str()) != 0) {
            throw std::runtime_error{"cannot mount on " + path_};
        }
    }
    DeadMount(const DeadMount&) = delete;
    DeadMount& operator=(const DeadMount&) = delete;
    ~DeadMount() { ::umount2(path_.c_str(), MNT_DETACH); }

private:
    std::string path_;
};

std::set<std::string> names_in_plus(const std::string& payload, std::uint64_t& last_offset) {
    std::set<std::string> names;
    std::size_t at = 0;
    while (at + sizeof(Direntplus) <= payload.size()) {
        Direntplus entry{};
        std::memcpy(&entry, payload.data() + at, sizeof entry);
        names.insert(payload.substr(at + sizeof entry, entry.dirent.namelen));
        last_offset = entry.dirent.off;
        at += (sizeof entry + entry.dirent.namelen + 7) / 8 * 8;
    }
    return names;
}

TEST(Listings, AreCompleteThoughAnEntryCannotBeReached) {
    const Place place;
    std::set<std::string> wanted{".", "..", "dead"};
    std::filesystem::create_directory(place.share("d"));
    for (int i = 0; i < 40; ++i) {
        const auto name = "file" + std::to_string(i);
        place.write("d/" + name, "x");
        wanted.insert(name);
    }
    const DeadMount dead{place.share("d/dead")};
    DaemonProcess daemon{{.arguments = place.arguments()}};
    SystemGuest guest{place.socket()};
    const auto node = guest.lookup(FUSE_ROOT_ID, "d");
    const auto fh = guest.open(node, O_RDONLY | O_DIRECTORY, Opcode::FUSE_OPENDIR);

    std::set<std::string> names;
    std::uint64_t offset = 0;
    for (;;) {
        ReadIn in{};
        in.fh = fh;
        in.offset = offset;
        in.size = 1024; // few entries a reply, so that the bad one comes first in one of them
        const auto reply =
            guest.call(Opcode::FUSE_READDIRPLUS, node, RequestBytes{}.add(in), in.size);
        ASSERT_EQ(reply.error(), 0);
        if (reply.payload.empty()) {
            break;
        }
        names.merge(names_in_plus(reply.payload, offset));
    }

    EXPECT_EQ(names, wanted);
}

// --- Translation of ids

TEST(ForbiddenIds, AreAnsweredWithEperm) {
    Served served{{"--translate-uid=forbid-guest:1000:1"}};
    served.guest.uid = served.guest.gid = ordinary_user;
    ASSERT_EQ(::chmod(served.place.share().c_str(), 0777), 0);
    EXPECT_EQ(served.guest.mkdir(FUSE_ROOT_ID, "d").error(), EPERM);
}

} // namespace
} // namespace vfskit::test
