// SPDX-License-Identifier: Apache-2.0
// What is refused; what comes out otherwise is in the golden files.
#include "core/share/daemon_command.h"
#include "tests/unit/share/sample_shares.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

Result<ProcessSpec> command(const Share& share, const char* daemon) {
    return daemon_command(share, parse_daemon(daemon).value_or(DaemonInfo{}), options_with_path());
}

/// The option that the refusal blames, or "" when the command is made.
std::string blamed_option(const Share& share, const char* daemon) {
    const auto spec = command(share, daemon);
    return spec ? std::string{} : spec.error().place().key;
}

TEST(DaemonCommand, NamesOptionDaemonAndWayOutWhenOneIsTooOld) {
    auto share = plain_share();
    share.readonly = true;
    const auto spec = command(share, "1.12.0");
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code(), ENOTSUP);
    EXPECT_EQ(spec.error().place().key, "readonly");
    EXPECT_THAT(spec.error().message(),
                HasSubstr("Option \"readonly\" is not known to virtiofsd 1.12.0"));
    EXPECT_THAT(spec.error().remedy(), HasSubstr("1.13.0 or newer or the bundled daemon"));
}

TEST(DaemonCommand, ValidatesTheShareFirst) {
    auto share = plain_share();
    share.tag.clear();
    EXPECT_EQ(blamed_option(share, "1.14.0"), "tag");
}

TEST(DaemonCommand, RefusesMigrationBefore111AndInC) {
    const auto share = share_with_method(MigrationMethod::find_paths);
    EXPECT_EQ(blamed_option(share, "1.10.1"), "live-migration-method");
    EXPECT_EQ(blamed_option(share, "c"), "live-migration-method");
    EXPECT_EQ(blamed_option(share, "1.11.0"), "");
}

TEST(DaemonCommand, RefusesFileHandlesBefore112) {
    const auto share = share_with_method(MigrationMethod::file_handles);
    EXPECT_EQ(blamed_option(share, "1.11.1"), "live-migration-method");
    EXPECT_EQ(blamed_option(share, "1.12.0"), "");
}

TEST(DaemonCommand, RefusesFdPassingButForTheBundledDaemon) {
    const auto share = share_with_method(MigrationMethod::fd_passing);
    EXPECT_EQ(blamed_option(share, "1.14.0"), "live-migration-method");
    EXPECT_EQ(blamed_option(share, "bundled"), "");
}

TEST(DaemonCommand, RefusesFdPassingWhenTheProbedDaemonDoesNotList) {
    auto daemon = parse_daemon("bundled").value_or(DaemonInfo{});
    daemon.is_probed = true;
    daemon.features = {"vfskit-control-socket"};
    const auto share = share_with_method(MigrationMethod::fd_passing);
    EXPECT_FALSE(daemon_command(share, daemon, options_with_path()));
}

TEST(DaemonCommand, RefusesSeveralQueuesButForTheBundledDaemon) {
    auto share = plain_share();
    share.request_queues = 2;
    EXPECT_EQ(blamed_option(share, "1.14.0"), "queues");
    EXPECT_EQ(blamed_option(share, "c"), "queues");
    EXPECT_EQ(blamed_option(share, "bundled"), "");
}

TEST(DaemonCommand, RefusesNegotiationBefore114UnlessTheDaemonListsIt) {
    auto share = plain_share();
    share.posix_acl = Negotiation::automatic;
    EXPECT_EQ(blamed_option(share, "1.13.3"), "posix-acl");
    auto patched = parse_daemon("1.13.4").value_or(DaemonInfo{});
    patched.features = {"posix-acl-negotiation-mode"};
    EXPECT_TRUE(daemon_command(share, patched, options_with_path()));
}

TEST(DaemonCommand, RefusesWhatTheCDaemonHasNoWordFor) {
    auto sandbox = plain_share();
    sandbox.sandbox = SandboxMode::none;
    EXPECT_EQ(blamed_option(sandbox, "c"), "sandbox");
    auto cache = plain_share();
    cache.cache = CachePolicy::metadata;
    EXPECT_EQ(blamed_option(cache, "c"), "cache");
    auto handles = plain_share();
    handles.inode_file_handles = InodeFileHandles::mandatory;
    EXPECT_EQ(blamed_option(handles, "c"), "inode-file-handles");
    auto ids = plain_share();
    ids.translate_uid = {"map:0:1000:10"};
    EXPECT_EQ(blamed_option(ids, "c"), "translate-uid");
}

TEST(DaemonCommand, RefusesAnXattrMapThatTheCDaemonDoesNotStartWith) {
    auto share = plain_share();
    share.xattrmap = ":bad:all:::";
    EXPECT_EQ(blamed_option(share, "c"), "xattrmap");
    EXPECT_EQ(blamed_option(share, "1.14.0"), "");
    share.xattrmap = ":ok:all:::";
    EXPECT_EQ(blamed_option(share, "c"), "");
}

TEST(DaemonCommand, RefusesSeveralIdRangesBefore111) {
    auto share = plain_share();
    share.uid_map = {{0, 1000, 1}};
    EXPECT_EQ(blamed_option(share, "1.10.1"), "");
    share.uid_map.push_back({1, 100000, 10});
    EXPECT_EQ(blamed_option(share, "1.10.1"), "uid-map");
}

