// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"
#include "core/domain/domain_xml.h"
#include "core/domain/patch.h"
#include "core/domain/rng.h"
#include "tests/unit/domain/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;
using testing::Not;

ShareEdit edit_of(Filesystem filesystem, std::string dirid = "media") {
    return {std::move(dirid), std::move(filesystem)};
}

PatchRequest put(Filesystem filesystem) {
    PatchRequest request;
    request.put.push_back(edit_of(std::move(filesystem)));
    return request;
}

PatchRequest removal(const std::string& tag) {
    PatchRequest request;
    request.remove.push_back(tag);
    return request;
}

/// The patched text, or the refusal.
std::string patched(const std::string& xml, const PatchRequest& request) {
    const auto result = patch_domain(xml, request, {});
    return result ? result->xml : result.error().describe();
}

/// The lines of `text` that are not in `original`, in order; "reordered" when `original`'s lines
/// are not all there in their order.
std::vector<std::string> added_lines(const std::string& original, const std::string& text) {
    const auto before = base::split(original, '\n');
    std::vector<std::string> added;
    auto next = before.begin();
    for (const auto line : base::split(text, '\n')) {
        if (next != before.end() && line == *next) {
            ++next;
        } else {
            added.emplace_back(line);
        }
    }
    return next == before.end() ? added : std::vector<std::string>{"reordered"};
}

TEST(Patch, AddsShareRecordAndMemoryAndTouchesNoOtherLine) {
    const std::string original = input_domain("plain");

    const std::string result = patched(original, put(managed_sample()));

    EXPECT_THAT(added_lines(original, result),
                testing::ElementsAre("  <metadata>",
                                     "    <vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>",
                                     "      <vfskit:share tag='media' dirid='media'/>",
                                     "    </vfskit:shares>",
                                     "  </metadata>",
                                     "  <memoryBacking>",
                                     "    <source type='memfd'/>",
                                     "    <access mode='shared'/>",
                                     "  </memoryBacking>",
                                     "    <filesystem type='mount' accessmode='passthrough'>",
                                     "      <driver type='virtiofs' queue='1024'/>",
                                     "      <source dir='/srv/media'/>",
                                     "      <target dir='media'/>",
                                     "    </filesystem>"));
}

TEST(Patch, LeavesEveryOtherByteOfAnOddDomainAlone) {
    const std::string original = input_domain("odd");

    const std::string result = patched(original, put(managed_sample()));

    EXPECT_THAT(added_lines(original, result),
                testing::ElementsAre("\t\t<vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>",
                                     "\t\t\t<vfskit:share tag='media' dirid='media'/>",
                                     "\t\t</vfskit:shares>",
                                     "\t<memoryBacking>",
                                     "\t\t<source type='memfd'/>",
                                     "\t\t<access mode='shared'/>",
                                     "\t</memoryBacking>",
                                     "\t\t<filesystem type='mount' accessmode='passthrough'>",
                                     "\t\t\t<driver type='virtiofs' queue='1024'/>",
                                     "\t\t\t<source dir='/srv/media'/>",
                                     "\t\t\t<target dir='media'/>",
                                     "\t\t</filesystem>"));
}

TEST(Patch, KeepsACommentWithTheElementItFollows) {
    const std::string result = patched(input_domain("odd"), put(managed_sample()));

    EXPECT_THAT(result, HasSubstr("model='none'/> <!-- no USB -->\n\t\t<filesystem type='mount'"));
}

TEST(Patch, ChangesNothingTheSecondTime) {
    const std::string once = patched(input_domain("odd"), put(managed_sample()));

    const auto twice = patch_domain(once, put(managed_sample()), {});

    ASSERT_TRUE(twice);
    EXPECT_FALSE(twice->changed);
    EXPECT_EQ(twice->xml, once);
    EXPECT_TRUE(twice->notices.empty());
}

TEST(Patch, TakesAwayWhatItAddedToTheByte) {
    const std::string original = input_domain("shared");
    auto filesystem = managed_sample();
    filesystem.tag = "another";

    const std::string with = patched(original, put(filesystem));
    const std::string without = patched(with, removal("another"));

    EXPECT_NE(with, original);
    EXPECT_EQ(without, original);
}

