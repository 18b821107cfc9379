// SPDX-License-Identifier: Apache-2.0
// Queues, resets and descriptors of a daemon that serves.
#include "core/vhost_user/wire.h"
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

// open(2) waits while another process holds a lease on the file.
class Lease {
public:
    explicit Lease(const std::string& path) {
        ::signal(SIGIO, SIG_IGN);
        fd_ = UniqueFd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
        if (::fcntl(fd_.get(), F_SETLEASE, F_WRLCK) != 0) {
            throw std::runtime_error{"no lease on " + path};
        }
    }
    void release() { fd_.reset(); }

private:
    UniqueFd fd_;
};

TEST(Readonly, RefusesEveryChange) {
    Served served{{"--readonly"}};
    EXPECT_EQ(served.guest.mkdir(FUSE_ROOT_ID, "d").error(), EROFS);
    EXPECT_EQ(served.guest.create("f", O_RDWR).error(), EROFS);
    EXPECT_TRUE(std::filesystem::is_empty(served.place.share()));
}

TEST(MissingNames, MayBeRememberedForSoLong) {
    Served served{{"--negative-timeout=7"}};
    const auto reply =
        served.guest.call(Opcode::FUSE_LOOKUP, FUSE_ROOT_ID, RequestBytes{}.name("missing"));
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.as<EntryOut>().nodeid, 0U);
    EXPECT_EQ(reply.as<EntryOut>().entry_valid, 7U);
}

TEST(MissingNames, AreAskedForEachTimeOtherwise) {
    Served served;
    const auto reply =
        served.guest.call(Opcode::FUSE_LOOKUP, FUSE_ROOT_ID, RequestBytes{}.name("missing"));
    EXPECT_EQ(reply.error(), ENOENT);
}

TEST(TheTag, IsInTheConfigurationSpace) {
    Served served{{"--tag=my-share"}};
    auto& frontend = served.guest.frontend();
    const auto offered = frontend.get(vhost_user::VHOST_USER_GET_PROTOCOL_FEATURES);
    frontend.send(vhost_user::VHOST_USER_SET_PROTOCOL_FEATURES, offered);
    struct {
        vhost_user::VhostUserConfigHeader header{0, 40, 0};
        char tag[36] = {};
        std::uint32_t queues = 0;
    } space;
    frontend.send(vhost_user::VHOST_USER_GET_CONFIG, space);
    space = frontend.receive_as<decltype(space)>(vhost_user::VHOST_USER_GET_CONFIG);
    EXPECT_STREQ(space.tag, "my-share");
    EXPECT_EQ(space.queues, 1U);
}

class WhileARequestWaits : public testing::Test {
protected:
    WhileARequestWaits() : served_{{}, {.request_queues = 2}} {
        served_.place.write("leased", "x");
        node_ = served_.guest.lookup(FUSE_ROOT_ID, "leased");
        lease_.emplace(served_.place.share("leased"));
        slow_ = served_.guest.send(Opcode::FUSE_OPEN, node_, RequestBytes{}.add(OpenIn{O_RDWR, 0}));
        EXPECT_FALSE(served_.guest.wait(slow_, std::chrono::milliseconds{300}));
    }
    Served served_;
    std::uint64_t node_ = 0;
    std::optional<Lease> lease_;
    SystemGuest::Ticket slow_;
};

TEST_F(WhileARequestWaits, ForgetsOnHiprioAreDone) {
    const auto forget =
        served_.guest.send(Opcode::FUSE_FORGET, node_, RequestBytes{}.add(ForgetIn{1}), 0, 0);
    EXPECT_TRUE(served_.guest.wait(forget));
    EXPECT_FALSE(served_.guest.wait(slow_, std::chrono::milliseconds{10}));
    lease_->release();
    EXPECT_TRUE(served_.guest.wait(slow_));
}

TEST_F(WhileARequestWaits, AnotherQueueIsServed) {
    const auto other = served_.guest.send(
        Opcode::FUSE_GETATTR, FUSE_ROOT_ID, RequestBytes{}.add(GetattrIn{}), 4096, 2);
    EXPECT_TRUE(served_.guest.wait(other));
    EXPECT_FALSE(served_.guest.wait(slow_, std::chrono::milliseconds{10}));
    lease_->release();
    EXPECT_TRUE(served_.guest.wait(slow_));
}

class WhileALockWaits : public testing::TestWithParam<bool> {};

