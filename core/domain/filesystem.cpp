// SPDX-License-Identifier: Apache-2.0
#include "core/domain/filesystem.h"

#include "core/base/text.h"
#include "core/domain/refusal.h"
#include "core/domain/xml_tree.h"
#include "core/mapping/mapping.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <span>
#include <utility>

namespace vfskit::domain {
namespace {

// Limits of the devices; QEMU checks them when the guest starts (virtio 1.2, 5.11.4; QEMU's
// hw/virtio/vhost-user-fs.c and hw/9pfs/9p.c: 31 bytes and a NUL).
constexpr std::size_t max_virtiofs_tag = mapping::max_tag_bytes;
constexpr std::size_t max_ninep_tag = 31;
constexpr std::uint32_t max_queue_size = 1024;
constexpr std::uint32_t max_create_mode = 0777;
// readonly together with a socket: accepted by 11.3, refused by 12.8; the release between is not
// known.
constexpr LibvirtVersion readonly_socket_refused{11, 4, 0};

template <class T>
using Words = std::span<const std::pair<std::string_view, T>>;

template <class T>
std::string_view word_of(Words<T> words, T value) {
    for (const auto& [word, candidate] : words) {
        if (candidate == value) {
            return word;
        }
    }
    return {};
}

template <class T>
Result<T> parse_word(Words<T> words, std::string_view word, std::string_view what) {
    std::vector<std::string_view> allowed;
    for (const auto& [candidate, value] : words) {
        if (candidate == word) {
            return value;
        }
        allowed.push_back(candidate);
    }
    const auto near = base::nearest(word, allowed);
    return Error{EINVAL, fmt::format("'{}' is not a value of {}", word, what)}.with_remedy(
        near ? fmt::format("Did you mean '{}'?", *near)
             : fmt::format("Use one of: {}", fmt::join(allowed, ", ")));
}

constexpr std::array<std::pair<std::string_view, AccessMode>, 3> access_modes{
    {{"passthrough", AccessMode::passthrough},
     {"mapped", AccessMode::mapped},
     {"squash", AccessMode::squash}}};
constexpr std::array<std::pair<std::string_view, Multidevs>, 4> multidevs_words{
    {{"default", Multidevs::qemu_default},
     {"remap", Multidevs::remap},
     {"forbid", Multidevs::forbid},
     {"warn", Multidevs::warn}}};
constexpr std::array<std::pair<std::string_view, NinepModel>, 3> models{
    {{"virtio", NinepModel::virtio},
     {"virtio-transitional", NinepModel::virtio_transitional},
     {"virtio-non-transitional", NinepModel::virtio_non_transitional}}};

Result<void> require_at(LibvirtVersion version, LibvirtFeature feature, std::string key) {
    auto known = require(version, feature);
    if (!known) {
        return std::move(known).error().at({.file = {}, .line = 0, .key = std::move(key)});
    }
    return {};
}

Result<void> check_tag(std::string_view tag, std::size_t limit) {
    if (tag.empty()) {
        return refuse(EINVAL, "target dir", "The tag is empty").with_remedy("Give the share a tag");
    }
    if (tag.size() > limit) {
        return refuse(EINVAL,
                      "target dir",
                      fmt::format(
                          "The tag '{}' has {} bytes; QEMU refuses more than {} when the guest "
                          "starts",
                          tag,
                          tag.size(),
                          limit))
            .with_remedy("Give the share a shorter tag");
    }
    if (!xml::is_xml_text(tag) || tag.find_first_of("\t\r\n") != std::string_view::npos) {
        return refuse(EINVAL, "target dir", "The tag has control characters or is not UTF-8")
            .with_remedy("Give the share a tag of printable characters");
    }
    return {};
}

Result<void> check_path(std::string_view path, std::string key) {
    if (path.empty() || path.front() != '/') {
        return refuse(EINVAL, std::move(key), fmt::format("The path '{}' is not absolute", path))
            .with_remedy("Write it from the root, '/…'; libvirt's grammar wants it so");
    }
    if (!xml::is_xml_text(path) || path.find_first_of("\r\n") != std::string_view::npos) {
        return refuse(EINVAL,
                      std::move(key),
                      "The path has control characters or is not UTF-8, which "
                      "domain XML cannot carry")
            .with_remedy("Rename the directory, or reach it through a symbolic link or bind mount");
    }
    return {};
}

Result<void> check_directory(const std::string& path, const Target& target) {
    VFSKIT_TRY(check_path(path, "source dir"));
    if (target.is_directory && !target.is_directory(path)) {
        return refuse(ENOENT,
                      "source dir",
                      fmt::format(
                          "The directory '{}' does not exist; libvirt would find that only when "
                          "the guest starts",
                          path))
            .with_remedy("Create it, or mount what belongs there");
    }
    return {};
}

Result<void> check_queue(const std::optional<std::uint32_t>& queue) {
    // 0 means QEMU's default to libvirt; nobody who writes a number means that.
    if (queue && (!std::has_single_bit(*queue) || *queue > max_queue_size)) {
        return refuse(EINVAL,
                      "driver queue",
                      fmt::format(
                          "The queue size {} is not a power of two up to {}; QEMU refuses it when "
                          "the guest starts",
                          *queue,
                          max_queue_size))
            .with_remedy("Use 1024, or leave it out for QEMU's default of 128");
    }
    return {};
}

Result<void> check_virtio(const VirtioOptions& virtio, LibvirtVersion version) {
    const std::pair<bool, LibvirtFeature> used[] = {
        {virtio.iommu.has_value(), LibvirtFeature::driver_iommu},
        {virtio.ats.has_value(), LibvirtFeature::driver_ats},
        {virtio.packed.has_value(), LibvirtFeature::driver_packed},
        {virtio.page_per_vq.has_value(), LibvirtFeature::driver_page_per_vq},
    };
    for (const auto& [is_used, feature] : used) {
        if (is_used) {
            VFSKIT_TRY(require_at(version, feature, "driver"));
        }
    }
    return {};
}

Result<void> check_locks(const ManagedDaemon& daemon, const Target& target) {
    if (!daemon.posix_lock && !daemon.flock) {
        return {};
    }
    if (target.rust_daemon) {
        return refuse(ENOTSUP,
                      "lock",
                      "The Rust virtiofsd has no locking options; libvirt finds that only when the "
                      "guest "
                      "starts ('locking options are not supported by this virtiofsd')")
            .with_remedy("Leave <lock> out; it was for the C virtiofsd of QEMU before 8.0");
    }
    return {};
}

Result<void> check_idmap(const ManagedDaemon& daemon, const Target& target) {
    if (daemon.uid_map.empty() && daemon.gid_map.empty()) {
        return {};
    }
    VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::idmap, "idmap"));
    if (target.runs_as_root) {
        return refuse(ENOTSUP,
                      "idmap",
                      "An id map needs an unprivileged virtiofsd, but qemu:///system starts it as "
                      "root, "
                      "where the daemon exits and the guest does not start")
            .with_remedy("Use qemu:///session, or an external virtiofsd with --translate-uid and "
                         "--translate-gid");
    }
    for (const auto* ranges : {&daemon.uid_map, &daemon.gid_map}) {
        for (const share::IdRange& range : *ranges) {
            if (range.count == 0) {
                return refuse(EINVAL, "idmap", "An id range of length 0 maps nothing")
                    .with_remedy("Give the range a count of at least 1");
            }
        }
    }
    return {};
}

