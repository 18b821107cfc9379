// SPDX-License-Identifier: Apache-2.0
// Every piece of XML and guest configuration, compared with tests/golden/domain/ and
// tests/golden/guest/. To accept a change, run the tests with VFSKIT_UPDATE_GOLDEN=1 and read the
// diff. All XML is also validated with libvirt's own grammar. The system test
// libvirt/define_validate defines what is named
//   domain-<libvirt>-*.xml    with a real libvirt of that version or newer: accepted,
//   refused-<libvirt>-*.xml   refused when defined, as we refuse it,
//   start-<libvirt>-*.xml     defined, but refused when started.
#include "core/base/file.h"
#include "core/domain/filesystem_node.h"
#include "core/domain/guest.h"
#include "core/domain/kubevirt.h"
#include "core/domain/memory_backing.h"
#include "core/domain/patch.h"
#include "core/domain/rng.h"
#include "tests/support/golden.h"
#include "tests/unit/domain/samples.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace vfskit::domain {
namespace {

using test::compare_with_golden;

constexpr LibvirtVersion bookworm{9, 0, 0};
constexpr LibvirtVersion trixie{11, 3, 0};

Target target_of(LibvirtVersion version) {
    Target target;
    target.libvirt = version;
    return target;
}

std::string whole_domain(const Filesystem& filesystem, const std::string& input) {
    PatchRequest request;
    request.put.push_back({"media", filesystem});
    const auto patched = patch_domain(input_domain(input), request, target_of(trixie));
    return patched ? patched->xml : patched.error().describe();
}

/// True for what the installed grammar is old enough to refuse rightly: Debian 12's 9.0 does not
/// know the elements of later releases.
bool is_newer_than_grammar(LibvirtVersion version) {
    constexpr std::size_t max_grammar = std::size_t{4} << 20;
    const auto grammar =
        base::read_file(std::string{default_schema_dir} + "/domaincommon.rng", max_grammar);
    EXPECT_TRUE(grammar) << grammar.error().describe();
    return version >= known_since(LibvirtFeature::openfiles) && grammar &&
           grammar->find("openfiles") == std::string::npos;
}

/// The filesystem by itself and in a whole domain.
void compare_filesystem(const std::string& name,
                        const Filesystem& filesystem,
                        LibvirtVersion version,
                        Target target = {}) {
    target.libvirt = version;
    const auto valid = validate(filesystem, target);
    ASSERT_TRUE(valid) << valid.error().describe();
    const std::string text = filesystem_xml(filesystem);
    compare_with_golden(fmt::format("domain/filesystem-{}-{}.xml", to_string(version), name), text);
    const auto grammatical = validate_domain_fragment(text, Fragment::filesystem);
    EXPECT_EQ(grammatical.has_value(), !is_newer_than_grammar(version)) << text;

    PatchRequest request;
    request.put.push_back({"media", filesystem});
    const auto patched = patch_domain(input_domain("plain"), request, target);
    ASSERT_TRUE(patched) << patched.error().describe();
    compare_with_golden(fmt::format("domain/domain-{}-{}.xml", to_string(version), name),
                        patched->xml);
    const auto whole = validate_domain_xml(patched->xml);
    EXPECT_EQ(whole.has_value(), !is_newer_than_grammar(version)) << patched->xml;
}

/// A domain that we refuse: written without our judgement.
void compare_refused(const std::string& kind,
                     const std::string& name,
                     const Filesystem& filesystem,
                     const Target& target,
                     const std::string& memory) {
    EXPECT_FALSE(validate(filesystem, target));
    std::string text = input_domain("plain");
    const std::string devices = "  </devices>";
    text.insert(text.find(devices), filesystem_xml(filesystem));
    const std::string vcpu = "  <vcpu";
    text.insert(text.find(vcpu), memory);
    compare_with_golden(fmt::format("domain/{}-{}-{}.xml", kind, to_string(target.libvirt), name),
                        text);
}

const std::string shared_memory =
    "  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>\n";

TEST(GoldenFilesystem, ManagedPlain) {
    compare_filesystem("managed-plain", managed_sample(), bookworm);
}

TEST(GoldenFilesystem, ManagedWithEverythingThat90Knows) {
    auto filesystem = managed_sample();
    filesystem.virtio = {true, true, false, true};
    filesystem.boot_order = 1;
    ManagedDaemon& daemon = daemon_of(filesystem);
    daemon.binary_path = "/usr/libexec/virtiofsd";
    daemon.xattr = true;
    daemon.cache = CacheMode::always;
    daemon.sandbox = DomainSandbox::chroot;
    daemon.thread_pool_size = 16;

    compare_filesystem("managed-full", filesystem, bookworm);
}

TEST(GoldenFilesystem, ManagedByTheCDaemonWithLocks) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).posix_lock = true;
    daemon_of(filesystem).flock = false;
    Target target;
    target.rust_daemon = false;

    compare_filesystem("managed-locks", filesystem, bookworm, target);
}

