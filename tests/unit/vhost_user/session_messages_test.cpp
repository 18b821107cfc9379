// SPDX-License-Identifier: Apache-2.0
// Every message, right and wrong.
#include "tests/unit/vhost_user/session_fixture.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

namespace vfskit::vhost_user {
namespace {

using test::FakeFrontend;
using virtio::to_integer;

class SessionMessages : public SessionTest {};

VhostUserSingleMemoryRegion wire(const test::GuestRam& ram) {
    return {0,
            {to_integer(ram.layout().guest_address),
             ram.layout().size,
             to_integer(ram.layout().user_address),
             ram.layout().mmap_offset}};
}

UniqueFd make_eventfd() {
    return UniqueFd{::eventfd(0, EFD_CLOEXEC)};
}

TEST_F(SessionMessages, OffersTheUsualFeatures) {
    start();
    EXPECT_EQ(frontend->get(VHOST_USER_GET_FEATURES), 0x174000000U);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_PROTOCOL_FEATURES), 0x8a42bU);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_QUEUE_NUM), 256U);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_MAX_MEM_SLOTS), 509U);
}

TEST_F(SessionMessages, OffersConfigWithATag) {
    SessionOptions options;
    options.config_space = make_fs_config("share", 1);
    start(options);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_PROTOCOL_FEATURES), 0x8a62bU);

    struct {
        VhostUserConfigHeader header;
        char bytes[60];
    } request{{0, 60, 0}, {}};
    frontend->send(VHOST_USER_GET_CONFIG, request);
    const auto reply = frontend->receive_as<decltype(request)>(VHOST_USER_GET_CONFIG);

    EXPECT_EQ(std::string{reply.bytes}, "share");
    EXPECT_EQ(reply.bytes[36], 1);
    EXPECT_EQ(reply.bytes[59], 0);
    EXPECT_EQ(reply.header.size, 60U);
}

TEST_F(SessionMessages, AnswersAnEmptyConfigWhenItCannotBeRead) {
    start();
    struct {
        VhostUserConfigHeader header;
        char bytes[8];
    } request{{0, 8, 0}, {}};
    frontend->send(VHOST_USER_GET_CONFIG, request);
    EXPECT_TRUE(frontend->receive(VHOST_USER_GET_CONFIG).payload.empty());
}

TEST_F(SessionMessages, RefusesToWriteTheConfig) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_CONFIG, VhostUserConfigHeader{0, 0, 0}), 0U);
}

TEST_F(SessionMessages, RefusesFeaturesThatWereNotOffered) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_FEATURES, std::uint64_t{1} << 34), 0U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_FEATURES, FakeFrontend::usual_features), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_PROTOCOL_FEATURES,
                                    FakeFrontend::usual_protocol_features | 1U << 12),
              0U);
}

TEST_F(SessionMessages, AnswersUnknownMessagesAndGoesOn) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_ENDIAN, VhostVringState{0, 0}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_IOTLB_MSG), 0U);
    EXPECT_NE(frontend->acknowledge(9999), 0U);
    EXPECT_NE(frontend->acknowledge(0), 0U);
    frontend->send(9999);
    frontend->send(VHOST_USER_POSTCOPY_ADVISE);
    EXPECT_TRUE(frontend->receive(VHOST_USER_POSTCOPY_ADVISE).payload.empty());
    EXPECT_EQ(frontend->get(VHOST_USER_GET_QUEUE_NUM), 256U);
}

TEST_F(SessionMessages, AnswersStatusThoughItIsNotOffered) {
    start();
    frontend->negotiate();
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_STATUS, std::uint64_t{7}), 0U);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_STATUS), 7U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_STATUS, std::uint64_t{0}), 0U);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_STATUS), 0U);
    EXPECT_EQ(observer.resets, 1);
}

TEST_F(SessionMessages, ResetsBeforeAnythingElseAndTwice) {
    start();
    frontend->negotiate(0);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_DEVICE), 0U);
    EXPECT_EQ(observer.resets, 2);
}

TEST_F(SessionMessages, DisablesRingsOnResetOwner) {
    start_device(2);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_RESET_OWNER), 0U);
    queues[1]->add({text("hello")}, {space(16)});
    queues[1]->submit();
    EXPECT_FALSE(queues[1]->wait_used(50ms));
    EXPECT_EQ(observer.resets, 0);
}

TEST_F(SessionMessages, AcceptsEveryQueueItOffers) {
    start();
    frontend->negotiate();
    const auto event = make_eventfd();
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_VRING_CALL, std::uint64_t{2}, {event.get()}),
              0U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_VRING_CALL, std::uint64_t{255}, {event.get()}),
              0U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{255, 128}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{256, 128}), 0U);
}

TEST_F(SessionMessages, RefusesRingsThatCannotBe) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{1, 100}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{1, 0}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_BASE, VhostVringState{1, 0x10000}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_ENABLE, VhostVringState{1, 2}), 0U);
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{1, 128}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_ADDR, VhostVringAddr{1, 0, 1, 2, 3, 0}),
              0U);
}

TEST_F(SessionMessages, RefusesToChangeAStartedRing) {
    start_device(2);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_NUM, VhostVringState{1, 128}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_BASE, VhostVringState{1, 1}), 0U);
    EXPECT_EQ(echo(*queues[1], "hello"), "hello");
}