TEST(DaemonCommand, AsksForTheCapabilityOnlyOnce) {
    auto share = share_with_method(MigrationMethod::file_handles);
    share.modcaps = "+dac_read_search:+sys_admin";
    const auto spec = command(share, "1.14.0");
    ASSERT_TRUE(spec);
    EXPECT_THAT(spec->args, Contains("--modcaps=+dac_read_search:+sys_admin"));
}

TEST(DaemonCommand, RefusesToDropTheCapabilityOfHandlesThatAreTheDefault) {
    auto share = plain_share();
    share.modcaps = "-dac_read_search";
    EXPECT_EQ(blamed_option(share, "1.13.2"), "");
    EXPECT_EQ(blamed_option(share, "1.13.3"), "modcaps");
    share.inode_file_handles = InodeFileHandles::never;
    EXPECT_EQ(blamed_option(share, "1.14.0"), "");
}

TEST(DaemonCommand, TreatsAnUnsaidPathRelationAsReplicas) {
    const auto spec = command(share_with_method(MigrationMethod::find_paths), "1.14.0");
    ASSERT_TRUE(spec);
    EXPECT_THAT(spec->args, Not(Contains("--migration-verify-handles")));
}

TEST(DaemonCommand, RefusesPathsThatARustDaemonCannotRead) {
    auto share = plain_share();
    share.path = "/srv/\xFF";
    EXPECT_EQ(blamed_option(share, "1.14.0"), "path");
    EXPECT_EQ(blamed_option(share, "bundled"), "");
}

TEST(DaemonCommand, RefusesAGroupForAnInheritedSocket) {
    auto options = options_with_fd();
    options.socket_group = "kvm";
    EXPECT_FALSE(daemon_command(plain_share(), DaemonInfo{}, options));
}

TEST(DaemonCommand, RefusesSocketPathsThatDoNotFit) {
    auto options = options_with_path();
    options.socket = SocketPath{"/" + std::string(106, 's')};
    EXPECT_TRUE(daemon_command(plain_share(), DaemonInfo{}, options));
    options.socket = SocketPath{"/" + std::string(107, 's')};
    EXPECT_FALSE(daemon_command(plain_share(), DaemonInfo{}, options));
    options.socket = SocketPath{""};
    EXPECT_FALSE(daemon_command(plain_share(), DaemonInfo{}, options));
}

TEST(DaemonCommand, RefusesWhatTheUserItRunsAsMayNot) {
    auto options = options_with_path();
    options.runs_as_root = true;
    auto mapped = plain_share();
    mapped.uid_map = {{0, 1000, 1}};
    EXPECT_FALSE(daemon_command(mapped, DaemonInfo{}, options));
    options.runs_as_root = false;
    auto chroot = plain_share();
    chroot.sandbox = SandboxMode::chroot;
    EXPECT_FALSE(daemon_command(chroot, DaemonInfo{}, options));
    const auto handles = share_with_method(MigrationMethod::file_handles);
    EXPECT_FALSE(daemon_command(handles, DaemonInfo{}, options));
}

TEST(MigrationArguments, AreNoneWithoutAMethod) {
    const auto args = migration_arguments(plain_share(), DaemonInfo{});
    ASSERT_TRUE(args);
    EXPECT_TRUE(args->empty());
}

TEST(MigrationArguments, AreThoseOfTheWholeCommandLine) {
    auto share = share_with_method(mapping::MigrationMethod::file_handles);
    share.modcaps = "-mknod";
    const auto whole = daemon_command(share, DaemonInfo{}, options_with_fd());
    const auto added = migration_arguments(share, DaemonInfo{});
    ASSERT_TRUE(whole && added);
    const std::vector<std::string> tail{
        whole->args.end() - static_cast<std::ptrdiff_t>(added->size()), whole->args.end()};
    EXPECT_EQ(*added, tail);
    EXPECT_EQ(added->back(), "--modcaps=-mknod:+dac_read_search");
}

TEST(MigrationArguments, RefuseADaemonThatCannotMigrate) {
    const auto daemon = parse_daemon("1.10.1");
    ASSERT_TRUE(daemon);
    const auto args =
        migration_arguments(share_with_method(mapping::MigrationMethod::find_paths), *daemon);
    ASSERT_FALSE(args);
    EXPECT_EQ(args.error().code(), ENOTSUP);
}

TEST(PveDaemonCommand, RefusesWhatProxmoxHasNoPropertyFor) {
    auto share = plain_share();
    share.writeback = true;
    const auto spec = pve_daemon_command(share, {.fd = 3});
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code(), ENOTSUP);
    EXPECT_EQ(spec.error().place().key, "writeback");
}

TEST(PveDaemonCommand, RefusesFdPassingAndANegativeDescriptor) {
    EXPECT_FALSE(pve_daemon_command(share_with_method(MigrationMethod::fd_passing), {.fd = 3}));
    EXPECT_FALSE(pve_daemon_command(plain_share(), {}));
}

} // namespace
} // namespace vfskit::share
