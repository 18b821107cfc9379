// SPDX-License-Identifier: Apache-2.0
#include "core/node/daemon_arguments.h"
#include "core/node/process_table.h"
#include "core/node/qemu_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vfskit::node {
namespace {

using ::testing::ElementsAre;
using Argv = std::vector<std::string>;

TEST(DaemonArguments, FillsInTheDefaults) {
    const auto arguments = parse_daemon_arguments(Argv{"--shared-dir=/srv", "--fd=7"});
    ASSERT_TRUE(arguments);
    EXPECT_EQ(arguments->shared_dir, "/srv");
    EXPECT_EQ(arguments->options, DaemonOptions{});
    EXPECT_FALSE(arguments->options.is_method_explicit);
}

TEST(DaemonArguments, ReadsBothSpellingsOfAValue) {
    const auto arguments = parse_daemon_arguments(
        Argv{"--shared-dir", "/srv", "--cache=Always", "--socket-path", "/run/s"});
    ASSERT_TRUE(arguments);
    EXPECT_EQ(arguments->shared_dir, "/srv");
    EXPECT_EQ(arguments->options.cache, share::CachePolicy::always);
    EXPECT_EQ(arguments->socket, "/run/s");
}

TEST(DaemonArguments, ReadsTheMigrationOptions) {
    const auto arguments = parse_daemon_arguments(Argv{"--migration-mode=file-handles",
                                                       "--migration-on-error=guest-error",
                                                       "--migration-confirm-paths",
                                                       "--migration-verify-handles"});
    ASSERT_TRUE(arguments);
    EXPECT_EQ(arguments->options.method, mapping::MigrationMethod::file_handles);
    EXPECT_TRUE(arguments->options.is_method_explicit);
    EXPECT_EQ(arguments->options.on_error, share::OnError::guest_error);
    EXPECT_TRUE(arguments->options.confirm_paths);
    EXPECT_TRUE(arguments->options.verify_handles);
}

TEST(DaemonArguments, LetTheOldSpellingOverrideTheNewWhateverTheOrder) {
    const auto arguments = parse_daemon_arguments(Argv{
        "-o", "source=/old,cache=none,no_xattr", "--cache=always", "--xattr", "--shared-dir=/new"});
    ASSERT_TRUE(arguments);
    EXPECT_EQ(arguments->shared_dir, "/old");
    EXPECT_EQ(arguments->options.cache, share::CachePolicy::never);
    EXPECT_FALSE(arguments->options.xattr);
}

TEST(DaemonArguments, KnowThatAclsImplyExtendedAttributes) {
    const auto arguments = parse_daemon_arguments(Argv{"--posix-acl=auto"});
    ASSERT_TRUE(arguments);
    EXPECT_EQ(arguments->options.posix_acl, share::Negotiation::automatic);
    EXPECT_TRUE(arguments->options.xattr);
}

TEST(DaemonArguments, PassOverOptionsOfANewerDaemon) {
    const auto arguments = parse_daemon_arguments(
        Argv{"--turbo", "--speed=9", "--height", "3", "--writeback", "--depth", "--readonly"});
    ASSERT_TRUE(arguments);
    EXPECT_TRUE(arguments->options.writeback);
    EXPECT_TRUE(arguments->options.readonly);
}

TEST(DaemonArguments, AreUnknownWhenAValueIs) {
    EXPECT_FALSE(parse_daemon_arguments(Argv{"--cache=sometimes"}));
    EXPECT_FALSE(parse_daemon_arguments(Argv{"--migration-mode=teleport"}));
    EXPECT_FALSE(parse_daemon_arguments(Argv{"stray"}));
    EXPECT_FALSE(parse_daemon_arguments(Argv{"--shared-dir"}));
    EXPECT_FALSE(parse_daemon_arguments(Argv{"-o", "sideways"}));
}

TEST(QemuArguments, OfLibvirtNameTheGuestAndJoinDevicesWithSockets) {
    const auto arguments = parse_qemu_arguments(Argv{
        "-name",
        "guest=web,debug-threads=on",
        "-uuid",
        "1-2",
        "-chardev",
        "socket,id=chr-vu-fs0,path=/var/lib/libvirt/qemu/domain-1-web/fs0-fs.sock",
        "-device",
        R"({"driver":"vhost-user-fs-pci","id":"fs0","chardev":"chr-vu-fs0","tag":"media","bus":"pci.1"})",
        "-device",
        "virtio-net-pci,id=n"});
    EXPECT_EQ(arguments.name, "web");
    EXPECT_EQ(arguments.uuid, "1-2");
    EXPECT_TRUE(arguments.is_libvirts);
    EXPECT_THAT(arguments.shares,
                ElementsAre(QemuShare{.socket = "/var/lib/libvirt/qemu/domain-1-web/fs0-fs.sock",
                                      .tag = "media"}));
}

TEST(QemuArguments, OfProxmoxNameTheVmid) {
    const auto arguments =
        parse_qemu_arguments(Argv{"-id",
                                  "100",
                                  "-name",
                                  "web,debug-threads=on",
                                  "-device",
                                  "vhost-user-fs-pci,queue-size=1024,chardev=virtiofs0,tag=media",
                                  "-chardev",
                                  "socket,id=virtiofs0,path=/run/qemu-server/virtiofsd/vm100-fs0"});
    EXPECT_EQ(arguments.vmid, 100U);
    EXPECT_EQ(arguments.name, "web");
    EXPECT_FALSE(arguments.is_libvirts);
    EXPECT_THAT(
        arguments.shares,
        ElementsAre(QemuShare{.socket = "/run/qemu-server/virtiofsd/vm100-fs0", .tag = "media"}));
}

TEST(QemuArguments, UndoDoubledCommas) {
    const auto arguments = parse_qemu_arguments(Argv{
        "-chardev", "socket,path=/run/a,,b,id=c", "-device", "vhost-user-fs-pci,chardev=c,tag=t"});
    EXPECT_EQ(arguments.shares.at(0).socket, "/run/a,b");
}

GuestMemoryFacts memory_of(const Argv& argv) {
    return parse_qemu_arguments(argv).memory.facts;
}

TEST(QemuMemory, OfLibvirtIsSharedByItsBackend) {
    EXPECT_EQ(
        memory_of(
            {"-machine",
             "pc-q35-10.0,usb=off,memory-backend=pc.ram",
             "-m",
             "size=262144k",
             "-object",
             R"({"qom-type":"memory-backend-memfd","id":"pc.ram","share":true,"size":268435456})"}),
        (GuestMemoryFacts{
            .bytes = 268435456, .is_shared = true, .has_hugepages = false, .hugepage_bytes = {}}));
}

TEST(QemuMemory, OfProxmoxHasCellsOnHugepages) {
    const auto memory =
        parse_qemu_arguments(Argv{"-m",
                                  "2048",
                                  "-object",
                                  "memory-backend-file,id=ram-node0,size=1024M,"
                                  "mem-path=/run/hugepages/kvm/2048kB,share=on,prealloc=yes",
                                  "-numa",
                                  "node,nodeid=0,cpus=0,memdev=ram-node0",
                                  "-object",
                                  "memory-backend-file,id=ram-node1,size=1024M,"
                                  "mem-path=/run/hugepages/kvm/2048kB,share=on,prealloc=yes",
                                  "-numa",
                                  "node,nodeid=1,cpus=1,memdev=ram-node1"})
            .memory;
    EXPECT_EQ(memory.facts.bytes, std::uint64_t{2} << 30);
    EXPECT_EQ(memory.facts.is_shared, true);
    EXPECT_FALSE(memory.facts.has_hugepages); // the file system tells
    EXPECT_THAT(memory.files,
                ElementsAre("/run/hugepages/kvm/2048kB", "/run/hugepages/kvm/2048kB"));
}

TEST(QemuMemory, OfTwoCellsIsSharedOnlyIfBothAre) {
    EXPECT_EQ(memory_of({"-object",
                         "memory-backend-memfd,id=a,size=1G",
                         "-object",
                         "memory-backend-ram,id=b,size=1G",
                         "-numa",
                         "node,memdev=a",
                         "-numa",
                         "node,memdev=b"})
                  .is_shared,
              false);
}

TEST(QemuMemory, WithoutABackendIsPrivate) {
    EXPECT_EQ(memory_of({"-m", "1G"}),
              (GuestMemoryFacts{.bytes = std::uint64_t{1} << 30,
                                .is_shared = false,
                                .has_hugepages = false,
                                .hugepage_bytes = {}}));
    // Another object of that kind is not the guest's.
    EXPECT_EQ(memory_of({"-object", "memory-backend-memfd,id=x,size=1G"}).is_shared, false);
}

TEST(QemuMemory, OfAMemfdTellsItsHugepages) {
    const auto memory = memory_of({"-machine",
                                   "q35,memory-backend=m",
                                   "-object",
                                   "memory-backend-memfd,id=m,size=1G,hugetlb=on,hugetlbsize=2M"});
    EXPECT_EQ(memory.has_hugepages, true);
    EXPECT_EQ(memory.hugepage_bytes, std::uint64_t{2} << 20);
    EXPECT_EQ(memory.is_shared, true);
}

TEST(QemuMemory, OfAnUnknownBackendIsNotKnown) {
    EXPECT_FALSE(memory_of({"-machine", "q35,memory-backend=gone"}).is_shared);
}

TEST(UnixSockets, AreReadWithTheirPaths) {
    const auto paths =
        parse_unix_sockets("Num       RefCount Protocol Flags    Type St Inode Path\n"
                           "0000: 00000002 00000000 00010000 0001 01 12345 /run/a b.sock\n"
                           "0000: 00000003 00000000 00000000 0001 03 12346\n"
                           "0000: 00000002 00000000 00010000 0001 01 12347 @abstract\n");
    EXPECT_THAT(paths,
                ElementsAre(std::pair<const std::uint64_t, std::string>{12345, "/run/a b.sock"}));
}

} // namespace
} // namespace vfskit::node
