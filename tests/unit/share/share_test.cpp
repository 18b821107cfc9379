// SPDX-License-Identifier: Apache-2.0
#include "core/share/share.h"
#include "tests/unit/share/sample_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;
using ::testing::HasSubstr;

mapping::DirectoryMapping media_mapping() {
    mapping::DirectoryMapping media;
    media.id = "media";
    media.paths = {{"alpha", "/srv/media"}, {"beta", "/mnt/media"}};
    media.live_migration_method = MigrationMethod::find_paths;
    media.path_relation = PathRelation::replicas;
    return media;
}

/// The option that validate() blames, or "" when it blames none.
std::string blamed_option(const Share& share) {
    const auto result = validate(share);
    return result ? std::string{} : result.error().place().key;
}

// ----- words -----

TEST(ShareWords, AreThoseOfVirtiofsd) {
    EXPECT_EQ(to_string(CachePolicy::automatic), "auto");
    EXPECT_EQ(to_string(SandboxMode::namespaces), "namespace");
    EXPECT_EQ(to_string(InodeFileHandles::mandatory), "mandatory");
    EXPECT_EQ(to_string(Negotiation::automatic), "auto");
    EXPECT_EQ(to_string(OnError::guest_error), "guest-error");
}

TEST(ShareWords, AreReadBack) {
    EXPECT_EQ(*parse_cache_policy("metadata"), CachePolicy::metadata);
    EXPECT_EQ(*parse_sandbox_mode("chroot"), SandboxMode::chroot);
    EXPECT_EQ(*parse_inode_file_handles("prefer"), InodeFileHandles::prefer);
    EXPECT_EQ(*parse_negotiation("always"), Negotiation::always);
    EXPECT_EQ(*parse_on_error("abort"), OnError::abort);
}

TEST(ShareWords, SuggestTheNearestOnATypingError) {
    const auto result = parse_cache_policy("metdata");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().describe(), HasSubstr("Did you mean \"metadata\"?"));
}

TEST(ShareWords, TranslateLibvirtsCacheNone) {
    const auto result = parse_cache_policy("none");
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().remedy(), HasSubstr("never"));
}

// ----- make_share -----

TEST(MakeShare, TakesThePathOfTheNodeAndTheMappingsPolicy) {
    const auto share = make_share(media_mapping(), "beta");
    ASSERT_TRUE(share);
    EXPECT_EQ(share->dirid, "media");
    EXPECT_EQ(share->tag, "media");
    EXPECT_EQ(share->path, "/mnt/media");
    EXPECT_EQ(share->method, MigrationMethod::find_paths);
    EXPECT_EQ(share->path_relation, PathRelation::replicas);
}

TEST(MakeShare, NamesTheNodesItKnowsWhenOneIsMissing) {
    const auto share = make_share(media_mapping(), "gamma");
    ASSERT_FALSE(share);
    EXPECT_EQ(share.error().code(), ENOENT);
    EXPECT_THAT(share.error().describe(), HasSubstr("alpha, beta"));
}

TEST(MakeShare, SuggestsTheNearestNode) {
    const auto share = make_share(media_mapping(), "alhpa");
    ASSERT_FALSE(share);
    EXPECT_THAT(share.error().remedy(), HasSubstr("Did you mean \"alpha\"?"));
}

TEST(MakeShare, SaysSoWhenTheMappingHasNoPathAtAll) {
    auto media = media_mapping();
    media.paths.clear();
    EXPECT_EQ(make_share(media, "alpha").error().code(), ENOENT);
}

// ----- validate -----

TEST(ValidateShare, AcceptsAPlainShare) {
    EXPECT_EQ(blamed_option(plain_share()), "");
}

TEST(ValidateShare, RefusesAnEmptyTag) {
    auto share = plain_share();
    share.tag.clear();
    EXPECT_EQ(blamed_option(share), "tag");
}

TEST(ValidateShare, AcceptsATagOf36BytesAndRefuses37) {
    auto share = plain_share();
    share.tag = std::string(36, 't');
    EXPECT_EQ(blamed_option(share), "");
    share.tag += 't';
    EXPECT_EQ(blamed_option(share), "tag");
}

TEST(ValidateShare, CountsTheBytesOfATagNotItsCharacters) {
    auto share = plain_share();
    share.tag.clear();
    for (int i = 0; i < 13; ++i) {
        share.tag += "\xE2\x82\xAC"; // 13 characters, 39 bytes
    }
    EXPECT_EQ(blamed_option(share), "tag");
}

TEST(ValidateShare, RefusesATagThatIsNotUtf8OrHasControlCharacters) {
    auto share = plain_share();
    share.tag = "\xFF";
    EXPECT_EQ(blamed_option(share), "tag");
    share.tag = std::string{"a\0b", 3};
    EXPECT_EQ(blamed_option(share), "tag");
}

