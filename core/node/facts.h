// SPDX-License-Identifier: Apache-2.0
// The facts of one node as plain values. Absent (std::nullopt) always means "not known", never
// "no": who judges facts must not read an unknown as a pass. The JSON form is
// schemas/node-facts.schema.json.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"
#include "core/share/dialect.h"
#include "core/share/share.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::node {

using share::Version;

/// A moment in UTC. All times of one NodeFacts come from one reading of the clocks, so that times
/// of one node order as they happened (to a clock tick, 10 ms); those of two nodes only as well as
/// the nodes' clocks agree.
using Time = std::chrono::sys_time<std::chrono::milliseconds>;

/// RFC 3339 in UTC with milliseconds: "2026-11-21T06:40:00.123Z".
std::string to_string(Time time);
/// EINVAL for anything but the form that to_string writes (the fraction may be missing).
Result<Time> parse_time(std::string_view text);

/// What a virtiofsd binary is. Spelled rust, bundled, c.
enum class BinaryKind { rust, bundled, c };
std::string_view to_string(BinaryKind kind);

/// One virtiofsd binary of the node.
struct BinaryFacts {
    std::string path;
    /// Absent when the binary did not answer --version as a virtiofsd does; `problem` says why.
    std::optional<BinaryKind> kind;
    /// Of virtiofsd; for c that of QEMU; for bundled that of the virtiofsd it stands in for.
    std::optional<Version> version;
    /// What --print-capabilities lists ("migrate-precopy", "vfskit-control-socket" …).
    std::vector<std::string> features;
    /// The vhost-user JSON files that name it, in the order in which libvirt would look.
    std::vector<std::string> vhost_user_files;
    /// libvirt would take it for a share that names no binary.
    bool is_libvirt_default = false;
    std::optional<std::string> problem;

    bool operator==(const BinaryFacts&) const = default;
    [[nodiscard]] bool has_feature(std::string_view feature) const;
};

/// Who started a process. Spelled vfskit, libvirt, pve, other.
enum class Manager { vfskit, libvirt, pve, other };
std::string_view to_string(Manager manager);

/// What a daemon's command line means, defaults filled in where they are the same for every version
/// that knows the option.
struct DaemonOptions {
    /// As source of a migration. The default without the option is find-paths.
    mapping::MigrationMethod method = mapping::MigrationMethod::find_paths;
    bool is_method_explicit = false; ///< the command line names it
    /// As destination of one.
    share::OnError on_error = share::OnError::abort;
    bool verify_handles = false;
    bool confirm_paths = false;

    share::CachePolicy cache = share::CachePolicy::automatic;
    bool writeback = false;
    bool xattr = false; ///< also implied by ACLs, security labels and an xattr map
    share::Negotiation posix_acl = share::Negotiation::never;
    share::Negotiation security_label = share::Negotiation::never;
    bool announce_submounts = true;
    bool readonly = false;
    bool allow_direct_io = false;
    bool allow_mmap = false;
    /// Absent: not given; its default changed with version 1.13.3.
    std::optional<share::InodeFileHandles> inode_file_handles;
    share::SandboxMode sandbox = share::SandboxMode::namespaces;
    std::optional<std::string> xattrmap;
    std::optional<std::string> modcaps;
    std::optional<std::uint32_t> thread_pool_size;
    std::vector<std::string> translate_uid;
    std::vector<std::string> translate_gid;

    bool operator==(const DaemonOptions&) const = default;
};

/// What a running daemon of ours answered when it was asked what a migration would not find again
/// ("migration-report" of its control socket). Counts of files that the guest knows and that have
/// no path in the shared directory: deleted while open, or moved out of it.
struct OpenFilesFacts {
    std::uint64_t stuck = 0;         ///< no way leads to the destination
    std::uint64_t by_handle = 0;     ///< travel to a daemon of ours that serves the same directory
    std::uint64_t by_descriptor = 0; ///< travel to a daemon of ours on this host
    std::uint64_t locks = 0;         ///< that the guest holds on the host
    bool locks_move = false;         ///< else a guest that holds locks is refused at the source
    std::vector<std::string> examples = {}; ///< paths where some of them were last, at most five

    bool operator==(const OpenFilesFacts&) const = default;
};

