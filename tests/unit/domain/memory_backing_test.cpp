// SPDX-License-Identifier: Apache-2.0
#include "core/domain/memory_backing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mib = 1024 * 1024;

std::string refusal(const MemoryRequest& request,
                    LibvirtVersion version = default_libvirt_version) {
    const auto plan = plan_memory(request, version);
    return plan ? "accepted" : plan.error().describe();
}

MemoryRequest hugepages(std::uint64_t page, std::uint64_t memory) {
    MemoryRequest request;
    request.kind = MemoryKind::hugepages;
    request.page_bytes = page;
    request.memory_bytes = memory;
    return request;
}

TEST(MemoryPlan, IsMemfdUnlessToldOtherwise) {
    const auto plan = plan_memory({}, default_libvirt_version);

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->memory_backing,
              "<memoryBacking>\n  <source type='memfd'/>\n  <access mode='shared'/>\n"
              "</memoryBacking>\n");
    EXPECT_TRUE(plan->notices.empty());
}

TEST(MemoryPlan, CountsHugePages) {
    const auto plan = plan_memory(hugepages(2 * mib, 2048 * mib), default_libvirt_version);

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->huge_pages, 1024U);
    EXPECT_EQ(plan->notices.at(0).remedy, "Allocate them: virsh allocpages 2M 1024");
    EXPECT_THAT(plan->memory_backing, HasSubstr("<page size='2' unit='M'/>"));
}

TEST(MemoryPlan, CountsGigabytePages) {
    const auto plan = plan_memory(hugepages(1024 * mib, 4096 * mib), default_libvirt_version);

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->huge_pages, 4U);
    EXPECT_THAT(plan->memory_backing, HasSubstr("<page size='1' unit='G'/>"));
}

TEST(MemoryPlan, RefusesMemoryThatIsNoWholeNumberOfPages) {
    EXPECT_THAT(refusal(hugepages(1024 * mib, 1536 * mib)), HasSubstr("not a multiple"));
}

TEST(MemoryPlan, RefusesPagesThatNoCpuHas) {
    EXPECT_THAT(refusal(hugepages(3 * mib, 2048 * mib)), HasSubstr("not the size of a huge page"));
    EXPECT_THAT(refusal(hugepages(4096, 2048 * mib)), HasSubstr("not the size of a huge page"));
}

TEST(MemoryPlan, RefusesAPageSizeWithoutHugePages) {
    MemoryRequest request;
    request.page_bytes = 2 * mib;

    EXPECT_THAT(refusal(request), HasSubstr("only with hugepages"));
}

TEST(MemoryPlan, AdvisesToAllocatePagesWhenTheMemoryIsNotKnown) {
    MemoryRequest request;
    request.kind = MemoryKind::hugepages;

    const auto plan = plan_memory(request, default_libvirt_version);

    ASSERT_TRUE(plan);
    EXPECT_FALSE(plan->huge_pages);
    EXPECT_THAT(plan->memory_backing, HasSubstr("<hugepages/>"));
    EXPECT_THAT(plan->notices.at(0).remedy, HasSubstr("virsh allocpages"));
}

TEST(MemoryPlan, WarnsThatFilesMayBeOnDisk) {
    MemoryRequest request;
    request.kind = MemoryKind::file;

    const auto plan = plan_memory(request, default_libvirt_version);

    ASSERT_TRUE(plan);
    EXPECT_THAT(plan->notices.at(0).message, HasSubstr("memory_backing_dir"));
}

TEST(MemoryPlan, WritesOneSharedNumaCell) {
    MemoryRequest request;
    request.numa = true;
    request.memory_bytes = 2048 * mib;
    request.vcpus = 8;

    const auto plan = plan_memory(request, {6, 2, 0});

    ASSERT_TRUE(plan);
    EXPECT_THAT(plan->cpu,
                HasSubstr("<cell id='0' cpus='0-7' memory='2' unit='G' memAccess='shared'/>"));
}

TEST(MemoryPlan, NeedsMemoryAndCpusForNuma) {
    MemoryRequest request;
    request.numa = true;

    EXPECT_THAT(refusal(request), HasSubstr("needs the domain's memory and its number of CPUs"));
}

TEST(MemoryPlan, AsksForNumaBefore69) {
    EXPECT_THAT(refusal({}, {6, 8, 0}), HasSubstr("Ask for the NUMA form"));
}

TEST(MemoryKind, SuggestsTheNearest) {
    const auto kind = parse_memory_kind("hugepage");

    ASSERT_FALSE(kind);
    EXPECT_EQ(kind.error().remedy(), "Did you mean 'hugepages'?");
}

} // namespace
} // namespace vfskit::domain
