// SPDX-License-Identifier: Apache-2.0
#include "core/domain/guest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::domain {
namespace {

using testing::HasSubstr;

GuestMount sample_mount() {
    GuestMount mount;
    mount.tag = "media";
    mount.mount_point = "/srv/media";
    return mount;
}

std::string fstab(const GuestMount& mount) {
    const auto line = fstab_line(mount);
    return line ? *line : line.error().describe();
}

std::string unit_text(const GuestMount& mount) {
    const auto unit = systemd_mount_unit(mount);
    return unit ? unit->text : unit.error().describe();
}

std::string root_arguments(std::string_view tag, RootStyle style, bool readonly = false) {
    const auto arguments = kernel_root_arguments(tag, style, readonly);
    return arguments ? *arguments : arguments.error().describe();
}

TEST(Fstab, MountsAndLetsTheGuestBootWithout) {
    EXPECT_EQ(fstab(sample_mount()), "media /srv/media virtiofs nofail 0 0\n");
}

TEST(Fstab, SaysDefaultsWhenThereIsNoOption) {
    auto mount = sample_mount();
    mount.nofail = false;

    EXPECT_EQ(fstab(mount), "media /srv/media virtiofs defaults 0 0\n");
}

TEST(Fstab, JoinsOptions) {
    auto mount = sample_mount();
    mount.readonly = true;
    mount.options = {"noatime", "x-systemd.automount"};

    EXPECT_EQ(fstab(mount),
              "media /srv/media virtiofs ro,nofail,noatime,x-systemd.automount 0 0\n");
}

TEST(Fstab, EscapesBlanksBackslashesAndHashes) {
    auto mount = sample_mount();
    mount.tag = "#my \\tag";
    mount.mount_point = "/srv/my media";

    EXPECT_EQ(fstab(mount), "\\043my\\040\\134tag /srv/my\\040media virtiofs nofail 0 0\n");
}

TEST(Fstab, RefusesATagThatMountWouldLookUp) {
    auto mount = sample_mount();
    mount.tag = "UUID=1234";

    EXPECT_THAT(fstab(mount), HasSubstr("to be looked up"));
}

TEST(Fstab, RefusesRelativeAndClimbingMountPoints) {
    auto relative = sample_mount();
    relative.mount_point = "srv";
    auto climbing = sample_mount();
    climbing.mount_point = "/srv/../etc";

    EXPECT_THAT(fstab(relative), HasSubstr("not an absolute path"));
    EXPECT_THAT(fstab(climbing), HasSubstr("'..'"));
}

TEST(Fstab, RefusesALineFeedInTagAndOption) {
    auto tag = sample_mount();
    tag.tag = "a\nb";
    auto option = sample_mount();
    option.options = {"ro\n/dev/sda / ext4"};

    EXPECT_THAT(fstab(tag), HasSubstr("control characters"));
    EXPECT_THAT(fstab(option), HasSubstr("is not a mount option"));
}

// The expected values of the next tests are what systemd-escape --path of systemd 252 prints.
TEST(SystemdEscape, TurnsSlashesIntoDashes) {
    EXPECT_EQ(*systemd_escape_path("/srv/media"), "srv-media");
}

TEST(SystemdEscape, EscapesDashesAndBlanks) {
    EXPECT_EQ(*systemd_escape_path("/srv/my-media dir"), "srv-my\\x2dmedia\\x20dir");
}

TEST(SystemdEscape, EscapesOnlyALeadingDot) {
    EXPECT_EQ(*systemd_escape_path("/.hidden/.b"), "\\x2ehidden-.b");
}

TEST(SystemdEscape, EscapesEveryByteOfOtherLetters) {
    EXPECT_EQ(*systemd_escape_path("/srv/Größe"), "srv-Gr\\xc3\\xb6\\xc3\\x9fe");
}

TEST(SystemdEscape, SimplifiesThePath) {
    EXPECT_EQ(*systemd_escape_path("//srv/./media//"), "srv-media");
}

TEST(SystemdEscape, CallsTheRootADash) {
    EXPECT_EQ(*systemd_escape_path("/"), "-");
}

TEST(SystemdEscape, KeepsColonUnderscoreAndBackslashApart) {
    EXPECT_EQ(*systemd_escape_path("/a:b_c\\d"), "a:b_c\\x5cd");
}

TEST(SystemdEscape, RefusesToClimb) {
    EXPECT_FALSE(systemd_escape_path("/a/../b"));
}

TEST(MountUnit, IsNamedAfterItsMountPoint) {
    const auto unit = systemd_mount_unit(sample_mount());

    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->name, "srv-media.mount");
    EXPECT_EQ(unit->text,
              "[Unit]\nDescription=Share media\n\n[Mount]\nWhat=media\nWhere=/srv/media\n"
              "Type=virtiofs\nOptions=nofail\n\n[Install]\nWantedBy=local-fs.target\n");
}

