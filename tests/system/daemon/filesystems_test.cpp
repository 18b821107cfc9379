// SPDX-License-Identifier: Apache-2.0
// Other filesystems below the share and as the share: in memory, on loop devices, stacked, bound.
#include "tests/system/daemon/system_guest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace vfskit::test {
namespace {

using namespace fuse::wire;
using fuse::RequestBytes;

void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) {
        throw std::runtime_error{"failed: " + command};
    }
}

/// Mounts a filesystem of a kind on a directory of a place, for as long as it lives.
class Mounted {
public:
    Mounted(const Place& place, const std::string& kind, std::string directory)
        : directory_{std::move(directory)} {
        const auto aside = [&](const std::string& name) {
            const auto path = place.path(kind + "-" + name);
            std::filesystem::create_directory(path);
            return path;
        };
        if (kind == "tmpfs") {
            run("mount -t tmpfs none " + directory_);
        } else if (kind == "bind") {
            run("mount --bind " + aside("source") + " " + directory_);
        } else if (kind == "overlay") {
            run("mount -t overlay -o lowerdir=" + aside("lower") + ",upperdir=" + aside("upper") +
                ",workdir=" + aside("work") + " none " + directory_);
        } else {
            const auto image = place.path(kind + ".img");
            // What the largest of them needs at least; the file is sparse.
            std::ofstream{image};
            std::filesystem::resize_file(image, std::uintmax_t{320} << 20U);
            run("mkfs." + kind + " -q " + image + " >/dev/null && mount -o loop " + image + " " +
                directory_);
        }
        ::chmod(directory_.c_str(), 0755);
    }
    Mounted(const Mounted&) = delete;
    Mounted& operator=(const Mounted&) = delete;
    ~Mounted() { ::umount2(directory_.c_str(), MNT_DETACH); }

private:
    std::string directory_;
};

GuestSetup with_submounts() {
    GuestSetup setup;
    setup.init_flags |= FUSE_SUBMOUNTS;
    return setup;
}

struct OpenFile {
    std::uint64_t node = 0;
    std::uint64_t fh = 0;
};

OpenFile make_file(SystemGuest& guest, std::uint64_t parent, const std::string& name) {
    CreateIn in{};
    in.flags = O_CREAT | O_RDWR;
    in.mode = S_IFREG | 0644;
    const auto reply =
        guest.call(Opcode::FUSE_CREATE, parent, RequestBytes{}.add(in).name(name), 4096);
    if (reply.error() != 0) {
        throw std::runtime_error{"no " + name + ": errno " + std::to_string(reply.error())};
    }
    return {reply.as<EntryOut>().nodeid, reply.as<OpenOut>(sizeof(EntryOut)).fh};
}

int rename(SystemGuest& guest,
           std::uint64_t from,
           const std::string& old_name,
           std::uint64_t to,
           const std::string& new_name) {
    return guest
        .call(Opcode::FUSE_RENAME2,
              from,
              RequestBytes{}.add(Rename2In{to, 0, 0}).name(old_name).name(new_name))
        .error();
}

int getattr_error(SystemGuest& guest, std::uint64_t node) {
    return guest.call(Opcode::FUSE_GETATTR, node, RequestBytes{}.add(GetattrIn{})).error();
}

int clone(SystemGuest& guest, const OpenFile& source, const OpenFile& target) {
    const IoctlIn in{target.fh, 0, static_cast<std::uint32_t>(FICLONE), 0, sizeof(int), 0};
    return guest
        .call(Opcode::FUSE_IOCTL,
              target.node,
              RequestBytes{}.add(in).add(static_cast<std::int32_t>(source.fh)))
        .error();
}

std::string kind_of(const testing::TestParamInfo<std::string>& tried) {
    return tried.param;
}

class OtherFilesystem : public testing::TestWithParam<std::string> {
protected:
    Place place_;
};

