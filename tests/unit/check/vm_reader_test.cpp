// SPDX-License-Identifier: Apache-2.0
#include "core/check/vm_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace vfskit::check {
namespace {

using testing::HasSubstr;

constexpr const char* domain_xml = R"(<domain type='kvm'>
  <name>web</name>
  <metadata><v:shares xmlns:v='urn:vfskit:domain:1'><v:share tag='data' dirid='media'/></v:shares></metadata>
  <memory unit='GiB'>2</memory>
  <memoryBacking>
    <hugepages><page size='2' unit='MiB'/></hugepages><access mode='shared'/>
  </memoryBacking>
  <devices>
    <filesystem type='mount'>
      <driver type='virtiofs'/><binary path='/usr/libexec/virtiofsd' xattr='on'><cache mode='none'/></binary>
      <source dir='/srv/media'/><target dir='data'/><alias name='fs0'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
    </filesystem>
    <filesystem type='mount'>
      <driver type='virtiofs'/><source socket='/run/x.sock'/><target dir='ext'/><readonly/>
    </filesystem>
    <filesystem type='mount' multidevs='remap'>
      <source dir='/old'/><target dir='old'/>
    </filesystem>
    <filesystem type='mount'><driver type='mtp'/><source dir='/m'/><target dir='m'/></filesystem>
  </devices>
</domain>)";

Vm sample_domain() {
    const auto domain = domain::parse_domain(domain_xml);
    return domain ? vm_from_domain(*domain) : Vm{};
}

TEST(VmFromDomain, HasItsSharesAndWhoStartsTheirDaemons) {
    const auto vm = sample_domain();

    ASSERT_EQ(vm.shares.size(), 2U);
    const auto& managed = vm.shares[0];
    EXPECT_EQ(managed.tag, "data");
    EXPECT_EQ(managed.dirid, "media");
    EXPECT_TRUE(managed.is_dirid_explicit);
    EXPECT_EQ(managed.launch, LaunchKind::managed);
    EXPECT_EQ(managed.source_dir, "/srv/media");
    EXPECT_EQ(managed.binary, "/usr/libexec/virtiofsd");
    EXPECT_EQ(managed.cache, share::CachePolicy::never);
    EXPECT_EQ(managed.xattr, true);
    EXPECT_TRUE(managed.has_fixed_address);
    const auto& external = vm.shares[1];
    EXPECT_EQ(external.launch, LaunchKind::socket);
    EXPECT_EQ(external.socket, "/run/x.sock");
    EXPECT_FALSE(external.is_dirid_explicit);
    EXPECT_TRUE(external.readonly);
    EXPECT_FALSE(external.has_fixed_address);
}

TEST(VmFromDomain, HasItsMemoryAndNinepExports) {
    const auto vm = sample_domain();

    EXPECT_EQ(vm.kind, VmKind::libvirt);
    EXPECT_EQ(vm.has_shared_memory, true);
    EXPECT_EQ(vm.memory_bytes, std::uint64_t{2} << 30U);
    EXPECT_TRUE(vm.has_hugepages);
    EXPECT_EQ(vm.hugepage_bytes, std::uint64_t{2} << 20U);
    EXPECT_EQ(vm.snapshots, std::nullopt); // the XML does not tell
    ASSERT_EQ(vm.ninep.size(), 1U);
    EXPECT_EQ(vm.ninep[0].multidevs, "remap");
    EXPECT_EQ(vm.ninep[0].is_mounted, std::nullopt);
}