TEST(ValidateShare, RefusesARelativePath) {
    auto share = plain_share();
    share.path = "srv/media";
    EXPECT_EQ(blamed_option(share), "path");
}

TEST(ValidateShare, RefusesAPathWithNulOrBeyondPathMax) {
    auto share = plain_share();
    share.path = std::string{"/a\0b", 4};
    EXPECT_EQ(blamed_option(share), "path");
    share.path = "/" + std::string(4095, 'a');
    EXPECT_EQ(blamed_option(share), "path");
}

TEST(ValidateShare, RefusesQueueSizesThatQemuOrTheGuestRefuse) {
    auto share = plain_share();
    share.queue_size = 1000;
    EXPECT_EQ(blamed_option(share), "queue-size");
    share.queue_size = 2048;
    EXPECT_EQ(blamed_option(share), "queue-size");
    share.queue_size = 4;
    EXPECT_EQ(blamed_option(share), "queue-size");
    share.queue_size = 8;
    EXPECT_EQ(blamed_option(share), "");
}

TEST(ValidateShare, RefusesNoQueueAndMoreThanVhostUserCanName) {
    auto share = plain_share();
    share.request_queues = 0;
    EXPECT_EQ(blamed_option(share), "queues");
    share.request_queues = 255;
    EXPECT_EQ(blamed_option(share), "");
    share.request_queues = 256;
    EXPECT_EQ(blamed_option(share), "queues");
}

TEST(ValidateShare, RefusesAnUnreasonableThreadPool) {
    auto share = plain_share();
    share.thread_pool_size = max_thread_pool_size + 1;
    EXPECT_EQ(blamed_option(share), "thread-pool-size");
}

TEST(ValidateShare, WantsEnoughOpenFilesForTheDaemonItself) {
    auto share = plain_share();
    share.rlimit_nofile = 609;
    EXPECT_EQ(blamed_option(share), "rlimit-nofile");
    share.rlimit_nofile = 610;
    EXPECT_EQ(blamed_option(share), "");
    share.thread_pool_size = 8;
    EXPECT_EQ(blamed_option(share), "rlimit-nofile");
}

TEST(ValidateShare, LeavesTheLimitAloneAtZero) {
    auto share = plain_share();
    share.rlimit_nofile = 0;
    EXPECT_EQ(blamed_option(share), "");
}

TEST(ValidateShare, RefusesWritebackWhereNothingIsWrittenBack) {
    auto share = plain_share();
    share.writeback = true;
    EXPECT_EQ(blamed_option(share), "");
    share.cache = CachePolicy::never;
    EXPECT_EQ(blamed_option(share), "writeback");
    share.cache = CachePolicy::always;
    share.readonly = true;
    EXPECT_EQ(blamed_option(share), "writeback");
}

TEST(ValidateShare, RefusesATranslationTogetherWithAcls) {
    auto share = plain_share();
    share.translate_gid = {"map:0:1000:10"};
    share.posix_acl = Negotiation::automatic;
    EXPECT_EQ(blamed_option(share), "posix-acl");
}

TEST(ValidateShare, NamesTheTranslationOptionThatIsWrong) {
    auto share = plain_share();
    share.translate_gid = {"mop:0:1000:10"};
    EXPECT_EQ(blamed_option(share), "translate-gid");
}

TEST(ValidateShare, RefusesOverlappingNamespaceRanges) {
    auto share = plain_share();
    share.uid_map = {{0, 1000, 10}, {10, 1009, 10}};
    EXPECT_EQ(blamed_option(share), "uid-map");
}

TEST(ValidateShare, RefusesMappedIdsOutsideAUserNamespace) {
    auto share = plain_share();
    share.gid_map = {{0, 1000, 1}};
    share.sandbox = SandboxMode::chroot;
    EXPECT_EQ(blamed_option(share), "gid-map");
}

TEST(ValidateShare, RefusesFileHandlesInsideAUserNamespace) {
    auto share = share_with_method(MigrationMethod::file_handles);
    share.uid_map = {{0, 1000, 1}};
    EXPECT_EQ(blamed_option(share), "uid-map");
}

TEST(ValidateShare, RefusesToTakeAwayTheCapabilityOfFileHandles) {
    auto share = plain_share();
    share.modcaps = "-dac_read_search";
    EXPECT_EQ(blamed_option(share), "");
    share.inode_file_handles = InodeFileHandles::prefer;
    EXPECT_EQ(blamed_option(share), "modcaps");
}

TEST(ValidateShare, RefusesFileHandlesBetweenReplicas) {
    auto share = share_with_method(MigrationMethod::file_handles);
    share.path_relation = PathRelation::replicas;
    EXPECT_EQ(blamed_option(share), "live-migration-method");
}

TEST(ValidateShare, RefusesABadXattrMap) {
    auto share = plain_share();
    share.xattrmap = ":ok:all::";
    EXPECT_EQ(blamed_option(share), "xattrmap");
}

} // namespace
} // namespace vfskit::share