/// One daemon that serves, or is recorded as serving, a share.
struct DaemonFacts {
    /// False: there is a record of it, and its process is gone.
    bool is_alive = true;
    std::optional<std::uint32_t> pid; ///< absent when it is known only by a record without one
    std::optional<Time> started_at;
    Manager manager = Manager::other;
    std::optional<std::string> vm;    ///< libvirt's domain name or Proxmox VE's VMID
    std::optional<std::string> tag;   ///< what the guest mounts
    std::optional<std::string> dirid; ///< the mapping, where a record or the shared directory tells
    std::string shared_dir;           ///< as its command line says; "" when not known
    std::optional<std::string> socket;         ///< the vhost-user socket it listens on or serves
    std::optional<std::string> control_socket; ///< only the bundled daemon has one
    std::string binary;                        ///< the path it was started from; "" when not known
    std::optional<BinaryKind> kind;
    std::optional<Version> version; ///< of the running program, not of a file that replaced it
    /// The file it was started from was replaced or removed since.
    std::optional<bool> is_binary_replaced;
    std::vector<std::string> argv; ///< without argv[0]
    /// What argv means; absent when there is no argv or it cannot be read as a virtiofsd's.
    std::optional<DaemonOptions> options;
    /// Filesystems mounted below the shared directory in the daemon's own mount namespace, relative
    /// to it.
    std::optional<std::vector<std::string>> submounts;
    /// Absent: not asked, or it has no control socket.
    std::optional<OpenFilesFacts> open_files = {};

    bool operator==(const DaemonFacts&) const = default;
};

/// The memory of a running guest, as its QEMU was started with it.
struct GuestMemoryFacts {
    std::optional<std::uint64_t> bytes; ///< without what was plugged in since
    std::optional<bool> is_shared;      ///< a vhost-user daemon can map all of it
    std::optional<bool> has_hugepages;
    std::optional<std::uint64_t> hugepage_bytes; ///< absent: the host's default size, or none

    bool operator==(const GuestMemoryFacts&) const = default;
};

/// One running guest (a QEMU process).
struct GuestFacts {
    std::string name; ///< of its -name option, which is libvirt's domain name; else "pid N"
    std::optional<std::string> uuid;
    std::optional<std::uint32_t> vmid; ///< Proxmox VE's
    std::uint32_t pid = 0;
    std::optional<Time> started_at;
    Manager manager = Manager::other;
    std::string binary;
    std::optional<Version> version; ///< of QEMU as it runs; absent when its file was replaced
    GuestMemoryFacts memory = {};

    bool operator==(const GuestFacts&) const = default;
};

/// One QEMU binary of the node.
struct EmulatorFacts {
    std::string path;
    std::optional<Version> version;

    bool operator==(const EmulatorFacts&) const = default;
};

/// Our qemu hook.
struct HookFacts {
    std::string path;          ///< where it is, or where it would be
    bool is_installed = false; ///< the file is there and executable
    /// libvirt looks for hooks only when its daemon starts or is told to reload: false when it had
    /// none then. Absent when nobody can tell.
    std::optional<bool> is_loaded;

    bool operator==(const HookFacts&) const = default;
};

/// libvirt's QEMU driver.
struct LibvirtFacts {
    std::optional<Version> version;
    std::string daemon; ///< libvirtd or virtqemud; "" when not known
    std::optional<bool> is_running;
    /// Guests with libvirt-managed shares that are older than this cannot be migrated.
    std::optional<Time> started_at;
    HookFacts hook;

    bool operator==(const LibvirtFacts&) const = default;
};

/// Proxmox VE.
struct PveFacts {
    std::optional<std::string> manager_version;     ///< "9.1.6"
    std::optional<std::string> qemu_server_version; ///< "9.2.6"
    /// Our plugin; absent: not installed (on a node whose PVE facts are known).
    std::optional<std::string> plugin_version;
    /// The plugin switches QEMU's return-path on for migrations from and to this node (it does not
    /// if it was not tested with its code): who cannot load leaves the VM running on the source.
    std::optional<bool> has_return_path;
    /// Our launcher stands in for /usr/libexec/virtiofsd.
    std::optional<bool> has_launcher;
    std::optional<bool> is_quorate;

    bool operator==(const PveFacts&) const = default;
};

/// One pool of huge pages.
struct HugepagesFacts {
    std::uint64_t page_bytes = 0;
    std::uint64_t total = 0; ///< pages
    std::uint64_t free = 0;  ///< pages, less those reserved

    bool operator==(const HugepagesFacts&) const = default;
};

struct MemoryFacts {
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;
    std::vector<HugepagesFacts> hugepages;

    bool operator==(const MemoryFacts&) const = default;
};

/// What name_to_handle_at(2) gives: with the filesystem it names one file for good.
struct HostFileHandle {
    std::int32_t type = 0;
    std::vector<std::uint8_t> bytes; ///< hexadecimal in JSON

    bool operator==(const HostFileHandle&) const = default;
};

/// Whether looking at a path came to an end. Spelled answered, timed-out, failed.
enum class ProbeState {
    answered,  ///< every system call returned, with success or an errno
    timed_out, ///< the filesystem hung (a dead NFS server): nothing is known
    failed,    ///< the probe itself broke: `problem` says how
};
std::string_view to_string(ProbeState state);

/// A filesystem mounted somewhere below a shared directory.
struct SubmountFacts {
    std::string path; ///< relative to the shared directory
    std::string fs_type;

    bool operator==(const SubmountFacts&) const = default;
};

/// What one mapped path of the node really is.
struct PathFacts {
    std::string dirid;
    std::string path;
    ProbeState state = ProbeState::failed;
    std::optional<std::string> problem; ///< a sentence; what could not be found out and why