Result<void> check_binary(const ManagedDaemon& daemon, const Target& target) {
    if (!daemon.binary_path) {
        return {};
    }
    VFSKIT_TRY(check_path(*daemon.binary_path, "binary path"));
    if (target.is_executable && !target.is_executable(*daemon.binary_path)) {
        return refuse(ENOENT,
                      "binary path",
                      fmt::format(
                          "'{}' cannot be executed; libvirt would find that only when the guest "
                          "starts",
                          *daemon.binary_path))
            .with_remedy("Name the virtiofsd of the host, or leave it out: libvirt looks for one");
    }
    return {};
}

Result<void> check_managed(const ManagedDaemon& daemon, const Target& target) {
    VFSKIT_TRY(check_directory(daemon.source_dir, target));
    VFSKIT_TRY(check_binary(daemon, target));
    VFSKIT_TRY(check_locks(daemon, target));
    VFSKIT_TRY(check_idmap(daemon, target));
    if (daemon.sandbox) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::sandbox, "sandbox"));
    }
    if (daemon.thread_pool_size) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::thread_pool, "thread_pool"));
    }
    if (daemon.openfiles) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::openfiles, "openfiles"));
        if (*daemon.openfiles == 0) {
            return refuse(EINVAL,
                          "openfiles",
                          "A limit of 0 open files is refused by libvirt's grammar")
                .with_remedy("Leave it out for the daemon's default, or give at least 1");
        }
    }
    return {};
}

Result<void> check_readonly(const VirtiofsFilesystem& filesystem, LibvirtVersion version) {
    if (!filesystem.readonly) {
        return {};
    }
    VFSKIT_TRY(require_at(version, LibvirtFeature::readonly, "readonly"));
    if (std::holds_alternative<ExternalDaemon>(filesystem.daemon) &&
        version >= readonly_socket_refused) {
        return refuse(ENOTSUP,
                      "readonly",
                      "readonly mode cannot be set for externally started virtiofsd: libvirt 12.8 "
                      "refuses "
                      "it, and releases since 11.4 may")
            .with_remedy("Leave <readonly/> out and start the daemon with --readonly");
    }
    return {};
}

