// SPDX-License-Identifier: Apache-2.0
// Every command line and argument list, compared with tests/golden/share/*.txt, one word per line,
// the program first. To accept a change, run the tests with VFSKIT_UPDATE_GOLDEN=1 and read the
// diff.
#include "core/share/qemu_args.h"
#include "tests/support/golden.h"
#include "tests/unit/share/sample_shares.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace vfskit::share {
namespace {

using mapping::MigrationMethod;
using mapping::PathRelation;

std::string as_lines(const std::vector<std::string>& words) {
    std::string lines;
    for (const auto& word : words) {
        lines += word + '\n';
    }
    return lines;
}

void compare_with_golden(const std::string& name, const std::vector<std::string>& words) {
    test::compare_with_golden("share/" + name + ".txt", as_lines(words));
}

void compare_with_golden(const std::string& name, const Result<ProcessSpec>& spec) {
    ASSERT_TRUE(spec) << spec.error().describe();
    std::vector<std::string> words{spec->program};
    words.insert(words.end(), spec->args.begin(), spec->args.end());
    compare_with_golden(name, words);
}

void compare_with_golden(const std::string& name, const Result<std::vector<std::string>>& args) {
    ASSERT_TRUE(args) << args.error().describe();
    compare_with_golden(name, *args);
}

DaemonInfo daemon_called(const std::string& word) {
    return parse_daemon(word).value_or(DaemonInfo{});
}

Share same_directory_share(MigrationMethod method) {
    auto share = share_with_method(method);
    share.path_relation = PathRelation::same_directory;
    return share;
}

/// What every daemon knows, the C one included.
Share oldest_options_share() {
    auto share = plain_share();
    share.path = "/srv/a,b\\c";
    share.cache = CachePolicy::always;
    share.writeback = true;
    share.xattr = true;
    share.xattrmap = ":prefix:all::user.virtiofs.::bad:all:::";
    share.posix_acl = Negotiation::always;
    share.security_label = Negotiation::always;
    share.allow_direct_io = true;
    share.announce_submounts = true;
    share.thread_pool_size = 8;
    share.sandbox = SandboxMode::chroot;
    share.modcaps = "+sys_admin:-mknod";
    share.rlimit_nofile = 4096;
    return share;
}

Share read_only_share() {
    auto share = plain_share();
    share.readonly = true;
    share.cache = CachePolicy::metadata;
    share.allow_mmap = true;
    share.announce_submounts = false;
    share.inode_file_handles = InodeFileHandles::prefer;
    share.sandbox = SandboxMode::none;
    share.translate_uid = {"map:0:100000:65536", "forbid-guest:65536:1000"};
    share.translate_gid = {"squash-guest:0:1000:65536"};
    return share;
}

Share unprivileged_share() {
    auto share = plain_share();
    share.sandbox = SandboxMode::namespaces;
    share.inode_file_handles = InodeFileHandles::never;
    share.uid_map = {{0, 1000, 1}, {1, 100000, 65535}};
    share.gid_map = {{0, 1000, 1}, {1, 100000, 65535}};
    return share;
}

DaemonCommandOptions talkative_options() {
    auto options = options_with_path();
    options.socket_group = "kvm";
    options.log_level = LogLevel::error;
    options.syslog = true;
    return options;
}

// ----- the C daemon -----

TEST(GoldenCDaemon, RunsAPlainShare) {
    compare_with_golden("c-plain",
                        daemon_command(plain_share(), daemon_called("c"), options_with_path()));
}

TEST(GoldenCDaemon, PutsEveryOptionItKnowsBehindO) {
    compare_with_golden(
        "c-options",
        daemon_command(oldest_options_share(), daemon_called("c"), talkative_options()));
}

TEST(GoldenCDaemon, CallsCacheNeverNone) {
    auto share = plain_share();
    share.cache = CachePolicy::never;
    share.sandbox = SandboxMode::namespaces;
    compare_with_golden("c-cache-never",
                        daemon_command(share, daemon_called("c"), options_with_fd()));
}

// ----- before 1.11 -----

TEST(GoldenRust10, RunsAPlainShare) {
    compare_with_golden(
        "rust-1.10.1-plain",
        daemon_command(plain_share(), daemon_called("1.10.1"), options_with_path()));
}

TEST(GoldenRust10, TakesTheOldestOptions) {
    compare_with_golden(
        "rust-1.10.1-options",
        daemon_command(oldest_options_share(), daemon_called("1.10.1"), talkative_options()));
}

TEST(GoldenRust10, SwitchesSubmountsOffByNotAnnouncingThemBefore16) {
    auto share = plain_share();
    share.announce_submounts = false;
    compare_with_golden("rust-1.5.0-no-announce-submounts",
                        daemon_command(share, daemon_called("1.5.0"), options_with_path()));
}

// ----- 1.11 to 1.13 -----

TEST(GoldenRust111, RunsAPlainShare) {
    compare_with_golden("rust-1.13.2-plain",
                        daemon_command(plain_share(), daemon_called("1.13.2"), options_with_fd()));
}

TEST(GoldenRust111, TakesTheOldestOptions) {
    compare_with_golden(
        "rust-1.13.2-options",
        daemon_command(oldest_options_share(), daemon_called("1.13.2"), talkative_options()));
}

TEST(GoldenRust111, TakesAReadOnlyShare) {
    compare_with_golden(
        "rust-1.13.2-readonly",
        daemon_command(read_only_share(), daemon_called("1.13.2"), options_with_path()));
}

TEST(GoldenRust111, TakesAnUnprivilegedShare) {
    compare_with_golden(
        "rust-1.13.2-unprivileged",
        daemon_command(unprivileged_share(), daemon_called("1.13.2"), options_with_path()));
}

TEST(GoldenRust111, VerifiesHandlesOfOneDirectory) {
    compare_with_golden("rust-1.13.2-find-paths-same-directory",
                        daemon_command(same_directory_share(MigrationMethod::find_paths),
                                       daemon_called("1.13.2"),
                                       options_with_path()));
}

TEST(GoldenRust111, DoesNotVerifyHandlesOfReplicas) {
    auto share = share_with_method(MigrationMethod::find_paths);
    share.path_relation = PathRelation::replicas;
    compare_with_golden("rust-1.13.2-find-paths-replicas",
                        daemon_command(share, daemon_called("1.13.2"), options_with_path()));
}

TEST(GoldenRust111, MigratesByFileHandles) {
    compare_with_golden("rust-1.13.2-file-handles",
                        daemon_command(same_directory_share(MigrationMethod::file_handles),
                                       daemon_called("1.13.2"),
                                       options_with_path()));
}

TEST(GoldenRust111, MigratesByPathsSince111) {
    compare_with_golden("rust-1.11.0-find-paths-same-directory",
                        daemon_command(same_directory_share(MigrationMethod::find_paths),
                                       daemon_called("1.11.0"),
                                       options_with_path()));
}

// ----- 1.14 -----

TEST(GoldenRust114, RunsAPlainShare) {
    compare_with_golden("rust-1.14.0-plain",
                        daemon_command(plain_share(), daemon_called("1.14.0"), options_with_fd()));
}

TEST(GoldenRust114, TakesTheOldestOptions) {
    compare_with_golden(
        "rust-1.14.0-options",
        daemon_command(oldest_options_share(), daemon_called("1.14.0"), talkative_options()));
}

TEST(GoldenRust114, NegotiatesAclsAndLabels) {
    auto share = plain_share();
    share.posix_acl = Negotiation::automatic;
    share.security_label = Negotiation::automatic;
    compare_with_golden("rust-1.14.0-negotiation",
                        daemon_command(share, daemon_called("1.14.0"), options_with_path()));
}

TEST(GoldenRust114, TakesAReadOnlyShare) {
    compare_with_golden(
        "rust-1.14.0-readonly",
        daemon_command(read_only_share(), daemon_called("1.14.0"), options_with_path()));
}

TEST(GoldenRust114, VerifiesHandlesOfOneDirectory) {
    compare_with_golden("rust-1.14.0-find-paths-same-directory",
                        daemon_command(same_directory_share(MigrationMethod::find_paths),
                                       daemon_called("1.14.0"),
                                       options_with_path()));
}

TEST(GoldenRust114, LetsTheGuestSeeErrorsWhenTold) {
    auto share = share_with_method(MigrationMethod::find_paths);
    share.on_error = OnError::guest_error;
    compare_with_golden("rust-1.14.0-find-paths-guest-error",
                        daemon_command(share, daemon_called("1.14.0"), options_with_path()));
}

TEST(GoldenRust114, JoinsItsOwnCapabilityToTheUsers) {
    auto share = same_directory_share(MigrationMethod::file_handles);
    share.modcaps = "+sys_admin";
    compare_with_golden("rust-1.14.0-file-handles-modcaps",
                        daemon_command(share, daemon_called("1.14.0"), options_with_path()));
}

TEST(GoldenRust114, AdvertisesTheTagWhenTold) {
    auto options = options_with_path();
    options.advertise_tag = true;
    compare_with_golden("rust-1.14.0-tag",
                        daemon_command(plain_share(), daemon_called("1.14.0"), options));
}

// ----- the bundled daemon -----

TEST(GoldenBundled, RunsAPlainShare) {
    compare_with_golden("bundled-plain",
                        daemon_command(plain_share(), daemon_called("bundled"), options_with_fd()));
}

TEST(GoldenBundled, NeedsNoOptionForSeveralQueues) {
    auto share = plain_share();
    share.request_queues = 4;
    share.thread_pool_size = 4;
    compare_with_golden("bundled-queues",
                        daemon_command(share, daemon_called("bundled"), options_with_path()));
}

TEST(GoldenBundled, PassesDescriptors) {
    compare_with_golden("bundled-fd-passing",
                        daemon_command(same_directory_share(MigrationMethod::fd_passing),
                                       daemon_called("bundled"),
                                       options_with_path()));
}

TEST(GoldenBundled, MigratesByPaths) {
    compare_with_golden("bundled-find-paths-same-directory",
                        daemon_command(same_directory_share(MigrationMethod::find_paths),
                                       daemon_called("bundled"),
                                       options_with_path()));
}

TEST(GoldenBundled, MigratesByFileHandles) {
    compare_with_golden("bundled-file-handles",
                        daemon_command(same_directory_share(MigrationMethod::file_handles),
                                       daemon_called("bundled"),
                                       options_with_path()));
}

// ----- Proxmox VE -----

constexpr PveCommandOptions pve_options{.fd = 7};

Share pve_full_share() {
    auto share = plain_share();
    share.xattr = true;
    share.posix_acl = Negotiation::always;
    share.allow_direct_io = true;
    share.readonly = true;
    share.cache = CachePolicy::metadata;
    share.inode_file_handles = InodeFileHandles::prefer;
    return share;
}

TEST(GoldenPve, RunsAPlainShare) {
    compare_with_golden("pve-plain", pve_daemon_command(plain_share(), pve_options));
}

TEST(GoldenPve, PutsEachOptionInItsPlace) {
    auto share = pve_full_share();
    share.method = MigrationMethod::find_paths;
    compare_with_golden("pve-full-find-paths", pve_daemon_command(share, pve_options));
}

TEST(GoldenPve, MigratesByPaths) {
    compare_with_golden(
        "pve-find-paths",
        pve_daemon_command(share_with_method(MigrationMethod::find_paths), pve_options));
}

TEST(GoldenPve, MigratesByFileHandles) {
    compare_with_golden(
        "pve-file-handles",
        pve_daemon_command(share_with_method(MigrationMethod::file_handles), pve_options));
}

// ----- QEMU -----

constexpr std::uint64_t gib = 1ULL << 30;
constexpr std::uint64_t mib = 1ULL << 20;

TEST(GoldenQemu, AddsOneDevice) {
    const std::vector<QemuDevice> devices{
        {.share = plain_share(), .socket_path = "/run/vfskit/101-media.sock"}};
    compare_with_golden("qemu-one-device", device_args(devices));
}

TEST(GoldenQemu, AddsTwoDevicesWithAddressesQueuesAndCommas) {
    auto second = plain_share();
    second.tag = "a,b";
    second.request_queues = 4;
    second.queue_size = 512;
    const std::vector<QemuDevice> devices{{.share = plain_share(),
                                           .socket_path = "/run/vfskit/101-media.sock",
                                           .pci = PciAddress{.bus = "pcie.0", .addr = "0x5"}},
                                          {.share = second,
                                           .socket_path = "/run/vfskit/101-a,b.sock",
                                           .pci = PciAddress{.bus = "pcie.0", .addr = "0x6.0"}}};
    compare_with_golden("qemu-two-devices", device_args(devices));
}

TEST(GoldenQemu, SharesAnonymousMemory) {
    compare_with_golden("qemu-memory-memfd", memory_args({.bytes = gib}));
}

TEST(GoldenQemu, SharesHugePages) {
    compare_with_golden("qemu-memory-hugepages",
                        memory_args({.bytes = 96 * mib, .hugepage_bytes = 2 * mib}));
}

TEST(GoldenQemu, SharesAFileSystemsMemory) {
    compare_with_golden("qemu-memory-file", memory_args({.bytes = gib, .file_path = "/dev/shm"}));
}

TEST(GoldenQemu, SharesEachNumaCell) {
    const QemuMemory memory{
        .bytes = gib,
        .file_path = {},
        .hugepage_bytes = {},
        .cells = {{.bytes = 768 * mib, .cpus = "0-1,3"}, {.bytes = 256 * mib, .cpus = "2"}}};
    compare_with_golden("qemu-memory-numa", memory_args(memory));
}

} // namespace
} // namespace vfskit::share
