// SPDX-License-Identifier: Apache-2.0
// Dirty log and device state.
#include "tests/unit/vhost_user/session_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <set>

namespace vfskit::vhost_user {

Result<void> FakeDeviceState::save(UniqueFd fd, int cancel_fd) {
    static_cast<void>(cancel_fd);
    if (fails) {
        return Error{EIO, "The state cannot be saved"};
    }
    const auto written = ::write(fd.get(), state.data(), state.size());
    return written == static_cast<ssize_t>(state.size()) ? Result<void>{}
                                                         : Error{EIO, "Short write"};
}

Result<void> FakeDeviceState::load(UniqueFd fd, int cancel_fd) {
    std::string all;
    while (true) {
        std::array<pollfd, 2> waited{{{fd.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}}};
        ::poll(waited.data(), waited.size(), -1);
        if (waited[1].revents != 0) {
            was_cancelled = true;
            return Error{ECANCELED, "Cancelled"};
        }
        std::array<char, 64> buffer;
        const auto got = ::read(fd.get(), buffer.data(), buffer.size());
        if (got <= 0) {
            break;
        }
        all.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (fails) {
        return Error{EINVAL, "The state cannot be loaded"};
    }
    state = all;
    return {};
}

namespace {

using test::FakeFrontend;
using virtio::GuestAddress;
using virtio::to_integer;

constexpr std::uint64_t no_fd_returned = 0x100;

class SessionMigration : public SessionTest {
protected:
    void SetUp() override {
        log_fd_.reset(::memfd_create("log", MFD_CLOEXEC));
        ASSERT_EQ(::ftruncate(log_fd_.get(), log_size), 0);
    }
    void set_log_base() {
        frontend->send(VHOST_USER_SET_LOG_BASE, VhostUserLog{log_size, 0}, {log_fd_.get()});
        const auto echoed = frontend->receive_as<VhostUserLog>(VHOST_USER_SET_LOG_BASE);
        EXPECT_EQ(echoed.mmap_size, log_size);
    }
    void start_logging() {
        set_log_base();
        frontend->set_features(FakeFrontend::usual_features | FakeFrontend::log_all);
        settle();
    }
    /// Every marked page, and clears them.
    std::set<std::uint64_t> take_dirty() {
        std::vector<std::uint8_t> bytes(log_size);
        EXPECT_EQ(::pread(log_fd_.get(), bytes.data(), log_size, 0), log_size);
        std::set<std::uint64_t> pages;
        for (std::uint64_t page = 0; page < log_size * 8; ++page) {
            if (((bytes[page / 8] >> (page % 8)) & 1) != 0) {
                pages.insert(page);
            }
        }
        std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
        EXPECT_EQ(::pwrite(log_fd_.get(), bytes.data(), log_size, 0), log_size);
        return pages;
    }
    static std::uint64_t page_of(GuestAddress address) { return to_integer(address) / 4096; }
    std::uint64_t transfer(std::uint32_t direction, int fd) {
        frontend->send(
            VHOST_USER_SET_DEVICE_STATE_FD, VhostUserTransferDeviceState{direction, 0}, {fd});
        return frontend->receive_as<std::uint64_t>(VHOST_USER_SET_DEVICE_STATE_FD);
    }
    void make_pipe() {
        int raw[2] = {-1, -1};
        ASSERT_EQ(::pipe2(raw, O_CLOEXEC), 0);
        reader_.reset(raw[0]);
        writer_.reset(raw[1]);
    }

    static constexpr std::uint64_t log_size = 16384; // 512 MiB of guest memory
    UniqueFd log_fd_;
    UniqueFd reader_;
    UniqueFd writer_;
};

TEST_F(SessionMigration, MarksExactlyThePagesOfTheReplyAndTheUsedRing) {
    start_device(2);
    EXPECT_EQ(echo(*queues[1], "before"), "before");
    start_logging();
    static_cast<void>(take_dirty()); // the queue asked for kicks again: a write to the used ring
    const auto reply = GuestAddress{to_integer(ram.end()) - 3 * 4096};
    queues[1]->add({text("hello")}, {{reply, 2 * 4096}});
    queues[1]->submit();
    ASSERT_TRUE(queues[1]->wait_used());
    settle();

    const std::set<std::uint64_t> expected{page_of(reply), page_of(queues[1]->used_ring())};
    EXPECT_EQ(take_dirty(), expected);
}

TEST_F(SessionMigration, MarksEveryPageOfAReplyOverSeveralBuffers) {
    start_device(2);
    start_logging();
    const auto page = to_integer(ram.end()) - 8 * 4096;
    // The handler fills the first buffer only, but the second page of it counts too.
    const std::string content(5000, 'x');
    queues[1]->add({text(content)}, {{GuestAddress{page}, 8192}});
    queues[1]->submit();
    ASSERT_TRUE(queues[1]->wait_used());
    const auto dirty = take_dirty();
    EXPECT_TRUE(dirty.contains(page / 4096));
    EXPECT_TRUE(dirty.contains(page / 4096 + 1));
    EXPECT_FALSE(dirty.contains(page / 4096 + 2));
}

TEST_F(SessionMigration, MarksInRegionsThatCameLater) {
    start_device(2);
    start_logging();
    test::GuestRam more{1 << 20, 0x10000000};
    ASSERT_EQ(frontend->add_region(more), 0U);
    const auto reply = more.allocate(16);
    queues[1]->add({text("hello")}, {{reply, 16}});
    queues[1]->submit();
    ASSERT_TRUE(queues[1]->wait_used());
    EXPECT_TRUE(take_dirty().contains(page_of(reply)));
}

TEST_F(SessionMigration, MarksARequestThatBeganBeforeTheLog) {
    start_device(2);
    const auto reply = GuestAddress{to_integer(ram.end()) - 4096};
    queues[1]->add({text("Slow")}, {{reply, 16}});
    queues[1]->submit();
    handler.wait_for_slow();
    start_logging();
    handler.release();
    ASSERT_TRUE(queues[1]->wait_used());
    EXPECT_TRUE(take_dirty().contains(page_of(reply)));
}

TEST_F(SessionMigration, StopsMarkingWhenLogAllIsCleared) {
    start_device(2);
    start_logging();
    EXPECT_EQ(observer.migrations_started, 1);
    frontend->set_features(FakeFrontend::usual_features);
    settle();
    EXPECT_EQ(observer.migrations_stopped, 1);
    static_cast<void>(take_dirty());
    EXPECT_EQ(echo(*queues[1], "after"), "after");
    EXPECT_TRUE(take_dirty().empty());
}

TEST_F(SessionMigration, TellsWhenTheGuestRunsHereAgain) {
    start_device(2);
    settle();
    const int before = observer.rings_started;
    EXPECT_GT(before, 0);
    const auto base = frontend->stop_queue(1);
    frontend->start_queue(1, *queues[1], base);
    settle();
    EXPECT_EQ(observer.rings_started, before + 1);
}

TEST_F(SessionMigration, TellsOfAMigrationOnce) {
    start_device(2);
    start_logging();
    frontend->set_features(FakeFrontend::usual_features | FakeFrontend::log_all);
    settle();
    EXPECT_EQ(observer.migrations_started, 1);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    EXPECT_EQ(observer.migrations_stopped, 1);
}

TEST_F(SessionMigration, LogsTheUsedRingWhereTheFrontendSays) {
    start_device(2);
    start_logging();
    const auto addresses = queues[1]->addresses();
    const std::uint64_t elsewhere = 300 * 4096;
    frontend->send(VHOST_USER_SET_VRING_ADDR,
                   VhostVringAddr{1,
                                  1U << VHOST_VRING_F_LOG,
                                  to_integer(addresses.descriptor_table),
                                  to_integer(addresses.used),
                                  to_integer(addresses.available),
                                  elsewhere});
    settle();
    EXPECT_EQ(echo(*queues[1], "logged"), "logged");
    EXPECT_TRUE(take_dirty().contains(300));
}

TEST_F(SessionMigration, RefusesToSaveWhatItCouldNotLog) {
    start();
    frontend->negotiate(FakeFrontend::usual_features | FakeFrontend::log_all);
    frontend->send(VHOST_USER_SET_LOG_BASE, VhostUserLog{log_size * 2, 0}, {log_fd_.get()});
    EXPECT_TRUE(frontend->receive(VHOST_USER_SET_LOG_BASE).payload.empty());
    make_pipe();
    EXPECT_EQ(transfer(0, writer_.get()), no_fd_returned | 1);
}

TEST_F(SessionMigration, SavesIntoThePipeOfTheFrontend) {
    start_device(2);
    static_cast<void>(frontend->stop_queue(0));
    static_cast<void>(frontend->stop_queue(1));
    make_pipe();
    EXPECT_EQ(transfer(0, writer_.get()), no_fd_returned);
    writer_.reset();
    std::array<char, 64> bytes{};
    EXPECT_EQ(::read(reader_.get(), bytes.data(), bytes.size()), 9);
    EXPECT_EQ(::read(reader_.get(), bytes.data() + 9, 1), 0);
    EXPECT_EQ(std::string{bytes.data()}, "the state");
    EXPECT_EQ(frontend->get(VHOST_USER_CHECK_DEVICE_STATE), 0U);
    EXPECT_EQ(frontend->get(VHOST_USER_CHECK_DEVICE_STATE), 1U); // told once
}

TEST_F(SessionMigration, LoadsBeforeFeaturesAndMemory) {
    start();
    static_cast<void>(frontend->get(VHOST_USER_GET_FEATURES));
    frontend->send(VHOST_USER_SET_PROTOCOL_FEATURES, FakeFrontend::usual_protocol_features);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    make_pipe();
    EXPECT_EQ(transfer(1, reader_.get()), no_fd_returned);
    ASSERT_EQ(::write(writer_.get(), "moved", 5), 5);
    writer_.reset();
    EXPECT_EQ(frontend->get(VHOST_USER_CHECK_DEVICE_STATE), 0U);
    frontend->set_features(FakeFrontend::usual_features);
    settle();
    EXPECT_EQ(device_state.state, "moved");
    EXPECT_EQ(observer.resets, 1);
}

TEST_F(SessionMigration, TellsWhenATransferFailed) {
    start();
    frontend->negotiate();
    device_state.fails = true;
    make_pipe();
    EXPECT_EQ(transfer(0, writer_.get()), no_fd_returned);
    EXPECT_EQ(frontend->get(VHOST_USER_CHECK_DEVICE_STATE), 1U);
    device_state.fails = false;
    EXPECT_EQ(transfer(0, writer_.get()), no_fd_returned);
    EXPECT_EQ(frontend->get(VHOST_USER_CHECK_DEVICE_STATE), 0U);
}

TEST_F(SessionMigration, RefusesATransferWhileARingRuns) {
    start_device(2);
    make_pipe();
    EXPECT_EQ(transfer(0, writer_.get()), no_fd_returned | 1);
    EXPECT_EQ(echo(*queues[1], "alive"), "alive");
}

TEST_F(SessionMigration, RefusesUnknownDirectionsAndPhases) {
    start();
    frontend->negotiate();
    make_pipe();
    EXPECT_EQ(transfer(2, writer_.get()), no_fd_returned | 1);
    frontend->send(
        VHOST_USER_SET_DEVICE_STATE_FD, VhostUserTransferDeviceState{0, 1}, {writer_.get()});
    EXPECT_EQ(frontend->receive_as<std::uint64_t>(VHOST_USER_SET_DEVICE_STATE_FD),
              no_fd_returned | 1);
}

TEST_F(SessionMigration, CancelsATransferWhenTheFrontendLeaves) {
    start();
    frontend->negotiate();
    make_pipe();
    EXPECT_EQ(transfer(1, reader_.get()), no_fd_returned);
    finish(); // the pipe's other end stays open
    EXPECT_TRUE(device_state.was_cancelled);
}

} // namespace
} // namespace vfskit::vhost_user