TEST(VmFromPve, HasItsCurrentStateOnly) {
    auto config = store::parse_vm_config("memory: 4096\n"
                                         "hotplug: disk,memory\n"
                                         "hugepages: 1024\n"
                                         "virtiofs0: media,cache=always,expose-acl=1\n"
                                         "[PENDING]\n"
                                         "virtiofs1: later\n"
                                         "[snap]\n"
                                         "virtiofs0: before\n");
    config.vmid = 100;

    const auto vm = vm_from_pve(config);

    EXPECT_EQ(vm.name, "100");
    EXPECT_EQ(vm.kind, VmKind::pve);
    EXPECT_EQ(vm.memory_bytes, std::uint64_t{4} << 30U);
    EXPECT_TRUE(vm.has_memory_hotplug);
    EXPECT_EQ(vm.hugepage_bytes, std::uint64_t{1} << 30U);
    EXPECT_EQ(vm.snapshots, 1U);
    ASSERT_EQ(vm.shares.size(), 1U);
    EXPECT_EQ(vm.shares[0].tag, "media");
    EXPECT_EQ(vm.shares[0].device, "virtiofs0");
    EXPECT_EQ(vm.shares[0].launch, LaunchKind::pve);
    EXPECT_EQ(vm.shares[0].cache, share::CachePolicy::always);
    EXPECT_EQ(vm.shares[0].posix_acl, true);
    EXPECT_EQ(vm.shares[0].xattr, true); // ACLs imply it
}

TEST(VmFromPve, ReadsTheMemoryOfOlderAndNewerFiles) {
    const auto bytes = [](const char* content) {
        return vm_from_pve(store::parse_vm_config(content)).memory_bytes;
    };
    EXPECT_EQ(bytes("memory: current=1024\n"), std::uint64_t{1} << 30U);
    EXPECT_EQ(bytes("cores: 2\n"), std::uint64_t{512} << 20U); // qemu-server's default
}

TEST(VmDescription, ReadsBackWhatItWrites) {
    auto vm = sample_domain();
    vm.memory_reason.clear(); // is no part of the description
    vm.snapshots = 2;
    vm.is_running = true;

    const auto again = parse_vm_description(to_json(vm));

    ASSERT_TRUE(again) << again.error().describe();
    vm.shares[0].device = again->shares[0].device;
    EXPECT_EQ(*again, vm);
}

TEST(VmDescription, TakesTheTagForTheMappingWithoutOne) {
    const auto vm = parse_vm_description(
        R"({"kind": "vm-description", "version": 1, "name": "a",
            "shares": [{"tag": "t", "launch": "socket", "socket": "/s"}]})");

    ASSERT_TRUE(vm) << vm.error().describe();
    EXPECT_EQ(vm->shares.at(0).dirid, "t");
    EXPECT_FALSE(vm->shares.at(0).is_dirid_explicit);
}

TEST(VmDescription, NamesWhatIsWrong) {
    const auto complaint = [](const std::string& members) {
        const auto vm =
            parse_vm_description(R"({"kind": "vm-description", "version": 1)" + members + "}");
        return vm ? "accepted" : vm.error().describe();
    };
    EXPECT_THAT(complaint(""), HasSubstr("'name' is not there"));
    EXPECT_THAT(complaint(R"(, "name": 1)"), HasSubstr("'name' is not a text"));
    EXPECT_THAT(complaint(R"(, "name": "a", "shares": {})"), HasSubstr("'shares' is not a list"));
    EXPECT_THAT(complaint(R"(, "name": "a", "shares": [{}])"), HasSubstr("'tag' is not there"));
    EXPECT_THAT(complaint(R"(, "name": "a", "manager": "xen")"), HasSubstr("libvirt, pve or qemu"));
    EXPECT_THAT(complaint(R"(, "name": "a", "snapshots": -1)"), HasSubstr("whole number"));
    EXPECT_EQ(parse_vm_description("[]").error().code(), EBADMSG);
    EXPECT_EQ(parse_vm_description(R"({"kind": 1, "version": 1})").error().code(), EBADMSG);
    EXPECT_EQ(parse_vm_description(R"({"kind": "vm-description", "version": 2, "name": "a"})")
                  .error()
                  .code(),
              EPROTONOSUPPORT);
}

} // namespace
} // namespace vfskit::check
