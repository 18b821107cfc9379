// SPDX-License-Identifier: Apache-2.0
// Both sides of each finding's boundary: a world where it is found, and the nearest one where it is
// not. The table must hold every code of the catalogue.
#include "core/check/catalogue.h"
#include "tests/unit/check/world.h"

#include <gtest/gtest.h>

#include <ostream>

namespace vfskit {
namespace {

using check::Code;
using mapping::MigrationMethod;
using mapping::PathRelation;
using test::World;

using Change = void (*)(World&);

struct Boundary {
    Code code;
    const char* name;
    Change found; ///< the finding is there
    Change near;  ///< it is not, though almost everything is the same
};

void nothing(World& /*w*/) {}

const Boundary boundaries[] = {
    {Code::source_facts_missing,
     "SourceFacts",
     [](World& w) { w.has_source_facts = false; },
     nothing},
    {Code::target_facts_missing,
     "TargetFacts",
     [](World& w) { w.has_target_facts = false; },
     nothing},
    {Code::facts_too_old,
     "AgeOfFacts",
     [](World& w) { w.migration.now = test::world_time + std::chrono::milliseconds{600'001}; },
     [](World& w) { w.migration.now = test::world_time + std::chrono::seconds{600}; }},
    {Code::deciding_fact_unknown,
     "ExistenceNotKnown",
     [](World& w) { w.target_path().exists.reset(); },
     nothing},
    {Code::deciding_fact_unknown,
     "PathOfAnOlderMapping",
     [](World& w) { w.target_path().path = "/mnt/before"; },
     nothing},
    {Code::deciding_fact_unknown,
     "DaemonThatDidNotAnswer",
     [](World& w) { w.target.virtiofsds[0].kind.reset(); },
     nothing},
    {Code::target_is_source, "TargetIsSource", [](World& w) { w.target_name = "n1"; }, nothing},
    {Code::guest_not_on_source,
     "GuestNotThere",
     [](World& w) { w.source.guests.clear(); },
     nothing},
    {Code::fact_unknown,
     "QemuVersionNotKnown",
     [](World& w) { w.source.guests[0].version.reset(); },
     nothing},
    {Code::description_incomplete,
     "SnapshotsNotKnown",
     [](World& w) { w.vm.snapshots.reset(); },
     nothing},
    {Code::mapping_missing,
     "MappingMissing",
     [](World& w) { w.share().dirid = "gone"; },
     [](World& w) {
         w.share().dirid = "gone";
         w.share().is_dirid_explicit = false;
     }},
    {Code::mapping_missing,
     "DirectoryOfAProxmoxVmDeleted",
     [](World& w) {
         w.use_pve();
         w.mappings.clear();
     },
     [](World& w) { w.use_pve(); }},
    {Code::share_not_mapped,
     "ShareOfNoMapping",
     [](World& w) {
         w.share().dirid = "own";
         w.share().is_dirid_explicit = false;
     },
     nothing},
    {Code::no_path_on_target,
     "NoPathOnTarget",
     [](World& w) { w.media().paths.pop_back(); },
     nothing},
    {Code::no_path_on_source,
     "NoPathOnSource",
     [](World& w) { w.media().paths.erase(w.media().paths.begin()); },
     nothing},
    {Code::method_not_set,
     "NoMethod",
     [](World& w) { w.media().live_migration_method.reset(); },
     [](World& w) {
         w.media().live_migration_method.reset();
         w.migration.operation = check::Operation::offline;
     }},
    {Code::method_between_replicas,
     "HandlesBetweenReplicas",
     [](World& w) {
         w.use_file_handles();
         w.media().path_relation = PathRelation::replicas;
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::source_path_differs,
     "DaemonServesAnotherDirectory",
     [](World& w) { w.daemon().shared_dir = "/srv/other"; },
     [](World& w) { w.daemon().shared_dir = "/srv/media/"; }},
    {Code::source_path_differs,
     "XmlHasAnotherDirectory",
     [](World& w) {
         w.daemon().shared_dir = "";
         w.share().source_dir = "/srv/other";
     },
     [](World& w) { w.daemon().shared_dir = ""; }},
    {Code::path_missing, "PathMissing", [](World& w) { w.target_path().exists = false; }, nothing},
    {Code::path_not_directory,
     "PathIsAFile",
     [](World& w) { w.target_path().is_directory = false; },
     nothing},
    {Code::path_not_mounted,
     "NotMounted",
     [](World& w) { w.target_path().is_expected_mount = false; },
     [](World& w) {
         w.target_path().is_expected_mount.reset();
         w.target_path().expected_mount_point.reset();
     }},
    {Code::path_hangs,
     "FilesystemHangs",
     [](World& w) { w.target_path().state = node::ProbeState::timed_out; },
     nothing},
    {Code::file_handles_unsupported,
     "NoHandles",
     [](World& w) {
         w.use_file_handles();
         w.target_path().name_to_handle_works = false;
     },
     [](World& w) { w.target_path().name_to_handle_works = false; }},
    {Code::file_handles_unsupported,
     "HandlesThatDoNotOpen",
     [](World& w) {
         w.use_file_handles();
         w.target_path().open_by_handle_works = false;
     },
     [](World& w) {
         w.use_file_handles();
         w.source_path().open_by_handle_works = false; // only the destination opens them
     }},
    {Code::file_handles_unsupported,
     "NoHandlesAtTheSource",
     [](World& w) {
         w.use_file_handles();
         w.source_path().name_to_handle_works = false;
     },
     [](World& w) { w.source_path().name_to_handle_works = false; }},
    {Code::capability_missing,
     "NoCapability",
     [](World& w) {
         w.use_file_handles();
         w.target.has_dac_read_search = false;
     },
     [](World& w) { w.target.has_dac_read_search = false; }},
    {Code::capability_missing,
     "UpstreamDropsTheCapability",
     [](World& w) {
         w.use_socket();
         w.use_file_handles();
     },
     [](World& w) {
         w.use_socket();
         w.use_file_handles();
         w.target.daemons[0].options->modcaps = "+dac_read_search";
     }},
    {Code::capability_missing,
     "OursWithoutHandlesForInodes",
     [](World& w) {
         w.use_socket();
         w.use_file_handles();
         w.target.daemons[0].kind = node::BinaryKind::bundled;
         w.target.daemons[0].options->inode_file_handles = share::InodeFileHandles::never;
     },
     [](World& w) {
         w.use_socket();
         w.use_file_handles();
         w.target.daemons[0].kind = node::BinaryKind::bundled;
     }},
    {Code::different_directories,
     "OtherInode",
     [](World& w) {
         w.use_file_handles();
         w.target_path().inode = 2;
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::different_directories,
     "TheDaemonHasHandlesAndTheMappingPaths",
     [](World& w) {
         w.daemon().options->method = MigrationMethod::file_handles;
         w.target_path().inode = 2;
     },
     [](World& w) {
         w.use_file_handles();
         w.daemon().options->method = MigrationMethod::find_paths;
         w.target_path().inode = 2;
     }},
    {Code::different_directories,
     "OtherHandle",
     [](World& w) {
         w.use_file_handles();
         w.target_path().root_handle->bytes = {9};
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::different_directories,
     "OtherFilesystemId",
     [](World& w) {
         w.use_file_handles();
         w.target_path().fs_id = 1;
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::different_directories,
     "ClonedDiskOnTwoHosts",
     [](World& w) {
         w.use_file_handles();
         w.source_path().fs_type = w.target_path().fs_type = "ext4";
     },
     [](World& w) {
         w.use_file_handles();
         w.use_one_host();
         w.source_path().fs_type = w.target_path().fs_type = "ext4";
     }},
    {Code::same_directory_unproved,
     "HandleNotKnown",
     [](World& w) {
         w.use_file_handles();
         w.target_path().root_handle.reset();
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::same_directory_unproved,
     "NfsWithAnotherSource",
     [](World& w) {
         w.use_file_handles();
         w.source_path().fs_type = w.target_path().fs_type = "nfs4";
         w.source_path().fs_id = w.target_path().fs_id = 0;
         w.target_path().mount_source = "other:/";
     },
     [](World& w) {
         w.use_file_handles();
         w.source_path().fs_type = w.target_path().fs_type = "nfs4";
         w.source_path().fs_id = w.target_path().fs_id = 0;
     }},
    {Code::replicas_verify_handles,
     "VerifiedReplicas",
     [](World& w) {
         w.daemon().options->verify_handles = true;
         w.target_path().inode = 2;
     },
     [](World& w) { w.daemon().options->verify_handles = true; }},
    {Code::declared_same_but_different,
     "DeclaredSame",
     [](World& w) {
         w.media().path_relation = PathRelation::same_directory;
         w.target_path().inode = 2;
     },
     [](World& w) { w.target_path().inode = 2; }},
    {Code::declared_same_unproved,
     "DeclaredSameUnproved",
     [](World& w) {
         w.media().path_relation = PathRelation::same_directory;
         w.target_path().inode.reset();
     },
     [](World& w) { w.media().path_relation = PathRelation::same_directory; }},
    {Code::copies_not_compared, "Copies", [](World& w) { w.target_path().inode = 2; }, nothing},
    {Code::copies_not_compared,
     "CopiesThatTheDaemonTakesForOneDirectory",
     [](World& w) { w.target_path().inode = 2; },
     [](World& w) {
         w.target_path().inode = 2;
         w.daemon().options->method = MigrationMethod::file_handles;
     }},
    {Code::target_daemon_missing,
     "NoVirtiofsd",
     [](World& w) { w.target.virtiofsds.clear(); },
     nothing},
    {Code::source_daemon_too_old,
     "SourceDaemon110",
     [](World& w) {
         w.daemon().version = node::Version{1, 10, 1};
         w.daemon().is_binary_replaced = true;
     },
     [](World& w) {
         w.daemon().version = node::Version{1, 11, 0};
         w.daemon().is_binary_replaced = true;
     }},
    {Code::source_daemon_too_old,
     "SourceDaemonWithoutTheWordThatLibvirtWants",
     [](World& w) { w.source.virtiofsds[0].features = {"separate-options"}; },
     nothing},
    {Code::target_daemon_too_old,
     "TargetDaemon110",
     [](World& w) {
         w.target.virtiofsds[0].version = node::Version{1, 10, 1};
         w.target.virtiofsds[0].features.clear();
     },
     [](World& w) {
         w.target.virtiofsds[0].version = node::Version{1, 11, 0};
         w.target.virtiofsds[0].features.clear();
     }},
    {Code::target_daemon_too_old,
     "TargetDaemonOfQemu",
     [](World& w) {
         w.target.virtiofsds[0].kind = node::BinaryKind::c;
         w.target.virtiofsds[0].features.clear();
     },
     nothing},
    {Code::method_unknown_to_daemon,
     "HandlesInTarget111",
     [](World& w) {
         w.use_file_handles();
         w.target.virtiofsds[0].version = node::Version{1, 11, 1};
     },
     [](World& w) {
         w.use_file_handles();
         w.target.virtiofsds[0].version = node::Version{1, 12, 0};
     }},
    {Code::deciding_fact_unknown,
     "WhetherABinaryThatIsGoneKnowsFdPassing",
     [](World& w) {
         w.use_bundled_daemons();
         w.use_one_host();
         w.media().live_migration_method = MigrationMethod::fd_passing;
         w.media().path_relation = PathRelation::same_directory;
         w.daemon().is_binary_replaced = true;
         w.daemon().options->method = MigrationMethod::fd_passing;
     },
     [](World& w) {
         w.use_bundled_daemons();
         w.use_one_host();
         w.media().live_migration_method = MigrationMethod::fd_passing;
         w.media().path_relation = PathRelation::same_directory;
         w.daemon().is_binary_replaced = true;
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.daemon().options->is_method_explicit = true; // it runs with it
     }},
    {Code::method_unknown_to_daemon,
     "FdPassingWithUpstream",
     [](World& w) {
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.media().live_migration_method = MigrationMethod::fd_passing;
         w.media().path_relation = PathRelation::same_directory;
     },
     nothing},
    {Code::method_unknown_to_daemon,
     "HandlesInSource111",
     [](World& w) {
         w.use_file_handles();
         w.daemon().version = node::Version{1, 11, 1};
         w.daemon().is_binary_replaced = true;
     },
     [](World& w) {
         w.use_file_handles();
         w.daemon().version = node::Version{1, 12, 0};
         w.daemon().is_binary_replaced = true;
     }},
    {Code::source_daemon_dead,
     "DaemonDead",
     [](World& w) { w.daemon().is_alive = false; },
     nothing},
    {Code::source_daemon_unknown,
     "DaemonOfAnotherVm",
     [](World& w) { w.daemon().vm = "other"; },
     nothing},
    {Code::daemon_runs_other_method,
     "StartedBeforeTheMethodWasSet",
     [](World& w) {
         w.use_file_handles();
         w.daemon().options->method = MigrationMethod::find_paths;
     },
     [](World& w) { w.use_file_handles(); }},
    {Code::daemon_runs_other_flags,
     "XattrTurnedOnSince",
     [](World& w) { w.share().xattr = true; },
     [](World& w) {
         w.share().xattr = true;
         w.daemon().options->xattr = true;
     }},
    {Code::daemon_runs_other_flags,
     "CacheChangedSince",
     [](World& w) { w.share().cache = share::CachePolicy::never; },
     [](World& w) {
         w.share().cache = share::CachePolicy::never;
         w.daemon().options->cache = share::CachePolicy::never;
     }},
    {Code::daemon_runs_other_flags,
     "AclTurnedOnSince",
     [](World& w) { w.share().posix_acl = true; },
     [](World& w) {
         w.share().posix_acl = true;
         w.daemon().options->posix_acl = share::Negotiation::automatic;
     }},
    {Code::daemon_runs_other_flags,
     "ReadOnlySince",
     [](World& w) { w.share().readonly = true; },
     [](World& w) {
         w.share().readonly = true;
         w.daemon().options->readonly = true;
     }},
    {Code::option_missing_on_target,
     "AclTurnedOffSince",
     [](World& w) {
         w.use_pve();
         w.daemon().options->posix_acl = share::Negotiation::always;
     },
     [](World& w) {
         w.use_pve();
         w.daemon().options->posix_acl = share::Negotiation::always;
         w.share().posix_acl = true;
     }},
    {Code::option_missing_on_target,
     "WritebackOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().options->writeback = true;
     },
     [](World& w) {
         w.use_socket();
         w.daemon().options->writeback = true;
         w.target.daemons[0].options->writeback = true;
     }},
    {Code::option_missing_on_target,
     "LocksOnTheHostOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().argv = {"--posix-lock"};
     },
     [](World& w) {
         w.use_socket();
         w.daemon().argv = w.target.daemons[0].argv = {"--posix-lock"};
     }},
    {Code::option_missing_on_target,
     "FlockOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().argv = {"--flock"};
     },
     [](World& w) {
         w.use_socket();
         w.target.daemons[0].argv = {"--flock"}; // more on the target is no harm
     }},
    {Code::option_missing_on_target,
     "SecurityLabelsOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().options->security_label = share::Negotiation::always;
     },
     [](World& w) {
         w.use_pve(); // what nothing says there will be as on the source
         w.daemon().options->security_label = share::Negotiation::always;
     }},
    {Code::option_missing_on_target,
     "SubmountsOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.target.daemons[0].options->announce_submounts = false;
     },
     [](World& w) {
         w.use_socket();
         w.daemon().options->announce_submounts = false; // more on the target is no harm
     }},
    {Code::option_missing_on_target,
     "DescriptorsToADaemonThatTakesNone",
     [](World& w) {
         w.use_socket();
         w.media().live_migration_method = MigrationMethod::fd_passing;
         w.daemon().options->method = MigrationMethod::fd_passing;
     },
     [](World& w) {
         w.use_socket();
         w.media().live_migration_method = MigrationMethod::fd_passing;
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.target.daemons[0].options->method = MigrationMethod::fd_passing;
     }},
    {Code::nobody_listens,
     "NobodyListens",
     [](World& w) {
         w.use_socket();
         w.target.daemons.clear();
     },
     [](World& w) { w.use_socket(); }},
    {Code::nobody_listens,
     "NoHookToStartOurDaemon",
     [](World& w) {
         w.use_socket("/run/vfskit/web/media.sock");
         w.target.daemons.clear();
         w.target.libvirt->hook.is_installed = false;
     },
     [](World& w) {
         w.use_socket("/run/vfskit/web/media.sock");
         w.target.daemons.clear();
     }},
    {Code::binary_missing,
     "BinaryOfTheSource",
     [](World& w) {
         w.share().binary = "/opt/virtiofsd";
         w.target.libvirt->hook.is_installed = false;
     },
     [](World& w) { w.share().binary = "/opt/virtiofsd"; }},
    {Code::option_differs,
     "XattrOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().options->xattr = true;
     },
     [](World& w) { w.use_socket(); }},
    {Code::option_differs,
     "CacheOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.daemon().options->cache = share::CachePolicy::never;
     },
     [](World& w) {
         w.use_socket();
         w.daemon().options->cache = share::CachePolicy::never;
         w.target.daemons[0].options->cache = share::CachePolicy::never;
     }},
    {Code::option_differs,
     "WritableOnlyOnSource",
     [](World& w) {
         w.use_socket();
         w.target.daemons[0].options->readonly = true;
     },
     [](World& w) {
         w.use_socket();
         w.daemon().options->readonly = true;
         w.target.daemons[0].options->readonly = true;
     }},
    {Code::source_qemu_too_old,
     "SourceQemu",
     [](World& w) {
         w.source.guests[0].version = node::Version{8, 1, 5};
     },
     [](World& w) {
         w.source.guests[0].version = node::Version{8, 2, 0};
     }},
    {Code::target_qemu_too_old,
     "TargetQemu",
     [](World& w) {
         w.target.qemus[0].version = node::Version{8, 1, 5};
     },
     [](World& w) {
         w.target.qemus[0].version = node::Version{8, 2, 0};
     }},
    {Code::source_libvirt_too_old,
     "SourceLibvirt",
     [](World& w) {
         w.source.libvirt->version = node::Version{10, 4, 0};
     },
     [](World& w) {
         w.source.libvirt->version = node::Version{10, 5, 0};
     }},
    {Code::one_way_door,
     "TargetLibvirt",
     [](World& w) {
         w.target.libvirt->version = node::Version{10, 4, 0};
     },
     [](World& w) {
         w.target.libvirt->version = node::Version{10, 5, 0};
     }},
    {Code::libvirt_restarted,
     "LibvirtYoungerThanTheDaemon",
     [](World& w) {
         w.source.libvirt->started_at =
             *w.source.daemons[0].started_at + std::chrono::milliseconds{1};
     },
     [](World& w) { w.source.libvirt->started_at = *w.source.daemons[0].started_at; }},
    {Code::libvirt_restarted,
     "LibvirtYoungerThanTheGuestWithADaemonOfUnknownAge",
     [](World& w) {
         w.source.daemons[0].started_at.reset();
         w.source.libvirt->started_at =
             *w.source.guests[0].started_at + std::chrono::milliseconds{1};
     },
     [](World& w) {
         w.source.daemons[0].started_at.reset();
         w.source.libvirt->started_at = *w.source.guests[0].started_at;
     }},
    {Code::libvirt_restarted,
     "ShareAttachedAfterTheRestart",
     [](World& w) { w.source.libvirt->started_at = test::world_time; },
     [](World& w) {
         w.source.guests[0].started_at = test::world_time - std::chrono::hours{2};
         w.source.libvirt->started_at = test::world_time - std::chrono::hours{1};
         w.source.daemons[0].started_at = test::world_time;
     }},
    {Code::libvirt_restarted,
     "LibvirtYoungerThanTheGuestWithASocket",
     [](World& w) { w.source.libvirt->started_at = test::world_time; },
     [](World& w) {
         w.source.libvirt->started_at = test::world_time;
         w.use_socket();
     }},
    {Code::persistent_stores_source_path,
     "Persistent",
     [](World& w) { w.migration.persistent = true; },
     [](World& w) { w.migration.persistent = w.migration.persist_xml = true; }},
    {Code::persistent_stores_source_path,
     "PersistentOffline",
     [](World& w) { w.migration.persistent = true; },
     [](World& w) {
         w.migration.persistent = true;
         w.migration.operation = check::Operation::offline;
     }},
    {Code::persistent_stores_source_path,
     "PersistentWithOnePath",
     [](World& w) { w.migration.persistent = true; },
     [](World& w) {
         w.migration.persistent = true;
         w.media().paths[1].path = w.target_path().path = "/srv/media";
     }},
    {Code::hook_missing,
     "NoHook",
     [](World& w) { w.target.libvirt->hook.is_installed = false; },
     [](World& w) {
         w.target.libvirt->hook.is_installed = false;
         w.migration.rewrites_xml = true;
     }},
    {Code::hook_missing,
     "NoHookAndOnePath",
     [](World& w) { w.target.libvirt->hook.is_installed = false; },
     [](World& w) {
         w.target.libvirt->hook.is_installed = false;
         w.media().paths[1].path = w.target_path().path = "/srv/media";
     }},
    {Code::hook_not_loaded,
     "HookTooYoung",
     [](World& w) { w.target.libvirt->hook.is_loaded = false; },
     nothing},
    {Code::memory_not_shared,
     "PrivateMemory",
     [](World& w) { w.vm.has_shared_memory = false; },
     nothing},
    {Code::memory_hotplug,
     "MemoryHotplug",
     [](World& w) {
         w.use_pve();
         w.vm.has_memory_hotplug = true;
     },
     [](World& w) { w.vm.has_memory_hotplug = true; }},
    {Code::hugepages_missing,
     "OneHugepageTooFew",
     [](World& w) {
         w.vm.has_hugepages = true;
         w.target.memory->hugepages[0].free = 511;
     },
     [](World& w) {
         w.vm.has_hugepages = true;
         w.target.memory->hugepages[0].free = 512;
     }},
    {Code::hugepages_missing,
     "HugepagesOfAnotherSize",
     [](World& w) {
         w.vm.has_hugepages = true;
         w.vm.hugepage_bytes = std::uint64_t{1} << 30U;
     },
     [](World& w) {
         w.vm.has_hugepages = true;
         w.vm.hugepage_bytes = std::uint64_t{2} << 20U;
     }},
    {Code::memory_not_shared,
     "PrivateMemoryOfTheRunningGuest",
     [](World& w) { w.source.guests[0].memory.is_shared = false; },
     [](World& w) {
         w.source.guests[0].memory.is_shared = true;
         w.vm.has_shared_memory = false; // it was started before somebody changed it
     }},
    {Code::hugepages_missing,
     "HugepagesOfTheRunningGuest",
     [](World& w) {
         w.source.guests[0].memory = {.bytes = std::uint64_t{1} << 30U,
                                      .is_shared = true,
                                      .has_hugepages = true,
                                      .hugepage_bytes = std::uint64_t{2} << 20U};
         w.target.memory->hugepages[0].free = 511;
     },
     [](World& w) {
         w.vm.has_hugepages = true; // it was started before somebody chose them
         w.source.guests[0].memory.has_hugepages = false;
         w.target.memory->hugepages[0].free = 511;
     }},
    {Code::memory_short,
     "OneByteTooLittle",
     [](World& w) { w.target.memory->available_bytes = *w.vm.memory_bytes - 1; },
     [](World& w) { w.target.memory->available_bytes = *w.vm.memory_bytes; }},
    {Code::memory_short,
     "TooLittleForTheRunningGuest",
     [](World& w) {
         w.target.memory->available_bytes = *w.vm.memory_bytes;
         w.source.guests[0].memory.bytes = *w.vm.memory_bytes + 1;
     },
     [](World& w) {
         w.target.memory->available_bytes = *w.vm.memory_bytes;
         w.source.guests[0].memory.bytes = *w.vm.memory_bytes;
     }},
    {Code::memory_short,
     "HugepagesAreNotTakenFromFreeMemory",
     [](World& w) { w.target.memory->available_bytes = 0; },
     [](World& w) {
         w.target.memory->available_bytes = 0;
         w.vm.has_hugepages = true;
     }},
    {Code::post_copy, "PostCopy", [](World& w) { w.migration.post_copy = true; }, nothing},
    {Code::snapshots_present,
     "OneSnapshot",
     [](World& w) { w.vm.snapshots = 1; },
     [](World& w) {
         w.vm.snapshots = 1;
         w.migration.operation = check::Operation::save;
     }},
    {Code::ninep_mounted,
     "NinepMounted",
     [](World& w) { w.add_ninep(true); },
     [](World& w) { w.add_ninep(false); }},
    {Code::ninep_configured,
     "NinepConfigured",
     [](World& w) { w.add_ninep(false); },
     [](World& w) { w.add_ninep(true); }},
    {Code::ninep_unknown,
     "NinepNotAsked",
     [](World& w) { w.add_ninep(std::nullopt); },
     [](World& w) { w.add_ninep(false); }},
    {Code::ninep_several_devices,
     "MultidevsWarn",
     [](World& w) {
         w.add_ninep(false);
         w.vm.ninep[0].multidevs = "default";
         w.source_path().submounts = {{"disk", "ext4"}};
     },
     [](World& w) {
         w.add_ninep(false);
         w.source_path().submounts = {{"disk", "ext4"}};
     }},
    {Code::ninep_several_devices,
     "MultidevsWarnInTheDirectoryOfAnotherMapping",
     [](World& w) {
         w.add_ninep(false);
         w.vm.ninep[0].dirid = "old";
         w.vm.ninep[0].multidevs = "warn";
         w.source_path().submounts = {{"disk", "ext4"}};
     },
     [](World& w) {
         w.add_ninep(false);
         w.vm.ninep[0].dirid = "old";
         w.vm.ninep[0].multidevs = "warn";
     }},
    {Code::unix_socket_required,
     "BackendTransferOverTcp",
     [](World& w) {
         w.migration.descriptor_transfer = check::DescriptorTransfer::backend_transfer;
     },
     [](World& w) {
         w.migration.descriptor_transfer = check::DescriptorTransfer::backend_transfer;
         w.migration.transport = check::Transport::unix_socket;
     }},
    {Code::unix_socket_required,
     "FdPassingOverTcp",
     [](World& w) {
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.migration.transport = check::Transport::tcp;
     },
     [](World& w) {
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.migration.transport = check::Transport::unix_socket;
     }},
    {Code::fd_passing_two_hosts,
     "FdPassingBetweenHosts",
     [](World& w) { w.daemon().options->method = MigrationMethod::fd_passing; },
     [](World& w) {
         w.daemon().options->method = MigrationMethod::fd_passing;
         w.use_one_host();
     }},
    {Code::fd_passing_two_hosts,
     "CprTransferBetweenHosts",
     [](World& w) { w.migration.descriptor_transfer = check::DescriptorTransfer::cpr_transfer; },
     [](World& w) {
         w.migration.descriptor_transfer = check::DescriptorTransfer::cpr_transfer;
         w.use_one_host();
     }},
    {Code::cache_always_with_replicas,
     "CacheAlways",
     [](World& w) {
         w.target_path().inode = 2;
         w.daemon().options->cache = share::CachePolicy::always;
     },
     [](World& w) { w.daemon().options->cache = share::CachePolicy::always; }},
    {Code::tag_too_long,
     "TagOf37Bytes",
     [](World& w) { w.share().tag = std::string(37, 'a'); },
     [](World& w) { w.share().tag = std::string(36, 'a'); }},
    {Code::duplicate_tag,
     "TagTwice",
     [](World& w) { w.vm.shares.push_back(w.vm.shares[0]); },
     nothing},
    {Code::open_files_unknown,
     "NobodyAskedForOpenFiles",
     nothing,
     [](World& w) { w.daemon().open_files = node::OpenFilesFacts{}; }},
    {Code::open_files_unreachable,
     "DeletedFileOpen",
     [](World& w) { w.daemon().open_files = node::OpenFilesFacts{.stuck = 1}; },
     [](World& w) { w.daemon().open_files = node::OpenFilesFacts{}; }},
    {Code::open_files_unreachable,
     "DeletedFileThatTravelsByHandle",
     [](World& w) {
         w.use_bundled_daemons();
         w.daemon().open_files = node::OpenFilesFacts{.by_handle = 1};
         w.target_path().inode = 2;
     },
     [](World& w) {
         w.use_bundled_daemons();
         w.daemon().open_files = node::OpenFilesFacts{.by_handle = 1};
     }},
    {Code::open_files_unreachable,
     "DeletedFileThatTravelsAsDescriptor",
     [](World& w) {
         w.use_bundled_daemons();
         w.daemon().open_files = node::OpenFilesFacts{.by_descriptor = 1};
     },
     [](World& w) {
         w.use_bundled_daemons();
         w.use_one_host();
         w.daemon().open_files = node::OpenFilesFacts{.by_descriptor = 1};
     }},
    {Code::open_files_will_fail,
     "DeletedFileWithGuestError",
     [](World& w) {
         w.daemon().open_files = node::OpenFilesFacts{.stuck = 1};
         w.daemon().options->on_error = share::OnError::guest_error;
     },
     [](World& w) { w.daemon().options->on_error = share::OnError::guest_error; }},
    {Code::locks_held,
     "Locks",
     [](World& w) { w.daemon().open_files = node::OpenFilesFacts{.locks = 1}; },
     [](World& w) {
         w.daemon().open_files = node::OpenFilesFacts{.locks = 1, .locks_move = true};
     }},
    {Code::return_path_off,
     "ReturnPathOff",
     [](World& w) {
         w.use_pve();
         w.target.pve->has_return_path.reset();
     },
     [](World& w) { w.use_pve(); }},
    {Code::return_path_off,
     "ReturnPathOffAtTheSource",
     [](World& w) {
         w.use_pve();
         w.source.pve->has_return_path = false;
     },
     [](World& w) {
         w.use_pve();
         w.source.pve->has_return_path = false;
         w.migration.return_path = true; // whoever asks knows better
     }},
    {Code::plugin_missing,
     "TargetWithoutPlugin",
     [](World& w) {
         w.use_pve();
         w.target.pve->plugin_version.reset();
     },
     [](World& w) {
         w.use_pve();
         w.target.pve->plugin_version.reset();
         w.source.pve->plugin_version.reset(); // nobody is there who would refuse
     }},
    {Code::plugin_missing,
     "TargetWithoutLauncher",
     [](World& w) {
         w.use_pve();
         w.target.pve->has_launcher.reset();
     },
     [](World& w) { w.use_pve(); }},
    {Code::plugin_missing,
     "TargetThatThePluginDoesNotKnow",
     [](World& w) {
         w.use_pve();
         w.target.pve->has_return_path = false;
     },
     [](World& w) {
         w.use_pve();
         w.target.pve->has_return_path = false;
         w.source.pve->has_return_path = false;
     }},
    {Code::memory_state_without_method,
     "SnapshotWithoutMethod",
     [](World& w) {
         w.use_pve(check::Operation::snapshot);
         w.media().live_migration_method.reset();
     },
     [](World& w) { w.use_pve(check::Operation::snapshot); }},
    {Code::memory_state_without_method,
     "HibernateWithoutMethod",
     [](World& w) {
         w.use_pve(check::Operation::save);
         w.media().live_migration_method.reset();
     },
     [](World& w) { w.use_pve(check::Operation::save); }},
    {Code::memory_state_with_method,
     "SnapshotWithMethod",
     [](World& w) { w.use_pve(check::Operation::snapshot); },
     [](World& w) {
         w.use_pve(check::Operation::snapshot);
         w.media().live_migration_method.reset();
     }},
    {Code::memory_state_with_method,
     "HibernateWithMethod",
     [](World& w) { w.use_pve(check::Operation::save); },
     [](World& w) { w.use_pve(); }},
    {Code::no_fixed_address,
     "NoFixedAddress",
     [](World& w) {
         w.use_pve();
         w.share().has_fixed_address = false;
     },
     [](World& w) { w.use_pve(); }},
};

std::ostream& operator<<(std::ostream& out, const Boundary& boundary) {
    return out << boundary.name;
}

class Boundaries : public testing::TestWithParam<Boundary> {};

TEST_P(Boundaries, IsFoundOnOneSide) {
    World world;
    GetParam().found(world);

    EXPECT_TRUE(world.finds(GetParam().code)) << world.text();
}

TEST_P(Boundaries, IsNotFoundOnTheOther) {
    World world;
    GetParam().near(world);

    EXPECT_FALSE(world.finds(GetParam().code)) << world.text();
}

INSTANTIATE_TEST_SUITE_P(Check, Boundaries, testing::ValuesIn(boundaries), [](const auto& test) {
    return std::string{test.param.name};
});

TEST(Boundaries, HoldEveryCodeOfTheCatalogue) {
    for (const auto& entry : check::catalogue()) {
        const auto* const found = std::ranges::find(boundaries, entry.code, &Boundary::code);
        EXPECT_NE(found, std::end(boundaries)) << to_string(entry.code);
    }
}

} // namespace
} // namespace vfskit
