// SPDX-License-Identifier: Apache-2.0
#include "core/share/dialect.h"
#include "core/share/quick_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>

namespace vfskit::share {
namespace {

using ::testing::HasSubstr;

constexpr const char* no_features = "{\n  \"type\": \"fs\"\n}\n";
constexpr const char* features_1_13 =
    "{\n  \"type\": \"fs\",\n  \"features\": [\n"
    "    \"migrate-precopy\",\n    \"separate-options\"\n  ]\n}\n";
constexpr const char* features_bundled = "{\"type\":\"fs\",\"features\":[\"migrate-precopy\","
                                         "\"separate-options\",\"vfskit-fd-passing\"]}";

/// Answers --version with the one output and --print-capabilities with the other.
ProcessRunner stub_daemon(base::ProcessOutput version, std::string capabilities) {
    return [version = std::move(version), capabilities = std::move(capabilities)](
               const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        if (spec.args == std::vector<std::string>{"--version"}) {
            return version;
        }
        return base::ProcessOutput{.exit_status = 0, .out = capabilities, .err = {}};
    };
}

ProcessRunner stub_daemon(std::string version, std::string capabilities) {
    return stub_daemon(base::ProcessOutput{.exit_status = 0, .out = std::move(version), .err = {}},
                       std::move(capabilities));
}

TEST(ParseDaemon, TakesAWordForTheNewestVersionItCovers) {
    EXPECT_EQ(parse_daemon("rust-1.11")->version, (Version{1, 13, 3}));
    EXPECT_EQ(parse_daemon("rust-1.10")->version, (Version{1, 10, 0}));
    EXPECT_EQ(parse_daemon("rust-1.10")->dialect, Dialect::rust_1_0);
    EXPECT_THAT(parse_daemon("rust-2").error().message(), testing::HasSubstr("\"rust-2\""));
    EXPECT_EQ(parse_daemon("bundled")->dialect, Dialect::bundled);
    EXPECT_EQ(parse_daemon("c")->dialect, Dialect::c_daemon);
}

TEST(ParseDaemon, PlacesAVersionInItsDialect) {
    EXPECT_EQ(parse_daemon("1.10.1")->dialect, Dialect::rust_1_0);
    EXPECT_EQ(parse_daemon("1.11")->dialect, Dialect::rust_1_11);
    EXPECT_EQ(parse_daemon("1.13.99")->dialect, Dialect::rust_1_11);
    EXPECT_EQ(parse_daemon("1.15.0")->dialect, Dialect::rust_1_14);
}

TEST(ParseDaemon, SuggestsTheNearestWord) {
    const auto daemon = parse_daemon("bundeld");
    ASSERT_FALSE(daemon);
    EXPECT_THAT(daemon.error().remedy(), HasSubstr("\"bundled\""));
}

TEST(ParseDaemon, RefusesOtherMajorsAndHalfVersions) {
    EXPECT_FALSE(parse_daemon("2.0.0"));
    EXPECT_FALSE(parse_daemon("1"));
    EXPECT_FALSE(parse_daemon("1.2.3.4"));
    EXPECT_FALSE(parse_daemon(""));
}

TEST(Probe, RecognisesUpstreamAndItsFeatures) {
    const auto daemon =
        probe("/usr/libexec/virtiofsd", stub_daemon("virtiofsd 1.13.2\n", features_1_13));
    ASSERT_TRUE(daemon);
    EXPECT_EQ(daemon->dialect, Dialect::rust_1_11);
    EXPECT_EQ(daemon->version, (Version{1, 13, 2}));
    EXPECT_TRUE(daemon->has_feature("migrate-precopy"));
    EXPECT_TRUE(daemon->is_probed);
}

TEST(Probe, RecognisesTheCDaemonOfDebian12) {
    const auto daemon = probe(
        "/usr/lib/qemu/virtiofsd",
        stub_daemon("virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\n"
                    "Copyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n"
                    "using FUSE kernel interface version 7.36\n",
                    no_features));
    ASSERT_TRUE(daemon);
    EXPECT_EQ(daemon->dialect, Dialect::c_daemon);
    EXPECT_EQ(daemon->version, (Version{7, 2, 22}));
}

TEST(Probe, RecognisesTheRustDaemonThatCalledItselfBackend) {
    const auto daemon = probe("virtiofsd", stub_daemon("virtiofsd backend 1.4.0\n", no_features));
    ASSERT_TRUE(daemon);
    EXPECT_EQ(daemon->dialect, Dialect::rust_1_0);
    EXPECT_EQ(daemon->version, (Version{1, 4, 0}));
}

TEST(Probe, RecognisesTheReleaseWithoutAVersionOption) {
    const base::ProcessOutput usage{
        .exit_status = 2, .out = {}, .err = "error: unexpected argument '--version' found\n"};
    const auto daemon = probe("virtiofsd", stub_daemon(usage, no_features));
    ASSERT_TRUE(daemon);
    EXPECT_EQ(daemon->version, (Version{1, 7, 1}));
}

TEST(ProbeQuickly, AsksTheBundledDaemonForItsFeaturesAlone) {
    int questions = 0;
    const auto bundled = stub_daemon("virtiofsd 1.14.0 (vfskit 0.1.0)\n", features_bundled);
    const auto daemon = probe_quickly("virtiofsd", [&](const ProcessSpec& spec) {
        ++questions;
        return bundled(spec);
    });
    ASSERT_TRUE(daemon);
    EXPECT_EQ(*daemon, *probe("virtiofsd", bundled));
    EXPECT_EQ(questions, 1);
}

TEST(ProbeQuickly, RecognisesUpstreamLikeProbe) {
    const auto upstream = stub_daemon("virtiofsd 1.13.2\n", features_1_13);
    const auto daemon = probe_quickly("virtiofsd", upstream);
    ASSERT_TRUE(daemon);
    EXPECT_EQ(*daemon, *probe("virtiofsd", upstream));
}

TEST(Probe, RecognisesTheBundledDaemonByItsFeatures) {
    const auto daemon =
        probe("virtiofsd", stub_daemon("virtiofsd 1.14.0 (vfskit 0.1.0)\n", features_bundled));
    ASSERT_TRUE(daemon);
    EXPECT_EQ(daemon->dialect, Dialect::bundled);
    EXPECT_EQ(daemon->version, (Version{1, 14, 0}));
}

TEST(Probe, RefusesAnotherProgramAndSaysWhatItAnswered) {
    const auto daemon = probe("/bin/cat", stub_daemon("cat (GNU coreutils) 9.1\n", ""));
    ASSERT_FALSE(daemon);
    EXPECT_EQ(daemon.error().code(), EPROTONOSUPPORT);
    EXPECT_THAT(daemon.error().message(), HasSubstr("cat (GNU coreutils) 9.1"));
}

TEST(Probe, RefusesAMajorVersionItCannotKnow) {
    EXPECT_FALSE(probe("virtiofsd", stub_daemon("virtiofsd 2.0.0\n", features_1_13)));
}

TEST(Probe, RefusesCapabilitiesOfAnotherKindOfDevice) {
    EXPECT_FALSE(probe("virtiofsd", stub_daemon("virtiofsd 1.14.0\n", "{\"type\":\"gpu\"}")));
    EXPECT_FALSE(probe("virtiofsd", stub_daemon("virtiofsd 1.14.0\n", "{\"type\":[")));
}

TEST(Probe, PassesOnWhyTheBinaryDidNotRun) {
    const auto daemon = probe("/nonexistent/virtiofsd");
    ASSERT_FALSE(daemon);
    EXPECT_EQ(daemon.error().code(), ENOENT);
    EXPECT_THAT(daemon.error().remedy(), HasSubstr("dialect"));
}

} // namespace
} // namespace vfskit::share
