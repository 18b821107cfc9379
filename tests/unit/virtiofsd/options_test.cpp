// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::virtiofsd {
namespace {

using ::testing::HasSubstr;

Invocation parse(std::vector<std::string> args, std::string_view rust_log = {}) {
    return parse_options(args, rust_log);
}

// With the two arguments that every run needs.
Options run_options(std::vector<std::string> args) {
    args.insert(args.begin(), {"--fd=3", "--shared-dir=/srv"});
    const auto invocation = parse(std::move(args));
    EXPECT_EQ(invocation.action, Invocation::Action::run) << invocation.text;
    return invocation.options;
}

Invocation usage_error(std::vector<std::string> args) {
    args.insert(args.begin(), {"--fd=3", "--shared-dir=/srv"});
    auto invocation = parse(std::move(args));
    EXPECT_EQ(invocation.action, Invocation::Action::fail);
    EXPECT_EQ(invocation.exit_status, 2);
    return invocation;
}

TEST(Options, NoArgumentsPrintHelpAndFail) {
    const auto invocation = parse({});
    EXPECT_EQ(invocation.action, Invocation::Action::fail);
    EXPECT_EQ(invocation.exit_status, 2);
    EXPECT_THAT(invocation.text, HasSubstr("--shared-dir"));
}

TEST(Options, DefaultsAreUpstreams) {
    const auto options = run_options({});
    EXPECT_EQ(options.cache, CachePolicy::automatic);
    EXPECT_EQ(options.sandbox, SandboxMode::namespaces);
    EXPECT_EQ(options.inode_file_handles, InodeFileHandles::prefer);
    EXPECT_EQ(options.seccomp, SeccompAction::kill);
    EXPECT_TRUE(options.announce_submounts);
    EXPECT_FALSE(options.xattr);
    EXPECT_FALSE(options.posix_lock);
}

TEST(Options, TakesTheLineThatProxmoxHardCodes) {
    const auto invocation = parse({"--fd=7",
                                   "--shared-dir=/mnt/my files",
                                   "--xattr",
                                   "--posix-acl",
                                   "--announce-submounts",
                                   "--allow-direct-io",
                                   "--cache=always",
                                   "--inode-file-handles=prefer",
                                   "--migration-on-error=guest-error",
                                   "--migration-mode=find-paths",
                                   "--migration-verify-handles",
                                   "--migration-confirm-paths",
                                   "--syslog"});
    ASSERT_EQ(invocation.action, Invocation::Action::run) << invocation.text;
    EXPECT_EQ(invocation.options.fd, 7);
    EXPECT_EQ(invocation.options.shared_dir, "/mnt/my files");
    EXPECT_EQ(invocation.options.posix_acl, Negotiation::always);
    EXPECT_EQ(invocation.options.migration_on_error, OnError::guest_error);
    EXPECT_TRUE(invocation.options.syslog);
}

TEST(Options, TakesTheLineThatLibvirtBuildsForOldDaemons) {
    const auto invocation =
        parse({"--fd=32", "-o", "source=/srv,cache=none,sandbox=chroot,xattr,no_posix_lock"});
    ASSERT_EQ(invocation.action, Invocation::Action::run) << invocation.text;
    EXPECT_EQ(invocation.options.shared_dir, "/srv");
    EXPECT_EQ(invocation.options.cache, CachePolicy::never);
    EXPECT_EQ(invocation.options.sandbox, SandboxMode::chroot);
    EXPECT_TRUE(invocation.options.xattr);
    EXPECT_FALSE(invocation.options.warnings.empty());
}

// Lines that were seen or are in the sources of those that start the daemon.
TEST(Options, TakesTheLinesOfOtherCallers) {
    const std::vector<std::vector<std::string>> lines{
        // Kata Containers, with its oldest and newest spellings
        {"--fd=3",
         "-o",
         "source=/run/kata",
         "-o",
         "cache=auto",
         "--syslog",
         "-o",
         "no_posix_lock",
         "-f"},
        {"--syslog",
         "--cache=auto",
         "--shared-dir=/run/kata",
         "--fd=3",
         "--thread-pool-size=1",
         "--announce-submounts"},
        // KubeVirt
        {"--socket-path=/var/run/kubevirt/virtiofs.sock",
         "--shared-dir=/mnt",
         "--sandbox=none",
         "--cache=auto",
         "--migration-on-error=guest-error",
         "--migration-mode=find-paths"},
        // coreos-assembler, flintlock, virtme-ng
        {"--sandbox", "none", "--socket-path", "/tmp/s", "--shared-dir", "."},
        {"--syslog",
         "--inode-file-handles=mandatory",
         "--announce-submounts",
         "--cache=never",
         "--sandbox=chroot",
         "--thread-pool-size=32",
         "--shared-dir=/srv",
         "--socket-path=/run/s"},
        {"--syslog",
         "-o",
         "cache=always",
         "--socket-path",
         "/tmp/s",
         "--shared-dir",
         "/",
         "--announce-submounts",
         "--sandbox",
         "none"},
        // systemd-vmspawn
        {"--shared-dir",
         "/var/lib/machines/a",
         "--xattr",
         "--fd",
         "3",
         "--no-announce-submounts",
         "--translate-uid=squash-guest:0:1000:1",
         "--translate-gid=squash-guest:0:1000:1"}};
    for (const auto& line : lines) {
        const auto invocation = parse(line);
        EXPECT_EQ(invocation.action, Invocation::Action::run) << invocation.text;
        EXPECT_TRUE(check_combinations(invocation.options, true));
    }
}

TEST(Options, LegacyListOverridesLongOptions) {
    EXPECT_EQ(run_options({"-o", "cache=always", "--cache=never"}).cache, CachePolicy::always);
}

TEST(Options, LastOfARepeatedOptionWins) {
    EXPECT_EQ(run_options({"--cache=always", "--cache=never"}).cache, CachePolicy::never);
    EXPECT_FALSE(
        run_options({"--announce-submounts", "--no-announce-submounts"}).announce_submounts);
}

TEST(Options, WordsDoNotCareAboutCase) {
    EXPECT_EQ(run_options({"--sandbox", "NONE"}).sandbox, SandboxMode::none);
}

TEST(Options, ModcapsWithAMinusNeedsTheEqualsSign) {
    EXPECT_EQ(run_options({"--modcaps=-mknod"}).modcaps, "-mknod");
    EXPECT_THAT(usage_error({"--modcaps", "-mknod"}).text, HasSubstr("a value is required"));
}

TEST(Options, InodeFileHandlesNeedsTheEqualsSign) {
    const auto fallback = run_options({"--inode-file-handles=fallback"});
    EXPECT_EQ(fallback.inode_file_handles, InodeFileHandles::prefer);
    EXPECT_THAT(fallback.warnings, testing::Contains(HasSubstr("deprecated value 'fallback'")));
    EXPECT_THAT(usage_error({"--inode-file-handles", "never"}).text,
                HasSubstr("a value is required"));
}

TEST(Options, AclIsAFlagOrHasAValueAfterEquals) {
    EXPECT_EQ(run_options({"--posix-acl"}).posix_acl, Negotiation::always);
    EXPECT_EQ(run_options({"--posix-acl=auto"}).posix_acl, Negotiation::automatic);
    EXPECT_TRUE(run_options({"--posix-acl=auto"}).xattr);
    EXPECT_THAT(usage_error({"--posix-acl", "auto"}).text, HasSubstr("unexpected argument 'auto'"));
}

TEST(Options, XattrMapImpliesXattr) {
    EXPECT_TRUE(run_options({"--xattrmap=:map::user.virtiofs.:"}).xattr);
}

TEST(Options, UnknownOptionSuggestsTheNearOne) {
    EXPECT_THAT(usage_error({"--shared-dri=/srv"}).text, HasSubstr("Did you mean '--shared-dir'?"));
}

TEST(Options, FlagRefusesAValue) {
    EXPECT_THAT(usage_error({"--xattr=on"}).text, HasSubstr("unexpected value 'on' for '--xattr'"));
}

TEST(Options, UnknownLegacyWordIsNamed) {
    EXPECT_THAT(usage_error({"-o", "timeout=5"}).text,
                HasSubstr("Invalid compat argument '-o timeout=5'"));
}

TEST(Options, LegacyKnowsNoSandboxNone) {
    EXPECT_THAT(usage_error({"-o", "sandbox=none"}).text,
                HasSubstr("Invalid compat value 'none' for '-o sandbox'"));
}

TEST(Options, FdExcludesSocketPath) {
    EXPECT_THAT(usage_error({"--socket-path=/run/s"}).text, HasSubstr("cannot be used with"));
}

TEST(Options, ShortFlagsMayShareADash) {
    const auto options = run_options({"-dfo", "xattr", "-foreaddirplus"});
    EXPECT_EQ(options.log_level, LogLevel::debug);
    EXPECT_TRUE(options.xattr);
    EXPECT_EQ(options.warnings.size(), 4U);
    EXPECT_THAT(usage_error({"-dx"}).text, HasSubstr("unexpected argument '-x'"));
}

TEST(Options, TwoDashesEndTheOptions) {
    run_options({"--"});
    EXPECT_THAT(usage_error({"--", "--xattr"}).text, HasSubstr("unexpected argument '--xattr'"));
}

TEST(Options, TheFirstOfHelpAndVersionIsAnswered) {
    for (const char* first : {"--version", "-V", "-dV", "-Vh"}) {
        const auto invocation = parse({first, "-o", "bogus", "--help", "--no-such-option"});
        EXPECT_EQ(invocation.exit_status, 0) << first;
        EXPECT_THAT(invocation.text, HasSubstr("virtiofsd 1.14.0")) << first;
    }
    EXPECT_THAT(parse({"--help", "--version"}).text, HasSubstr("Usage:"));
    EXPECT_EQ(parse({"--no-such-option", "--version"}).exit_status, 2);
    EXPECT_EQ(parse({"--version=1"}).exit_status, 2);
}

TEST(Options, SocketPathGoesBeforeItsDeprecatedSpelling) {
    const auto both = parse({"--shared-dir=/srv", "--socket=/run/old", "--socket-path=/run/new"});
    EXPECT_EQ(both.options.socket_path, "/run/new");
    EXPECT_TRUE(both.options.warnings.empty());
    const auto old = parse({"--shared-dir=/srv", "--socket=/run/old"});
    EXPECT_EQ(old.options.socket_path, "/run/old");
    EXPECT_EQ(old.options.warnings.size(), 1U);
}

TEST(Options, AMapThatCannotBeReadIsAWrongCommandLine) {
    usage_error({"--xattrmap=:ok:all:"});
    usage_error({"--xattrmap=:prefix:all::user.virtiofs.:"});
    EXPECT_THAT(usage_error({"-o", "xattrmap=:bogus:"}).text,
                HasSubstr("Invalid compat value ':bogus:' for '-o xattrmap'"));
    usage_error({"--translate-uid=bogus:1:2"});
    usage_error({"--translate-gid=map:1:2"});
}

TEST(Options, SharedDirIsRequired) {
    EXPECT_EQ(parse({"--fd=3"}).exit_status, 2);
    EXPECT_THAT(parse({"--fd=3"}).text, HasSubstr("missing \"--shared-dir\""));
}

TEST(Options, TagIsBoundedByTheDevicesField) {
    EXPECT_EQ(run_options({"--tag", std::string(36, 'x')}).tag, std::string(36, 'x'));
    EXPECT_THAT(usage_error({"--tag", std::string(37, 'x')}).text, HasSubstr("36 bytes"));
}

TEST(Options, IdMapTakesAnyDelimiter) {
    EXPECT_EQ(run_options({"--uid-map=|0|100000|65536|"}).uid_map,
              (std::vector<NamespaceIdRange>{{0, 100000, 65536}}));
    EXPECT_THAT(usage_error({"--uid-map=0:1:2"}).text, HasSubstr(":namespace_id:host_id:count:"));
}

TEST(Options, RustLogOverridesTheLevel) {
    EXPECT_EQ(
        parse({"--fd=3", "--shared-dir=/srv", "--log-level=error"}, "debug").options.log_level,
        LogLevel::debug);
}

TEST(Options, RustLogMayNameTheProgram) {
    const auto level = [](std::string_view rust_log) {
        return parse({"--fd=3", "--shared-dir=/srv"}, rust_log).options.log_level;
    };
    EXPECT_EQ(level("virtiofsd=debug"), LogLevel::debug);
    EXPECT_EQ(level("virtiofsd=trace,warn"), LogLevel::trace);
    EXPECT_EQ(level("another=trace"), LogLevel::info);
    EXPECT_EQ(level(""), LogLevel::info);
}

TEST(Options, VersionBeginsAsUpstreamsDoes) {
    EXPECT_TRUE(parse({"--version"}).text.starts_with("virtiofsd 1.14.0"));
    EXPECT_EQ(parse({"-V"}).exit_status, 0);
}

TEST(Options, CapabilitiesNeedNoOtherOption) {
    const auto invocation = parse({"--print-capabilities"});
    EXPECT_EQ(invocation.exit_status, 0);
    EXPECT_THAT(invocation.text, HasSubstr("\"separate-options\""));
    EXPECT_THAT(invocation.text, HasSubstr("\"vfskit-fd-passing\""));
}

TEST(Combinations, IdMapsNeedAnUnprivilegedNamespace) {
    const auto options = run_options({"--uid-map=:0:1000:1:"});
    EXPECT_FALSE(check_combinations(options, true));
    EXPECT_TRUE(check_combinations(options, false));
}

TEST(Combinations, ChrootIsForRoot) {
    EXPECT_FALSE(check_combinations(run_options({"--sandbox=chroot"}), false));
}

TEST(Combinations, VerifyHandlesNeedsFindPaths) {
    EXPECT_FALSE(check_combinations(
        run_options({"--migration-mode=file-handles", "--migration-verify-handles"}), true));
}

TEST(Combinations, FdPassingIsAWayOfItsOwn) {
    const auto options =
        run_options({"--migration-mode=fd-passing", "--migration-socket-dir=/run/x"});
    EXPECT_EQ(options.migration_mode, MigrationMode::fd_passing);
    EXPECT_EQ(options.migration_socket_dir, "/run/x");
    EXPECT_TRUE(check_combinations(options, true));
    EXPECT_FALSE(check_combinations(
        run_options({"--migration-mode=fd-passing", "--migration-confirm-paths"}), true));
    EXPECT_FALSE(check_combinations(run_options({"--migration-socket-dir=/run/x"}), true));
}

TEST(Combinations, TranslationExcludesAcls) {
    EXPECT_FALSE(
        check_combinations(run_options({"--translate-uid=map:0:1:1", "--posix-acl=auto"}), true));
}

} // namespace
} // namespace vfskit::virtiofsd