TEST(Patch, KeepsForeignMetadataWhenItTakesItsOwnAway) {
    const std::string original = input_domain("odd");

    const std::string result = patched(patched(original, put(managed_sample())), removal("media"));

    EXPECT_THAT(result, HasSubstr("<app:info"));
    EXPECT_THAT(result, Not(HasSubstr("vfskit")));
}

TEST(Patch, UpdatesAShareInPlaceAndKeepsTheDevicesIdentity) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).cache = CacheMode::none;

    const std::string result = patched(input_domain("shared"), put(filesystem));

    EXPECT_THAT(result, HasSubstr("<driver type='virtiofs' queue='1024' iommu='on' ats='on'/>"));
    EXPECT_THAT(result, HasSubstr("<binary path='/usr/libexec/virtiofsd'>"));
    EXPECT_THAT(result, HasSubstr("<cache mode='none'/>"));
    EXPECT_THAT(result, Not(HasSubstr("thread_pool")));
    EXPECT_THAT(result, HasSubstr("<source dir='/srv/media'/>"));
    EXPECT_THAT(result, HasSubstr("<alias name='ua-media'/>"));
    EXPECT_THAT(result, HasSubstr("slot='0x05'"));
    EXPECT_EQ(parse_domain(result)->filesystems.at(0).position, 0U);
}

TEST(Patch, TurnsAManagedShareIntoAnExternalOne) {
    const std::string result = patched(input_domain("shared"), put(external_sample()));

    EXPECT_THAT(result, HasSubstr("<source socket='/run/vfskit/media.sock'/>"));
    EXPECT_THAT(result, Not(HasSubstr("<binary")));
    EXPECT_THAT(result, HasSubstr("slot='0x05'"));
    EXPECT_TRUE(validate_domain_xml(result));
}

TEST(Patch, TurnsA9pShareIntoVirtiofs) {
    auto filesystem = managed_sample();
    filesystem.tag = "plan9";

    const std::string result = patched(input_domain("shared"), put(filesystem));

    EXPECT_THAT(result, Not(HasSubstr("wrpolicy")));
    EXPECT_THAT(result, Not(HasSubstr("fmode")));
    EXPECT_THAT(result, Not(HasSubstr("<readonly")));
    EXPECT_TRUE(validate_domain_xml(result));
}

TEST(Patch, RecordsAnotherDirid) {
    PatchRequest request;
    request.put.push_back(edit_of(managed_sample(), "photos"));

    const std::string result =
        patched(patched(input_domain("plain"), put(managed_sample())), request);

    EXPECT_EQ(parse_domain(result)->filesystems.at(0).dirid, "photos");
    EXPECT_TRUE(parse_domain(result)->filesystems.at(0).dirid_from_metadata);
}

TEST(Patch, UsesTheRecordsOwnPrefix) {
    const std::string result = patched(
        "<domain><metadata><shares xmlns='urn:vfskit:domain:1'><share tag='x' dirid='y'/></shares>"
        "</metadata><devices/></domain>",
        put(managed_sample()));

    EXPECT_THAT(result,
                HasSubstr("<share tag='x' dirid='y'/><share tag='media' dirid='media'/></shares>"));
}

TEST(Patch, AddsSeveralSharesInTheirOrder) {
    PatchRequest request = put(managed_sample());
    auto second = managed_sample();
    second.tag = "second";
    request.put.push_back(edit_of(second, "second"));

    const auto domain = parse_domain(patched(input_domain("shared"), request));

    ASSERT_TRUE(domain);
    ASSERT_EQ(domain->filesystems.size(), 3U);
    EXPECT_EQ(domain->filesystems[0].tag, "media");
    EXPECT_EQ(domain->filesystems[1].tag, "plan9");
    EXPECT_EQ(domain->filesystems[2].tag, "second");
}

