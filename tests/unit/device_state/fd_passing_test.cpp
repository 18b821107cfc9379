// SPDX-License-Identifier: Apache-2.0
// Two daemons of one host, in one process: everything but the processes is real.
#include "core/device_state/descriptor_client.h"
#include "core/device_state/descriptor_packets.h"
#include "core/device_state/descriptor_server.h"
#include "tests/unit/device_state/side.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

namespace vfskit::device_state {
namespace {

using test::Side;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
namespace wire = fuse::wire;

constexpr std::uint64_t lock_flags =
    Side::usual_flags | wire::FUSE_POSIX_LOCKS | wire::FUSE_FLOCK_LOCKS;

UniqueFd listen_at(const std::string& path) {
    UniqueFd listener{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener.get(), 8), 0);
    return listener;
}

class FdPassing : public ::testing::Test {
protected:
    FdPassing() {
        share.write("a", "a");
        share.write("b", "b");
        std::filesystem::create_directories(share.path("dir/sub"));
        share.write("dir/sub/c", "c");
        source.save_options.mode = SaveMode::fd_passing;
        source.mount(lock_flags);
        start_server({});
        for (auto* side : {&destination, &another}) {
            side->load_options.connect = [this](const DescriptorOffer& offer) {
                return connect_to_source(offer, address());
            };
        }
    }

    void start_server(DescriptorServer::Options options) {
        server.reset();
        std::filesystem::remove(sockets.path("source"));
        server.emplace(
            listen_at(sockets.path("source")), "source", *source.fs, server_log, options);
    }

    [[nodiscard]] SourceAddress address() const { return {directory.get(), {::geteuid()}, -1, 5s}; }

    /// What travels through QEMU.
    State save() {
        const std::atomic<bool> never{false};
        const auto suspects = find_suspects(source.fs->inodes(), never);
        auto state = device_state::save(*source.fs, source.save_options, suspects, source.log);
        EXPECT_TRUE(state) << state.error().describe();
        const auto offer = server->offer();
        EXPECT_TRUE(offer) << offer.error().describe();
        state->trailer->offer = *offer;
        auto again = decode(encode(*state));
        EXPECT_TRUE(again) << again.error().describe();
        return std::move(again).value();
    }

    fuse::LockArgs lock_args(HandleId handle, int type, bool is_flock = false) {
        fuse::LockArgs args;
        args.handle = handle;
        args.owner = fuse::LockOwner{77};
        args.range = {0, 9, type, 4711};
        args.is_flock = is_flock;
        return args;
    }
    bool set_lock(const Side& side, NodeId node, const fuse::LockArgs& args) {
        auto ctx = side.context();
        return side.fs->setlk(ctx, node, args).has_value();
    }
    /// Whether a program of the host gets an exclusive lock on the file.
    bool is_lockable(const std::string& name, bool by_flock = false) {
        const UniqueFd fd{::open(share.path(name).c_str(), O_RDWR | O_CLOEXEC)};
        struct flock lock {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        return by_flock ? ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0
                        : ::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0;
    }

    test::TempDir share;
    test::TempDir sockets;
    UniqueFd directory{::open(sockets.root().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    Side source{share.root(), {}, lock_flags};
    test::FakeLog server_log;
    std::optional<DescriptorServer> server;
    Side destination{share.root(), {}, lock_flags};
    Side another{share.root(), {}, lock_flags};
};

// ---- files
// ---------------------------------------------------------------------------------------

TEST_F(FdPassing, BringsAFileThatWasDeletedWhileOpen) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(source.unlink("a"));

    const auto loaded = destination.load(save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle), "a");
    ASSERT_TRUE(destination.write(handle, "A!", 0));
    EXPECT_EQ(source.read(handle), "A!");
    EXPECT_EQ(destination.getattr(a)->nlink, 0U);
    EXPECT_EQ(destination.read(destination.open(a, O_RDONLY)), "A!");
}

TEST_F(FdPassing, BringsAFileThatLeftTheShare) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDONLY);
    std::filesystem::rename(share.path("a"), sockets.path("a"));

    ASSERT_TRUE(destination.load(save()));
    EXPECT_EQ(destination.read(handle), "a");
    EXPECT_TRUE(destination.getattr(a));
}

