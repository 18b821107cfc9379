// SPDX-License-Identifier: Apache-2.0
#include "core/store/vm_config.h"
#include "tests/support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

namespace vfskit::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* whole_config = "#a note%0Awith [PENDING] in it\n"
                                     "lock: migrate\n"
                                     "memory: 512\n"
                                     "ostype: win11\n"
                                     "virtiofs0: media,cache=never,direct-io=yes\n"
                                     "virtiofs3: dirid=home,expose-acl=ON,expose-xattr=0\n"
                                     "\n"
                                     "[PENDING]\n"
                                     "delete: virtiofs0,!virtiofs3;net0\n"
                                     "virtiofs1: new\n"
                                     "\n"
                                     "[special:cloudinit]\n"
                                     "virtiofs5: not-a-device\n"
                                     "[before-upgrade]\n"
                                     "parent: clean\n"
                                     "virtiofs0: old\n"
                                     "vmstate: local:vm-100-state\n";

std::vector<std::string> ids(const std::vector<VirtiofsDevice>& devices) {
    std::vector<std::string> result;
    for (const auto& device : devices) {
        result.push_back(std::to_string(device.index) + ":" + device.dirid);
    }
    return result;
}

TEST(VmConfig, ReadsDevicesOfAllSections) {
    const auto vm = parse_vm_config(whole_config);
    EXPECT_THAT(ids(vm.current.devices), ElementsAre("0:media", "3:home"));
    EXPECT_THAT(ids(vm.pending.devices), ElementsAre("1:new"));
    ASSERT_THAT(vm.snapshots, SizeIs(1));
    EXPECT_EQ(vm.snapshots[0].name, "before-upgrade");
    EXPECT_THAT(ids(vm.snapshots[0].devices), ElementsAre("0:old"));
    EXPECT_THAT(vm.notices, IsEmpty());
}

TEST(VmConfig, ReadsDeviceOptions) {
    const auto vm = parse_vm_config(whole_config);
    const auto& device = vm.current.devices[0];
    EXPECT_EQ(device.cache, "never");
    EXPECT_TRUE(device.direct_io);
    EXPECT_EQ(device.raw, "media,cache=never,direct-io=yes");
    EXPECT_EQ(device.line, 5U);
    EXPECT_TRUE(vm.current.devices[1].expose_acl);
    EXPECT_FALSE(vm.current.devices[1].expose_xattr);
}

TEST(VmConfig, ReadsLockOsTypeParentAndState) {
    const auto vm = parse_vm_config(whole_config);
    EXPECT_EQ(vm.current.lock, "migrate");
    EXPECT_EQ(vm.current.ostype, "win11");
    EXPECT_EQ(vm.snapshots[0].parent, "clean");
    EXPECT_EQ(vm.snapshots[0].vmstate, "local:vm-100-state");
}

TEST(VmConfig, ReadsPendingDeletions) {
    EXPECT_THAT(parse_vm_config(whole_config).pending.deleted, ElementsAre(0, 3));
}

TEST(VmConfig, KnowsTheDevicesAfterARestart) {
    EXPECT_THAT(ids(parse_vm_config(whole_config).devices_after_restart()), ElementsAre("1:new"));
}

TEST(VmConfig, ReadsPendingInAnyCase) {
    EXPECT_THAT(parse_vm_config("[pending]\nvirtiofs0: aa\n").pending.devices, SizeIs(1));
}

TEST(VmConfig, TakesTheLastOfTwoEqualKeys) {
    const auto vm = parse_vm_config("virtiofs0: aa\nvirtiofs0: bb\n");
    EXPECT_THAT(ids(vm.current.devices), ElementsAre("0:bb"));
}

TEST(VmConfig, KeepsTheValidOneWhenTheLastIsInvalid) {
    const auto vm = parse_vm_config("virtiofs0: aa\nvirtiofs0: b b\n");
    EXPECT_THAT(ids(vm.current.devices), ElementsAre("0:aa"));
    ASSERT_THAT(vm.notices, SizeIs(1));
    EXPECT_EQ(vm.notices[0].line, 2U);
}

