// SPDX-License-Identifier: Apache-2.0
#include "core/node/mount_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::node {
namespace {

using ::testing::ElementsAre;

const std::string table =
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
    "30 27 0:30 / /srv rw,noatime shared:1 master:2 - nfs4 filer:/srv rw,vers=4.2\n"
    "31 30 0:31 / /srv/a\\040b ro - tmpfs none ro\n"
    "32 30 0:32 / /srv/deep/sub rw - ext4 /dev/loop0 rw\n"
    "33 27 0:33 / /srvother rw - xfs /dev/vdb rw\n"
    "34 27 0:34 / /auto rw - autofs systemd-1 rw\n"
    "not a line\n"
    "99 98 0:1 / /cut rw -\n";

TEST(MountInfo, ReadsEachMountWithBothSetsOfOptions) {
    const auto mounts = parse_mountinfo(table);
    ASSERT_EQ(mounts.size(), 6U);
    EXPECT_EQ(mounts[1],
              (Mount{.id = 30,
                     .point = "/srv",
                     .fs_type = "nfs4",
                     .source = "filer:/srv",
                     .options = {"rw", "noatime", "vers=4.2"}}));
}

TEST(MountInfo, UndoesOctalEscapes) {
    EXPECT_EQ(parse_mountinfo(table)[2].point, "/srv/a b");
}

TEST(MountInfo, FindsTheDeepestMountOfAPath) {
    const auto mounts = parse_mountinfo(table);
    EXPECT_EQ(find_mount(mounts, "/srv/x")->point, "/srv");
    EXPECT_EQ(find_mount(mounts, "/srv/deep/sub/y")->point, "/srv/deep/sub");
    EXPECT_EQ(find_mount(mounts, "/srvx")->point, "/");
}

TEST(MountInfo, AnUnenteredAutomountIsNoMount) {
    EXPECT_EQ(find_mount_at(parse_mountinfo(table), "/auto"), nullptr);
}

TEST(MountInfo, ListsSubmountsRelativeToTheDirectory) {
    EXPECT_THAT(find_submounts(parse_mountinfo(table), "/srv"),
                ElementsAre(SubmountFacts{.path = "a b", .fs_type = "tmpfs"},
                            SubmountFacts{.path = "deep/sub", .fs_type = "ext4"}));
}

TEST(Fstab, GivesMountPointsButNoSwapAndNoComments) {
    EXPECT_THAT(parse_fstab("# /dev/x /commented ext4\n"
                            "UUID=1 / ext4 defaults 0 1\n"
                            "filer:/m\t/srv/media/\tnfs4 noauto\n"
                            "/dev/sda2 none swap sw\n"
                            "/dev/sdb /with\\040blank xfs\n"),
                ElementsAre("/", "/srv/media", "/with blank"));
}

TEST(MountUnit, GivesItsWhere) {
    EXPECT_EQ(parse_mount_unit("[Mount]\nWhat=/dev/x\n Where = /srv/media\n"), "/srv/media");
    EXPECT_EQ(parse_mount_unit("[Mount]\nWhat=/dev/x\n"), std::nullopt);
}

TEST(StorageConfig, GivesSharedStoragesAndDirectoriesThatAreMountPoints) {
    EXPECT_THAT(parse_storage_config("dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\n"
                                     "nfs: filer\n\texport /x\n\tserver f\n\n"
                                     "cephfs: ceph\n\tpath /ceph\n\n"
                                     "dir: usb\n\tpath /mnt/usb\n\tis_mountpoint yes\n\n"
                                     "dir: sub\n\tpath /mnt/b/data\n\tis_mountpoint /mnt/b\n\n"
                                     "nfs: elsewhere\n\tnodes n2,n3\n\n"
                                     "nfs: off\n\tdisable\n",
                                     "n1"),
                ElementsAre("/mnt/pve/filer", "/ceph", "/mnt/usb", "/mnt/b"));
}

TEST(ExpectedMount, IsTheDeepestAtOrAboveThePath) {
    const std::vector<std::string> points{"/", "/srv", "/srv/media"};
    EXPECT_EQ(find_expected(points, "/srv/media/films"), "/srv/media");
    EXPECT_EQ(find_expected(points, "/srv/mediaother"), "/srv");
    EXPECT_EQ(find_expected(points, "/home"), std::nullopt);
}

} // namespace
} // namespace vfskit::node