TEST_F(FdPassing, KeepsTheFileWhereAnotherTookItsName) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDONLY);
    const auto state = save();
    share.write("new", "another");
    std::filesystem::rename(share.path("new"), share.path("a"));

    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(handle), "a");
    EXPECT_EQ(destination.read(destination.open(a, O_RDONLY)), "a");
    EXPECT_NE(destination.node("a"), a);
}

TEST_F(FdPassing, KnowsFilesUnderTheNamesTheyHave) {
    const auto dir = source.node("dir");
    const auto sub = source.node("sub", dir);
    const auto c = source.node("c", sub);
    ASSERT_TRUE(destination.load(save()));

    EXPECT_EQ(destination.node("dir"), dir);
    EXPECT_EQ(destination.node("sub", dir), sub);
    EXPECT_EQ(destination.node("c", sub), c);
    EXPECT_TRUE(destination.rename(sub, "c", NodeId::root, "moved"));
}

TEST_F(FdPassing, BringsMoreOpenFilesThanOneMessageHolds) {
    constexpr std::size_t many = 2 * max_descriptors + 7;
    std::vector<HandleId> handles;
    for (std::size_t i = 0; i < many; ++i) {
        handles.push_back(source.open(source.node(i % 2 == 0 ? "a" : "b"), O_RDONLY));
    }
    const auto loaded = destination.load(save());

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.fs->gauges().handles, many);
    EXPECT_EQ(destination.read(handles[0]), "a");
    EXPECT_EQ(destination.read(handles[many - 2]), many % 2 == 0 ? "a" : "b");
}

TEST_F(FdPassing, AppliesTheDestinationsRulesToFlags) {
    passthrough::PassthroughOptions direct;
    direct.allow_direct_io = true;
    Side generous{share.root(), direct, lock_flags};
    generous.load_options.connect = destination.load_options.connect;
    const auto handle = source.open(source.node("a"), O_RDWR | O_DIRECT);
    ASSERT_TRUE(generous.load(save()));

    const auto opened = generous.fs->handles().find(handle);
    EXPECT_NE(::fcntl(opened->fd.get(), F_GETFL) & O_DIRECT, 0);
    EXPECT_TRUE(source.write(handle, "odd", 1)) << "the source's own flags must not change";
}

TEST_F(FdPassing, LeavesTheSourceAsItWas) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(source.unlink("a"));
    {
        Side passing{share.root(), {}, lock_flags};
        passing.load_options.connect = destination.load_options.connect;
        ASSERT_TRUE(passing.load(save()));
    }
    ASSERT_TRUE(source.write(handle, "still", 0));
    ASSERT_TRUE(destination.load(save()));
    EXPECT_EQ(destination.read(handle), "still");
}

// ---- locks
// ---------------------------------------------------------------------------------------

TEST_F(FdPassing, MovesFcntlLocksWithoutAMomentInWhichTheyAreFree) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(set_lock(source, a, lock_args(handle, F_WRLCK)));

    const auto loaded = destination.load(save());
    ASSERT_TRUE(loaded) << loaded.error().describe();
    source.fs->destroy();

    EXPECT_FALSE(is_lockable("a"));
    ASSERT_TRUE(set_lock(destination, a, lock_args(handle, F_UNLCK)));
    EXPECT_TRUE(is_lockable("a"));
}

TEST_F(FdPassing, UnlocksAtTheDestinationWhileTheSourceStillHasItsDescriptors) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(set_lock(source, a, lock_args(handle, F_WRLCK)));
    const auto b = source.node("b");
    const auto locked = source.open(b, O_RDWR);
    ASSERT_TRUE(set_lock(source, b, lock_args(locked, F_WRLCK, true)));
    ASSERT_TRUE(destination.load(save()));
    EXPECT_FALSE(is_lockable("b", true));

    auto ctx = destination.context();
    ASSERT_TRUE(destination.fs->flush(ctx, a, handle, fuse::LockOwner{77}));
    fuse::ReleaseArgs release;
    release.handle = locked;
    ASSERT_TRUE(destination.fs->release(ctx, b, release));

    EXPECT_TRUE(is_lockable("a"));
    EXPECT_TRUE(is_lockable("b", true));
}

TEST_F(FdPassing, KeepsLocksAtTheSourceWhenTheDestinationGivesUp) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(set_lock(source, a, lock_args(handle, F_WRLCK)));
    ASSERT_TRUE(destination.load(save()));
    destination.fs->destroy();

    EXPECT_FALSE(is_lockable("a"));
    ASSERT_TRUE(set_lock(source, a, lock_args(handle, F_UNLCK)));
    EXPECT_TRUE(is_lockable("a"));
}