TEST(GoldenFilesystem, ManagedWithEverythingThat113Knows) {
    auto filesystem = managed_sample();
    filesystem.readonly = true;
    ManagedDaemon& daemon = daemon_of(filesystem);
    daemon.cache = CacheMode::none;
    daemon.sandbox = DomainSandbox::namespaces;
    daemon.openfiles = 4096;

    compare_filesystem("managed-full", filesystem, trixie);
}

TEST(GoldenFilesystem, ManagedInSessionModeWithIdMap) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).uid_map = {{0, 1000, 1}, {1, 100001, 65535}};
    daemon_of(filesystem).gid_map = {{0, 1000, 1}, {1, 100001, 65535}};
    Target target;
    target.runs_as_root = false;

    compare_filesystem("managed-idmap", filesystem, trixie, target);
}

TEST(GoldenFilesystem, ManagedWithAnAwkwardPath) {
    auto filesystem = managed_sample();
    filesystem.tag = "a'b\"<&>";
    daemon_of(filesystem).source_dir = "/srv/it's <a> & \"b\"\tGröße";

    compare_filesystem("managed-awkward", filesystem, bookworm);
}

TEST(GoldenFilesystem, External) {
    compare_filesystem("external", external_sample(), bookworm);
}

TEST(GoldenFilesystem, NinepPlain) {
    compare_filesystem("9p-plain", ninep_sample(), bookworm);
}

TEST(GoldenFilesystem, NinepMappedWithEverything) {
    auto filesystem = ninep_sample();
    filesystem.accessmode = AccessMode::mapped;
    filesystem.fmode = 0640;
    filesystem.dmode = 0750;
    filesystem.multidevs = Multidevs::remap;
    filesystem.wrpolicy_immediate = true;
    filesystem.readonly = true;
    filesystem.model = NinepModel::virtio_non_transitional;

    compare_filesystem("9p-full", filesystem, bookworm);
}

TEST(GoldenFilesystem, NinepMultidevsDefault) {
    auto filesystem = ninep_sample();
    filesystem.multidevs = Multidevs::qemu_default;

    compare_filesystem("9p-multidevs-default", filesystem, bookworm);
}

TEST(GoldenFilesystem, NinepMultidevsForbid) {
    auto filesystem = ninep_sample();
    filesystem.multidevs = Multidevs::forbid;

    compare_filesystem("9p-multidevs-forbid", filesystem, bookworm);
}

TEST(GoldenFilesystem, NinepMultidevsWarn) {
    auto filesystem = ninep_sample();
    filesystem.accessmode = AccessMode::squash;
    filesystem.multidevs = Multidevs::warn;

    compare_filesystem("9p-multidevs-warn", filesystem, bookworm);
}