TEST(Patch, WorksWithoutAnyLineEnd) {
    const std::string result =
        patched("<domain><name>a</name><devices/></domain>", put(managed_sample()));

    EXPECT_EQ(result,
              "<domain><name>a</name><metadata><vfskit:shares xmlns:vfskit='urn:vfskit:domain:1'>"
              "<vfskit:share tag='media' dirid='media'/></vfskit:shares></metadata><memoryBacking>"
              "<source type='memfd'/><access mode='shared'/></memoryBacking><devices>"
              "<filesystem type='mount' accessmode='passthrough'><driver type='virtiofs' "
              "queue='1024'/><source dir='/srv/media'/><target dir='media'/></filesystem></devices>"
              "</domain>");
}

TEST(Patch, WritesTheLineEndsOfTheText) {
    const std::string result =
        patched("<domain>\r\n  <name>a</name>\r\n  <devices>\r\n  </devices>\r\n</domain>\r\n",
                put(managed_sample()));

    EXPECT_THAT(result, HasSubstr("<devices>\r\n    <filesystem"));
    EXPECT_THAT(result, HasSubstr("</filesystem>\r\n  </devices>\r\n"));
}

TEST(Patch, AddsDevicesToADomainWithoutAny) {
    const std::string result =
        patched("<domain>\n  <name>a</name>\n</domain>\n", put(managed_sample()));

    EXPECT_THAT(result, HasSubstr("  <devices>\n    <filesystem"));
    EXPECT_EQ(parse_domain(result)->filesystems.size(), 1U);
}

TEST(Patch, LeavesSharedMemoryOfAnyKindAlone) {
    const std::string domain = "<domain><memoryBacking><hugepages/><access "
                               "mode='shared'/></memoryBacking><devices/></domain>";

    EXPECT_THAT(patched(domain, put(managed_sample())),
                HasSubstr("<memoryBacking><hugepages/><access mode='shared'/></memoryBacking>"));
}

TEST(Patch, SharesHugePagesWithoutLosingThem) {
    const std::string domain =
        "<domain><memoryBacking><hugepages><page size='1' unit='G'/></hugepages><locked/>"
        "</memoryBacking><devices/></domain>";

    const std::string result = patched(domain, put(managed_sample()));

    EXPECT_THAT(result, HasSubstr("<page size='1' unit='G'/>"));
    EXPECT_THAT(result, HasSubstr("<locked/>"));
    EXPECT_TRUE(parse_domain(result)->memory.shared);
}

TEST(Patch, TurnsAnonymousMemoryIntoMemfd) {
    const std::string domain =
        "<domain><memoryBacking><source type='anonymous'/></memoryBacking><devices/></domain>";

    EXPECT_THAT(patched(domain, put(managed_sample())),
                HasSubstr("<source type='memfd'/><access mode='shared'/>"));
}

TEST(Patch, SharesPrivateNumaCellsAndSaysSo) {
    const auto result = patch_domain(input_domain("numa"), put(managed_sample()), {});

    ASSERT_TRUE(result);
    EXPECT_TRUE(parse_domain(result->xml)->memory.shared);
    EXPECT_THAT(result->xml, HasSubstr("<cell id='1' cpus='2-3' memory='1' unit='GiB'/>"));
    EXPECT_EQ(result->notices.at(0).message, "The NUMA cell 0 becomes shared");
}

TEST(Patch, WritesANumaCellWhenAskedTo) {
    PatchRequest request = put(managed_sample());
    request.memory = MemoryRequest{};
    request.memory->numa = true;

    const std::string result = patched(input_domain("plain"), request);

    EXPECT_THAT(result,
                HasSubstr("<cell id='0' cpus='0-1' memory='2' unit='G' memAccess='shared'/>"));
    EXPECT_EQ(patched(result, request), result);
    EXPECT_TRUE(validate_domain_xml(result));
}

TEST(Patch, ChangesTheKindOfMemoryOnlyWhenAskedTo) {
    PatchRequest request;
    request.memory = MemoryRequest{};
    request.memory->kind = MemoryKind::hugepages;
    request.memory->page_bytes = std::uint64_t{2} << 20;

    const auto result = patch_domain(input_domain("shared"), request, {});

    ASSERT_TRUE(result);
    EXPECT_THAT(result->xml, HasSubstr("<page size='2' unit='M'/>"));
    EXPECT_THAT(result->xml, Not(HasSubstr("memfd")));
    EXPECT_THAT(result->notices.at(0).remedy, HasSubstr("virsh allocpages 2M 1024"));
    EXPECT_EQ(patched(result->xml, request), result->xml);
}