TEST(MountUnit, IsRequiredWhenTheGuestNeedsIt) {
    auto mount = sample_mount();
    mount.nofail = false;

    EXPECT_THAT(unit_text(mount), HasSubstr("RequiredBy=local-fs.target"));
}

TEST(MountUnit, DoublesPercentSigns) {
    auto mount = sample_mount();
    mount.tag = "50%h";

    EXPECT_THAT(unit_text(mount), HasSubstr("What=50%%h\n"));
}

TEST(MountUnit, NamesTheDirectoryMapping) {
    auto mount = sample_mount();
    mount.dirid = "photos";

    EXPECT_THAT(unit_text(mount), HasSubstr("Description=Share media of directory mapping photos"));
}

TEST(MountUnit, RefusesATrailingBackslash) {
    auto mount = sample_mount();
    mount.tag = "media\\";

    EXPECT_THAT(unit_text(mount), HasSubstr("ends with a backslash"));
}

TEST(MountUnit, RefusesANameThatSystemdCannotHold) {
    auto mount = sample_mount();
    mount.mount_point = "/" + std::string(250, 'a');

    EXPECT_THAT(unit_text(mount), HasSubstr("systemd's limit is 255"));
}

TEST(KernelRoot, SpeaksDracut) {
    EXPECT_EQ(root_arguments("rootfs", RootStyle::dracut), "root=virtiofs:rootfs rw");
}

TEST(KernelRoot, SpeaksToAPlainKernel) {
    EXPECT_EQ(root_arguments("rootfs", RootStyle::plain, true),
              "rootfstype=virtiofs root=rootfs ro");
}

TEST(KernelRoot, RefusesWhatTheCommandLineCannotCarry) {
    EXPECT_THAT(root_arguments("my root", RootStyle::dracut), HasSubstr("cannot carry the tag"));
}

TEST(KernelRoot, RefusesATagThatThePlainKernelTakesForADevice) {
    EXPECT_THAT(root_arguments("cafe", RootStyle::plain), HasSubstr("block device"));
    EXPECT_THAT(root_arguments("/dev/vda", RootStyle::plain), HasSubstr("block device"));
    EXPECT_EQ(root_arguments("cafe", RootStyle::dracut), "root=virtiofs:cafe rw");
}

TEST(CloudInit, WritesEnablesAndStartsAUnit) {
    const GuestMount mounts[] = {sample_mount()};

    const auto data = cloud_init_user_data(mounts);

    ASSERT_TRUE(data);
    EXPECT_THAT(*data, testing::StartsWith("#cloud-config\n"));
    EXPECT_THAT(*data, HasSubstr("  - path: \"/etc/systemd/system/srv-media.mount\"\n"));
    EXPECT_THAT(*data, HasSubstr("      What=media\n"));
    EXPECT_THAT(*data, HasSubstr("  - [systemctl, enable, --now, \"srv-media.mount\"]\n"));
}

TEST(CloudInit, EscapesTheBackslashOfAUnitName) {
    auto mount = sample_mount();
    mount.mount_point = "/my-media";
    const GuestMount mounts[] = {mount};

    const auto data = cloud_init_user_data(mounts);

    ASSERT_TRUE(data);
    EXPECT_THAT(*data, HasSubstr("\"my\\\\x2dmedia.mount\""));
}

TEST(CloudInit, RefusesNothingToMount) {
    EXPECT_FALSE(cloud_init_user_data({}));
}

} // namespace
} // namespace vfskit::domain
