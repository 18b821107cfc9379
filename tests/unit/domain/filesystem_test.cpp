// SPDX-License-Identifier: Apache-2.0
#include "core/domain/filesystem.h"
#include "tests/unit/domain/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr LibvirtVersion bookworm{9, 0, 0};

Target target_of(LibvirtVersion version) {
    Target target;
    target.libvirt = version;
    return target;
}

std::string refusal(const Filesystem& filesystem, const Target& target = {}) {
    const auto valid = validate(filesystem, target);
    return valid ? "accepted" : valid.error().describe();
}

std::string refusal(const share::Share& share,
                    const FilesystemOptions& options = {},
                    const Target& target = {}) {
    const auto plan = plan_filesystem(share, options, target);
    return plan ? "accepted" : plan.error().describe();
}

std::string all_notices(const FilesystemPlan& plan) {
    std::string text;
    for (const Notice& notice : plan.notices) {
        text += notice.message + ". " + notice.remedy + "\n";
    }
    return text;
}

TEST(FilesystemPlan, TakesAPlainShare) {
    const auto plan = plan_filesystem(sample_share(), {}, {});

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->filesystem, Filesystem{managed_sample()});
    EXPECT_TRUE(plan->notices.empty());
}

TEST(FilesystemPlan, WritesNoElementForCacheAuto) {
    auto share = sample_share();
    share.cache = share::CachePolicy::automatic;

    const auto plan = plan_filesystem(share, {}, {});

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->filesystem, Filesystem{managed_sample()});
}

TEST(FilesystemPlan, CallsCacheNeverNone) {
    auto share = sample_share();
    share.cache = share::CachePolicy::never;

    const auto plan = plan_filesystem(share, {}, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(filesystem_xml(plan->filesystem), HasSubstr("<cache mode='none'/>"));
}

TEST(FilesystemPlan, NamesEveryOptionThatLibvirtCannotExpressAndTheWayOut) {
    auto share = sample_share();
    share.cache = share::CachePolicy::metadata;
    share.writeback = true;
    share.xattrmap = ":map::user.:";
    share.posix_acl = share::Negotiation::always;
    share.security_label = share::Negotiation::automatic;
    share.allow_direct_io = true;
    share.allow_mmap = true;
    share.announce_submounts = false;
    share.inode_file_handles = share::InodeFileHandles::mandatory;
    share.sandbox = share::SandboxMode::none;
    share.translate_uid = {"map:0:1000:1"};
    share.translate_gid = {"map:0:1000:1"};
    share.modcaps = "+sys_admin";

    const auto plan = plan_filesystem(share, {}, {});

    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code(), ENOTSUP);
    EXPECT_EQ(plan.error().message(),
              "libvirt has no element for these virtiofsd options: --cache=metadata --writeback "
              "--xattrmap=:map::user.: --posix-acl --security-label --allow-direct-io --allow-mmap "
              "--no-announce-submounts --inode-file-handles=mandatory --sandbox=none "
              "--translate-uid=map:0:1000:1 --translate-gid=map:0:1000:1 --modcaps=+sys_admin");
    EXPECT_THAT(plan.error().remedy(), HasSubstr("socket"));
    EXPECT_THAT(plan.error().remedy(), HasSubstr("wrapper"));
}

TEST(FilesystemPlan, AcceptsAnnouncedSubmountsBecauseThatIsTheDefault) {
    auto share = sample_share();
    share.announce_submounts = true;

    EXPECT_EQ(refusal(share), "accepted");
}

TEST(FilesystemPlan, LeavesOptionsToAnExternalDaemonAndSaysSo) {
    auto share = sample_share();
    share.posix_acl = share::Negotiation::always;
    share.cache = share::CachePolicy::always;
    FilesystemOptions options;
    options.socket = "/run/vfskit/media.sock";

    const auto plan = plan_filesystem(share, options, {});

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->filesystem, Filesystem{external_sample()});
    EXPECT_THAT(all_notices(*plan), HasSubstr("not in the XML: --posix-acl --cache=always"));
}

TEST(FilesystemPlan, SaysNothingOfOptionsThatAnExternalDaemonDoesNotNeed) {
    FilesystemOptions options;
    options.socket = "/run/vfskit/media.sock";

    const auto plan = plan_filesystem(sample_share(), options, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan), Not(HasSubstr("not in the XML")));
}

TEST(FilesystemPlan, LeavesInexpressibleOptionsToAWrapperAndSaysSo) {
    auto share = sample_share();
    share.posix_acl = share::Negotiation::always;
    FilesystemOptions options;
    options.binary = "/usr/bin/virtiofsd-acl";
    options.binary_is_wrapper = true;

    const auto plan = plan_filesystem(share, options, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan), HasSubstr("--posix-acl"));
    EXPECT_THAT(all_notices(*plan), HasSubstr("/usr/bin/virtiofsd-acl"));
}

