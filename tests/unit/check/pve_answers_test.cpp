// SPDX-License-Identifier: Apache-2.0
#include "core/check/pve_answers.h"
#include "core/store/pve_resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::check {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using PveLines = std::vector<std::pair<std::string, std::string>>;

PveCluster cluster() {
    return {.nodes = {"n1", "n2"},
            .pci = {{"gpu", {{"n1", "n2"}, true}}, {"nic", {{"n1"}, false}}},
            .usb = {{"key", {{"n1"}, false}}},
            .dir = {{"with", {{"n1"}, true}}, {"without", {{"n1", "n2"}, false}}}};
}

PveAnswer answer(const PveValues& values, bool has_state = true) {
    auto result = answer_as_pve(values, has_state, cluster());
    return result ? *result : PveAnswer{};
}

TEST(PveAnswers, AShareWithAMethodIsMappedAndNoLocalResource) {
    const auto result = answer({{"virtiofs0", "with"}});

    EXPECT_THAT(result.local_resources, IsEmpty());
    EXPECT_EQ(result.mapped_resources.at("virtiofs0"), (PveMappedResource{"with", true}));
    EXPECT_THAT(result.missing_mappings_by_node.at("n1"), IsEmpty());
    EXPECT_THAT(result.missing_mappings_by_node.at("n2"), ElementsAre("virtiofs0"));
    EXPECT_EQ(result.refusal(), std::nullopt);
}

TEST(PveAnswers, AShareWithoutOneIsBothWhetherItRunsOrNot) {
    for (const bool runs : {true, false}) {
        const auto result = answer({{"virtiofs3", "dirid=without,cache=never"}}, runs);
        EXPECT_THAT(result.local_resources, ElementsAre("virtiofs3"));
        EXPECT_EQ(result.mapped_resources.at("virtiofs3"), (PveMappedResource{"without", false}));
        EXPECT_THAT(result.non_migratable, IsEmpty()); // the series lets it through
    }
}

TEST(PveAnswers, EncryptedMemoryBlocksOnlyWhatNeedsIt) {
    const PveValues values{{"amd-sev", "type=std"}, {"intel-tdx", "type=tdx"}};

    EXPECT_THAT(answer(values).local_resources, ElementsAre("amd-sev", "intel-tdx"));
    EXPECT_EQ(answer(values).refusal(),
              "Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: amd-sev, "
              "intel-tdx");
    EXPECT_THAT(answer(values, false).local_resources, IsEmpty());
}

TEST(PveAnswers, PciDependsOnItsMappingAndOnWhetherTheVmRuns) {
    EXPECT_THAT(answer({{"hostpci0", "01:00.0"}}, false).local_resources, ElementsAre("hostpci0"));
    EXPECT_THAT(answer({{"hostpci0", "mapping=nic"}}).local_resources, ElementsAre("hostpci0"));
    EXPECT_THAT(answer({{"hostpci0", "mapping=nic"}}, false).local_resources, IsEmpty());
    EXPECT_THAT(answer({{"hostpci0", "mapping=gpu,pcie=1"}}).local_resources, IsEmpty());
}

TEST(PveAnswers, UsbStaysUnlessItIsSpice) {
    EXPECT_THAT(answer({{"usb0", "SPICE,usb3=1"}}).local_resources, IsEmpty());
    EXPECT_THAT(answer({{"usb0", "host=1-2"}}).local_resources, ElementsAre("usb0"));
    const auto mapped = answer({{"usb1", "mapping=key"}}, false);
    EXPECT_THAT(mapped.local_resources, ElementsAre("usb1"));
    EXPECT_EQ(mapped.mapped_resources.at("usb1"), (PveMappedResource{"key", false}));
}

TEST(PveAnswers, SerialAndParallelStayUnlessTheyAreSockets) {
    EXPECT_THAT(
        answer({{"serial0", "socket"}, {"serial1", "/dev/ttyS0"}, {"parallel0", "/dev/parport0"}})
            .local_resources,
        ElementsAre("parallel0", "serial1"));
    EXPECT_THAT(answer({{"ivshmem", "size=32"}}).local_resources, ElementsAre("ivshmem"));
}

