// SPDX-License-Identifier: Apache-2.0
#include "core/domain/libvirt_version.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

TEST(LibvirtVersion, ParsesThreeParts) {
    EXPECT_EQ(*parse_libvirt_version("11.3.0"), (LibvirtVersion{11, 3, 0}));
}

TEST(LibvirtVersion, ParsesTwoParts) {
    EXPECT_EQ(*parse_libvirt_version("9.0"), (LibvirtVersion{9, 0, 0}));
}

TEST(LibvirtVersion, ParsesTheNumberOfTheApi) {
    EXPECT_EQ(*parse_libvirt_version("11003000"), (LibvirtVersion{11, 3, 0}));
}

TEST(LibvirtVersion, RefusesWords) {
    const auto version = parse_libvirt_version("bookworm");

    ASSERT_FALSE(version);
    EXPECT_EQ(version.error().code(), EINVAL);
    EXPECT_NE(version.error().describe().find("11.3.0"), std::string::npos);
}

TEST(LibvirtVersion, RefusesALoneMajorNumber) {
    EXPECT_FALSE(parse_libvirt_version("11"));
}

TEST(LibvirtVersion, RefusesFourPartsEmptyPartsAndNothing) {
    EXPECT_FALSE(parse_libvirt_version("1.2.3.4"));
    EXPECT_FALSE(parse_libvirt_version("11..0"));
    EXPECT_FALSE(parse_libvirt_version(""));
}

TEST(LibvirtVersion, OrdersByAge) {
    EXPECT_LT((LibvirtVersion{9, 10, 0}), (LibvirtVersion{10, 0, 0}));
    EXPECT_LT((LibvirtVersion{10, 5, 0}), (LibvirtVersion{10, 6, 0}));
}

TEST(LibvirtVersion, PrintsAsLibvirtDoes) {
    EXPECT_EQ(to_string(LibvirtVersion{10, 6, 0}), "10.6.0");
}

TEST(LibvirtFeature, IsKnownFromItsReleaseOn) {
    EXPECT_FALSE(knows({10, 5, 0}, LibvirtFeature::openfiles));
    EXPECT_TRUE(knows({10, 6, 0}, LibvirtFeature::openfiles));
}

TEST(LibvirtFeature, IsRefusedByNameBefore) {
    const auto required = require({9, 0, 0}, LibvirtFeature::openfiles);

    ASSERT_FALSE(required);
    EXPECT_EQ(required.error().code(), ENOTSUP);
    EXPECT_EQ(required.error().message(),
              "libvirt 9.0.0 does not know <openfiles max=…/>, which came with 10.6.0");
}

} // namespace
} // namespace vfskit::domain