TEST(GoldenDomain, OddDomainGetsAShare) {
    const std::string text = whole_domain(managed_sample(), "odd");

    compare_with_golden("domain/domain-9.0.0-odd.xml", text);
    EXPECT_TRUE(validate_domain_xml(text));
}

TEST(GoldenDomain, ShareIsUpdatedInPlace) {
    const std::string text = whole_domain(managed_sample(), "shared");

    compare_with_golden("domain/domain-9.0.0-updated.xml", text);
    EXPECT_TRUE(validate_domain_xml(text));
}

TEST(GoldenDomain, NumaCellsAreShared) {
    const std::string text = whole_domain(managed_sample(), "numa");

    compare_with_golden("domain/domain-9.0.0-numa-cells.xml", text);
    EXPECT_TRUE(validate_domain_xml(text));
}

void compare_memory(const std::string& name, const MemoryRequest& memory) {
    PatchRequest request;
    request.put.push_back({"media", managed_sample()});
    request.memory = memory;
    const auto patched = patch_domain(input_domain("plain"), request, target_of(bookworm));
    ASSERT_TRUE(patched) << patched.error().describe();
    compare_with_golden("domain/domain-9.0.0-memory-" + name + ".xml", patched->xml);
    EXPECT_TRUE(validate_domain_xml(patched->xml));

    MemoryRequest complete = memory;
    complete.memory_bytes = std::uint64_t{2} << 30;
    complete.vcpus = 2;
    const auto plan = plan_memory(complete, bookworm);
    ASSERT_TRUE(plan) << plan.error().describe();
    compare_with_golden("domain/memory-" + name + ".xml", plan->memory_backing + plan->cpu);
    const auto backing = validate_domain_fragment(plan->memory_backing, Fragment::memory_backing);
    EXPECT_TRUE(backing) << backing.error().describe();
    if (memory.numa) {
        const auto cpu = validate_domain_fragment(plan->cpu, Fragment::cpu);
        EXPECT_TRUE(cpu) << cpu.error().describe();
    }
}

TEST(GoldenMemory, Memfd) {
    compare_memory("memfd", {});
}

TEST(GoldenMemory, File) {
    MemoryRequest memory;
    memory.kind = MemoryKind::file;

    compare_memory("file", memory);
}

TEST(GoldenMemory, HugePagesOfTheHostsSize) {
    MemoryRequest memory;
    memory.kind = MemoryKind::hugepages;

    compare_memory("hugepages", memory);
}

TEST(GoldenMemory, HugePagesOf2M) {
    MemoryRequest memory;
    memory.kind = MemoryKind::hugepages;
    memory.page_bytes = std::uint64_t{2} << 20;

    compare_memory("hugepages-2M", memory);
}

TEST(GoldenMemory, Numa) {
    MemoryRequest memory;
    memory.numa = true;

    compare_memory("numa", memory);
}

TEST(GoldenRefused, RelativeDirectory) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).source_dir = "srv/media";

    compare_refused(
        "refused", "relative-directory", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, OpenfilesZero) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).openfiles = 0;

    compare_refused("refused", "openfiles-zero", filesystem, target_of(trixie), shared_memory);
}