TEST(FilesystemPlan, DoesNotTakeEveryBinaryForAWrapper) {
    auto share = sample_share();
    share.posix_acl = share::Negotiation::always;
    FilesystemOptions options;
    options.binary = "/usr/libexec/virtiofsd";

    EXPECT_THAT(refusal(share, options), HasSubstr("--posix-acl"));
}

TEST(FilesystemPlan, WarnsThatLibvirtPassesNoMigrationOption) {
    auto share = sample_share();
    share.method = mapping::MigrationMethod::file_handles;
    share.on_error = share::OnError::guest_error;

    const auto plan = plan_filesystem(share, {}, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan),
                HasSubstr("will migrate by find-paths instead of file-handles"));
    EXPECT_THAT(all_notices(*plan), HasSubstr("will abort the migration at the first file"));
    EXPECT_THAT(all_notices(*plan), HasSubstr("After a restart of libvirtd"));
}

TEST(FilesystemPlan, WarnsThatAnOldLibvirtDoesNotMigrateAtAll) {
    auto share = sample_share();
    share.method = mapping::MigrationMethod::find_paths;

    const auto plan = plan_filesystem(share, {}, target_of(bookworm));

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan), HasSubstr("10.5.0 is the first that can"));
}

TEST(FilesystemPlan, DoesNotWarnOfMigrationWithASocket) {
    auto share = sample_share();
    share.method = mapping::MigrationMethod::file_handles;
    FilesystemOptions options;
    options.socket = "/run/vfskit/media.sock";

    const auto plan = plan_filesystem(share, options, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan), testing::Not(HasSubstr("migration option")));
}

TEST(FilesystemPlan, NeverWritesReadonlyForASocket) {
    auto share = sample_share();
    share.readonly = true;
    FilesystemOptions options;
    options.socket = "/run/vfskit/media.sock";

    const auto plan = plan_filesystem(share, options, {});

    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->filesystem, Filesystem{external_sample()});
    EXPECT_THAT(all_notices(*plan), HasSubstr("Start the daemon with --readonly"));
}

TEST(FilesystemPlan, RefusesSeveralRequestQueues) {
    auto share = sample_share();
    share.request_queues = 4;

    EXPECT_THAT(refusal(share), HasSubstr("no element for 4 request queues"));
}

TEST(FilesystemPlan, RefusesABinaryBesideASocket) {
    FilesystemOptions options;
    options.socket = "/run/vfskit/media.sock";
    options.binary = "/usr/libexec/virtiofsd";

    EXPECT_THAT(refusal(sample_share(), options),
                HasSubstr("ignores it when the source is a socket"));
}

TEST(FilesystemPlan, RefusesMultidevsWithVirtiofsInLibvirtsWords) {
    FilesystemOptions options;
    options.multidevs = Multidevs::remap;

    EXPECT_THAT(refusal(sample_share(), options), HasSubstr("virtiofs does not support multidevs"));
}

TEST(FilesystemPlan, RefusesOther9pOptionsWithVirtiofsInLibvirtsWords) {
    FilesystemOptions mapped;
    mapped.accessmode = AccessMode::mapped;
    FilesystemOptions wrpolicy;
    wrpolicy.wrpolicy_immediate = true;
    FilesystemOptions model;
    model.model = NinepModel::virtio;
    FilesystemOptions fmode;
    fmode.fmode = 0644;

    EXPECT_THAT(refusal(sample_share(), mapped),
                HasSubstr("virtiofs only supports passthrough accessmode"));
    EXPECT_THAT(refusal(sample_share(), wrpolicy), HasSubstr("virtiofs does not support wrpolicy"));
    EXPECT_THAT(refusal(sample_share(), model), HasSubstr("virtiofs does not support model"));
    EXPECT_THAT(refusal(sample_share(), fmode),
                HasSubstr("virtiofs does not support fmode and dmode"));
}

TEST(FilesystemPlan, MakesA9pFilesystem) {
    FilesystemOptions options;
    options.driver = FilesystemDriver::ninep;
    options.multidevs = Multidevs::remap;

    const auto plan = plan_filesystem(sample_share(), options, {});

    ASSERT_TRUE(plan);
    NinepFilesystem expected = ninep_sample();
    expected.multidevs = Multidevs::remap;
    EXPECT_EQ(plan->filesystem, Filesystem{expected});
}

TEST(FilesystemPlan, RefusesDaemonOptionsWith9p) {
    auto share = sample_share();
    share.xattr = true;
    share.cache = share::CachePolicy::always;
    FilesystemOptions options;
    options.driver = FilesystemDriver::ninep;

    EXPECT_THAT(refusal(share, options), HasSubstr("--cache=always --xattr"));
}

