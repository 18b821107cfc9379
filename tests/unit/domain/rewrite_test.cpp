// SPDX-License-Identifier: Apache-2.0
#include "core/domain/rewrite.h"
#include "tests/unit/domain/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;
using testing::Not;

NodeShare directory(const std::string& path, BinaryRewrite binary = KeepBinary{}) {
    NodeShare share;
    share.source_dir = path;
    share.binary = std::move(binary);
    return share;
}

/// Answers with `share` for the dirid "media", with nothing for others.
NodeShareLookup media_is(NodeShare share) {
    return [share = std::move(share)](
               const DomainFilesystem& filesystem) -> Result<std::optional<NodeShare>> {
        if (filesystem.dirid == "media") {
            return std::optional{share};
        }
        return std::optional<NodeShare>{};
    };
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    return text.replace(text.find(from), from.size(), to);
}

TEST(Rewrite, ChangesTheDirectoryAndNoOtherByte) {
    const std::string original = input_domain("shared");

    const auto result = rewrite_for_node(original, media_is(directory("/mnt/b & c")));

    ASSERT_TRUE(result);
    EXPECT_TRUE(result->changed());
    EXPECT_EQ(result->xml, replaced(original, "/srv/old &amp; gone", "/mnt/b &amp; c"));
}

TEST(Rewrite, SaysWhatItChanged) {
    const auto result = rewrite_for_node(input_domain("shared"), media_is(directory("/mnt/b")));

    ASSERT_TRUE(result);
    ASSERT_EQ(result->rewrites.size(), 1U);
    EXPECT_EQ(result->rewrites[0].what, "source dir");
    EXPECT_EQ(result->rewrites[0].from, "/srv/old & gone");
    EXPECT_EQ(result->rewrites[0].to, "/mnt/b");
    EXPECT_EQ(result->rewrites[0].dirid, "media");
}

TEST(Rewrite, ReportsNoChangeWhenThePathIsRightAlready) {
    const std::string original = input_domain("shared");

    const auto result = rewrite_for_node(original, media_is(directory("/srv/old & gone")));

    ASSERT_TRUE(result);
    EXPECT_FALSE(result->changed());
    EXPECT_EQ(result->xml, original);
}

TEST(Rewrite, LeavesForeignSharesAlone) {
    const std::string original = input_domain("shared");

    const auto result =
        rewrite_for_node(original, [](const DomainFilesystem&) -> Result<std::optional<NodeShare>> {
            return std::optional<NodeShare>{};
        });

    ASSERT_TRUE(result);
    EXPECT_FALSE(result->changed());
}

TEST(Rewrite, DropsTheBinaryOfTheSource) {
    const auto result = rewrite_for_node(input_domain("shared"),
                                         media_is(directory("/srv/old & gone", DropBinary{})));

    ASSERT_TRUE(result);
    EXPECT_THAT(result->xml, HasSubstr("<binary xattr='on'>"));
    EXPECT_THAT(result->xml, Not(HasSubstr("/usr/libexec/virtiofsd")));
}

TEST(Rewrite, NamesTheBinaryOfTheNode) {
    const auto result = rewrite_for_node(
        input_domain("shared"), media_is(directory("/srv/old & gone", SetBinary{"/usr/bin/vfsd"})));

    ASSERT_TRUE(result);
    EXPECT_THAT(result->xml, HasSubstr("<binary path='/usr/bin/vfsd' xattr='on'>"));
}

TEST(Rewrite, AddsABinaryWhereThereWasNone) {
    const auto result = rewrite_for_node(
        "<domain>\n  <devices>\n    <filesystem>\n      <driver type='virtiofs'/>\n      <source "
        "dir='/a'/>\n      <target dir='media'/>\n    </filesystem>\n  </devices>\n</domain>\n",
        media_is(directory("/a", SetBinary{"/usr/bin/vfsd"})));

    ASSERT_TRUE(result);
    EXPECT_THAT(result->xml,
                HasSubstr("<driver type='virtiofs'/>\n      <binary path='/usr/bin/vfsd'/>\n"));
}

TEST(Rewrite, TurnsADirectoryIntoASocket) {
    NodeShare share;
    share.source_socket = "/run/media.sock";

    const auto result = rewrite_for_node(input_domain("shared"), media_is(share));

    ASSERT_TRUE(result);
    EXPECT_THAT(result->xml, HasSubstr("<source socket='/run/media.sock'/>"));
    EXPECT_THAT(result->xml, HasSubstr("slot='0x05'"));
    EXPECT_EQ(result->rewrites.size(), 2U);
}

TEST(Rewrite, RefusesASocketFor9p) {
    const auto result = rewrite_for_node(
        input_domain("shared"), [](const DomainFilesystem&) -> Result<std::optional<NodeShare>> {
            NodeShare share;
            share.source_socket = "/run/x.sock";
            return std::optional{share};
        });

    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().describe(), HasSubstr("'plan9' cannot have a socket"));
}

TEST(Rewrite, RefusesDirectoryAndSocketAtOnceOrNeither) {
    NodeShare both = directory("/a");
    both.source_socket = "/b";

    EXPECT_FALSE(rewrite_for_node(input_domain("shared"), media_is(both)));
    EXPECT_FALSE(rewrite_for_node(input_domain("shared"), media_is(NodeShare{})));
}

TEST(Rewrite, RefusesARelativeBinary) {
    EXPECT_FALSE(
        rewrite_for_node(input_domain("shared"), media_is(directory("/a", SetBinary{"vfsd"}))));
}

TEST(Rewrite, RefusesARelativePath) {
    EXPECT_FALSE(rewrite_for_node(input_domain("shared"), media_is(directory("mnt/b"))));
}

TEST(Rewrite, EndsWithTheLookupsError) {
    const auto result = rewrite_for_node(
        input_domain("shared"), [](const DomainFilesystem&) -> Result<std::optional<NodeShare>> {
            return Error{ENOENT, "No path on this node"};
        });

    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), ENOENT);
}

} // namespace
} // namespace vfskit::domain