TEST(PveAnswers, AnUndefinedMappingIsWhereProxmoxVeDies) {
    const auto result = answer_as_pve({{"virtiofs0", "gone"}}, true, cluster());

    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ENOENT);
}

TEST(PveAnswers, DropsWhatTheirParserDrops) {
    const PveLines lines{{"usb0", "host=bogus"},
                         {"usb14", "spice"},
                         {"hostpci15", "mapping=gpu"},
                         {"hostpci16", "mapping=gpu"},
                         {"serial4", "socket"},
                         {"intel-tdx", "type=tdx"},
                         {"amd-sev", "type=new"},
                         {"ivshmem", "32"},
                         {"hostpci1", "mapping=gpu,pcie=maybe"},
                         {"parallel3", "/dev/parport0"},
                         {"virtiofs0", "with,cache=sometimes"},
                         {"hostusb", "1"},
                         {"usb1", "host=1-2,host=1-3"},
                         {"memory", "512"}};

    const auto read = as_pve_reads(lines);

    std::vector<std::string> keys;
    for (const auto& [key, value] : read) {
        keys.push_back(key);
    }
    EXPECT_THAT(keys, ElementsAre("hostpci15", "memory"));
}

TEST(PveAnswers, KeepsWhatTheirParserKeeps) {
    const PveLines lines{{"amd-sev", "snp,allow-smt=0"},
                         {"intel-tdx", "tdx,attestation=1"},
                         {"ivshmem", "size=32,name=a-b"},
                         {"serial0", "tcp"}, // its pattern is for those who set it
                         {"usb0", "0x1234:abcd,usb3=yes"}};

    EXPECT_EQ(as_pve_reads(lines), (PveValues{lines.begin(), lines.end()}));
}

TEST(PveAnswers, OfAKeyThatStandsTwiceTheLastReadableLineCounts) {
    const PveLines lines{{"hostpci4", "mapping=nic"},
                         {"hostpci4", "mapping=gpu"},
                         {"hostpci4", "host=01:00,host=02:00"}};

    EXPECT_EQ(as_pve_reads(lines), (PveValues{{"hostpci4", "mapping=gpu"}}));
}

TEST(PveResources, ReadsNodesAndWhetherTheyCanBeLiveMigrated) {
    const auto devices =
        store::parse_mapped_devices("gpu\n\tmap id=10de:1,node=n1,path=0000:01:00.0\n\tmap "
                                    "id=10de:1,node=n2,path=0000:01:00.0\n"
                                    "\tlive-migration-capable 1\n\n"
                                    "nic\n\tmap id=10de:2,path=x,node=n1\n\n"
                                    "nic\n\tmap id=10de:2,path=x,node=n3\n\n");

    ASSERT_EQ(devices.size(), 2U);
    EXPECT_EQ(devices[0], (store::MappedDevice{"gpu", {"n1", "n2"}, true}));
    EXPECT_EQ(devices[1], (store::MappedDevice{"nic", {"n3"}, false}));
}

TEST(PveResources, TakeNoOtherWordThanOneForCapable) {
    const auto is_capable = [](const std::string& lines) {
        return store::parse_mapped_devices("gpu\n" + lines + "\tmap id=10de:1111,node=n1\n")
            .at(0)
            .is_live_migration_capable;
    };

    EXPECT_TRUE(is_capable("\tlive-migration-capable 1\n"));
    EXPECT_TRUE(is_capable("\tlive-migration-capable\n"));
    EXPECT_FALSE(is_capable("\tlive-migration-capable yes\n"));
    EXPECT_TRUE(is_capable("\tlive-migration-capable yes\n\tlive-migration-capable 1\n"));
    EXPECT_FALSE(is_capable("\tlive-migration-capable 0\n\tlive-migration-capable 1\n"));
}

TEST(PveResources, OfADeviceWithoutANodeThereIsNothing) {
    const auto devices = store::parse_mapped_devices("gpu\n\tlive-migration-capable 1\n\n"
                                                     "nic\n\tmap id=10de:2,path=x,node=n1\n\n"
                                                     "nic\n\tdescription the last one counts\n\n");

    EXPECT_THAT(devices, IsEmpty());
}

} // namespace
} // namespace vfskit::check