TEST(FilesystemPlan, RefusesSocketAndBootOrderWith9p) {
    FilesystemOptions socket;
    socket.driver = FilesystemDriver::ninep;
    socket.socket = "/run/x.sock";
    FilesystemOptions boot;
    boot.driver = FilesystemDriver::ninep;
    boot.boot_order = 1;

    EXPECT_THAT(refusal(sample_share(), socket), HasSubstr("9p is served by QEMU itself"));
    EXPECT_THAT(refusal(sample_share(), boot),
                HasSubstr("boot order is only supported for virtiofs"));
}

TEST(FilesystemPlan, WarnsThatAMounted9pShareBlocksMigration) {
    auto share = sample_share();
    share.method = mapping::MigrationMethod::find_paths;
    FilesystemOptions options;
    options.driver = FilesystemDriver::ninep;

    const auto plan = plan_filesystem(share, options, {});

    ASSERT_TRUE(plan);
    EXPECT_THAT(all_notices(*plan), HasSubstr("while it has a 9p share mounted"));
}

TEST(FilesystemValidate, FindsAQueueThatIsNoPowerOfTwo) {
    auto filesystem = managed_sample();
    filesystem.queue_size = 1000;

    EXPECT_THAT(refusal(filesystem), HasSubstr("not a power of two up to 1024"));
}

TEST(FilesystemValidate, FindsAQueueThatIsTooLarge) {
    auto filesystem = managed_sample();
    filesystem.queue_size = 2048;

    EXPECT_THAT(refusal(filesystem), HasSubstr("not a power of two up to 1024"));
}

TEST(FilesystemValidate, TakesATagOf36Bytes) {
    auto filesystem = managed_sample();
    filesystem.tag = std::string(36, 'a');

    EXPECT_EQ(refusal(filesystem), "accepted");
}

TEST(FilesystemValidate, FindsATagOf37Bytes) {
    auto filesystem = managed_sample();
    filesystem.tag = std::string(37, 'a');

    EXPECT_THAT(refusal(filesystem), HasSubstr("has 37 bytes; QEMU refuses more than 36"));
}

TEST(FilesystemValidate, FindsA9pTagOf32Bytes) {
    auto filesystem = ninep_sample();
    filesystem.tag = std::string(32, 'a');

    EXPECT_THAT(refusal(filesystem), HasSubstr("QEMU refuses more than 31"));
}

TEST(FilesystemValidate, FindsAnEmptyTag) {
    auto filesystem = managed_sample();
    filesystem.tag = "";

    EXPECT_THAT(refusal(filesystem), HasSubstr("The tag is empty"));
}

TEST(FilesystemValidate, FindsATagThatXmlCannotCarry) {
    auto filesystem = managed_sample();
    filesystem.tag = "a\x01";

    EXPECT_THAT(refusal(filesystem), HasSubstr("control characters"));
}

TEST(FilesystemValidate, FindsAMissingDirectory) {
    Target target;
    target.is_directory = [](const std::string& path) { return path != "/srv/media"; };

    const auto valid = validate(managed_sample(), target);

    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error().code(), ENOENT);
    EXPECT_THAT(valid.error().describe(), HasSubstr("'/srv/media' does not exist"));
}

TEST(FilesystemValidate, FindsABinaryThatCannotBeExecuted) {
    Target target;
    target.is_executable = [](const std::string&) { return false; };
    auto filesystem = managed_sample();
    daemon_of(filesystem).binary_path = "/usr/libexec/virtiofsd";

    EXPECT_THAT(refusal(filesystem, target), HasSubstr("cannot be executed"));
}

TEST(FilesystemValidate, FindsRelativePaths) {
    auto directory = managed_sample();
    daemon_of(directory).source_dir = "srv/media";
    auto socket = external_sample();
    socket.daemon = ExternalDaemon{"media.sock"};

    EXPECT_THAT(refusal(directory), HasSubstr("'srv/media' is not absolute"));
    EXPECT_THAT(refusal(socket), HasSubstr("'media.sock' is not absolute"));
}

TEST(FilesystemValidate, FindsLockOptionsOfTheRustDaemon) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).flock = true;

    EXPECT_THAT(refusal(filesystem), HasSubstr("The Rust virtiofsd has no locking options"));
}

TEST(FilesystemValidate, TakesLockOptionsOfTheCDaemon) {
    Target target = target_of(bookworm);
    target.rust_daemon = false;
    auto filesystem = managed_sample();
    daemon_of(filesystem).posix_lock = false;

    EXPECT_EQ(refusal(filesystem, target), "accepted");
}