Result<void> validate_virtiofs(const VirtiofsFilesystem& filesystem, const Target& target) {
    VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::virtiofs, "driver type"));
    if (!target.runs_as_root && target.libvirt < known_since(LibvirtFeature::idmap)) {
        return refuse(ENOTSUP,
                      "driver type",
                      fmt::format("virtiofs is not yet supported in session mode by libvirt {}",
                                  to_string(target.libvirt)))
            .with_remedy("Use qemu:///system, or libvirt 10.0.0");
    }
    VFSKIT_TRY(check_tag(filesystem.tag, max_virtiofs_tag));
    VFSKIT_TRY(check_queue(filesystem.queue_size));
    VFSKIT_TRY(check_virtio(filesystem.virtio, target.libvirt));
    VFSKIT_TRY(check_readonly(filesystem, target.libvirt));
    if (filesystem.boot_order) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::boot_order, "boot"));
        if (*filesystem.boot_order == 0) {
            return refuse(EINVAL, "boot", "Boot orders count from 1").with_remedy("Use 1 or more");
        }
    }
    if (const auto* managed = std::get_if<ManagedDaemon>(&filesystem.daemon)) {
        return check_managed(*managed, target);
    }
    VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::source_socket, "source socket"));
    return check_path(std::get<ExternalDaemon>(filesystem.daemon).socket, "source socket");
}

Result<void> check_create_modes(const NinepFilesystem& filesystem, LibvirtVersion version) {
    if (!filesystem.fmode && !filesystem.dmode) {
        return {};
    }
    VFSKIT_TRY(require_at(version, LibvirtFeature::ninep_fmode, "fmode"));
    if (filesystem.accessmode != AccessMode::mapped) {
        return refuse(EINVAL, "fmode", "fmode and dmode must be used with accessmode=mapped")
            .with_remedy("Use accessmode mapped, or leave fmode and dmode out");
    }
    for (const auto& mode : {filesystem.fmode, filesystem.dmode}) {
        if (mode && *mode > max_create_mode) {
            return refuse(EINVAL, "fmode", fmt::format("invalid fmode or dmode: '{:04o}'", *mode))
                .with_remedy("Use permission bits up to 0777");
        }
    }
    return {};
}

Result<void> validate_ninep(const NinepFilesystem& filesystem, const Target& target) {
    VFSKIT_TRY(check_tag(filesystem.tag, max_ninep_tag));
    VFSKIT_TRY(check_directory(filesystem.source_dir, target));
    VFSKIT_TRY(check_virtio(filesystem.virtio, target.libvirt));
    VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::ninep_accessmode, "accessmode"));
    if (filesystem.multidevs) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::ninep_multidevs, "multidevs"));
    }
    if (filesystem.model) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::ninep_model, "model"));
    }
    if (filesystem.wrpolicy_immediate) {
        VFSKIT_TRY(require_at(target.libvirt, LibvirtFeature::ninep_wrpolicy, "driver wrpolicy"));
    }
    return check_create_modes(filesystem, target.libvirt);
}

} // namespace

std::string_view to_string(CacheMode value) {
    return value == CacheMode::none ? "none" : "always";
}

std::string_view to_string(DomainSandbox value) {
    return value == DomainSandbox::namespaces ? "namespace" : "chroot";
}

std::string_view to_string(AccessMode value) {
    return word_of<AccessMode>(access_modes, value);
}

std::string_view to_string(Multidevs value) {
    return word_of<Multidevs>(multidevs_words, value);
}

std::string_view to_string(NinepModel value) {
    return word_of<NinepModel>(models, value);
}

Result<AccessMode> parse_access_mode(std::string_view word) {
    return parse_word<AccessMode>(access_modes, word, "accessmode");
}

Result<Multidevs> parse_multidevs(std::string_view word) {
    return parse_word<Multidevs>(multidevs_words, word, "multidevs");
}

Result<NinepModel> parse_ninep_model(std::string_view word) {
    return parse_word<NinepModel>(models, word, "model");
}

const std::string& tag_of(const Filesystem& filesystem) {
    return std::visit([](const auto& one) -> const std::string& { return one.tag; }, filesystem);
}

Result<void> validate(const Filesystem& filesystem, const Target& target) {
    if (const auto* virtiofs = std::get_if<VirtiofsFilesystem>(&filesystem)) {
        return validate_virtiofs(*virtiofs, target);
    }
    return validate_ninep(std::get<NinepFilesystem>(filesystem), target);
}

} // namespace vfskit::domain
