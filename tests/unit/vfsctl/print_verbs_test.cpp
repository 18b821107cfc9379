// SPDX-License-Identifier: Apache-2.0
// daemon command, qemu args, xml, guest: that options reach the libraries and results come out.
// What exactly is printed is pinned by the golden files of core/share and core/domain.
#include "tests/support/temp_dir.h"
#include "tests/unit/vfsctl/program_under_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit {
namespace {

using test::ProgramUnderTest;
using testing::HasSubstr;
using testing::Not;
using vfsctl::ExitCode;

class PrintVerbs : public testing::Test {
protected:
    PrintVerbs() {
        program.add("media", {{"n1", "/srv/media"}, {"n2", "/mnt/media"}});
        program.add("home", {{"n1", "/srv/home"}});
    }
    ProgramUnderTest program;
};

TEST_F(PrintVerbs, DaemonCommandQuotesForAShell) {
    program.add("blank", {{"n1", "/srv/with blank"}});

    EXPECT_EQ(program.run({"daemon", "command", "blank", "--vm", "100", "--dialect", "rust-1.14"}),
              ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("--socket-path=/run/vfskit/100/blank.sock"));
    EXPECT_THAT(program.out(), HasSubstr("'--shared-dir=/srv/with blank'"));
}

TEST_F(PrintVerbs, DaemonCommandTakesThePathOfTheNode) {
    program.run({"daemon", "command", "media", "--fd=3", "--dialect=bundled", "--node", "n2"});

    EXPECT_THAT(program.out(), HasSubstr("--shared-dir=/mnt/media"));
}

TEST_F(PrintVerbs, DaemonCommandAsksTheBinary) {
    program.environment.run_process = [](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
        if (spec.args == std::vector<std::string>{"--version"}) {
            return base::ProcessOutput{0, "virtiofsd 1.13.2\n", ""};
        }
        return base::ProcessOutput{
            0, R"({"type": "fs", "features": ["migrate-precopy", "separate-options"]})", ""};
    };

    EXPECT_EQ(program.run({"daemon", "command", "media", "--fd", "3", "--json"}), ExitCode::ok)
        << program.err();

    EXPECT_EQ(program.json()["daemon"]["dialect"], "rust-1.11");
    EXPECT_EQ(program.json()["daemon"]["version"], "1.13.2");
    EXPECT_EQ(program.json()["daemon"]["is-probed"], true);
}

TEST_F(PrintVerbs, DaemonCommandWarnsWhenTheBinaryIsAnotherNodes) {
    program.run({"daemon", "command", "media", "--fd", "3", "--node", "n2"});

    EXPECT_THAT(program.err(), HasSubstr("if the one of 'n2' differs"));
}

TEST_F(PrintVerbs, DaemonCommandNamesTheWayOutWithoutABinary) {
    EXPECT_EQ(program.run({"daemon", "command", "media", "--fd", "3"}), ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("/usr/libexec/virtiofsd"));
}

TEST_F(PrintVerbs, DaemonCommandWantsToKnowWhereToListen) {
    EXPECT_EQ(program.run({"daemon", "command", "media", "--dialect", "bundled"}),
              ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("Give --vm, --socket or --fd"));
}

TEST_F(PrintVerbs, DaemonCommandSuggestsAMistypedNode) {
    EXPECT_EQ(program.run({"daemon", "command", "media", "--fd", "3", "--node", "n3"}),
              ExitCode::not_found);

    EXPECT_THAT(program.err(), HasSubstr("Mapping 'media' has no path on node 'n3'"));
}

TEST_F(PrintVerbs, DaemonCommandIsProxmoxsByteForByte) {
    program.content->snapshot.mappings[0].live_migration_method =
        mapping::MigrationMethod::file_handles;

    EXPECT_EQ(program.run({"daemon", "command", "media", "--fd", "7", "--compat=pve", "--xattr"}),
              ExitCode::ok)
        << program.err();

    EXPECT_EQ(program.out(),
              "/usr/libexec/virtiofsd --fd=7 --shared-dir=/srv/media --xattr --announce-submounts "
              "--migration-on-error=guest-error --migration-mode=file-handles "
              "--modcaps=+dac_read_search --syslog\n");
}

TEST_F(PrintVerbs, DaemonCommandWantsADescriptorForProxmox) {
    EXPECT_EQ(program.run({"daemon", "command", "media", "--vm", "100", "--compat=pve"}),
              ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("--fd"));
}

TEST_F(PrintVerbs, QemuArgsHaveFixedIdsAndTheSocketOfTheDaemon) {
    EXPECT_EQ(
        program.run({"qemu", "args", "media", "home", "--vm", "100", "--memory", "1G", "--json"}),
        ExitCode::ok)
        << program.err();

    EXPECT_EQ(program.json()["devices"][1]["id"], "vfskit-fs1");
    EXPECT_EQ(program.json()["devices"][1]["socket"], "/run/vfskit/100/home.sock");
    EXPECT_EQ(program.json()["has-memory"], true);
}

TEST_F(PrintVerbs, QemuArgsWantASocketPerMapping) {
    EXPECT_EQ(program.run({"qemu", "args", "media", "home", "--socket", "/a"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("--socket was given 1 times for 2 mappings"));
}

TEST_F(PrintVerbs, QemuArgsTakeNumaCells) {
    EXPECT_EQ(
        program.run({"qemu", "args", "media", "--vm", "a", "--numa", "1G@0-1", "--numa", "1G@2"}),
        ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("cpus=0-1"));
}

TEST_F(PrintVerbs, QemuArgsRefuseOneTagForTwo) {
    EXPECT_EQ(program.run({"qemu", "args", "media", "home", "--vm", "1", "--tag", "x"}),
              ExitCode::refused);
}

TEST_F(PrintVerbs, XmlFilesystemNamesDirectoryAndTag) {
    EXPECT_EQ(program.run({"xml", "filesystem", "media", "--tag", "films"}), ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("<source dir='/srv/media'/>"));
    EXPECT_THAT(program.out(), HasSubstr("<target dir='films'/>"));
}

TEST_F(PrintVerbs, XmlFilesystemTakesAnExternalDaemon) {
    EXPECT_EQ(program.run({"xml", "filesystem", "media", "--external", "--vm", "web"}),
              ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("<source socket='/run/vfskit/web/media.sock'/>"));
}

TEST_F(PrintVerbs, XmlFilesystemFindsAMissingDirectory) {
    program.environment.is_directory = [](const std::string&) { return false; };

    EXPECT_EQ(program.run({"xml", "filesystem", "media"}), ExitCode::not_found);
}

TEST_F(PrintVerbs, XmlFilesystemDoesNotLookAtAnotherNodesDirectory) {
    program.environment.is_directory = [](const std::string&) { return false; };

    EXPECT_EQ(program.run({"xml", "filesystem", "media", "--node", "n2"}), ExitCode::ok)
        << program.err();
}

TEST_F(PrintVerbs, XmlFilesystemRefusesWhatLibvirtCannotExpress) {
    EXPECT_EQ(program.run({"xml", "filesystem", "media", "--cache", "metadata"}),
              ExitCode::refused);
}

TEST_F(PrintVerbs, XmlMemoryIsShared) {
    EXPECT_EQ(program.run({"xml", "memory"}), ExitCode::ok) << program.err();

    EXPECT_THAT(program.out(), HasSubstr("<access mode='shared'/>"));
}

TEST_F(PrintVerbs, XmlMemoryCountsHugePages) {
    EXPECT_EQ(program.run({"xml",
                           "memory",
                           "--kind",
                           "hugepages",
                           "--page-size",
                           "2M",
                           "--memory",
                           "2G",
                           "--json"}),
              ExitCode::ok)
        << program.err();

    EXPECT_EQ(program.json()["huge-pages"], 1024);
}

constexpr std::string_view small_domain = "<domain type='kvm'>\n"
                                          "  <name>web</name>\n"
                                          "  <memory unit='KiB'>1048576</memory>\n"
                                          "  <os><type>hvm</type></os>\n"
                                          "  <devices>\n"
                                          "  </devices>\n"
                                          "</domain>\n";

TEST_F(PrintVerbs, XmlPatchAddsASharePlusMemory) {
    program.in.str(std::string{small_domain});

    EXPECT_EQ(program.run({"xml", "patch", "-", "media"}), ExitCode::ok) << program.err();

    EXPECT_THAT(program.out(), HasSubstr("<target dir='media'/>"));
    EXPECT_THAT(program.out(), HasSubstr("<access mode='shared'/>"));
}

TEST_F(PrintVerbs, XmlPatchWritesInPlaceOnceOnly) {
    const test::TempDir dir;
    dir.write("web.xml", small_domain);
    ASSERT_EQ(program.run({"xml", "patch", dir.path("web.xml"), "media", "--in-place"}),
              ExitCode::ok)
        << program.err();
    const auto once = dir.read("web.xml");

    EXPECT_EQ(program.run({"xml", "patch", dir.path("web.xml"), "media", "--in-place"}),
              ExitCode::ok);

    EXPECT_EQ(dir.read("web.xml"), once);
    EXPECT_THAT(program.out(), HasSubstr("Nothing to change"));
}

TEST_F(PrintVerbs, XmlPatchShowsADiffInADryRun) {
    const test::TempDir dir;
    dir.write("web.xml", small_domain);

    EXPECT_EQ(
        program.run({"xml", "patch", dir.path("web.xml"), "media", "--in-place", "--dry-run"}),
        ExitCode::ok)
        << program.err();

    EXPECT_EQ(dir.read("web.xml"), small_domain);
    EXPECT_THAT(program.out(), HasSubstr("+     <filesystem"));
}

TEST_F(PrintVerbs, XmlPatchNamesTheFileOfBrokenXml) {
    const test::TempDir dir;
    dir.write("web.xml", "<domain>");

    EXPECT_EQ(program.run({"xml", "patch", dir.path("web.xml"), "media"}), ExitCode::refused);

    EXPECT_THAT(program.err(), HasSubstr("vfsctl: " + dir.path("web.xml") + ":"));
}

TEST_F(PrintVerbs, XmlPatchRefusesToDoNothing) {
    EXPECT_EQ(program.run({"xml", "patch", "-"}), ExitCode::refused);
}

TEST_F(PrintVerbs, GuestFstabPrintsALinePerMount) {
    EXPECT_EQ(program.run({"guest", "fstab", "media:/srv/media", "home:/home"}), ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("media /srv/media virtiofs"));
    EXPECT_THAT(program.out(), HasSubstr("home /home virtiofs"));
}

TEST_F(PrintVerbs, GuestFstabRefusesAWordWithoutAMountPoint) {
    EXPECT_EQ(program.run({"guest", "fstab", "media"}), ExitCode::usage);
}

TEST_F(PrintVerbs, GuestSystemdNamesTheUnitsFile) {
    EXPECT_EQ(program.run({"guest", "systemd", "media:/srv/media", "--json"}), ExitCode::ok);

    EXPECT_EQ(program.json()["snippets"][0]["file"], "/etc/systemd/system/srv-media.mount");
}

TEST_F(PrintVerbs, GuestDracutPrintsTheKernelCommandLine) {
    EXPECT_EQ(program.run({"guest", "dracut", "rootfs"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("root=virtiofs:rootfs"));
}

TEST_F(PrintVerbs, GuestDracutKnowsPlainKernels) {
    EXPECT_EQ(program.run({"guest", "dracut", "rootfs", "--plain"}), ExitCode::ok);

    EXPECT_THAT(program.out(), HasSubstr("rootfstype=virtiofs root=rootfs"));
}

TEST_F(PrintVerbs, GuestCloudInitIsUserData) {
    EXPECT_EQ(program.run({"guest", "cloud-init", "media:/srv/media"}), ExitCode::ok);

    EXPECT_THAT(program.out(), testing::StartsWith("#cloud-config\n"));
}

TEST_F(PrintVerbs, GuestKubevirtTakesClaimsAndMaps) {
    EXPECT_EQ(program.run({"guest", "kubevirt", "vm1", "media=claim", "conf=configmap:app"}),
              ExitCode::ok)
        << program.err();

    EXPECT_THAT(program.out(), HasSubstr("claimName: \"claim\""));
    EXPECT_THAT(program.out(), HasSubstr("name: \"app\""));
}

} // namespace
} // namespace vfskit