TEST(FilesystemValidate, FindsAnIdMapOfRoot) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).uid_map = {{0, 100000, 65536}};

    EXPECT_THAT(refusal(filesystem), HasSubstr("qemu:///system starts it as root"));
}

TEST(FilesystemValidate, TakesAnIdMapInSessionMode) {
    Target target;
    target.runs_as_root = false;
    auto filesystem = managed_sample();
    daemon_of(filesystem).uid_map = {{0, 100000, 65536}};

    EXPECT_EQ(refusal(filesystem, target), "accepted");
}

TEST(FilesystemValidate, FindsSessionModeThatLibvirtDoesNotKnow) {
    Target target = target_of(bookworm);
    target.runs_as_root = false;

    EXPECT_THAT(refusal(managed_sample(), target), HasSubstr("not yet supported in session mode"));
}

TEST(FilesystemValidate, FindsOpenfilesOfZero) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).openfiles = 0;

    EXPECT_THAT(refusal(filesystem), HasSubstr("A limit of 0 open files"));
}

TEST(FilesystemValidate, FindsElementsThatAreTooNew) {
    auto openfiles = managed_sample();
    daemon_of(openfiles).openfiles = 4096;
    auto readonly = managed_sample();
    readonly.readonly = true;
    auto threads = managed_sample();
    daemon_of(threads).thread_pool_size = 4;
    auto vq = managed_sample();
    vq.virtio.page_per_vq = true;

    EXPECT_THAT(refusal(openfiles, target_of(bookworm)), HasSubstr("came with 10.6.0"));
    EXPECT_THAT(refusal(readonly, target_of({10, 10, 0})), HasSubstr("came with 11.0.0"));
    EXPECT_THAT(refusal(threads, target_of({8, 4, 0})), HasSubstr("came with 8.5.0"));
    EXPECT_THAT(refusal(vq, target_of({7, 8, 0})), HasSubstr("came with 7.9.0"));
    EXPECT_THAT(refusal(external_sample(), target_of({7, 2, 0})), HasSubstr("came with 7.3.0"));
}

TEST(FilesystemValidate, TakesWhatTheVersionKnows) {
    auto readonly = managed_sample();
    readonly.readonly = true;

    EXPECT_EQ(refusal(readonly, target_of({11, 0, 0})), "accepted");
}

TEST(FilesystemValidate, FindsReadonlyWithASocket) {
    auto filesystem = external_sample();
    filesystem.readonly = true;

    EXPECT_EQ(refusal(filesystem, target_of({11, 3, 0})), "accepted");
    EXPECT_THAT(refusal(filesystem, target_of({12, 8, 0})),
                HasSubstr("readonly mode cannot be set for externally started virtiofsd"));
}

TEST(FilesystemValidate, FindsCreateModesWithoutMapped) {
    auto filesystem = ninep_sample();
    filesystem.fmode = 0644;

    EXPECT_THAT(refusal(filesystem), HasSubstr("must be used with accessmode=mapped"));
}

TEST(FilesystemValidate, FindsCreateModesAbove0777) {
    auto filesystem = ninep_sample();
    filesystem.accessmode = AccessMode::mapped;
    filesystem.dmode = 01777;

    EXPECT_THAT(refusal(filesystem), HasSubstr("'1777'"));
}

TEST(FilesystemValidate, FindsMultidevsThatLibvirtDoesNotKnow) {
    auto filesystem = ninep_sample();
    filesystem.multidevs = Multidevs::remap;

    EXPECT_THAT(refusal(filesystem, target_of({6, 2, 0})), HasSubstr("came with 6.3.0"));
}

TEST(FilesystemXml, EscapesWhatXmlReserves) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).source_dir = "/srv/<a> & 'b' \"c\"";

    EXPECT_THAT(filesystem_xml(filesystem),
                HasSubstr("<source dir='/srv/&lt;a&gt; &amp; &apos;b&apos; &quot;c&quot;'/>"));
}

TEST(FilesystemWords, SuggestTheNearest) {
    const auto word = parse_multidevs("ramap");

    ASSERT_FALSE(word);
    EXPECT_EQ(word.error().remedy(), "Did you mean 'remap'?");
}

TEST(FilesystemWords, ReadWhatTheyWrite) {
    EXPECT_EQ(*parse_multidevs(to_string(Multidevs::forbid)), Multidevs::forbid);
    EXPECT_EQ(*parse_access_mode(to_string(AccessMode::squash)), AccessMode::squash);
    EXPECT_EQ(*parse_ninep_model(to_string(NinepModel::virtio_transitional)),
              NinepModel::virtio_transitional);
}

} // namespace
} // namespace vfskit::domain
