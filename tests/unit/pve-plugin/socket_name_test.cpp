// SPDX-License-Identifier: Apache-2.0
#include "pve-plugin/launcher/socket_name.h"
#include "tests/unit/pve-plugin/launcher_fixture.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::pve_plugin {
namespace {

TEST(SocketName, TellsVmAndDevice) {
    EXPECT_EQ(parse_socket_name("/run/qemu-server/virtiofsd/vm114-fs1"), (SocketOwner{114, 1}));
    EXPECT_EQ(parse_socket_name("vm999999999-fs0"), (SocketOwner{999'999'999, 0}));
}

class ForeignSocketName : public testing::TestWithParam<const char*> {};
TEST_P(ForeignSocketName, TellsNothing) {
    EXPECT_FALSE(parse_socket_name(GetParam()).has_value());
}
INSTANTIATE_TEST_SUITE_P(Names,
                         ForeignSocketName,
                         testing::Values("",
                                         "/run/vm114-fs1/other",
                                         "vm99-fs1",
                                         "vm0114-fs1",
                                         "vm1000000000-fs1",
                                         "vm114-fs10",
                                         "vm114-fs",
                                         "vm-fs1",
                                         "vm114",
                                         "xvm114-fs1",
                                         "vm114-fs1 ",
                                         "vm114-fs1.tmp"));

TEST(SocketName, IsAskedOfAListeningSocket) {
    const test::TempDir dir;
    const auto fd = listen_at(dir.path("vm114-fs1"));
    EXPECT_EQ(socket_path(fd.get()).value_or(""), dir.path("vm114-fs1"));
}

TEST(SocketName, IsNotOfASocketThatDoesNotListen) {
    const UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM, 0)};
    const auto path = socket_path(fd.get());
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code(), EINVAL);
}

TEST(SocketName, IsNotOfAClosedDescriptor) {
    constexpr int never_open = 1'000'000;
    const auto path = socket_path(never_open);
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code(), EBADF);
}

} // namespace
} // namespace vfskit::pve_plugin