TEST(Patch, SaysThatARunningGuestMustBePowerCycledForSharedMemory) {
    const auto result = patch_domain(input_domain("plain"), put(managed_sample()), {});

    ASSERT_TRUE(result);
    EXPECT_THAT(result->notices.at(0).remedy, HasSubstr("a reboot is not enough"));
}

TEST(Patch, LeavesMemoryAloneFor9p) {
    EXPECT_THAT(patched(input_domain("plain"), put(ninep_sample())),
                Not(HasSubstr("memoryBacking")));
}

TEST(Patch, SuggestsTheTagThatWasMeant) {
    const auto result = patch_domain(input_domain("shared"), removal("medai"), {});

    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ENOENT);
    EXPECT_EQ(result.error().remedy(), "Did you mean 'media'?");
}

TEST(Patch, KeepsTheDomainsPageSizeWhenHugePagesAreAskedForWithoutOne) {
    PatchRequest request = put(managed_sample());
    request.memory = MemoryRequest{};
    request.memory->kind = MemoryKind::hugepages;

    EXPECT_THAT(patched("<domain><memoryBacking><hugepages><page size='1' unit='G'/></hugepages>"
                        "</memoryBacking></domain>",
                        request),
                HasSubstr("<hugepages><page size='1' unit='G'/></hugepages>"));
}

TEST(Patch, RefusesATagGivenTwice) {
    PatchRequest request = put(managed_sample());
    request.put.push_back(edit_of(external_sample()));

    EXPECT_THAT(patched(input_domain("plain"), request), HasSubstr("given twice"));
}

TEST(Patch, RefusesADomainThatHasTheTagTwice) {
    EXPECT_THAT(
        patched("<domain><devices><filesystem><target dir='media'/></filesystem><filesystem>"
                "<target dir='media'/></filesystem></devices></domain>",
                put(ninep_sample())),
        HasSubstr("has the tag 'media' twice"));
}

TEST(Patch, RefusesAFilesystemThatLibvirtWouldRefuse) {
    auto filesystem = managed_sample();
    filesystem.queue_size = 1000;

    EXPECT_THAT(patched(input_domain("plain"), put(filesystem)), HasSubstr("power of two"));
}

std::string record_in(const std::string& xml) {
    const auto record = shares_record(xml);
    return record ? *record : record.error().describe();
}

TEST(Patch, RecordsTheOptionsOfADaemonThatLibvirtDoesNotStart) {
    PatchRequest request;
    request.put.push_back({"media", external_sample(), {{"cache", "always"}, {"xattr", "on"}}});

    const auto result = patch_domain("<domain><devices/></domain>", request, {});

    ASSERT_TRUE(result);
    EXPECT_EQ(record_in(result->xml),
              "<shares><share tag='media' dirid='media' cache='always' xattr='on'/></shares>");
}

TEST(Patch, ForgetsRecordedOptionsThatAreNoLongerWanted) {
    PatchRequest first;
    first.put.push_back({"media", external_sample(), {{"cache", "always"}, {"xattr", "on"}}});
    PatchRequest second;
    second.put.push_back({"media", external_sample(), {{"cache", "never"}}});
    const auto before = patch_domain("<domain><devices/></domain>", first, {});
    ASSERT_TRUE(before);

    const auto after = patch_domain(before->xml, second, {});

    ASSERT_TRUE(after);
    EXPECT_EQ(record_in(after->xml),
              "<shares><share tag='media' dirid='media' cache='never'/></shares>");
}

TEST(Patch, HasNoRecordInADomainWithoutShares) {
    EXPECT_EQ(record_in("<domain><metadata><other xmlns='urn:x'/></metadata></domain>"), "");
}

} // namespace
} // namespace vfskit::domain
