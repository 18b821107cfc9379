// SPDX-License-Identifier: Apache-2.0
// The texts of the catalogue, by code. Each reason says what would happen and where that is known
// from: tried with libvirt 9.0, 11.3 and 12.8, QEMU 10.0 and 11.1, virtiofsd 1.13 and 1.14 and
// Proxmox VE 9.2, unless it says otherwise.
#pragma once

#include "core/check/catalogue.h"

#include <array>

namespace vfskit::check {

inline constexpr std::array catalogue_entries{
    CatalogueEntry{Code::source_facts_missing,
                   Severity::blocker,
                   "no facts about the source node",
                   "Without the facts of the node that the VM is on nobody can say whether its "
                   "daemons live and what they were started with.",
                   "Run 'vfsctl node publish' on the source, or give its facts with --facts"},
    CatalogueEntry{Code::target_facts_missing,
                   Severity::blocker,
                   "no facts about the target node",
                   "Without facts nobody can say whether the directory is there, which daemon "
                   "would serve it and whether it is the source's.",
                   "Run 'vfsctl node publish' on the target, or give its facts with --facts"},
    CatalogueEntry{Code::facts_too_old,
                   Severity::blocker,
                   "facts too old to decide on",
                   "A filesystem that was mounted and a daemon that lived when the facts were "
                   "collected may be gone since.",
                   "Run 'vfsctl node publish' there again, or allow the age with --max-age"},
    CatalogueEntry{Code::deciding_fact_unknown,
                   Severity::blocker,
                   "a fact that decides is not known",
                   "The facts of a node do not answer a question that decides whether the "
                   "migration works; not knowing is not a pass.",
                   "Mend what the facts of the node name as their problem, and collect them again"},
    CatalogueEntry{Code::target_is_source,
                   Severity::blocker,
                   "the target is the source",
                   "libvirt and Proxmox VE refuse to migrate a VM to the node that it is on.",
                   "Name another node"},
    CatalogueEntry{Code::guest_not_on_source,
                   Severity::blocker,
                   "the guest does not run on the source",
                   "The facts of the source node know no running guest of this name, so nothing "
                   "that was found out about its daemons can be relied on.",
                   "Name the node that it runs on with --from, or collect the facts again"},
    CatalogueEntry{Code::fact_unknown,
                   Severity::warning,
                   "a fact is not known",
                   "The facts of a node leave a question open. If the answer is bad the migration "
                   "is refused and the guest goes on at the source.",
                   "Collect the facts of the node anew as root"},
    CatalogueEntry{Code::description_incomplete,
                   Severity::note,
                   "the description of the VM leaves something open",
                   "A file does not tell everything that the hypervisor knows.",
                   "Name the VM instead of a file, so that its hypervisor is asked"},

    CatalogueEntry{Code::mapping_missing,
                   Severity::blocker,
                   "the mapping is not defined",
                   "The VM names a directory mapping that no longer exists. It cannot start "
                   "anywhere, and Proxmox VE's migration ends with \"Can't use an undefined value "
                   "as an ARRAY reference\".",
                   "Define the mapping again with 'vfsctl mapping add', or take the share out of "
                   "the VM"},
    CatalogueEntry{Code::share_not_mapped,
                   Severity::warning,
                   "the share belongs to no mapping",
                   "Nothing says where other nodes have the directory: the target must have it "
                   "under the very path of the source, and what is there was not looked at.",
                   "Define a mapping for it with 'vfsctl mapping add'"},
    CatalogueEntry{Code::no_path_on_target,
                   Severity::blocker,
                   "the mapping has no path on the target",
                   "The target does not know where it has the directory. Proxmox VE refuses with "
                   "\"missing mapped devices\"; libvirt would use the source's path.",
                   "Give the mapping a path there: 'vfsctl mapping set ID NODE:PATH'"},
    CatalogueEntry{Code::no_path_on_source,
                   Severity::warning,
                   "the mapping has no path on the source",
                   "The VM could not come back, and the directory that it serves now cannot be "
                   "compared with the mapping.",
                   "Give the mapping a path there: 'vfsctl mapping set ID NODE:PATH'"},
    CatalogueEntry{Code::method_not_set,
                   Severity::blocker,
                   "no migration method is set",
                   "A mapping without a live-migration-method is declared not live-migratable: "
                   "whoever wrote it has not said that the directory can be found again elsewhere. "
                   "Proxmox VE refuses it too.",
                   "Choose one with 'vfsctl mapping set ID --method find-paths' (or file-handles)"},
    CatalogueEntry{Code::method_between_replicas,
                   Severity::blocker,
                   "the method needs one directory, the mapping has copies",
                   "A file handle and an open descriptor belong to one directory of one "
                   "filesystem. In a copy the handle is another file or none.",
                   "Use the method find-paths, or declare the relation same-directory if it is one "
                   "directory"},
    CatalogueEntry{Code::source_path_differs,
                   Severity::blocker,
                   "the VM serves another directory than the mapping says",
                   "The share's directory on the source is not the mapping's. The guest would find "
                   "another directory after the migration.",
                   "Give the mapping the path that is served, or restart the share with the "
                   "mapping's path"},

    CatalogueEntry{Code::path_missing,
                   Severity::blocker,
                   "the directory does not exist on the target",
                   "libvirt ends the migration at once with \"the virtiofs export directory does "
                   "not exist\"; Proxmox VE does not start the VM there.",
                   "Create or mount the directory on the target"},
    CatalogueEntry{Code::path_not_directory,
                   Severity::blocker,
                   "the path is not a directory on the target",
                   "Upstream's virtiofsd does not start with something else than a directory. The "
                   "bundled one shares single files, too, and refuses the guest of a directory.",
                   "Give the mapping the path of a directory on the target"},
    CatalogueEntry{Code::path_not_mounted,
                   Severity::blocker,
                   "the filesystem is not mounted on the target",
                   "The path lies in the empty directory that waits for a filesystem. The guest's "
                   "files would be missing, and what it writes would land on the wrong disk.",
                   "Mount the filesystem on the target"},
    CatalogueEntry{Code::path_hangs,
                   Severity::blocker,
                   "the directory cannot be looked at on the target",
                   "The filesystem did not answer; the daemon would hang on it as well.",
                   "Bring the filesystem's server back, and collect the facts again"},

    CatalogueEntry{Code::file_handles_unsupported,
                   Severity::blocker,
                   "the filesystem has no usable file handles",
                   "Under file-handles each file travels as the handle that name_to_handle_at(2) "
                   "gives. Here it gives none, or it cannot be opened again.",
                   "Use the method find-paths"},
    CatalogueEntry{Code::capability_missing,
                   Severity::blocker,
                   "the daemon may not open file handles",
                   "open_by_handle_at(2) wants CAP_DAC_READ_SEARCH on the host itself: root, not "
                   "inside a user namespace. A daemon without file handles for its inodes, as "
                   "upstream's before 1.13.3, drops it unless it is told to keep it.",
                   "Run the daemon as root on the host with --modcaps=+dac_read_search, or use the "
                   "method find-paths"},
    CatalogueEntry{Code::different_directories,
                   Severity::blocker,
                   "two different directories under a method that needs one",
                   "Old files would be served from one directory and new ones from another. "
                   "Upstream's daemon does that without a word; ours refuses.",
                   "Mount the source's directory on the target, or use the method find-paths with "
                   "the relation replicas"},
    CatalogueEntry{Code::same_directory_unproved,
                   Severity::blocker,
                   "it is not proved that both nodes have one directory",
                   "The method is right only for one directory of one shared filesystem, and "
                   "handle, filesystem id and inode do not prove that it is one. A name proves "
                   "nothing.",
                   "Collect the facts of both nodes anew, or use the method find-paths"},
    CatalogueEntry{Code::replicas_verify_handles,
                   Severity::blocker,
                   "verified handles between copies",
                   "The source's daemon sends the handle of every file for the destination to "
                   "compare. In a copy even the root differs: \"Inode 1 is not the same inode as "
                   "in the migration source\". Under Proxmox VE without return-path the VM is lost "
                   "on both nodes.",
                   "Restart the source's daemon without --migration-verify-handles, or share one "
                   "directory"},
    CatalogueEntry{Code::declared_same_but_different,
                   Severity::blocker,
                   "declared the same directory, and is not",
                   "The mapping says same-directory, but handle, filesystem id and inode differ. "
                   "Handles are verified then, and the load is refused.",
                   "Mount the right directory on the target, or declare the relation replicas"},
    CatalogueEntry{Code::declared_same_unproved,
                   Severity::warning,
                   "declared the same directory, not proved",
                   "The facts cannot tell whether both nodes have one directory. The destination's "
                   "daemon compares file handles and refuses if not.",
                   "Collect the facts of both nodes anew with vfsctl as root"},
    CatalogueEntry{Code::copies_not_compared,
                   Severity::warning,
                   "nobody has compared the copies",
                   "Under find-paths every file that the guest knows must be in the copy under its "
                   "name. If one is not, the destination refuses and the guest goes on at the "
                   "source; with on-error guest-error it moves and every use of the file fails.",
                   "See that the copies are alike when the guest moves, or share one directory"},

    CatalogueEntry{Code::target_daemon_missing,
                   Severity::blocker,
                   "no virtiofsd on the target",
                   "libvirt ends the migration with \"Unable to find a satisfying virtiofsd\", "
                   "Proxmox VE with \"virtiofsd is not installed\".",
                   "Install virtiofsd on the target"},
    CatalogueEntry{Code::source_daemon_too_old,
                   Severity::blocker,
                   "the source's virtiofsd cannot migrate",
                   "virtiofsd before 1.11 and the C daemon do not save their state. libvirt "
                   "refuses; with an external socket QEMU fails only at the switch-over.",
                   "Update virtiofsd on the source, then restart the VM or detach and attach the "
                   "share"},
    CatalogueEntry{Code::target_daemon_too_old,
                   Severity::blocker,
                   "the target's virtiofsd cannot migrate",
                   "virtiofsd before 1.11 and the C daemon cannot load the state of another "
                   "daemon.",
                   "Update virtiofsd on the target"},
    CatalogueEntry{Code::method_unknown_to_daemon,
                   Severity::blocker,
                   "a daemon does not know the method",
                   "find-paths needs virtiofsd 1.11 on both ends, file-handles 1.12, fd-passing "
                   "the bundled daemon.",
                   "Update virtiofsd there, or choose another method"},
    CatalogueEntry{Code::source_daemon_dead,
                   Severity::blocker,
                   "the share's daemon is dead",
                   "The guest hangs on the share already. Starting a migration kills it with QEMU "
                   "10.0 (\"vhost_set_features failed\"); QEMU 11.1 fails the migration. Nothing "
                   "in libvirt or QEMU tells beforehand.",
                   "Detach the share, or stop the VM and start it again; do not migrate it"},
    CatalogueEntry{Code::source_daemon_unknown,
                   Severity::blocker,
                   "no daemon of the share is known",
                   "The facts of the source hold no virtiofsd of this share, dead or alive, so "
                   "nobody can say that the migration would not kill the guest.",
                   "Collect the facts on the source anew as root"},
    CatalogueEntry{Code::daemon_runs_other_method,
                   Severity::warning,
                   "the running daemon uses another method",
                   "A daemon keeps the method that it was started with. A VM that was started "
                   "before the mapping's method was set migrates by virtiofsd's default, without a "
                   "word. The check judges the method that the daemon has.",
                   "Restart the VM, or detach and attach the share"},
    CatalogueEntry{Code::daemon_runs_other_flags,
                   Severity::warning,
                   "the running daemon has other options than the configuration",
                   "The share was started before its options were changed; after the migration "
                   "the new ones hold.",
                   "Restart the VM, or detach and attach the share, to have them now"},
    CatalogueEntry{
        Code::option_missing_on_target,
        Severity::blocker,
        "the target's daemon lacks an option that the guest relies on",
        "Writeback, ACLs, security labels, locks on the host and submounts are promised to the "
        "guest when it mounts the share. A destination without them refuses the state: \"Migration "
        "source wants … enabled, but it is disabled on the destination\". It also refuses "
        "descriptors without --migration-mode=fd-passing.",
        "Start the target's daemon with the options of the source's"},
    CatalogueEntry{Code::nobody_listens,
                   Severity::blocker,
                   "no daemon listens for the share on the target",
                   "QEMU on the target connects to the socket when it starts and ends where nobody "
                   "listens: \"Failed to connect\".",
                   "Start the daemon on the target first, or install vfskit's libvirt hook, which "
                   "starts it"},
    CatalogueEntry{Code::binary_missing,
                   Severity::blocker,
                   "the daemon's binary is missing on the target",
                   "libvirt writes the source's binary path into the migration's XML and the "
                   "target uses it as it is.",
                   "Install the binary there under this path, or install vfskit's libvirt hook, "
                   "which rewrites the path"},
    CatalogueEntry{Code::option_differs,
                   Severity::warning,
                   "the two daemons have different options",
                   "Nothing refuses it, but the guest sees another behaviour after the migration: "
                   "extended attributes vanish, or caches are kept for another time.",
                   "Start both daemons with the same options"},

    CatalogueEntry{Code::source_qemu_too_old,
                   Severity::blocker,
                   "the source's QEMU cannot migrate virtiofs",
                   "QEMU moves the state of a vhost-user back-end since version 8.2.",
                   "Update QEMU on the source and restart the VM"},
    CatalogueEntry{Code::target_qemu_too_old,
                   Severity::blocker,
                   "the target's QEMU cannot migrate virtiofs",
                   "QEMU moves the state of a vhost-user back-end since version 8.2.",
                   "Update QEMU on the target"},
    CatalogueEntry{Code::source_libvirt_too_old,
                   Severity::blocker,
                   "the source's libvirt refuses to migrate virtiofs",
                   "libvirt before 10.5 says \"migration with virtiofs device is not supported\", "
                   "and --unsafe does not change that. It also refuses save, dump and snapshots "
                   "with memory.",
                   "Update libvirt on the source"},
    CatalogueEntry{Code::one_way_door,
                   Severity::warning,
                   "a one-way door: the target's libvirt could not send the VM back",
                   "The migration to a libvirt before 10.5 succeeds, and then the VM is stuck "
                   "there.",
                   "Update libvirt on the target first"},
    CatalogueEntry{Code::libvirt_restarted,
                   Severity::blocker,
                   "libvirt was restarted since the share was attached",
                   "libvirt forgets in a restart that the daemons it started can migrate, and "
                   "refuses until the share is attached anew (seen in 11.3 and 12.8). Shares with "
                   "an external socket are not affected.",
                   "Unmount the share in the guest, detach and attach it, or restart the guest"},
    CatalogueEntry{Code::persistent_stores_source_path,
                   Severity::warning,
                   "--persistent would store the source's path on the target",
                   "libvirt stores the source's definition there, not what the hook made of it, "
                   "and overwrites a right one. The next cold start finds no such directory.",
                   "Give --persistent-xml for the target, or use 'vfsctl migrate', which does"},
    CatalogueEntry{Code::hook_missing,
                   Severity::blocker,
                   "the target has nothing that gives the share its path",
                   "The two nodes have the directory under different paths. Without vfskit's hook "
                   "or a destination XML libvirt looks for the source's path on the target.",
                   "Install vfskit's libvirt hook on the target, or use 'vfsctl migrate'"},
    CatalogueEntry{Code::hook_not_loaded,
                   Severity::blocker,
                   "the target's libvirt has not seen the hook",
                   "libvirt looks for hooks when it starts; a hook that was installed later is not "
                   "called.",
                   "Reload libvirt's daemon on the target"},

    CatalogueEntry{Code::memory_not_shared,
                   Severity::blocker,
                   "the guest's memory is not shared",
                   "virtiofsd maps the guest's memory: libvirt refuses the VM with \"'virtiofs' "
                   "requires shared memory\".",
                   "Add shared memory with 'vfsctl xml memory' and restart the VM"},
    CatalogueEntry{Code::memory_hotplug,
                   Severity::blocker,
                   "memory hotplug with a share",
                   "Proxmox VE does not start such a VM: \"Memory hotplug does not work in "
                   "combination with virtio-fs\".",
                   "Take 'memory' out of the VM's hotplug option"},
    CatalogueEntry{Code::hugepages_missing,
                   Severity::blocker,
                   "too few free huge pages on the target",
                   "The VM's memory is backed by huge pages, and QEMU on the target must have all "
                   "of them when it starts.",
                   "Allocate more huge pages on the target"},
    CatalogueEntry{Code::post_copy,
                   Severity::blocker,
                   "post-copy does not work with virtiofs",
                   "QEMU refuses: \"Postcopy is not supported: vhost-user backend not capable of "
                   "postcopy\".",
                   "Migrate without post-copy"},
    CatalogueEntry{Code::snapshots_present,
                   Severity::blocker,
                   "the domain has snapshots",
                   "libvirt refuses: \"cannot migrate domain with N snapshots\".",
                   "Delete the snapshots, or their metadata with 'virsh snapshot-delete "
                   "--metadata'"},
    CatalogueEntry{Code::ninep_mounted,
                   Severity::blocker,
                   "the guest has a 9p export mounted",
                   "QEMU refuses while it is mounted: \"Migration is disabled when VirtFS export "
                   "path is mounted in the guest\". Save and snapshots are refused too.",
                   "Unmount it in the guest, or replace it by a virtiofs share"},
    CatalogueEntry{Code::ninep_configured,
                   Severity::note,
                   "a 9p export that is not mounted",
                   "It migrates as long as the guest does not mount it before the migration "
                   "begins.",
                   "Replace it by a virtiofs share if the guest needs it"},
    CatalogueEntry{Code::ninep_unknown,
                   Severity::warning,
                   "a 9p export that may be mounted",
                   "QEMU refuses to migrate while the guest has it mounted, and nobody asked QEMU.",
                   "Look into QEMU's query-migrate or the guest's /proc/mounts"},
    CatalogueEntry{Code::ninep_several_devices,
                   Severity::warning,
                   "a 9p export with several filesystems and multidevs warn",
                   "Files of different filesystems can get the same number in the guest, and which "
                   "do changes with the node.",
                   "Set multidevs='remap' on the export"},
    CatalogueEntry{
        Code::unix_socket_required,
        Severity::blocker,
        "descriptors travel only over a UNIX socket",
        "QEMU says \"Migration requires a UNIX domain socket as transport\": fd-passing, "
        "backend-transfer and cpr-transfer hand over open descriptors.",
        "Migrate over unix:PATH on one host, or use another method"},
    CatalogueEntry{Code::fd_passing_two_hosts,
                   Severity::blocker,
                   "descriptors cannot travel between two hosts",
                   "An open descriptor belongs to one running kernel; the two nodes have different "
                   "ones.",
                   "Use the method find-paths or file-handles between hosts"},
    CatalogueEntry{Code::cache_always_with_replicas,
                   Severity::warning,
                   "cache=always between copies",
                   "The guest keeps names and content without asking again, and goes on seeing the "
                   "source's where the copy differs.",
                   "Use cache=auto for copies"},
    CatalogueEntry{Code::tag_too_long,
                   Severity::blocker,
                   "the tag is longer than 36 bytes",
                   "QEMU does not start: \"tag property must be 36 bytes or less\". Under Proxmox "
                   "VE the mapping's id is the tag.",
                   "Give the mapping a shorter id, or the share a tag of its own"},
    CatalogueEntry{Code::duplicate_tag,
                   Severity::warning,
                   "two shares have one tag",
                   "The guest can use only one of them, and which one may change with the node. "
                   "libvirt refuses to define it, Proxmox VE and QEMU do not.",
                   "Take one of them out, or give it another mapping"},

    CatalogueEntry{
        Code::memory_short,
        Severity::warning,
        "little free memory on the target",
        "The VM has more memory than the target has available. QEMU starts all the same, "
        "and when the pages arrive the target swaps, or its kernel ends a process.",
        "Free memory on the target, or choose another"},

    CatalogueEntry{Code::open_files_unreachable,
                   Severity::blocker,
                   "the guest has files open that have no name in the share",
                   "Under find-paths a file travels by its name. One that was deleted or moved out "
                   "while open has none; the destination refuses with on-error abort.",
                   "Have the guest close them, use the method file-handles on a shared filesystem, "
                   "or accept the loss with --migration-on-error guest-error"},
    CatalogueEntry{Code::open_files_will_fail,
                   Severity::warning,
                   "open files will fail after the migration",
                   "They have no name in the share; with on-error guest-error the VM moves and "
                   "every use of them answers \"Input/output error\".",
                   "Have the guest close them first"},
    CatalogueEntry{Code::open_files_unknown,
                   Severity::note,
                   "the daemon was not asked what the guest has open",
                   "Only the bundled daemon with a control socket tells which open files could not "
                   "travel; with another one the destination finds out and refuses.",
                   "Run the bundled daemon with a control socket to know beforehand"},
    CatalogueEntry{Code::locks_held,
                   Severity::blocker,
                   "the guest holds locks on the host",
                   "Locks of --posix-lock and --flock belong to the source's daemon and cannot be "
                   "handed over; its save is refused.",
                   "Have the guest release them"},

    CatalogueEntry{Code::return_path_off,
                   Severity::warning,
                   "a failed load would lose the VM",
                   "Proxmox VE switches QEMU's return-path off, so the source does not hear when "
                   "the target cannot load, and stops its VM: it is lost on both nodes.",
                   "Install vfskit's Proxmox VE plugin on both nodes; it switches return-path on"},
    CatalogueEntry{Code::memory_state_without_method,
                   Severity::blocker,
                   "memory cannot be saved without a migration method",
                   "Snapshots with memory and hibernation save the daemon's state as a migration "
                   "does, and no method says how. The Proxmox patch series of February 2026 lets "
                   "them through all the same.",
                   "Set a method on the mapping, or take the snapshot without memory"},
    CatalogueEntry{Code::memory_state_with_method,
                   Severity::warning,
                   "the share is not part of the saved memory's moment",
                   "The memory is rolled back, the shared directory is not: the guest comes back "
                   "with open files and caches of a directory that has gone on.",
                   "Snapshot the shared directory in the same moment, or unmount the share in the "
                   "guest first"},
    CatalogueEntry{Code::no_fixed_address,
                   Severity::note,
                   "the device has no fixed PCI address",
                   "Proxmox VE gives virtiofs devices the first free slot. A device that was "
                   "plugged or unplugged since the start shifts it on the target, and the "
                   "migration fails.",
                   "Restart the VM before it is migrated if devices were hot-plugged"},
    CatalogueEntry{Code::plugin_missing,
                   Severity::blocker,
                   "the target has lost the Proxmox VE plugin",
                   "vfskit's plugin is at work at the source, which refuses a target without it: "
                   "the daemon would start there without the options of the mapping's method, and "
                   "the next write of that node would delete the method.",
                   "Install vfskit-pve on the target, or update it, and run 'vfsctl node publish' "
                   "there"},
};

} // namespace vfskit::check