TEST_P(OtherFilesystem, BelowTheShareIsAMountOfItsOwn) {
    std::filesystem::create_directory(place_.share("sub"));
    std::filesystem::create_directory(place_.share("plain"));
    const Mounted mounted{place_, GetParam(), place_.share("sub")};
    place_.write("sub/from_host", "host");
    const DaemonProcess daemon{{.arguments = place_.arguments()}};
    SystemGuest guest{place_.socket(), with_submounts()};
    const auto flags_of = [&guest](const std::string& name) {
        return guest.call(Opcode::FUSE_LOOKUP, FUSE_ROOT_ID, RequestBytes{}.name(name))
            .as<EntryOut>()
            .attr.flags;
    };
    EXPECT_EQ(flags_of("sub") & FUSE_ATTR_SUBMOUNT, FUSE_ATTR_SUBMOUNT);
    EXPECT_EQ(flags_of("plain") & FUSE_ATTR_SUBMOUNT, 0U);

    const auto sub = guest.lookup(FUSE_ROOT_ID, "sub");
    const auto found = guest.lookup(sub, "from_host");
    ASSERT_NE(found, 0U);
    EXPECT_EQ(guest.read(found, guest.open(found, O_RDONLY), 0, 16).payload, "host");
    const auto made = make_file(guest, sub, "made");
    EXPECT_EQ(guest.write(made.node, made.fh, "guest").error(), 0);
    EXPECT_EQ(place_.read("sub/made"), "guest");
    EXPECT_EQ(rename(guest, sub, "made", FUSE_ROOT_ID, "made"), EXDEV);
    EXPECT_EQ(rename(guest, sub, "made", sub, "renamed"), 0);
    EXPECT_TRUE(std::filesystem::exists(place_.share("sub/renamed")));
}

TEST_P(OtherFilesystem, KeepsItsFilesWithoutTheirDescriptors) {
    constexpr int files = 100;
    const Mounted mounted{place_, GetParam(), place_.share()};
    for (int i = 0; i < files; ++i) {
        place_.write("f" + std::to_string(i), std::to_string(i));
    }
    const DaemonProcess daemon{{.arguments = place_.arguments({"--inode-fd-budget=16"})}};
    SystemGuest guest{place_.socket()};
    std::vector<std::uint64_t> nodes;
    for (int i = 0; i < files; ++i) {
        nodes.push_back(guest.lookup(FUSE_ROOT_ID, "f" + std::to_string(i)));
        ASSERT_NE(nodes.back(), 0U);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        ASSERT_EQ(getattr_error(guest, nodes[i]), 0) << i;
        const auto fh = guest.open(nodes[i], O_RDONLY);
        EXPECT_EQ(guest.read(nodes[i], fh, 0, 16).payload, std::to_string(i));
        guest.call(Opcode::FUSE_RELEASE, nodes[i], RequestBytes{}.add(ReleaseIn{fh, 0, 0, 0}));
    }
}

INSTANTIATE_TEST_SUITE_P(Daemon,
                         OtherFilesystem,
                         testing::Values("tmpfs", "bind", "overlay", "ext4", "xfs", "btrfs"),
                         kind_of);

class SharedExtents : public OtherFilesystem {};

TEST_P(SharedExtents, AreMadeByFiclone) {
    const Mounted mounted{place_, GetParam(), place_.share()};
    const DaemonProcess daemon{{.arguments = place_.arguments()}};
    SystemGuest guest{place_.socket()};
    const std::string content(1U << 16U, 'x');
    const auto source = make_file(guest, FUSE_ROOT_ID, "source");
    ASSERT_EQ(guest.write(source.node, source.fh, content).error(), 0);
    const auto target = make_file(guest, FUSE_ROOT_ID, "target");

    EXPECT_EQ(clone(guest, source, target), 0);

    EXPECT_EQ(place_.read("target"), content);
    // The copy is one for the reader only: what is written to it stays its own.
    ASSERT_EQ(guest.write(target.node, target.fh, "other").error(), 0);
    EXPECT_EQ(place_.read("source"), content);
}

INSTANTIATE_TEST_SUITE_P(Daemon, SharedExtents, testing::Values("xfs", "btrfs"), kind_of);

class UnsharedExtents : public OtherFilesystem {};

TEST_P(UnsharedExtents, AreRefusedAsTheHostRefusesThem) {
    const Mounted mounted{place_, GetParam(), place_.share()};
    const DaemonProcess daemon{{.arguments = place_.arguments()}};
    SystemGuest guest{place_.socket()};
    const auto source = make_file(guest, FUSE_ROOT_ID, "source");
    const auto target = make_file(guest, FUSE_ROOT_ID, "target");
    EXPECT_EQ(clone(guest, source, target), EOPNOTSUPP);
}

INSTANTIATE_TEST_SUITE_P(Daemon, UnsharedExtents, testing::Values("tmpfs", "ext4"), kind_of);

} // namespace
} // namespace vfskit::test