TEST_F(SessionMessages, RefusesPayloadsOfTheWrongSize) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_FEATURES, std::uint32_t{0}), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_NUM), 0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_MEM_TABLE), 0U);
    frontend->send(VHOST_USER_GET_VRING_BASE);
    EXPECT_TRUE(frontend->receive(VHOST_USER_GET_VRING_BASE).payload.empty());
    EXPECT_FALSE(log.lines().empty());
}

TEST_F(SessionMessages, RefusesTheWrongNumberOfDescriptors) {
    start();
    frontend->negotiate();
    const auto event = make_eventfd();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_KICK, std::uint64_t{1}), 0U);
    EXPECT_NE(frontend->acknowledge(
                  VHOST_USER_SET_VRING_KICK, std::uint64_t{1}, {event.get(), event.get()}),
              0U);
    EXPECT_NE(frontend->acknowledge(VHOST_USER_ADD_MEM_REG, wire(ram)), 0U);
    VhostUserMemoryHeader lie{3, 0};
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_MEM_TABLE, lie, {ram.fd()}), 0U);
}

TEST_F(SessionMessages, RefusesAKickThatIsNoEvent) {
    start();
    frontend->negotiate();
    EXPECT_NE(frontend->acknowledge(VHOST_USER_SET_VRING_KICK, std::uint64_t{1}, {ram.fd()}), 0U);
}

TEST_F(SessionMessages, RefusesOverlappingAndMissingRegions) {
    start();
    frontend->negotiate();
    EXPECT_EQ(frontend->add_region(ram), 0U);
    EXPECT_NE(frontend->add_region(ram), 0U);
    EXPECT_EQ(frontend->remove_region(ram), 0U);
    EXPECT_NE(frontend->remove_region(ram), 0U);
}

TEST_F(SessionMessages, KeepsTheBackendChannel) {
    start();
    frontend->negotiate();
    auto [ours, theirs] = FakeFrontend::make_sockets();
    EXPECT_EQ(
        frontend->acknowledge(VHOST_USER_SET_BACKEND_REQ_FD, std::uint64_t{0}, {theirs.get()}), 0U);
}

TEST_F(SessionMessages, HasNothingInflightToShare) {
    start();
    frontend->send(VHOST_USER_GET_INFLIGHT_FD, VhostUserInflight{0, 0, 2, 128, 0});
    EXPECT_EQ(frontend->receive_as<VhostUserInflight>(VHOST_USER_GET_INFLIGHT_FD).mmap_size, 0U);
}

TEST_F(SessionMessages, AcceptsALogFd) {
    start();
    frontend->negotiate();
    const auto event = make_eventfd();
    EXPECT_EQ(frontend->acknowledge(VHOST_USER_SET_LOG_FD, std::uint64_t{0}, {event.get()}), 0U);
}

TEST_F(SessionMessages, DoesNotAcknowledgeBeforeThatWasNegotiated) {
    start();
    const std::uint64_t nothing = 0;
    frontend->send(VHOST_USER_SET_OWNER,
                   std::as_bytes(std::span{&nothing, 0}),
                   {},
                   VHOST_USER_NEED_REPLY_MASK);
    EXPECT_EQ(frontend->get(VHOST_USER_GET_QUEUE_NUM), 256U);
}

TEST_F(SessionMessages, EndsInPeaceWhenTheFrontendLeaves) {
    start_device(2);
    finish();
    EXPECT_TRUE(*outcome);
}

TEST_F(SessionMessages, EndsWhenToldTo) {
    start_device(2);
    session->stop();
    EXPECT_THROW(static_cast<void>(frontend->get(VHOST_USER_GET_FEATURES)), std::runtime_error);
}

TEST_F(SessionMessages, EndsWithAnErrorWithinAMessage) {
    start();
    ASSERT_EQ(::write(frontend->fd(), "abc", 3), 3);
    finish();
    ASSERT_FALSE(*outcome);
    EXPECT_EQ(outcome->error().code(), EBADMSG);
}

TEST_F(SessionMessages, EndsWithAnErrorOnAnotherVersion) {
    start();
    const MessageHeader header{VHOST_USER_GET_FEATURES, 2, 0};
    ASSERT_EQ(::write(frontend->fd(), &header, sizeof header), 12);
    finish();
    EXPECT_FALSE(*outcome);
}

TEST_F(SessionMessages, EndsWithAnErrorOnAnAbsurdLength) {
    start();
    const MessageHeader header{VHOST_USER_GET_FEATURES, 1, 0xffffffff};
    ASSERT_EQ(::write(frontend->fd(), &header, sizeof header), 12);
    finish();
    EXPECT_FALSE(*outcome);
}

TEST_F(SessionMessages, ClosesDescriptorsThatNobodyAskedFor) {
    start();
    int raw[2] = {-1, -1};
    ASSERT_EQ(::pipe(raw), 0);
    const UniqueFd reader{raw[0]};
    {
        const UniqueFd writer{raw[1]};
        const std::vector<int> many(8, writer.get());
        frontend->send(VHOST_USER_GET_QUEUE_NUM, {}, many);
        static_cast<void>(frontend->receive(VHOST_USER_GET_QUEUE_NUM));
    }
    settle();
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 0); // end of file: no writer is left
}

} // namespace
} // namespace vfskit::vhost_user
