// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/identity.h"
#include "tests/unit/device_state/streams.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::device_state {
namespace {

constexpr std::uint32_t ext4 = 0xef53;
constexpr std::uint32_t xfs = 0x58465342;
constexpr std::uint32_t nfs = 0x6969;

ShareIdentity identity(std::uint32_t type) {
    ShareIdentity result;
    result.boot_id = "one";
    result.machine_id = "m";
    result.filesystem_type = type;
    result.filesystem_id = 77;
    result.device = 5;
    result.ino = 2;
    result.birth_seconds = 1000;
    result.birth_nanoseconds = 3;
    result.root_handle = FileHandle{1, 1, test::from_hex("0102")};
    return result;
}

ShareIdentity elsewhere(std::uint32_t type) {
    auto result = identity(type);
    result.boot_id = "two";
    result.device = 9;
    result.root_handle->mount_id = 99;
    return result;
}

int verdict(const ShareIdentity& source, const ShareIdentity& here) {
    const auto proof = prove_same_share(source, here);
    return proof ? 0 : proof.error().code();
}

TEST(ShareIdentity, IsProvedByTheDeviceOnOneKernel) {
    EXPECT_EQ(verdict(identity(xfs), identity(xfs)), 0);
    auto other = identity(xfs);
    other.device = 6;
    EXPECT_EQ(verdict(identity(xfs), other), EXDEV);
}

TEST(ShareIdentity, IsNeverProvedWithoutTheRootsHandle) {
    auto without = identity(ext4);
    without.root_handle.reset();
    EXPECT_EQ(verdict(without, identity(ext4)), EXDEV);
    EXPECT_EQ(verdict(identity(ext4), without), EXDEV);
}

TEST(ShareIdentity, DiffersWithTheRootsHandle) {
    auto other = identity(ext4);
    other.root_handle->bytes = test::from_hex("0103");
    EXPECT_EQ(verdict(identity(ext4), other), EXDEV);
}

TEST(ShareIdentity, DiffersWithTheFilesystemsType) {
    EXPECT_EQ(verdict(identity(ext4), identity(xfs)), EXDEV);
}

TEST(ShareIdentity, IsProvedByTheFilesystemsIdOnAnotherHost) {
    EXPECT_EQ(verdict(identity(ext4), elsewhere(ext4)), 0);
    auto other = elsewhere(ext4);
    other.filesystem_id = 78;
    EXPECT_EQ(verdict(identity(ext4), other), EXDEV);
}

TEST(ShareIdentity, DiffersWithTheTimeOfBirthOnAnotherHost) {
    auto other = elsewhere(ext4);
    other.birth_nanoseconds = 4;
    EXPECT_EQ(verdict(identity(ext4), other), EXDEV);
}

TEST(ShareIdentity, DoesNotBelieveAnIdMadeOfTheDeviceNumber) {
    auto other = elsewhere(xfs);
    other.filesystem_id = 78; // the same filesystem under another device number
    EXPECT_EQ(verdict(identity(xfs), other), 0);
    auto ageless = identity(xfs);
    ageless.birth_seconds = 0;
    EXPECT_EQ(verdict(ageless, elsewhere(xfs)), EXDEV);
}

TEST(ShareIdentity, BelievesTheHandlesOfNetworkFilesystems) {
    auto source = identity(nfs);
    auto here = elsewhere(nfs);
    source.filesystem_id = here.filesystem_id = 0;
    source.birth_seconds = here.birth_seconds = 0;
    EXPECT_EQ(verdict(source, here), 0);
}

} // namespace
} // namespace vfskit::device_state
