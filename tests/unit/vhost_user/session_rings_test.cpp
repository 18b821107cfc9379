// SPDX-License-Identifier: Apache-2.0
// Requests through rings: life, memory changes, drain, isolation.
#include "tests/unit/vhost_user/session_fixture.h"

#include <future>

namespace vfskit::vhost_user {
namespace {

class SessionRings : public SessionTest {
protected:
    static void wait_for_error(const test::FakeQueue& queue) {
        std::uint64_t errors = 0;
        while (::read(queue.err_fd(), &errors, sizeof errors) < 0) {
            std::this_thread::sleep_for(1ms);
        }
    }
};

SessionOptions with_pool(std::size_t threads) {
    SessionOptions options;
    options.pool_threads = threads;
    return options;
}

TEST_F(SessionRings, AnswersRequestsOnEveryQueue) {
    start_device(5);
    EXPECT_EQ(echo(*queues[0], "to hiprio"), "to hiprio");
    EXPECT_EQ(echo(*queues[1], "first"), "first");
    EXPECT_EQ(echo(*queues[4], "last"), "last");
    EXPECT_EQ(echo(*queues[1], "again"), "again");
}

TEST_F(SessionRings, TakesWhatWasOfferedBeforeItStarted) {
    start();
    frontend->negotiate();
    ASSERT_EQ(frontend->add_region(ram), 0U);
    test::FakeQueue queue{ram, ring_size, ring_features};
    queue.add({text("early")}, {space(16)});
    queue.publish();
    frontend->start_queue(1, queue);
    EXPECT_TRUE(queue.wait_used());
}

TEST_F(SessionRings, RestsWhileDisabledAndMissesNoKick) {
    start_device(2);
    frontend->set_enabled(1, false);
    settle();
    queues[1]->add({text("late")}, {space(16)});
    queues[1]->publish();
    queues[1]->kick();
    EXPECT_FALSE(queues[1]->wait_used(50ms));
    frontend->set_enabled(1, true);
    EXPECT_TRUE(queues[1]->wait_used());
}

TEST_F(SessionRings, GoesOnWhereItStopped) {
    start_device(2);
    EXPECT_EQ(echo(*queues[1], "one"), "one");
    EXPECT_EQ(echo(*queues[1], "two"), "two");
    const auto base = frontend->stop_queue(1);
    EXPECT_EQ(base, 2);
    queues[1]->add({text("three")}, {space(16)});
    queues[1]->publish();
    EXPECT_FALSE(queues[1]->wait_used(50ms));
    frontend->start_queue(1, *queues[1], base);
    EXPECT_TRUE(queues[1]->wait_used());
}

TEST_F(SessionRings, AnswersTheBaseOfARingThatNeverRan) {
    start();
    frontend->negotiate();
    frontend->send(VHOST_USER_SET_VRING_BASE, VhostVringState{1, 77});
    EXPECT_EQ(frontend->stop_queue(1), 77);
}

TEST_F(SessionRings, StartsEnabledWithoutProtocolFeatures) {
    start();
    frontend->send(VHOST_USER_SET_OWNER);
    frontend->set_features(std::uint64_t{1} << 32);
    frontend->set_mem_table({&ram});
    test::FakeQueue queue{ram, ring_size};
    frontend->send(VHOST_USER_SET_VRING_NUM, VhostVringState{1, ring_size});
    frontend->set_vring_addr(1, queue);
    frontend->send(VHOST_USER_SET_VRING_CALL, std::uint64_t{1}, {queue.call_fd()});
    frontend->send(VHOST_USER_SET_VRING_KICK, std::uint64_t{1}, {queue.kick_fd()});
    EXPECT_EQ(echo(queue, "plain"), "plain");
}

TEST_F(SessionRings, PollsARingWithoutAKickFd) {
    start();
    frontend->negotiate();
    ASSERT_EQ(frontend->add_region(ram), 0U);
    test::FakeQueue queue{ram, ring_size, ring_features};
    frontend->send(VHOST_USER_SET_VRING_NUM, VhostVringState{1, ring_size});
    frontend->set_vring_addr(1, queue);
    frontend->send(VHOST_USER_SET_VRING_CALL, std::uint64_t{1}, {queue.call_fd()});
    frontend->send(VHOST_USER_SET_VRING_KICK, 1 | VHOST_USER_VRING_NOFD_MASK);
    frontend->set_enabled(1, true);
    queue.add({text("unkicked")}, {space(16)});
    queue.publish();
    EXPECT_TRUE(queue.wait_used());
}

TEST_F(SessionRings, DrainsASlowRequestBeforeItAnswersTheBase) {
    start_device(2, with_pool(2));
    const auto reply = space(16);
    queues[1]->add({text("Slow")}, {reply});
    queues[1]->submit();
    handler.wait_for_slow();

    auto base = std::async(std::launch::async, [this] { return frontend->stop_queue(1); });
    EXPECT_EQ(base.wait_for(100ms), std::future_status::timeout);
    handler.release();

    EXPECT_EQ(base.get(), 1);
    const auto used = queues[1]->take_used(); // published before the answer
    ASSERT_TRUE(used);
    EXPECT_EQ(ram.read(reply.address, used->written), "Slow");
    EXPECT_GT(queues[1]->take_calls(), 0U);
}

TEST_F(SessionRings, DrainsASlowRequestOnTheQueuesOwnThread) {
    start_device(2);
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    auto base = std::async(std::launch::async, [this] { return frontend->stop_queue(1); });
    EXPECT_EQ(base.wait_for(50ms), std::future_status::timeout);
    handler.release();
    EXPECT_EQ(base.get(), 1);
    EXPECT_TRUE(queues[1]->take_used());
}

TEST_F(SessionRings, AsksTheHandlerForParkedRequestsWhenItStops) {
    start_device(2);
    queues[1]->add({text("Parked")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_parked();
    EXPECT_EQ(frontend->stop_queue(1), 1);
    EXPECT_TRUE(queues[1]->take_used());
    EXPECT_EQ(handler.drains, 1);
}

TEST_F(SessionRings, LetsQuickRequestsPassSlowOnesInThePool) {
    start_device(2, with_pool(1));
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    EXPECT_EQ(echo(*queues[1], "quick"), "quick");
}

TEST_F(SessionRings, KeepsHiprioFreeOfSlowRequests) {
    start_device(2);
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    EXPECT_EQ(echo(*queues[0], "forget"), "forget");
}

TEST(QueueThreads, AreAtLeastTwoWhereNothingElseIsAsked) {
    EXPECT_EQ(queue_thread_count(0, 1), 2U);
    EXPECT_EQ(queue_thread_count(0, 0), 2U);
    EXPECT_EQ(queue_thread_count(0, 8), 8U);
    EXPECT_EQ(queue_thread_count(1, 8), 1U);
}

TEST_F(SessionRings, ServesOtherQueuesBesideASlowOne) {
    SessionOptions options;
    options.queue_threads = 2;
    start_device(3, options);
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    EXPECT_EQ(echo(*queues[2], "other"), "other");
}

TEST_F(SessionRings, ShowsRepliesBeforeASlowRequestOfTheSameBatch) {
    start_device(2);
    frontend->set_enabled(1, false);
    settle();
    queues[1]->add({text("quick")}, {space(16)});
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->publish();
    frontend->set_enabled(1, true);
    handler.wait_for_slow();
    EXPECT_TRUE(queues[1]->take_used());
}

TEST_F(SessionRings, NotifiesOncePerBatch) {
    start_device(2);
    frontend->set_enabled(1, false);
    settle();
    static_cast<void>(queues[1]->take_calls());
    constexpr int count = 20;
    const auto in = text("x");
    const auto out = space(16);
    for (int i = 0; i < count; ++i) {
        queues[1]->add({in}, {out});
    }
    queues[1]->ask_for_call(count - 1);
    queues[1]->publish();
    frontend->set_enabled(1, true);
    while (queues[1]->used_index() != count) {
        std::this_thread::sleep_for(1ms);
    }
    settle();
    // The first notification after a start is unconditional; with it there are two at most.
    EXPECT_LE(queues[1]->take_calls(), 2U);
}

TEST_F(SessionRings, TakesMemoryThatIsAddedWhileItRuns) {
    start_device(2);
    test::GuestRam more{1 << 20, 0x10000000};
    const auto address = more.allocate(16);
    more.write(address, "far away");
    ASSERT_EQ(frontend->add_region(more), 0U);
    const auto reply = space(16);
    queues[1]->add({{address, 8}}, {reply});
    queues[1]->submit();
    ASSERT_TRUE(queues[1]->wait_used());
    EXPECT_EQ(ram.read(reply.address, 8), "far away");
}

TEST_F(SessionRings, BreaksOnMemoryThatWasRemoved) {
    start_device(3);
    test::GuestRam more{1 << 20, 0x10000000};
    ASSERT_EQ(frontend->add_region(more), 0U);
    ASSERT_EQ(frontend->remove_region(more), 0U);
    queues[1]->add({{more.allocate(8), 8}}, {space(16)});
    queues[1]->submit();
    wait_for_error(*queues[1]);
    EXPECT_EQ(echo(*queues[2], "alive"), "alive");
    ASSERT_EQ(log.lines().size(), 1U);
    EXPECT_NE(log.lines()[0].find("Queue 1 is dead"), std::string::npos);
}

TEST_F(SessionRings, LivesAgainAfterAResetOfABrokenRing) {
    start_device(2);
    queues[1]->descriptor(0) = {0, 8, virtio::VIRTQ_DESC_F_NEXT, 999};
    queues[1]->offer(0);
    queues[1]->submit();
    wait_for_error(*queues[1]);
    EXPECT_FALSE(queues[1]->take_used());
    EXPECT_TRUE(session->queue_status().at(1).is_broken);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    frontend->set_features(test::FakeFrontend::usual_features);
    test::FakeQueue fresh{ram, ring_size, ring_features};
    frontend->start_queue(1, fresh);
    EXPECT_EQ(echo(fresh, "reborn"), "reborn");
}

TEST_F(SessionRings, FinishesRequestsInMemoryThatWasRemovedMeanwhile) {
    start_device(2, with_pool(1));
    test::GuestRam more{1 << 20, 0x10000000};
    ASSERT_EQ(frontend->add_region(more), 0U);
    const auto address = more.allocate(16);
    queues[1]->add({text("Slow")}, {{address, 16}});
    queues[1]->submit();
    handler.wait_for_slow();
    ASSERT_EQ(frontend->remove_region(more), 0U);
    handler.release();
    ASSERT_TRUE(queues[1]->wait_used());
    EXPECT_EQ(more.read(address, 4), "Slow");
}

TEST_F(SessionRings, RestsWhileItsOwnMemoryIsReplaced) {
    start_device(2);
    EXPECT_EQ(echo(*queues[1], "before"), "before");
    ASSERT_EQ(frontend->remove_region(ram), 0U);
    queues[1]->add({text("meanwhile")}, {space(16)});
    queues[1]->publish();
    queues[1]->kick();
    EXPECT_FALSE(queues[1]->wait_used(50ms));
    ASSERT_EQ(frontend->add_region(ram), 0U);
    EXPECT_TRUE(queues[1]->wait_used());
}

TEST_F(SessionRings, ReplacesTheWholeTableUnderLoad) {
    start_device(2);
    std::atomic<bool> is_done{false};
    std::thread replacer{[&] {
        for (int i = 0; i < 200; ++i) {
            frontend->set_mem_table({&ram});
        }
        settle();
        is_done = true;
    }};
    const auto in = text("load");
    const auto out = space(16);
    int rounds = 0;
    while (!is_done) {
        queues[1]->add({in}, {out});
        queues[1]->submit();
        ASSERT_TRUE(queues[1]->wait_used());
        ++rounds;
    }
    replacer.join();
    EXPECT_GT(rounds, 0);
}

TEST_F(SessionRings, ResetsWithRequestsInFlight) {
    start_device(2, with_pool(1));
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    std::thread releaser{[this] {
        std::this_thread::sleep_for(20ms);
        handler.release();
    }};
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    releaser.join();
    EXPECT_EQ(observer.resets, 1);
    EXPECT_TRUE(queues[1]->take_used());
}

TEST_F(SessionRings, FinishesWhatIsInFlightWhenTheFrontendLeaves) {
    start_device(2, with_pool(1));
    queues[1]->add({text("Slow")}, {space(16)});
    queues[1]->add({text("Parked")}, {space(16)});
    queues[1]->submit();
    handler.wait_for_slow();
    finish();
    EXPECT_TRUE(*outcome);
}

TEST_F(SessionRings, ShowsTheFirstRepliesOfABatchWhileItServesTheRest) {
    start_device(2);
    for (const char* request : {"one", "two", "Long"}) {
        queues[1]->add({text(request)}, {space(16)});
    }
    queues[1]->submit();
    handler.wait_for_slow();
    EXPECT_TRUE(queues[1]->take_used());
    EXPECT_TRUE(queues[1]->take_used());
    EXPECT_FALSE(queues[1]->take_used());
    handler.release();
    EXPECT_TRUE(queues[1]->wait_used());
    finish();
}

TEST_F(SessionRings, WakesADriverThatSleepsWhileItHasMoreToDo) {
    start_device(2);
    EXPECT_EQ(echo(*queues[1], "first"), "first"); // announced whatever is asked for
    settle();
    static_cast<void>(queues[1]->take_calls());
    queues[1]->ask_for_call();
    for (const char* request : {"Busy", "Busy", "Busy", "Busy", "Long"}) {
        queues[1]->add({text(request)}, {space(16)});
    }
    queues[1]->submit();
    handler.wait_for_slow();
    EXPECT_EQ(queues[1]->take_calls(), 1U);
    handler.release();
    finish();
}

TEST_F(SessionRings, AnswersManyRequestsOnManyQueuesWithAPool) {
    auto options = with_pool(2);
    options.poll_limit = std::chrono::microseconds{20};
    start_device(4, options);
    handler.release(); // slow ones go to the pool and come back at once
    const auto quick = text("quick");
    const auto slow = text("Slow");
    // A reply buffer for each: replies of different threads must not meet.
    std::vector<test::Buffer> out;
    for (std::size_t i = 0; i < 4 * 8; ++i) {
        out.push_back(space(16));
    }
    for (int round = 0; round < 300; ++round) {
        for (std::size_t q = 0; q < queues.size(); ++q) {
            for (std::size_t i = 0; i < 8; ++i) {
                queues[q]->add({i % 2 == 0 ? quick : slow}, {out[q * 8 + i]});
            }
            queues[q]->submit();
        }
        for (auto& queue : queues) {
            for (int i = 0; i < 8; ++i) {
                ASSERT_TRUE(queue->wait_used());
            }
        }
    }
    const auto status = session->queue_status();
    ASSERT_EQ(status.size(), 4U);
    EXPECT_EQ(status[3].requests, 2400U);
    EXPECT_EQ(status[3].in_flight, 0U);
    EXPECT_TRUE(status[3].is_processed);
}

} // namespace
} // namespace vfskit::vhost_user
