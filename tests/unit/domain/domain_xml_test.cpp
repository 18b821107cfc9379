// SPDX-License-Identifier: Apache-2.0
#include "core/domain/domain_xml.h"
#include "tests/unit/domain/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;

std::string refusal(const std::string& xml) {
    const auto domain = parse_domain(xml);
    return domain ? "accepted" : domain.error().describe();
}

SharedMemory memory_of(const std::string& inner) {
    const auto domain = parse_domain("<domain><name>a</name>" + inner + "</domain>");
    return domain ? domain->memory : SharedMemory{};
}

TEST(Domain, HasNameUuidMemoryAndCpus) {
    const auto domain = parse_domain(input_domain("shared"));

    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->name, "guest2");
    EXPECT_EQ(domain->uuid, "5f1f9f6e-53a1-4c0b-8a67-0a6f6a2d2c12");
    EXPECT_EQ(domain->type, "qemu");
    EXPECT_EQ(domain->memory_bytes, std::uint64_t{2} << 30);
    EXPECT_EQ(domain->vcpus, 2U);
}

TEST(Domain, HasFilesystemsInOrder) {
    const auto domain = parse_domain(input_domain("shared"));

    ASSERT_TRUE(domain);
    ASSERT_EQ(domain->filesystems.size(), 2U);
    const DomainFilesystem& media = domain->filesystems[0];
    EXPECT_EQ(media.position, 0U);
    EXPECT_EQ(media.line, 16U);
    EXPECT_TRUE(media.is_virtiofs());
    EXPECT_FALSE(media.is_external());
    EXPECT_EQ(media.tag, "media");
    EXPECT_EQ(media.source_dir, "/srv/old & gone");
    EXPECT_EQ(media.binary_path, "/usr/libexec/virtiofsd");
    EXPECT_EQ(media.queue, "512");
    EXPECT_EQ(media.alias, "ua-media");
    EXPECT_EQ(media.address, "type='pci' domain='0x0000' bus='0x00' slot='0x05' function='0x0'");
    EXPECT_FALSE(media.readonly);
    EXPECT_EQ(domain->filesystems[1].driver, "path");
    EXPECT_TRUE(domain->filesystems[1].readonly);
}

TEST(Domain, HasWhatItsBinaryIsToldInXml) {
    const auto domain = parse_domain(
        "<domain><name>a</name><devices><filesystem><driver type='virtiofs'/>"
        "<binary xattr='on'><cache mode='always'/></binary><source dir='/a'/><target dir='t'/>"
        "</filesystem></devices></domain>");

    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->filesystems.at(0).xattr, "on");
    EXPECT_EQ(domain->filesystems.at(0).cache, "always");
}

TEST(Domain, HasThePageSizeOfItsHugepages) {
    EXPECT_EQ(memory_of("<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages>"
                        "</memoryBacking>")
                  .hugepage_bytes,
              2U << 20U);
    EXPECT_EQ(memory_of("<memoryBacking><hugepages><page size='1' unit='G'/></hugepages>"
                        "</memoryBacking>")
                  .hugepage_bytes,
              1U << 30U);
    EXPECT_EQ(memory_of("<memoryBacking><hugepages/></memoryBacking>").hugepage_bytes,
              std::nullopt);
}

TEST(Domain, HasMemoryHotplugWithSlots) {
    EXPECT_TRUE(memory_of("<maxMemory slots='16' unit='KiB'>4194304</maxMemory>").hotplug);
    EXPECT_FALSE(memory_of("<memory>1</memory>").hotplug);
}

TEST(Domain, TakesTheTagForTheDiridWithoutMetadata) {
    const auto domain = parse_domain(input_domain("shared"));

    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->filesystems[0].dirid, "media");
    EXPECT_FALSE(domain->filesystems[0].dirid_from_metadata);
}

TEST(Domain, TakesTheDiridFromOurMetadataUnderAnyPrefix) {
    const auto domain =
        parse_domain("<domain><metadata><v:shares xmlns:v='urn:vfskit:domain:1'><v:share tag='a' "
                     "dirid='photos'/>"
                     "</v:shares></metadata><devices><filesystem><target "
                     "dir='a'/></filesystem></devices></domain>");

    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->filesystems.at(0).dirid, "photos");
    EXPECT_TRUE(domain->filesystems.at(0).dirid_from_metadata);
}

TEST(Domain, IgnoresMetadataOfAnotherNamespace) {
    const auto domain = parse_domain(
        "<domain><metadata><v:shares xmlns:v='urn:other'><v:share tag='a' "
        "dirid='photos'/></v:shares>"
        "</metadata><devices><filesystem><target dir='a'/></filesystem></devices></domain>");

    ASSERT_TRUE(domain);
    EXPECT_EQ(domain->filesystems.at(0).dirid, "a");
}

TEST(Domain, CountsOnlyDevicesAsFilesystems) {
    const auto domain = parse_domain(input_domain("odd"));

    ASSERT_TRUE(domain);
    EXPECT_TRUE(domain->filesystems.empty());
}