TEST(VmConfig, NotesAnIndexThatProxmoxDoesNotHave) {
    const auto vm = parse_vm_config("virtiofs10: aa\n");
    EXPECT_THAT(vm.current.devices, IsEmpty());
    ASSERT_THAT(vm.notices, SizeIs(1));
    EXPECT_THAT(vm.notices[0].message, HasSubstr("virtiofs0 to virtiofs9"));
}

TEST(VmConfig, SkipsUnknownSections) {
    const auto vm = parse_vm_config("[x]\nvirtiofs0: aa\n");
    EXPECT_THAT(vm.current.devices, IsEmpty());
    EXPECT_THAT(vm.snapshots, IsEmpty());
    EXPECT_THAT(vm.notices, SizeIs(1));
}

class InvalidDevice : public testing::TestWithParam<const char*> {};
TEST_P(InvalidDevice, IsRefused) {
    const auto device = parse_virtiofs_device(0, GetParam());
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code(), EINVAL);
}
INSTANTIATE_TEST_SUITE_P(Values,
                         InvalidDevice,
                         testing::Values("",
                                         "a",
                                         "cache=auto",
                                         "aa,bb",
                                         "aa,dirid=bb",
                                         "aa,cache=yes",
                                         "aa,direct-io=maybe",
                                         "aa,readonly=1",
                                         "aa,cache=",
                                         "1aa"));

class VmConfigFiles : public testing::Test {
protected:
    void add(const std::string& node, const std::string& name, const std::string& content) const {
        std::filesystem::create_directories(dir_.path("nodes/" + node + "/qemu-server"));
        dir_.write("nodes/" + node + "/qemu-server/" + name, content);
    }
    test::TempDir dir_;
};

TEST_F(VmConfigFiles, AreReadFromAllNodesByVmid) {
    add("n2", "101.conf", "virtiofs0: aa\n");
    add("n1", "2000.conf", "");
    add("n1", "100.conf", "");
    add("n1", "100.conf.tmp.77", "");
    add("n1", "notes.conf", "");
    const auto vms = read_vm_configs(dir_.root());
    ASSERT_TRUE(vms);
    ASSERT_THAT(*vms, SizeIs(3));
    EXPECT_EQ((*vms)[0].vmid, 100);
    EXPECT_EQ((*vms)[1].vmid, 101);
    EXPECT_EQ((*vms)[1].node, "n2");
    EXPECT_EQ((*vms)[2].vmid, 2000);
}

TEST_F(VmConfigFiles, AreNoneWithoutNodes) {
    const auto vms = read_vm_configs(dir_.root());
    ASSERT_TRUE(vms);
    EXPECT_THAT(*vms, IsEmpty());
}

TEST_F(VmConfigFiles, AreFoundOneByOneOnAnyNode) {
    add("n1", "100.conf", "virtiofs0: aa\n");
    add("n2", "101.conf", "virtiofs3: bb\n");
    const auto vm = read_vm_config(dir_.root(), 101, "n1");
    ASSERT_TRUE(vm);
    EXPECT_EQ(vm->vmid, 101);
    EXPECT_EQ(vm->node, "n2");
    EXPECT_THAT(ids(vm->current.devices), ElementsAre("3:bb"));
}

TEST_F(VmConfigFiles, AreLookedForOnTheNearNodeFirst) {
    add("n1", "100.conf", "virtiofs0: aa\n");
    add("n2", "100.conf", "virtiofs0: bb\n");
    const auto vm = read_vm_config(dir_.root(), 100, "n2");
    ASSERT_TRUE(vm);
    EXPECT_EQ(vm->node, "n2");
}

TEST_F(VmConfigFiles, NameAVmThatNoNodeHas) {
    add("n1", "100.conf", "");
    const auto vm = read_vm_config(dir_.root(), 101, "n1");
    ASSERT_FALSE(vm);
    EXPECT_EQ(vm.error().code(), ENOENT);
    EXPECT_THAT(vm.error().message(), HasSubstr("101"));
}

} // namespace
} // namespace vfskit::store