TEST_F(FdPassing, RefusesToGoOnWithoutTheLocks) {
    const auto a = source.node("a");
    const auto handle = source.open(a, O_RDWR);
    ASSERT_TRUE(set_lock(source, a, lock_args(handle, F_WRLCK)));
    const auto state = save();
    server.reset();

    const auto loaded = destination.load(state);

    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ECONNREFUSED);
    // Upstream, which knows nothing of locks, reads versions 1 and 2, written 0 and 1.
    EXPECT_GT(std::to_integer<int>(encode(state).front()), 1);
}

TEST_F(FdPassing, NeverLetsTheGuestWriteWhereItBelievesToHaveALock) {
    const auto a = source.node("a");
    const auto b = source.node("b");
    const auto dir = source.node("dir");
    const auto c = source.node("c", source.node("sub", dir));
    const auto by_fcntl = source.open(a, O_RDWR);
    const auto by_flock = source.open(b, O_RDWR);
    const auto free = source.open(c, O_RDWR);
    ASSERT_TRUE(set_lock(source, a, lock_args(by_fcntl, F_WRLCK)));
    ASSERT_TRUE(set_lock(source, b, lock_args(by_flock, F_WRLCK, true)));
    const auto state = save();
    server.reset();
    destination.load_options.on_error = OnError::guest_error;

    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(test::error_of(destination.write(by_fcntl, "x", 0)), EIO);
    EXPECT_EQ(test::error_of(destination.write(by_flock, "x", 0)), EIO);
    EXPECT_TRUE(destination.write(free, "x", 0));
    EXPECT_THAT(destination.log.text, HasSubstr("locks"));
}

// ---- what is refused
// -----------------------------------------------------------------------------

TEST_F(FdPassing, RefusesAWrongTokenAndStillServesTheRightOne) {
    const auto handle = source.open(source.node("a"), O_RDONLY);
    const auto state = save();
    auto forged = state;
    forged.trailer->offer->token[31] ^= std::byte{1};

    const auto refused = another.load(forged);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), EACCES);
    EXPECT_THAT(server_log.text, HasSubstr("token"));
    ASSERT_TRUE(destination.load(state));
    EXPECT_EQ(destination.read(handle), "a");
}

TEST_F(FdPassing, RefusesTheTokenOfAnEarlierTry) {
    (void)source.node("a");
    const auto first = save();
    const auto second = save();
    EXPECT_EQ(destination.load(first).error().code(), EACCES);
    EXPECT_TRUE(destination.load(second));
}

TEST_F(FdPassing, IsOverOnceItWasTaken) {
    (void)source.node("a");
    const auto state = save();
    ASSERT_TRUE(destination.load(state));
    EXPECT_EQ(another.load(state).error().code(), ESTALE);
}

TEST_F(FdPassing, IsOverWhenTheGuestGoesOnAtTheSource) {
    (void)source.node("a");
    const auto state = save();
    server->withdraw();
    const auto loaded = destination.load(state);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ESTALE);
    EXPECT_EQ(destination.fs->gauges().inodes, 1U);
}

TEST_F(FdPassing, IsOverAfterItsTime) {
    start_server({5s, 5s, 0ms});
    (void)source.node("a");
    EXPECT_EQ(destination.load(save()).error().code(), ESTALE);
}

TEST_F(FdPassing, RefusesAnotherHost) {
    (void)source.node("a");
    destination.load_options.host.boot_id = "another boot";
    const auto loaded = destination.load(save());
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), EXDEV);
    EXPECT_THAT(loaded.error().describe(), HasSubstr("another host"));
}

TEST_F(FdPassing, RefusesAnotherDirectory) {
    (void)source.node("a");
    const test::TempDir copy;
    copy.write("a", "copy");
    Side elsewhere{copy.root(), {}, lock_flags};
    elsewhere.load_options.connect = destination.load_options.connect;
    const auto loaded = elsewhere.load(save());
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), EXDEV);
}

TEST_F(FdPassing, RefusesWhereTheDaemonWasNotToldTo) {
    (void)source.node("a");
    destination.load_options.connect = nullptr;
    const auto loaded = destination.load(save());
    ASSERT_FALSE(loaded);
    EXPECT_THAT(loaded.error().describe(), HasSubstr("--migration-mode=fd-passing"));
}