TEST(Domain, ReadsMemoryInKibibytesUnlessToldOtherwise) {
    EXPECT_EQ(parse_domain("<domain><memory>1024</memory></domain>")->memory_bytes, 1U << 20);
    EXPECT_EQ(parse_domain("<domain><memory unit='MB'>1</memory></domain>")->memory_bytes,
              1000000U);
    EXPECT_EQ(parse_domain("<domain><memory unit='bytes'>512</memory></domain>")->memory_bytes,
              512U);
}

TEST(Domain, RefusesMemoryThatIsNoNumber) {
    EXPECT_THAT(refusal("<domain>\n<memory>much</memory></domain>"),
                HasSubstr("'much' is not a size"));
    EXPECT_EQ(parse_domain("<domain>\n<memory>much</memory></domain>").error().place().line, 2U);
    EXPECT_THAT(refusal("<domain><memory unit='furlong'>1</memory></domain>"),
                HasSubstr("'furlong' is not a unit"));
}

TEST(DomainDoor, NamesTheLineOfMalformedXml) {
    const auto domain = parse_domain("<domain>\n  <name>a</nam>\n</domain>");

    ASSERT_FALSE(domain);
    EXPECT_EQ(domain.error().code(), EINVAL);
    EXPECT_EQ(domain.error().place().line, 2U);
    EXPECT_THAT(domain.error().message(), HasSubstr("not well-formed"));
}

TEST(DomainDoor, RefusesAnotherRoot) {
    EXPECT_THAT(refusal("<network/>"), HasSubstr("<network>, not <domain>"));
}

TEST(DomainDoor, RefusesNothing) {
    EXPECT_THAT(refusal(""), HasSubstr("not well-formed"));
}

TEST(DomainDoor, RefusesAnEntityBombUnread) {
    EXPECT_THAT(
        refusal("<?xml version='1.0'?>\n<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>\n"
                "<domain><name>&b;</name></domain>"),
        HasSubstr("document type"));
}

TEST(DomainDoor, RefusesAnExternalEntityBehindAComment) {
    EXPECT_THAT(refusal("<!-- x --><!DOCTYPE d SYSTEM 'file:///etc/passwd'><domain/>"),
                HasSubstr("document type"));
}

TEST(DomainDoor, RefusesAnUndeclaredEntity) {
    EXPECT_THAT(refusal("<domain><name>&secret;</name></domain>"), HasSubstr("not well-formed"));
}

TEST(DomainDoor, RefusesMoreThanTheLimit) {
    const auto domain = parse_domain("<domain>" + std::string(max_domain_bytes, ' ') + "</domain>");

    ASSERT_FALSE(domain);
    EXPECT_EQ(domain.error().code(), EFBIG);
}

TEST(DomainDoor, RefusesEndlessDepth) {
    std::string deep = "<domain>";
    for (int i = 0; i < 100000; ++i) {
        deep += "<a>";
    }

    EXPECT_THAT(refusal(deep), HasSubstr("not well-formed"));
}

TEST(DomainDoor, RefusesOtherEncodings) {
    EXPECT_THAT(refusal("<?xml version='1.0' encoding='ISO-8859-1'?><domain/>"),
                HasSubstr("encoding"));
    EXPECT_THAT(refusal("<domain><name>\xFF</name></domain>"), HasSubstr("not valid UTF-8"));
    EXPECT_THAT(refusal(std::string{"\xFF\xFE<\0d\0", 6}), HasSubstr("not valid UTF-8"));
}

TEST(DomainDoor, TakesAByteOrderMark) {
    EXPECT_EQ(refusal("\xEF\xBB\xBF<domain/>"), "accepted");
}

TEST(SharedMemory, NeedsSharedAccess) {
    EXPECT_FALSE(memory_of("").shared);
    EXPECT_FALSE(memory_of("<memoryBacking><source type='memfd'/></memoryBacking>").shared);
    EXPECT_FALSE(memory_of("<memoryBacking><access mode='private'/></memoryBacking>").shared);
    EXPECT_TRUE(memory_of("<memoryBacking><access mode='shared'/></memoryBacking>").shared);
}

TEST(SharedMemory, NeedsEveryNumaCell) {
    EXPECT_FALSE(memory_of("<cpu><numa><cell memAccess='shared'/><cell/></numa></cpu>").shared);
    EXPECT_TRUE(memory_of("<cpu><numa><cell memAccess='shared'/></numa></cpu>").shared);
}

TEST(SharedMemory, LetsACellFollowTheGlobalAccess) {
    const std::string shared = "<memoryBacking><access mode='shared'/></memoryBacking>";

    EXPECT_TRUE(memory_of(shared + "<cpu><numa><cell/></numa></cpu>").shared);
    EXPECT_FALSE(memory_of(shared + "<cpu><numa><cell memAccess='private'/></numa></cpu>").shared);
}

TEST(SharedMemory, TellsWhy) {
    EXPECT_EQ(memory_of("\n<cpu><numa>\n<cell memAccess='private'/></numa></cpu>").reason,
              "the NUMA cell at line 3 has memAccess='private'");
}

} // namespace
} // namespace vfskit::domain
