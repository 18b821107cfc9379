// SPDX-License-Identifier: Apache-2.0
// What a request costs in memory of the daemon's own: nothing, unless it makes something new.
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

void use(SystemGuest& guest, std::uint64_t node) {
    const auto known = guest.lookup(FUSE_ROOT_ID, "f");
    ASSERT_EQ(known, node);
    ASSERT_TRUE(guest.is_served());
    const auto fh = guest.open(node, O_RDWR);
    ASSERT_EQ(guest.write(node, fh, "text").error(), 0);
    ASSERT_EQ(guest.read(node, fh, 0, 16).payload, "text");
    ReleaseIn release{};
    release.fh = fh;
    ASSERT_EQ(guest.call(Opcode::FUSE_RELEASE, node, RequestBytes{}.add(release)).error(), 0);
    ASSERT_NE(guest.call(Opcode::FUSE_LOOKUP, FUSE_ROOT_ID, RequestBytes{}.name("none")).error(),
              0);
}

/// How often a daemon allocates in its life, when its guest uses a file so often.
unsigned long allocations_of(unsigned uses) {
    const Place place;
    place.write("f", "");
    const auto told = place.path("allocations");
    DaemonProcess daemon{{.arguments = place.arguments({"--sandbox=none"}), .prepare = [&told] {
                              ::setenv("LD_PRELOAD", VFSKIT_COUNT_ALLOCATIONS, 1);
                              ::setenv("VFSKIT_ALLOCATIONS", told.c_str(), 1);
                          }}};
    {
        SystemGuest guest{place.socket()};
        const auto node = guest.lookup(FUSE_ROOT_ID, "f");
        for (unsigned i = 0; i < uses; ++i) {
            use(guest, node);
        }
    }
    EXPECT_EQ(daemon.wait_exit(), 0);
    std::ifstream file{told};
    unsigned long number = 0;
    EXPECT_TRUE(file >> number) << daemon.log();
    return number;
}

TEST(Requests, AllocateNothing) {
    constexpr unsigned few = 50;
    constexpr unsigned many = 1050; // seven thousand requests more
    constexpr unsigned long now_and_then = 100;
    const auto start = allocations_of(few);
    ASSERT_GT(start, 100U) << "the counter does not count";
    EXPECT_LT(allocations_of(many), start + now_and_then);
}

} // namespace
} // namespace vfskit::test