TEST(GoldenRefused, OpenfilesBefore106) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).openfiles = 4096;

    compare_refused("refused-only", "openfiles", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, ReadonlyBefore110) {
    auto filesystem = managed_sample();
    filesystem.readonly = true;

    compare_refused("refused-only", "readonly", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, CreateModeWithoutMapped) {
    auto filesystem = ninep_sample();
    filesystem.fmode = 0644;

    compare_refused("refused", "9p-fmode", filesystem, target_of(bookworm), "");
}

TEST(GoldenRefused, EmptyTag) {
    auto filesystem = managed_sample();
    filesystem.tag = "";

    compare_refused("refused", "empty-tag", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, QueueAtStart) {
    auto filesystem = external_sample();
    filesystem.queue_size = 1000;

    compare_refused("start", "queue-1000", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, LargeQueueAtStart) {
    auto filesystem = external_sample();
    filesystem.queue_size = 2048;

    compare_refused("start", "queue-2048", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, LongTagAtStart) {
    auto filesystem = external_sample();
    filesystem.tag = std::string(37, 'a');

    compare_refused("start", "tag-37", filesystem, target_of(bookworm), shared_memory);
}

TEST(GoldenRefused, Long9pTagAtStart) {
    auto filesystem = ninep_sample();
    filesystem.source_dir = "/usr";
    filesystem.tag = std::string(32, 'a');

    compare_refused("start", "9p-tag-32", filesystem, target_of(bookworm), "");
}

TEST(GoldenRefused, MissingDirectoryAtStart) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).source_dir = "/nonexistent/vfskit";
    // libvirt looks for the daemon first; the system test puts one there.
    daemon_of(filesystem).binary_path = "/run/vfskit/virtiofsd";
    Target target = target_of(bookworm);
    target.is_directory = [](const std::string&) { return false; };

    compare_refused("start", "missing-directory", filesystem, target, shared_memory);
}

TEST(GoldenRefused, LockOfTheRustDaemonAtStart) {
    auto filesystem = managed_sample();
    daemon_of(filesystem).source_dir = "/usr";
    daemon_of(filesystem).binary_path = "/run/vfskit/virtiofsd";
    daemon_of(filesystem).flock = true;

    // libvirt 9.0 still writes the C daemon's options and leaves it to the daemon to refuse them.
    compare_refused("start", "lock", filesystem, target_of(trixie), shared_memory);
}

TEST(GoldenGuest, Fstab) {
    GuestMount plain{"media", "/srv/media", false, true, {}, {}};
    GuestMount awkward{"my share", "/srv/my share", true, true, {"noatime"}, {}};

    compare_with_golden("guest/fstab", *fstab_line(plain) + *fstab_line(awkward));
}

TEST(GoldenGuest, SystemdMountUnit) {
    GuestMount mount{"media", "/srv/my-media", true, true, {"noatime"}, "photos"};
    const auto unit = systemd_mount_unit(mount);

    ASSERT_TRUE(unit);
    EXPECT_EQ(unit->name, "srv-my\\x2dmedia.mount");
    compare_with_golden("guest/" + unit->name, unit->text);
}

TEST(GoldenGuest, SystemdMountUnitThatIsRequired) {
    GuestMount mount{"media", "/srv/media", false, false, {}, {}};
    const auto unit = systemd_mount_unit(mount);

    ASSERT_TRUE(unit);
    compare_with_golden("guest/" + unit->name, unit->text);
}

TEST(GoldenGuest, KernelCommandLines) {
    compare_with_golden("guest/cmdline-dracut",
                        *kernel_root_arguments("rootfs", RootStyle::dracut, false) + "\n");
    compare_with_golden("guest/cmdline-plain",
                        *kernel_root_arguments("rootfs", RootStyle::plain, false) + "\n");
}

TEST(GoldenGuest, CloudInit) {
    const GuestMount mounts[] = {{"media", "/srv/my-media", false, true, {}, {}},
                                 {"my share", "/srv/b", true, true, {"noatime"}, "photos"}};

    compare_with_golden("guest/cloud-init.yaml", *cloud_init_user_data(mounts));
}

TEST(GoldenGuest, Kubevirt) {
    const KubevirtShare shares[] = {
        {"media", KubevirtSource::persistent_volume_claim, "media-claim", {}},
        {"settings", KubevirtSource::config_map, "settings", {}},
        {"keys", KubevirtSource::secret, "keys", {}},
        {"pod", KubevirtSource::downward_api, "", {{"labels", "metadata.labels"}}},
        {"serviceaccount-fs", KubevirtSource::service_account, "default", {}}};

    compare_with_golden("guest/kubevirt.yaml", *kubevirt_instance("guest", shares));
}

} // namespace
} // namespace vfskit::domain
