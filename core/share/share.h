// SPDX-License-Identifier: Apache-2.0
// Room share, floor 2.
// Is: one mapping given to one VM: its tag and options, the virtiofsd command line for it in every
// dialect,
//     and QEMU's arguments.
// Knows: what each virtiofsd understands, and what QEMU wants.
// Does not know: libvirt's XML, where mappings are stored, how daemons are started.
#pragma once

#include "core/base/process.h"
#include "core/base/result.h"
#include "core/mapping/mapping.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::share {

/// virtiofsd's --cache.
enum class CachePolicy { automatic, always, metadata, never };
/// virtiofsd's --sandbox.
enum class SandboxMode { namespaces, chroot, none };
/// virtiofsd's --inode-file-handles.
enum class InodeFileHandles { never, prefer, mandatory };
/// --posix-acl and --security-label: daemons before 1.14 know only on and off (never and always).
enum class Negotiation { never, automatic, always };
/// --migration-on-error, the destination's policy.
enum class OnError { abort, guest_error };

/// A range of guest ids given to host ids, for --uid-map/--gid-map (user namespaces of an
/// unprivileged daemon) and libvirt's <idmap>.
struct IdRange {
    std::uint32_t guest = 0;
    std::uint32_t host = 0;
    std::uint32_t count = 0;
    bool operator==(const IdRange&) const = default;
};

/// More threads than this in one daemon only wait for each other (and take a descriptor each).
inline constexpr std::uint32_t max_thread_pool_size = 1024;

/// One mapping given to one VM. Absent options mean the daemon's own default. A plain value.
struct Share {
    std::string dirid;
    std::string tag;  ///< what the guest mounts; the dirid unless told otherwise
    std::string path; ///< the shared directory on the node in question
    std::optional<mapping::MigrationMethod> method;
    /// Absent: nobody has said; treated as replicas, so handles are not verified.
    std::optional<mapping::PathRelation> path_relation;
    OnError on_error = OnError::abort;

    std::optional<CachePolicy> cache;
    bool writeback = false;
    bool xattr = false;
    std::optional<std::string> xattrmap;
    Negotiation posix_acl = Negotiation::never;
    Negotiation security_label = Negotiation::never;
    bool readonly = false;
    bool allow_direct_io = false;
    bool allow_mmap = false;
    std::optional<bool> announce_submounts;
    std::optional<InodeFileHandles> inode_file_handles;
    std::optional<std::uint32_t> thread_pool_size;
    std::uint32_t request_queues =
        1; ///< virtio-fs num_request_queues; more than 1 needs the bundled daemon
    std::optional<std::uint32_t>
        queue_size; ///< entries per queue, a power of two up to 1024; absent: 1024
    std::optional<SandboxMode> sandbox;
    std::vector<IdRange> uid_map;
    std::vector<IdRange> gid_map;
    std::vector<std::string> translate_uid; ///< virtiofsd's own syntax, "map:0:100000:65536"
    std::vector<std::string> translate_gid;
    std::optional<std::string> modcaps; ///< "+sys_admin:-mknod"
    std::optional<std::uint64_t> rlimit_nofile;

    bool operator==(const Share&) const = default;
};

std::string_view to_string(CachePolicy value);      ///< auto, always, metadata, never
std::string_view to_string(SandboxMode value);      ///< namespace, chroot, none
std::string_view to_string(InodeFileHandles value); ///< never, prefer, mandatory
std::string_view to_string(Negotiation value);      ///< never, auto, always
std::string_view to_string(OnError value);          ///< abort, guest-error
Result<CachePolicy> parse_cache_policy(std::string_view word);
Result<SandboxMode> parse_sandbox_mode(std::string_view word);
Result<InodeFileHandles> parse_inode_file_handles(std::string_view word);
Result<Negotiation> parse_negotiation(std::string_view word);
Result<OnError> parse_on_error(std::string_view word);

/// A share of `mapping` as `node` sees it, with every option at its default. ENOENT names the
/// mapping and the nodes it knows when it has no path on `node`.
Result<Share> make_share(const mapping::DirectoryMapping& mapping, std::string_view node);

/// Everything that QEMU, a daemon or the guest would only find at start: tag empty, over 36 bytes
/// or not UTF-8; queue size not a power of two from 8 to 1024; path not absolute; ids that overlap;
/// grammar of xattrmap, modcaps and translations; option pairs that exclude each other. What only
/// one dialect of the daemon refuses is daemon_command.h's. EINVAL; the place's key is the option's
/// long name ("queue-size").
Result<void> validate(const Share& share);

} // namespace vfskit::share