// More of them than there are threads, on one queue: none of them may keep a thread.
TEST_P(WhileALockWaits, OtherRequestsAreServed) {
    constexpr unsigned waiting = 24;
    const bool is_flock = GetParam();
    Served served{{"-o", is_flock ? "flock" : "posix_lock", "--thread-pool-size=2"},
                  with_flags(FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS)};
    served.place.write("f", "x");
    UniqueFd host{::open(served.place.share("f").c_str(), O_RDWR | O_CLOEXEC)};
    struct flock all {};
    all.l_type = F_WRLCK;
    ASSERT_EQ(is_flock ? ::flock(host.get(), LOCK_EX) : ::fcntl(host.get(), F_OFD_SETLK, &all), 0);

    const auto node = served.guest.lookup(FUSE_ROOT_ID, "f");
    std::vector<SystemGuest::Ticket> locks;
    for (unsigned i = 0; i < waiting; ++i) {
        LkIn in{};
        in.fh = served.guest.open(node, O_RDWR);
        in.owner = i + 1;
        in.lk = {0, INT64_MAX, F_RDLCK, i + 1};
        in.lk_flags = is_flock ? FUSE_LK_FLOCK : 0;
        locks.push_back(served.guest.send(Opcode::FUSE_SETLKW, node, RequestBytes{}.add(in), 4096));
    }

    EXPECT_TRUE(served.guest.is_served());
    for (const auto& lock : locks) {
        EXPECT_FALSE(served.guest.wait(lock, std::chrono::milliseconds{1}));
    }
    host.reset();
    for (const auto& lock : locks) {
        EXPECT_EQ(served.guest.finish(lock).error(), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(Daemon, WhileALockWaits, testing::Bool(), [](const auto& tried) {
    return tried.param ? "Flock" : "Fcntl";
});

TEST(Queues, AreServedInAnyNumber) {
    constexpr unsigned many = 16;
    Served served{{}, {.request_queues = many}};
    std::vector<SystemGuest::Ticket> tickets;
    for (unsigned queue = 1; queue <= many; ++queue) {
        for (int i = 0; i < 20; ++i) {
            tickets.push_back(served.guest.send(
                Opcode::FUSE_GETATTR, FUSE_ROOT_ID, RequestBytes{}.add(GetattrIn{}), 4096, queue));
        }
    }
    for (const auto& ticket : tickets) {
        EXPECT_EQ(served.guest.finish(ticket).error(), 0);
    }
}

class Resets : public testing::TestWithParam<std::string> {};

TEST_P(Resets, AreSurvivedUnderLoad) {
    constexpr unsigned rounds = 20;
    Served served{{GetParam()}};
    served.place.write("big", std::string(256U << 10, 'x'));
    for (unsigned round = 0; round < rounds; ++round) {
        const auto node = served.guest.lookup(FUSE_ROOT_ID, "big");
        ReadIn in{};
        in.fh = served.guest.open(node, O_RDONLY);
        in.size = 256U << 10;
        for (unsigned i = 0; i < 24; ++i) {
            served.guest.send(Opcode::FUSE_READ, node, RequestBytes{}.add(in), in.size);
        }
        ASSERT_EQ(served.guest.frontend().acknowledge(vhost_user::VHOST_USER_RESET_DEVICE), 0U);
        const auto used = served.guest.queue(1).used_index();
        // QEMU sends it twice, and before anything was negotiated.
        ASSERT_EQ(served.guest.frontend().acknowledge(vhost_user::VHOST_USER_RESET_DEVICE), 0U);
        ASSERT_EQ(served.guest.queue(1).used_index(), used) << "written after the reset";
        served.guest.frontend().set_features(FakeFrontend::usual_features);
        served.guest.renew_queues();
        ASSERT_EQ(served.guest.init(GuestSetup{}.init_flags).error(), 0);
    }
    EXPECT_TRUE(served.guest.is_served());
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         Resets,
                         testing::Values("--thread-pool-size=0", "--thread-pool-size=4"),
                         [](const auto& tried) {
                             return tried.param.back() == '0' ? "WithoutAPool" : "WithAPool";
                         });

// --- Descriptors

// A share in memory. ext4 looks at every number of a file removed in the last minutes before it
// makes a file: the second tree of this size would take a minute to make.
class ShareInMemory {
public:
    ShareInMemory() {
        if (::mount("tmpfs", place_.share().c_str(), "tmpfs", 0, "mode=755") != 0) {
            throw std::runtime_error{"no tmpfs on " + place_.share()};
        }
    }
    ShareInMemory(const ShareInMemory&) = delete;
    ShareInMemory& operator=(const ShareInMemory&) = delete;
    ~ShareInMemory() { ::umount2(place_.share().c_str(), MNT_DETACH); }
    [[nodiscard]] const Place& place() const { return place_; }

private:
    Place place_;
};

TEST(OpenFiles, AreNotLimitedByTheBudgetOfInodes) {
    constexpr unsigned files = 60;
    Served served{{"--inode-fd-budget=8"}};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> open;
    for (unsigned i = 0; i < files; ++i) {
        const auto made = served.guest.create("f" + std::to_string(i), O_RDWR);
        ASSERT_EQ(made.error(), 0) << i;
        open.emplace_back(made.as<EntryOut>().nodeid, made.as<OpenOut>(sizeof(EntryOut)).fh);
    }
    for (const auto& [node, fh] : open) {
        EXPECT_EQ(served.guest.write(node, fh, "x").error(), 0);
    }
    EXPECT_TRUE(served.guest.is_served());
}

class ManyFiles : public testing::TestWithParam<std::string> {
protected:
    static constexpr unsigned directories = 30;
    static constexpr unsigned files_each = 1000;
    static constexpr std::size_t bound = 800;
};

std::vector<std::uint64_t> nodes_in_plus(const std::string& payload, std::uint64_t& last_offset) {
    std::vector<std::uint64_t> nodes;
    std::size_t at = 0;
    while (at + sizeof(Direntplus) <= payload.size()) {
        Direntplus entry{};
        std::memcpy(&entry, payload.data() + at, sizeof entry);
        if (entry.entry_out.nodeid != 0) {
            nodes.push_back(entry.entry_out.nodeid);
        }
        last_offset = entry.dirent.off;
        at += (sizeof entry + entry.dirent.namelen + 7) / 8 * 8;
    }
    return nodes;
}

// All node ids below a directory; -errno of what failed, if something did.
std::vector<std::uint64_t> list(SystemGuest& guest, std::uint64_t directory, int& error) {
    std::vector<std::uint64_t> all;
    ReadIn in{};
    in.fh = guest.open(directory, O_RDONLY | O_DIRECTORY, Opcode::FUSE_OPENDIR);
    in.size = 128U << 10;
    for (;;) {
        const auto reply =
            guest.call(Opcode::FUSE_READDIRPLUS, directory, RequestBytes{}.add(in), in.size);
        error = reply.error();
        if (reply.payload.empty()) {
            break;
        }
        const auto nodes = nodes_in_plus(reply.payload, in.offset);
        all.insert(all.end(), nodes.begin(), nodes.end());
    }
    ReleaseIn release{};
    release.fh = in.fh;
    guest.call(Opcode::FUSE_RELEASEDIR, directory, RequestBytes{}.add(release));
    return all;
}

TEST_P(ManyFiles, NeedFewDescriptors) {
    const ShareInMemory memory;
    const auto& place = memory.place();
    for (unsigned d = 0; d < directories; ++d) {
        const auto name = "d" + std::to_string(d);
        ASSERT_EQ(::mkdir(place.share(name).c_str(), 0755), 0);
        for (unsigned f = 0; f < files_each; ++f) {
            place.write(name + "/f" + std::to_string(f), "");
        }
    }
    const DaemonProcess daemon{
        {.arguments = place.arguments({GetParam(), "--rlimit-nofile=1024"})}};
    SystemGuest guest{place.socket()};
    std::vector<std::uint64_t> nodes;
    for (unsigned d = 0; d < directories; ++d) {
        const auto directory = guest.lookup(FUSE_ROOT_ID, "d" + std::to_string(d));
        ASSERT_NE(directory, 0U);
        int error = 0;
        const auto found = list(guest, directory, error);
        ASSERT_EQ(error, 0);
        ASSERT_EQ(found.size(), files_each);
        nodes.insert(nodes.end(), found.begin(), found.end());
        ASSERT_LT(daemon.fd_count(), bound);
    }
    // And all of them are still what they were.
    for (const auto node : nodes) {
        const auto reply = guest.call(Opcode::FUSE_GETATTR, node, RequestBytes{}.add(GetattrIn{}));
        ASSERT_EQ(reply.error(), 0);
    }
    EXPECT_LT(daemon.fd_count(), bound);
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         ManyFiles,
                         testing::Values("--inode-fd-budget=200", "--inode-file-handles=never"),
                         [](const auto& tried) {
                             return tried.param.back() == '0' ? "WithABudget" : "WithoutHandles";
                         });

} // namespace
} // namespace vfskit::test
