// SPDX-License-Identifier: Apache-2.0
#include "core/domain/filesystem.h"
#include "core/domain/rng.h"
#include "tests/unit/domain/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;

TEST(Grammar, AcceptsAWholeDomain) {
    const auto valid = validate_domain_xml(input_domain("shared"));

    EXPECT_TRUE(valid) << valid.error().describe();
}

TEST(Grammar, AcceptsALoneFilesystem) {
    const auto valid =
        validate_domain_fragment(filesystem_xml(managed_sample()), Fragment::filesystem);

    EXPECT_TRUE(valid) << valid.error().describe();
}

TEST(Grammar, AcceptsLoneMemoryBackingAndCpu) {
    EXPECT_TRUE(validate_domain_fragment("<memoryBacking><access mode='shared'/></memoryBacking>",
                                         Fragment::memory_backing));
    EXPECT_TRUE(validate_domain_fragment(
        "<cpu><numa><cell cpus='0' memory='1' unit='G' memAccess='shared'/></numa></cpu>",
        Fragment::cpu));
}

TEST(Grammar, NamesTheLineOfWhatItRefuses) {
    const auto valid = validate_domain_fragment(
        "<filesystem>\n<driver type='virtiofs'/>\n<source dir='/a'/>\n<target dir='t'/>\n"
        "<binary><cache mode='auto'/></binary>\n</filesystem>",
        Fragment::filesystem);

    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().code(), EINVAL);
    EXPECT_GT(valid.error().place().line, 0U);
}

TEST(Grammar, RefusesAnotherElementThanTheFragment) {
    EXPECT_FALSE(validate_domain_fragment("<domain/>", Fragment::filesystem));
    EXPECT_FALSE(validate_domain_fragment("<memoryBacking><access mode='public'/></memoryBacking>",
                                          Fragment::memory_backing));
}

TEST(Grammar, NamesThePackageWhenItIsMissing) {
    const auto valid = validate_domain_xml("<domain/>", "/nonexistent");

    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().code(), ENOENT);
    EXPECT_THAT(valid.error().describe(), HasSubstr("libvirt-common"));
}

TEST(Grammar, RefusesADocumentTypeUnread) {
    const auto valid =
        validate_domain_xml("<!DOCTYPE domain SYSTEM 'http://example.org/x'><domain/>");

    ASSERT_FALSE(valid);
    EXPECT_THAT(valid.error().describe(), HasSubstr("document type"));
}

} // namespace
} // namespace vfskit::domain