TEST_F(FdPassing, RefusesADaemonOfAnotherUser) {
    const auto state = save();
    auto wrong = address();
    wrong.allowed_uids = {::geteuid() + 1};
    const auto connected = connect_to_source(*state.trailer->offer, wrong);
    ASSERT_FALSE(connected);
    EXPECT_EQ(connected.error().code(), EPERM);
}

TEST_F(FdPassing, SaysThatTheSourceIsGone) {
    (void)source.node("a");
    const auto state = save();
    server.reset();
    const auto loaded = destination.load(state);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code(), ECONNREFUSED);
}

TEST_F(FdPassing, GoesOnByPathsIfToldTo) {
    const auto a = source.node("a");
    const auto b = source.node("b");
    const auto lost = source.open(a, O_RDONLY);
    const auto kept = source.open(b, O_RDONLY);
    ASSERT_TRUE(source.unlink("a"));
    const auto state = save();
    server.reset();
    destination.load_options.on_error = OnError::guest_error;

    const auto loaded = destination.load(state);

    ASSERT_TRUE(loaded) << loaded.error().describe();
    EXPECT_EQ(destination.read(kept), "b");
    EXPECT_EQ(destination.read(lost), "errno " + std::to_string(EIO));
    EXPECT_THAT(destination.log.text, HasSubstr("opened by their paths"));
}

TEST_F(FdPassing, GivesUpWhenTheFrontEndDoes) {
    (void)source.node("a");
    const auto state = save();
    server.reset();
    std::filesystem::remove(sockets.path("source"));
    const auto deaf = listen_at(sockets.path("source")); // accepts nobody
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    const UniqueFd cancel{pipe[0]};
    UniqueFd{pipe[1]}.reset();
    auto impatient = address();
    impatient.cancel_fd = cancel.get();
    const auto connected = connect_to_source(*state.trailer->offer, impatient);
    ASSERT_FALSE(connected);
    EXPECT_EQ(connected.error().code(), ECANCELED);
}

// ---- hostile callers
// -----------------------------------------------------------------------------

UniqueFd call(const std::string& path) {
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return socket;
}

TEST_F(FdPassing, ACallerThatSaysNothingOnlyWaitsForItself) {
    start_server({50ms, 50ms, 60s});
    (void)source.node("a");
    const auto silent = call(sockets.path("source"));
    EXPECT_TRUE(destination.load(save()));
}

TEST_F(FdPassing, GarbageEndsTheConversationAndNothingElse) {
    (void)source.node("a");
    for (const std::size_t size : {1U, 8U, 40U, 8000U}) {
        const auto socket = call(sockets.path("source"));
        const std::string garbage(size, 'x');
        ASSERT_EQ(::send(socket.get(), garbage.data(), size, MSG_NOSIGNAL),
                  static_cast<ssize_t>(size));
        std::array<char, 256> verdict{};
        ASSERT_GT(::recv(socket.get(), verdict.data(), verdict.size(), 0), 4);
        EXPECT_EQ(::recv(socket.get(), verdict.data(), verdict.size(), 0), 0);
    }
    EXPECT_TRUE(destination.load(save()));
}

TEST_F(FdPassing, AskingForTooMuchEndsTheConversation) {
    (void)source.node("a");
    const auto state = save();
    const auto socket = call(sockets.path("source"));
    std::string hello{descriptor_magic};
    hello.append(reinterpret_cast<const char*>(state.trailer->offer->token.data()),
                 DescriptorOffer::token_size);
    ASSERT_GT(::send(socket.get(), hello.data(), hello.size(), MSG_NOSIGNAL), 0);
    std::array<char, 256> verdict{};
    ASSERT_EQ(::recv(socket.get(), verdict.data(), verdict.size(), 0), 4);
    const std::array<std::uint32_t, 2> request{1, 254};
    ASSERT_GT(::send(socket.get(), request.data(), sizeof(request), MSG_NOSIGNAL), 0);
    EXPECT_GT(::recv(socket.get(), verdict.data(), verdict.size(), 0), 4);
    EXPECT_EQ(::recv(socket.get(), verdict.data(), verdict.size(), 0), 0);
    EXPECT_TRUE(destination.load(state)) << "the offer still stands";
}

} // namespace
} // namespace vfskit::device_state
