// SPDX-License-Identifier: Apache-2.0
// One share as libvirt's <filesystem>: as a value, from a Share, and as text.
#pragma once

#include "core/base/result.h"
#include "core/domain/libvirt_version.h"
#include "core/domain/notice.h"
#include "core/share/share.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vfskit::domain {

/// <cache mode=>: all that libvirt can say; virtiofsd's "auto" is the missing element.
enum class CacheMode { none, always };
/// <sandbox mode=>: libvirt does not know virtiofsd's "none".
enum class DomainSandbox { namespaces, chroot };
enum class AccessMode { passthrough, mapped, squash };
/// 9p: what becomes of files of a second filesystem below the exported directory.
enum class Multidevs { qemu_default, remap, forbid, warn };
enum class NinepModel { virtio, virtio_transitional, virtio_non_transitional };

std::string_view to_string(CacheMode value);     ///< none, always
std::string_view to_string(DomainSandbox value); ///< namespace, chroot
std::string_view to_string(AccessMode value);    ///< passthrough, mapped, squash
std::string_view to_string(Multidevs value);     ///< default, remap, forbid, warn
std::string_view to_string(NinepModel value);    ///< virtio, virtio-transitional, …
/// EINVAL with the allowed words and, where one is near, "did you mean".
Result<AccessMode> parse_access_mode(std::string_view word);
Result<Multidevs> parse_multidevs(std::string_view word);
Result<NinepModel> parse_ninep_model(std::string_view word);

/// <driver iommu= ats= packed= page_per_vq=>: part of the device's ABI, so both ends of a migration
/// must have the same.
struct VirtioOptions {
    std::optional<bool> iommu;
    std::optional<bool> ats;
    std::optional<bool> packed;
    std::optional<bool> page_per_vq;

    bool operator==(const VirtioOptions&) const = default;
};

/// A virtiofsd that libvirt starts and stops.
struct ManagedDaemon {
    std::string source_dir;
    std::optional<std::string> binary_path; ///< absent: libvirt looks one up
    bool xattr = false;
    std::optional<CacheMode> cache; ///< absent: the daemon's default, auto
    std::optional<DomainSandbox> sandbox;
    std::optional<bool> posix_lock; ///< the old C daemon only
    std::optional<bool> flock;      ///< the old C daemon only
    std::optional<std::uint32_t> thread_pool_size;
    std::optional<std::uint64_t> openfiles;
    std::vector<share::IdRange> uid_map;
    std::vector<share::IdRange> gid_map;

    bool operator==(const ManagedDaemon&) const = default;
};

/// A virtiofsd that somebody else starts and that listens on `socket` before the guest starts.
struct ExternalDaemon {
    std::string socket;

    bool operator==(const ExternalDaemon&) const = default;
};

struct VirtiofsFilesystem {
    std::string tag;
    std::variant<ManagedDaemon, ExternalDaemon> daemon;
    std::optional<std::uint32_t> queue_size;
    VirtioOptions virtio;
    bool readonly = false;
    std::optional<std::uint32_t> boot_order;

    bool operator==(const VirtiofsFilesystem&) const = default;
};

struct NinepFilesystem {
    std::string tag;
    std::string source_dir;
    AccessMode accessmode = AccessMode::passthrough;
    std::optional<std::uint32_t> fmode; ///< with AccessMode::mapped only, at most 0777
    std::optional<std::uint32_t> dmode;
    std::optional<Multidevs> multidevs;
    bool wrpolicy_immediate = false;
    bool readonly = false;
    std::optional<NinepModel> model;
    VirtioOptions virtio;

    bool operator==(const NinepFilesystem&) const = default;
};

using Filesystem = std::variant<VirtiofsFilesystem, NinepFilesystem>;

const std::string& tag_of(const Filesystem& filesystem);

/// The host and libvirt that a domain is meant for: what the rules need to know about them.
struct Target {
    LibvirtVersion libvirt = default_libvirt_version;
    /// The Rust virtiofsd; false: the C daemon of QEMU before 8.0, the only one with lock options.
    bool rust_daemon = true;
    /// qemu:///system: the daemon runs as root, where it refuses id maps.
    bool runs_as_root = true;
    /// Answers whether a path is a directory on the node that will run the guest. Empty: not
    /// checked (the XML is for another node). Called from the caller's thread, once per path.
    std::function<bool(const std::string&)> is_directory;
    /// The same for whether a path can be executed.
    std::function<bool(const std::string&)> is_executable;
};

enum class FilesystemDriver { virtiofs, ninep };

/// What a Share does not say about its <filesystem>.
struct FilesystemOptions {
    FilesystemDriver driver = FilesystemDriver::virtiofs;
    std::optional<std::string> socket; ///< externally launched: its socket; absent: managed
    std::optional<std::string> binary; ///< <binary path=>
    /// `binary` is a wrapper that itself adds the virtiofsd options libvirt cannot express.
    bool binary_is_wrapper = false;
    /// vfskit starts what listens on `socket`, with all that the share asks for.
    bool daemon_is_ours = false;
    std::optional<bool> posix_lock;
    std::optional<bool> flock;
    std::optional<std::uint32_t> boot_order;
    VirtioOptions virtio;
    // 9p only; refused with virtiofs in libvirt's words.
    std::optional<AccessMode> accessmode;
    std::optional<std::uint32_t> fmode;
    std::optional<std::uint32_t> dmode;
    std::optional<Multidevs> multidevs;
    bool wrpolicy_immediate = false;
    std::optional<NinepModel> model;
};

/// A filesystem and what its user should know about it.
struct FilesystemPlan {
    Filesystem filesystem;
    std::vector<Notice> notices;
};

/// `share` as a <filesystem> for `target`, valid (see validate()). ENOTSUP lists every option that
/// libvirt, or this version of it, cannot express, and the way out: an external daemon or a
/// wrapper. EINVAL for a value that libvirt or QEMU would refuse.
Result<FilesystemPlan>
plan_filesystem(const share::Share& share, const FilesystemOptions& options, const Target& target);

/// Everything libvirt refuses when the domain is defined and everything that it or QEMU finds only
/// at start: tag and queue limits, missing directories, lock options, id maps as root, elements
/// newer than the target's libvirt. EINVAL, ENOTSUP or ENOENT; the place's key is the XML element.
Result<void> validate(const Filesystem& filesystem, const Target& target);

/// The element as text, indented by 2 per level, with a line feed at its end. Does not validate.
std::string filesystem_xml(const Filesystem& filesystem);

} // namespace vfskit::domain
