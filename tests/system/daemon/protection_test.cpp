// SPDX-License-Identifier: Apache-2.0
// ACLs and security labels, each in its three modes.
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <initializer_list>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

constexpr std::uint64_t acl_flags = FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;
constexpr const char* default_acl = "system.posix_acl_default";

/// acl(5) as Linux keeps it in an xattr (uapi/linux/posix_acl_xattr.h).
std::string acl_value() {
    struct Entry {
        std::uint16_t tag;
        std::uint16_t permissions;
        std::uint32_t id;
    };
    constexpr std::uint32_t nobody_special = UINT32_MAX;
    RequestBytes value;
    value.add(std::uint32_t{2});
    for (const Entry& entry : {Entry{0x01, 7, nobody_special},    // the owner
                               Entry{0x02, 7, 1000},              // one user
                               Entry{0x04, 5, nobody_special},    // the group
                               Entry{0x10, 7, nobody_special},    // the mask
                               Entry{0x20, 0, nobody_special}}) { // everybody else
        value.add(entry);
    }
    return value.bytes();
}

std::string host_xattr(const std::string& path, const char* name) {
    std::string value(256, '\0');
    const ssize_t size = ::lgetxattr(path.c_str(), name, value.data(), value.size());
    value.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return value;
}

/// The request without SETXATTR_EXT has only the first two fields.
int set_default_acl(SystemGuest& guest, bool is_extended) {
    const auto value = acl_value();
    RequestBytes request;
    request.add(static_cast<std::uint32_t>(value.size())).add(std::uint32_t{0});
    if (is_extended) {
        request.add(std::uint64_t{0});
    }
    return guest.call(Opcode::FUSE_SETXATTR, FUSE_ROOT_ID, request.name(default_acl).raw(value))
        .error();
}

TEST(PosixAcls, OfADirectoryGoInFrontOfTheUmask) {
    Served served{{"--posix-acl"}, with_flags(acl_flags)};
    ASSERT_EQ(set_default_acl(served.guest, true), 0);
    const auto made = served.guest.call(
        Opcode::FUSE_MKDIR, FUSE_ROOT_ID, RequestBytes{}.add(MkdirIn{0777, 0022}).name("d"));
    ASSERT_EQ(made.error(), 0);
    struct stat info {};
    ASSERT_EQ(::stat(served.place.share("d").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0770U);
    EXPECT_EQ(host_xattr(served.place.share("d"), default_acl), acl_value());
}

TEST(PosixAcls, AreNotThereUnlessAskedFor) {
    Served served{{"--xattr"}, with_flags(acl_flags)};
    EXPECT_EQ(set_default_acl(served.guest, false), ENOTSUP);
    EXPECT_EQ(host_xattr(served.place.share(), default_acl), "");
}

TEST(PosixAcls, AreLeftOutForAGuestThatLacksThemIfTheyMayBe) {
    Served served{{"--posix-acl=auto"}};
    EXPECT_EQ(set_default_acl(served.guest, false), ENOTSUP);
    EXPECT_TRUE(served.daemon.wait_for_log("The guest does not support POSIX ACLs"));
}

TEST(SecurityLabels, AreLeftOutForAGuestThatLacksThemIfTheyMayBe) {
    Served served{{"--security-label=auto"}};
    EXPECT_TRUE(served.daemon.wait_for_log("The guest does not send security labels"));
    EXPECT_TRUE(served.guest.is_served());
}

class MustHave : public testing::TestWithParam<std::string> {};

TEST_P(MustHave, RefusesAGuestThatLacksIt) {
    const Place place;
    const DaemonProcess daemon{{.arguments = place.arguments({"--" + GetParam() + "=always"})}};
    SystemGuest guest{place.socket(), {.initializes = false}};
    EXPECT_EQ(guest.init(GuestSetup{}.init_flags).error(), EPROTO);
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         MustHave,
                         testing::Values("posix-acl", "security-label"),
                         [](const auto& tried) {
                             return tried.param == "posix-acl" ? "Acls" : "Labels";
                         });

// How upstream's manual keeps a guest's SELinux labels out of the host's.
TEST(SecurityLabels, AreSetWhenAFileIsMade) {
    constexpr const char* label = "system_u:object_r:etc_t:s0";
    Served served{{"--security-label",
                   "--xattrmap=:map:security.selinux:trusted.virtiofs.:",
                   "--modcaps=+sys_admin"},
                  with_flags(FUSE_SECURITY_CTX)};
    const auto body = RequestBytes{}
                          .add(Secctx{static_cast<std::uint32_t>(std::string{label}.size()), 0})
                          .name("security.selinux")
                          .raw(label)
                          .bytes();
    CreateIn in{};
    in.flags = O_CREAT | O_RDWR;
    in.mode = S_IFREG | 0644;
    constexpr std::uint32_t one_label = 1;
    const auto made =
        served.guest.call(Opcode::FUSE_CREATE,
                          FUSE_ROOT_ID,
                          RequestBytes{}.add(in).name("f").extension(one_label, body));
    ASSERT_EQ(made.error(), 0);
    EXPECT_EQ(host_xattr(served.place.share("f"), "trusted.virtiofs.security.selinux"), label);
}

} // namespace
} // namespace vfskit::test
