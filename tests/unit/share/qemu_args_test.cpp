// SPDX-License-Identifier: Apache-2.0
// What is refused; what comes out otherwise is in the golden files.
#include "core/share/qemu_args.h"
#include "tests/unit/share/sample_shares.h"

#include <gtest/gtest.h>

#include <string>

namespace vfskit::share {
namespace {

constexpr std::uint64_t mib = 1ULL << 20;

QemuDevice media_device() {
    return {.share = plain_share(), .socket_path = "/run/vfskit/101-media.sock"};
}

QemuDevice music_device() {
    auto device = media_device();
    device.share.tag = "music";
    device.socket_path = "/run/vfskit/101-music.sock";
    return device;
}

std::string blamed_key(const Result<std::vector<std::string>>& args) {
    return args ? std::string{} : args.error().place().key;
}

TEST(QuoteQemuValue, DoublesCommas) {
    EXPECT_EQ(quote_qemu_value("a,b,,c"), "a,,b,,,,c");
}

TEST(DeviceArgs, AreEmptyWithoutShares) {
    EXPECT_TRUE(device_args({})->empty());
}

TEST(DeviceArgs, AcceptTwoDifferentShares) {
    EXPECT_EQ(blamed_key(device_args(std::vector{media_device(), music_device()})), "");
}

TEST(DeviceArgs, RefuseATagTwice) {
    auto other = music_device();
    other.share.tag = "media";
    EXPECT_EQ(blamed_key(device_args(std::vector{media_device(), other})), "tag");
}

TEST(DeviceArgs, RefuseASocketTwice) {
    auto other = music_device();
    other.socket_path = media_device().socket_path;
    EXPECT_EQ(blamed_key(device_args(std::vector{media_device(), other})), "socket");
}

TEST(DeviceArgs, RefuseAnAddressTwiceHoweverItIsSpelled) {
    auto first = media_device();
    first.pci = PciAddress{.bus = "pci.0", .addr = "0x1F"};
    auto second = music_device();
    second.pci = PciAddress{.bus = "pci.0", .addr = "1f.0"};
    EXPECT_EQ(blamed_key(device_args(std::vector{first, second})), "addr");
    second.pci->bus = "pci.1";
    EXPECT_EQ(blamed_key(device_args(std::vector{first, second})), "");
}

TEST(DeviceArgs, RefuseImpossibleAddresses) {
    auto device = media_device();
    device.pci = PciAddress{.bus = "pci.0", .addr = "20"};
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "addr");
    device.pci = PciAddress{.bus = "pci.0", .addr = "5.8"};
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "addr");
    device.pci = PciAddress{.bus = "pci.0", .addr = ""};
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "addr");
    device.pci = PciAddress{.bus = "a,b", .addr = "5"};
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "bus");
}

TEST(DeviceArgs, RefuseSharesThatDoNotValidate) {
    auto device = media_device();
    device.share.queue_size = 1000;
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "queue-size");
}

TEST(DeviceArgs, RefuseASocketPathThatDoesNotFit) {
    auto device = media_device();
    device.socket_path = "/" + std::string(107, 's');
    EXPECT_EQ(blamed_key(device_args(std::vector{device})), "socket");
}

TEST(MemoryArgs, RefuseNoMemoryAndHalfMebibytes) {
    EXPECT_EQ(blamed_key(memory_args({.bytes = 0})), "memory");
    EXPECT_EQ(blamed_key(memory_args({.bytes = mib / 2})), "memory");
}

TEST(MemoryArgs, RefuseASizeThatIsNoWholeNumberOfHugePages) {
    EXPECT_EQ(blamed_key(memory_args({.bytes = 3 * mib, .hugepage_bytes = 2 * mib})), "memory");
}

TEST(MemoryArgs, RefuseHugePagesThatCannotBe) {
    EXPECT_EQ(blamed_key(memory_args({.bytes = 6 * mib, .hugepage_bytes = 3 * mib})), "hugepages");
    EXPECT_EQ(blamed_key(memory_args({.bytes = 6 * mib, .hugepage_bytes = 4096})), "hugepages");
}

TEST(MemoryArgs, RefuseARelativeFile) {
    EXPECT_EQ(blamed_key(memory_args({.bytes = mib, .file_path = "shm"})), "memory-path");
}

TEST(MemoryArgs, RefuseCellsThatDoNotSumUp) {
    const QemuMemory memory{.bytes = 3 * mib, .cells = {{.bytes = mib}, {.bytes = mib}}};
    EXPECT_EQ(blamed_key(memory_args(memory)), "memory");
}

TEST(MemoryArgs, RefuseACpuInTwoCells) {
    const QemuMemory memory{.cells = {{.bytes = mib, .cpus = "0-3"}, {.bytes = mib, .cpus = "3"}}};
    EXPECT_EQ(blamed_key(memory_args(memory)), "numa");
}

TEST(MemoryArgs, RefuseWordsThatAreNoCpus) {
    EXPECT_EQ(blamed_key(memory_args({.cells = {{.bytes = mib, .cpus = "3-1"}}})), "numa");
    EXPECT_EQ(blamed_key(memory_args({.cells = {{.bytes = mib, .cpus = "a"}}})), "numa");
    EXPECT_EQ(blamed_key(memory_args({.cells = {{.bytes = mib, .cpus = "1,"}}})), "numa");
}

} // namespace
} // namespace vfskit::share
