// SPDX-License-Identifier: Apache-2.0
#include "core/share/daemon_command.h"
#include "core/store/pve_store.h"
#include "tests/unit/pve-plugin/launcher_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

namespace vfskit::pve_plugin {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Args = std::vector<std::string>;

class LauncherDecision : public testing::Test {
protected:
    [[nodiscard]] Decision decide_for(const Args& args, const Settings& settings) const {
        return decide(args, settings, {.node = "n1", .run = run_});
    }
    [[nodiscard]] Decision decide_stock_call() const {
        return decide_for(cluster_.stock_arguments(), cluster_.settings());
    }
    void expect_nothing_added(const Decision& decision) const {
        EXPECT_EQ(decision.args, cluster_.stock_arguments());
    }

    FakeCluster cluster_;
    share::ProcessRunner run_ = stub_daemons("1.13.2");
};

TEST_F(LauncherDecision, AddsNothingToAShareWithoutAMethod) {
    const auto decision = decide_stock_call();
    expect_nothing_added(decision);
    EXPECT_EQ(decision.program, "/bundled");
    EXPECT_EQ(decision.fallback, "/system");
    EXPECT_THAT(decision.notice, IsEmpty());
}

TEST_F(LauncherDecision, AddsTheMethodBeforeSyslog) {
    cluster_.write_mapping("live-migration-method find-paths");
    EXPECT_EQ(decide_stock_call().args,
              (Args{cluster_.fd_option(),
                    "--shared-dir=/srv/media",
                    "--announce-submounts",
                    "--cache=never",
                    "--migration-on-error=abort",
                    "--migration-mode=find-paths",
                    "--migration-confirm-paths",
                    "--syslog"}));
}

TEST_F(LauncherDecision, VerifiesHandlesOfASharedDirectory) {
    cluster_.write_mapping(
        Args{"live-migration-method find-paths", "path-relation same-directory"});
    EXPECT_THAT(decide_stock_call().args, Contains("--migration-verify-handles"));
}

TEST_F(LauncherDecision, KeepsTheCapabilitiesThatTheCallerAskedFor) {
    cluster_.write_mapping("live-migration-method file-handles");
    auto args = cluster_.stock_arguments();
    args.insert(args.begin(), "--modcaps=-mknod");
    EXPECT_THAT(decide_for(args, cluster_.settings()).args,
                AllOf(Contains("--migration-mode=file-handles"),
                      Contains("--modcaps=-mknod:+dac_read_search")));
}

TEST_F(LauncherDecision, TakesTheMethodFromTheSecondFileWhenAStockNodeDroppedIt) {
    auto store = store::open_pve_store(cluster_.settings().pve_root);
    ASSERT_TRUE(store);
    const auto snapshot = (*store)->snapshot();
    ASSERT_TRUE(snapshot);
    auto mapping = *snapshot->find("media");
    mapping.live_migration_method = mapping::MigrationMethod::find_paths;
    ASSERT_TRUE((*store)->commit(snapshot->revision, {store::PutMapping{mapping}}));
    cluster_.write_mapping("");
    EXPECT_THAT(decide_stock_call().args, Contains("--migration-mode=find-paths"));
}

TEST_F(LauncherDecision, FindsAnIncomingVmUnderItsSourceNode) {
    cluster_.write_mapping("live-migration-method find-paths");
    cluster_.remove_vm("n1");
    cluster_.write_vm("n2", "virtiofs1: media\n");
    EXPECT_THAT(decide_stock_call().args, Contains("--migration-mode=find-paths"));
}

TEST_F(LauncherDecision, ObeysTheConfiguredPolicyForErrors) {
    cluster_.write_mapping("live-migration-method find-paths");
    auto settings = cluster_.settings();
    settings.on_error = share::OnError::guest_error;
    EXPECT_THAT(decide_for(cluster_.stock_arguments(), settings).args,
                Contains("--migration-on-error=guest-error"));
}

TEST_F(LauncherDecision, RunsTheSystemsDaemonWhenConfigured) {
    cluster_.write_mapping("live-migration-method find-paths");
    auto settings = cluster_.settings();
    settings.daemon = DaemonChoice::system;
    const auto decision = decide_for(cluster_.stock_arguments(), settings);
    EXPECT_EQ(decision.program, "/system");
    EXPECT_EQ(decision.fallback, "/bundled");
    EXPECT_THAT(decision.args, Contains("--migration-mode=find-paths"));
}

TEST_F(LauncherDecision, AddsNothingForADaemonThatCannotMigrate) {
    run_ = stub_daemons("1.10.1");
    cluster_.write_mapping("live-migration-method find-paths");
    auto settings = cluster_.settings();
    settings.daemon = DaemonChoice::system;
    const auto decision = decide_for(cluster_.stock_arguments(), settings);
    expect_nothing_added(decision);
    EXPECT_THAT(decision.notice, HasSubstr("virtiofsd 1.10.1"));
}

TEST_F(LauncherDecision, FallsBackToTheDaemonThatAnswers) {
    run_ = [working =
                stub_daemons("1.13.2")](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        return spec.program == "/bundled" ? Error::from_errno(ENOENT, "Cannot execute")
                                          : working(spec);
    };
    cluster_.write_mapping("live-migration-method find-paths");
    const auto decision = decide_stock_call();
    EXPECT_EQ(decision.program, "/system");
    EXPECT_THAT(decision.notice, HasSubstr("takes the place of \"/bundled\""));
    EXPECT_THAT(decision.args, Contains("--migration-mode=find-paths"));
}

// As an option of a Proxmox VE that is newer than the bundled daemon.
TEST_F(LauncherDecision, FallsBackToTheDaemonThatTakesTheOptions) {
    run_ = [working =
                stub_daemons("1.13.2")](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        const bool is_asked = std::ranges::count(spec.args, "--of-tomorrow") != 0;
        if (spec.program == "/bundled" && is_asked) {
            return base::ProcessOutput{2, "", "error: unexpected argument"};
        }
        return working(spec);
    };
    cluster_.write_mapping("live-migration-method find-paths");
    auto args = cluster_.stock_arguments();
    EXPECT_EQ(decide_for(args, cluster_.settings()).program, "/bundled");
    args.emplace_back("--of-tomorrow");
    const auto decision = decide_for(args, cluster_.settings());
    EXPECT_EQ(decision.program, "/system");
    EXPECT_THAT(decision.notice, HasSubstr("refuses Proxmox VE's options"));
    EXPECT_THAT(decision.args,
                AllOf(Contains("--of-tomorrow"), Contains("--migration-mode=find-paths")));
}

TEST_F(LauncherDecision, KeepsTheChosenDaemonWhenNoneTakesTheOptions) {
    run_ = [working =
                stub_daemons("1.13.2")](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        return spec.args.size() > 1 ? base::ProcessOutput{2, "", "error"} : working(spec);
    };
    const auto decision = decide_stock_call();
    EXPECT_EQ(decision.program, "/bundled");
    expect_nothing_added(decision);
    EXPECT_THAT(decision.notice, HasSubstr("refuses Proxmox VE's options"));
}

TEST_F(LauncherDecision, StillNamesADaemonWhenNoneAnswers) {
    run_ = [](const ProcessSpec&) -> Result<base::ProcessOutput> {
        return Error::from_errno(ENOENT, "Cannot execute");
    };
    const auto decision = decide_stock_call();
    EXPECT_EQ(decision.program, "/bundled");
    expect_nothing_added(decision);
}

TEST_F(LauncherDecision, PassesQuestionsAboutTheBinaryThrough) {
    const auto decision = decide_for({"--print-capabilities"}, cluster_.settings());
    EXPECT_EQ(decision.args, Args{"--print-capabilities"});
    EXPECT_EQ(decision.program, "/bundled");
    EXPECT_THAT(decision.notice, IsEmpty());
}

TEST_F(LauncherDecision, LeavesACallWithASocketOfItsOwnAlone) {
    const Args args{"--socket-path=/run/own.sock", "--shared-dir=/srv/media"};
    const auto decision = decide_for(args, cluster_.settings());
    EXPECT_EQ(decision.args, args);
    EXPECT_THAT(decision.notice, IsEmpty());
}

// ----- doubt: stock arguments, and a notice that names it ----------------------------------------

TEST_F(LauncherDecision, AddsNothingWhenTheDescriptorIsNoSocket) {
    cluster_.write_mapping("live-migration-method find-paths");
    const Args args{"--fd=0", "--shared-dir=/srv/media"};
    const auto decision = decide_for(args, cluster_.settings());
    EXPECT_EQ(decision.args, args);
    EXPECT_THAT(decision.notice, StartsWith("No options for live migration"));
}

TEST_F(LauncherDecision, AddsNothingForASocketWithAForeignName) {
    cluster_.write_mapping("live-migration-method find-paths");
    const auto foreign = listen_at(cluster_.dir().path("run/foreign.sock"));
    const Args args{fmt::format("--fd={}", foreign.get()), "--shared-dir=/srv/media"};
    const auto decision = decide_for(args, cluster_.settings());
    EXPECT_EQ(decision.args, args);
    EXPECT_THAT(decision.notice, HasSubstr("foreign.sock"));
}

TEST_F(LauncherDecision, AddsNothingWhenTheVmHasNoSuchDevice) {
    cluster_.write_mapping("live-migration-method find-paths");
    cluster_.write_vm("n1", "virtiofs0: media\n");
    const auto decision = decide_stock_call();
    expect_nothing_added(decision);
    EXPECT_THAT(decision.notice, HasSubstr("VM 114 has no virtiofs1"));
}

TEST_F(LauncherDecision, AddsNothingWhenTheVmIsUnknown) {
    cluster_.write_mapping("live-migration-method find-paths");
    cluster_.remove_vm("n1");
    expect_nothing_added(decide_stock_call());
}

TEST_F(LauncherDecision, AddsNothingWhenTheMappingWasDeleted) {
    cluster_.dir().write("pve/mapping/directory.cfg", "other\n\tmap node=n1,path=/srv/media\n\n");
    const auto decision = decide_stock_call();
    expect_nothing_added(decision);
    EXPECT_THAT(decision.notice, HasSubstr("\"media\" does not exist"));
}

TEST_F(LauncherDecision, AddsNothingWhenProxmoxSharesAnotherPath) {
    cluster_.write_mapping("live-migration-method find-paths");
    auto args = cluster_.stock_arguments();
    args[1] = "--shared-dir=/srv/elsewhere";
    const auto decision = decide_for(args, cluster_.settings());
    EXPECT_EQ(decision.args, args);
    EXPECT_THAT(decision.notice, AllOf(HasSubstr("/srv/elsewhere"), HasSubstr("/srv/media")));
}

TEST_F(LauncherDecision, AddsNothingToOptionsOfAProxmoxThatMigratesByItself) {
    cluster_.write_mapping("live-migration-method find-paths");
    auto args = cluster_.stock_arguments();
    args.emplace_back("--migration-mode=file-handles");
    EXPECT_EQ(decide_for(args, cluster_.settings()).args, args);
}

TEST_F(LauncherDecision, AddsNothingWithoutPmxcfs) {
    auto settings = cluster_.settings();
    settings.pve_root = cluster_.dir().path("nowhere");
    const auto decision = decide_for(cluster_.stock_arguments(), settings);
    expect_nothing_added(decision);
    EXPECT_THAT(decision.notice, StartsWith("No options for live migration"));
}

TEST_F(LauncherDecision, AddsNothingForFdPassingThatTheDaemonDoesNotKnow) {
    cluster_.write_mapping("live-migration-method fd-passing");
    expect_nothing_added(decide_stock_call());
}

// ----- compat: byte for byte what Proxmox VE's own patch runs
// -------------------------------------

struct CompatCase {
    mapping::MigrationMethod method;
    share::Share share;
    std::string device;
};

class LauncherCompat : public LauncherDecision, public testing::WithParamInterface<CompatCase> {};

TEST_P(LauncherCompat, RunsWhatProxmoxRuns) {
    auto share = GetParam().share;
    share.dirid = share.tag = "media";
    share.path = "/srv/media";
    const share::PveCommandOptions options{.fd = cluster_.socket()};
    const auto stock = share::pve_daemon_command(share, options);
    share.method = GetParam().method;
    const auto patched = share::pve_daemon_command(share, options);
    ASSERT_TRUE(stock && patched);
    cluster_.write_vm("n1", "virtiofs1: " + GetParam().device + "\n");
    cluster_.write_mapping("live-migration-method " +
                           std::string{mapping::to_string(GetParam().method)});
    auto settings = cluster_.settings();
    settings.compat = true;
    settings.daemon = DaemonChoice::system;
    const auto decision = decide_for(stock->args, settings);
    EXPECT_EQ(decision.args, patched->args);
    EXPECT_TRUE(decision.is_compat);
}

share::Share everything() {
    share::Share share;
    share.xattr = true;
    share.posix_acl = share::Negotiation::always;
    share.allow_direct_io = true;
    share.cache = share::CachePolicy::metadata;
    share.inode_file_handles = share::InodeFileHandles::prefer;
    return share;
}

INSTANTIATE_TEST_SUITE_P(
    Calls,
    LauncherCompat,
    testing::Values(CompatCase{mapping::MigrationMethod::find_paths, {}, "media"},
                    CompatCase{mapping::MigrationMethod::file_handles, {}, "media"},
                    CompatCase{mapping::MigrationMethod::find_paths,
                               everything(),
                               "media,cache=metadata,direct-io=1,expose-acl=1,expose-xattr=1"},
                    CompatCase{mapping::MigrationMethod::file_handles,
                               everything(),
                               "media,cache=metadata,direct-io=1,expose-acl=1,expose-xattr=1"}));

} // namespace
} // namespace vfskit::pve_plugin