    std::optional<bool> exists;
    std::optional<bool> is_directory;

    // From the mount table: known even when the filesystem hangs.
    std::optional<std::string> mount_point; ///< of the filesystem that the path is on
    std::optional<std::string> mount_source;
    std::optional<std::string> fs_type; ///< ext4, nfs4 …
    /// Of the mount and of the filesystem, as /proc/self/mountinfo has them ("rw", "noatime" …).
    std::vector<std::string> mount_options;
    std::vector<SubmountFacts> submounts;

    /// Where fstab, a systemd mount unit or Proxmox VE's storage.cfg says that a filesystem
    /// belongs, at or above the path (the deepest). Absent: nothing says so.
    std::optional<std::string> expected_mount_point;
    /// Something is mounted at expected_mount_point. False: the path lies in (or is) the empty
    /// directory that waits for it. Absent without an expected mount point.
    std::optional<bool> is_expected_mount;
    std::optional<bool> is_empty; ///< no entries but "." and ".."

    // Identity. Handle, fs_id and inode together, with fs_type, tell directories apart.
    std::optional<std::uint32_t> device_major; ///< of st_dev
    std::optional<std::uint32_t> device_minor;
    std::optional<std::uint64_t> inode;        ///< st_ino
    std::optional<std::uint64_t> fs_id;        ///< statfs's f_fsid, 16 hexadecimal digits in JSON
    std::optional<std::uint64_t> fs_magic;     ///< statfs's f_type, hexadecimal in JSON
    std::optional<std::int64_t> birth_ns;      ///< time of birth since 1970 in nanoseconds
    std::optional<HostFileHandle> root_handle; ///< of the path itself
    std::optional<bool> name_to_handle_works;
    std::optional<bool> open_by_handle_works; ///< root_handle was opened again

    std::optional<std::uint64_t> total_bytes;
    std::optional<std::uint64_t> free_bytes; ///< for unprivileged writers
    std::optional<std::uint64_t> free_inodes;
    std::optional<bool> is_readonly;
    std::optional<bool> supports_xattr; ///< user.* extended attributes
    std::optional<bool> supports_acl;   ///< POSIX ACLs

    bool operator==(const PathFacts&) const = default;
};

/// All that a check needs to know about one node.
struct NodeFacts {
    std::string node; ///< as mappings and the store call it
    Time collected_at{};
    std::string boot_id;                   ///< one boot of one kernel; "" when not known
    std::optional<std::string> machine_id; ///< /etc/machine-id
    std::string vfskit_version;
    std::optional<std::string> kernel; ///< uname's release
    /// The collecting process had it effective; a daemon that root starts has it then too, unless
    /// its own options drop it.
    std::optional<bool> has_dac_read_search;

    std::vector<BinaryFacts> virtiofsds; ///< by path
    std::vector<DaemonFacts> daemons;    ///< by VM and tag
    std::vector<GuestFacts> guests;      ///< by name
    std::vector<EmulatorFacts> qemus;    ///< by path
    std::optional<LibvirtFacts> libvirt; ///< absent: not installed
    std::optional<PveFacts> pve;         ///< absent: not a Proxmox VE node
    std::optional<MemoryFacts> memory;
    /// Of the store's content that `paths` come from; absent when the store could not be read.
    std::optional<std::string> mappings_revision;
    std::vector<PathFacts> paths; ///< one per mapping with a path on this node, by dirid
    /// Sentences: what could not be found out about the node as a whole, and why.
    std::vector<std::string> problems;

    bool operator==(const NodeFacts&) const = default;

    /// The path facts of a mapping, or nullptr.
    [[nodiscard]] const PathFacts* find_path(std::string_view dirid) const;
    /// The binary at `path`, or nullptr.
    [[nodiscard]] const BinaryFacts* find_virtiofsd(std::string_view path) const;
    /// The QEMU at `path`, or nullptr.
    [[nodiscard]] const EmulatorFacts* find_qemu(std::string_view path) const;
    /// The guest of that name (or, for Proxmox VE, that VMID in decimal), or nullptr.
    [[nodiscard]] const GuestFacts* find_guest(std::string_view name) const;
    /// The daemon of a VM's tag, an alive one first; or nullptr.
    [[nodiscard]] const DaemonFacts* find_daemon(std::string_view vm, std::string_view tag) const;
};

/// The document, two blanks of indent, no final line feed; bytes that are not UTF-8 are read as
/// Latin-1.
[[nodiscard]] std::string to_json(const NodeFacts& facts);
/// The same on one line, for places where size counts.
[[nodiscard]] std::string to_compact_json(const NodeFacts& facts);
/// EBADMSG names the member that is missing or of the wrong kind; EPROTONOSUPPORT for a document of
/// a newer vfskit. Members that we do not know are ignored.
Result<NodeFacts> parse_facts(std::string_view json);

} // namespace vfskit::node
