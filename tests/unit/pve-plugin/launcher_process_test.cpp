// SPDX-License-Identifier: Apache-2.0
// The launcher as a process, with shell scripts in the place of daemons that print how they were
// called.
#include "core/base/host.h"
#include "core/base/process.h"
#include "tests/unit/pve-plugin/launcher_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace vfskit::pve_plugin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class LauncherProcess : public testing::Test {
protected:
    LauncherProcess() {
        const auto node = base::host_node_name();
        cluster_.dir().write("pve/mapping/directory.cfg",
                             "media\n\tlive-migration-method find-paths\n\tmap node=" + node +
                                 ",path=/srv/media\n\n");
        write_daemon("bundled");
        write_daemon("system");
        write_settings("");
        ::setenv("VFSKIT_PVE_CONFIG", cluster_.dir().path("pve.yaml").c_str(), 1);
    }

    void write_daemon(const std::string& name) const {
        cluster_.dir().write(name,
                             "#!/bin/sh\n"
                             "case \"$1\" in\n"
                             "--version) echo 'virtiofsd 1.14.0' ;;\n"
                             "--print-capabilities) echo '{\"type\":\"fs\",\"features\":[]}' ;;\n"
                             "*) echo " +
                                 name + " \"$@\" ;;\nesac\n");
        std::filesystem::permissions(cluster_.dir().path(name), std::filesystem::perms{0755});
    }
    void write_settings(const std::string& more) const {
        cluster_.dir().write("pve.yaml",
                             fmt::format("bundled-daemon: {0}/bundled\nsystem-daemon: {0}/system\n"
                                         "pve-root: {0}/pve\n{1}",
                                         cluster_.dir().root(),
                                         more));
    }
    [[nodiscard]] base::ProcessOutput run(const std::vector<std::string>& args) const {
        constexpr std::chrono::seconds limit{30};
        const auto output = base::run_and_capture({VFSKIT_LAUNCHER, args}, limit);
        return output.value_or(base::ProcessOutput{-1, "", "not run"});
    }
    [[nodiscard]] base::ProcessOutput run_stock_call() const {
        return run(cluster_.stock_arguments());
    }

    FakeCluster cluster_;
};

TEST_F(LauncherProcess, BecomesTheBundledDaemonWithTheMethod) {
    const auto output = run_stock_call();
    EXPECT_EQ(output.out,
              fmt::format("bundled --fd={} --shared-dir=/srv/media --announce-submounts "
                          "--cache=never --migration-on-error=abort --migration-mode=find-paths "
                          "--migration-confirm-paths --syslog\n",
                          cluster_.socket()));
    EXPECT_EQ(output.err, "");
    EXPECT_EQ(output.exit_status, 0);
}

TEST_F(LauncherProcess, TakesCompatAsItsFirstArgument) {
    auto args = cluster_.stock_arguments();
    args.insert(args.begin(), "--compat");
    EXPECT_EQ(run(args).out,
              fmt::format("bundled --fd={} --shared-dir=/srv/media --announce-submounts "
                          "--cache=never --migration-on-error=guest-error "
                          "--migration-mode=find-paths --migration-verify-handles "
                          "--migration-confirm-paths --syslog\n",
                          cluster_.socket()));
}

TEST_F(LauncherProcess, AnswersWithTheDaemonsVersion) {
    EXPECT_EQ(run({"--version"}).out, "virtiofsd 1.14.0\n");
}

TEST_F(LauncherProcess, SurvivesABrokenConfigurationFile) {
    cluster_.dir().write("pve.yaml", "daemon: [\n");
    const auto output = run_stock_call();
    EXPECT_THAT(output.err, HasSubstr("The defaults are used"));
}

TEST_F(LauncherProcess, BecomesTheOtherDaemonWhenTheFirstIsMissing) {
    std::filesystem::remove(cluster_.dir().path("bundled"));
    const auto output = run_stock_call();
    EXPECT_THAT(output.out, StartsWith("system --fd="));
    EXPECT_THAT(output.out, HasSubstr("--migration-mode=find-paths"));
    EXPECT_THAT(output.err, HasSubstr("takes the place"));
}

TEST_F(LauncherProcess, StartsTheShareWithoutAMethodWhenTheVmIsUnknown) {
    cluster_.remove_vm("n1");
    const auto output = run_stock_call();
    EXPECT_EQ(output.out,
              fmt::format("bundled --fd={} --shared-dir=/srv/media --announce-submounts "
                          "--cache=never --syslog\n",
                          cluster_.socket()));
    EXPECT_THAT(output.err, HasSubstr("114"));
}

TEST_F(LauncherProcess, SaysSoWhenThereIsNoDaemonAtAll) {
    constexpr int cannot_execute = 126;
    std::filesystem::remove(cluster_.dir().path("bundled"));
    std::filesystem::remove(cluster_.dir().path("system"));
    const auto output = run_stock_call();
    EXPECT_EQ(output.exit_status, cannot_execute);
    EXPECT_THAT(output.err, HasSubstr("Cannot execute"));
}

} // namespace
} // namespace vfskit::pve_plugin
