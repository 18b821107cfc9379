// SPDX-License-Identifier: Apache-2.0
#include "core/share/share.h"

#include "core/base/text.h"
#include "core/share/capabilities.h"
#include "core/share/id_translation.h"
#include "core/share/refusal.h"
#include "core/share/xattr_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <span>
#include <utility>

namespace vfskit::share {
namespace {

template <class Value, std::size_t size>
using WordTable = std::array<std::pair<Value, std::string_view>, size>;

constexpr WordTable<CachePolicy, 4> cache_words{{{CachePolicy::automatic, "auto"},
                                                 {CachePolicy::always, "always"},
                                                 {CachePolicy::metadata, "metadata"},
                                                 {CachePolicy::never, "never"}}};
constexpr WordTable<SandboxMode, 3> sandbox_words{{{SandboxMode::namespaces, "namespace"},
                                                   {SandboxMode::chroot, "chroot"},
                                                   {SandboxMode::none, "none"}}};
constexpr WordTable<InodeFileHandles, 3> handle_words{{{InodeFileHandles::never, "never"},
                                                       {InodeFileHandles::prefer, "prefer"},
                                                       {InodeFileHandles::mandatory, "mandatory"}}};
constexpr WordTable<Negotiation, 3> negotiation_words{{{Negotiation::never, "never"},
                                                       {Negotiation::automatic, "auto"},
                                                       {Negotiation::always, "always"}}};
constexpr WordTable<OnError, 2> on_error_words{
    {{OnError::abort, "abort"}, {OnError::guest_error, "guest-error"}}};

template <class Value, std::size_t size>
std::string_view word_of(const WordTable<Value, size>& table, Value value) {
    const auto* const entry = std::find_if(
        table.begin(), table.end(), [value](const auto& pair) { return pair.first == value; });
    return entry != table.end() ? entry->second : std::string_view{};
}

template <class Value, std::size_t size>
Result<Value>
value_of(const WordTable<Value, size>& table, std::string_view what, std::string_view word) {
    std::array<std::string_view, size> words;
    std::transform(
        table.begin(), table.end(), words.begin(), [](const auto& pair) { return pair.second; });
    const auto* const entry = std::find_if(
        table.begin(), table.end(), [word](const auto& pair) { return pair.second == word; });
    if (entry != table.end()) {
        return entry->first;
    }
    auto error = Error{EINVAL, fmt::format("{} \"{}\" is not known", what, word)};
    if (const auto near = base::nearest(word, words)) {
        return std::move(error).with_remedy(
            fmt::format("Did you mean \"{}\"? Known are {}", *near, fmt::join(words, ", ")));
    }
    return std::move(error).with_remedy(fmt::format("Use one of {}", fmt::join(words, ", ")));
}

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 || byte == 0x7F;
    });
}

// virtio 1.2, 5.11.4: a UTF-8 name of at most 36 bytes. Control characters are legal there, but
// neither XML 1.0 nor fstab can carry them, so the guest could not mount the share.
Result<void> validate_tag(const std::string& tag) {
    if (tag.empty()) {
        return refuse("tag", "The tag is empty", "Name the share; the guest mounts it by its tag");
    }
    if (tag.size() > mapping::max_tag_bytes) {
        return refuse("tag",
                      fmt::format("Tag \"{}\" has {} bytes, and QEMU accepts at most {}",
                                  tag,
                                  tag.size(),
                                  mapping::max_tag_bytes),
                      "Choose a shorter tag");
    }
    if (!base::is_valid_utf8(tag)) {
        return refuse("tag", "The tag is not valid UTF-8", "Choose a tag in UTF-8");
    }
    if (has_control_character(tag)) {
        return refuse(
            "tag", "The tag contains a control character", "Choose a tag of printable characters");
    }
    return {};
}

// A mapping's path is judged by the room mapping; here only what the daemon's start needs.
Result<void> validate_path(const std::string& path) {
    if (path.empty() || path.front() != '/') {
        return refuse("path",
                      fmt::format("Path \"{}\" is not absolute", path),
                      "Give the directory as seen from the root, beginning with \"/\"");
    }
    if (path.find('\0') != std::string::npos) {
        return refuse("path", "The path contains a NUL byte", "Correct the mapping's path");
    }
    constexpr std::size_t max_path_bytes = 4095; // PATH_MAX without the NUL
    if (path.size() > max_path_bytes) {
        return refuse("path",
                      fmt::format("The path has {} bytes, and Linux accepts at most {}",
                                  path.size(),
                                  max_path_bytes),
                      "Share a directory with a shorter path, for example through a bind mount");
    }
    return {};
}

// The upper bound is QEMU's ("must be 1024 or smaller", "must be a power of 2"), the lower one is
// the Linux guest's: it keeps four descriptors of each request for the FUSE headers and refuses to
// mount when the queue has no more than those (fs/fuse/virtio_fs.c, FUSE_HEADER_OVERHEAD).
Result<void> validate_queues(const Share& share) {
    constexpr std::uint32_t min_queue_size = 8;
    constexpr std::uint32_t max_queue_size = 1024;
    if (share.queue_size.has_value()) {
        const auto entries = *share.queue_size;
        if (!std::has_single_bit(entries) || entries < min_queue_size || entries > max_queue_size) {
            return refuse("queue-size",
                          fmt::format("Queue size {} is not a power of two from {} to {}",
                                      entries,
                                      min_queue_size,
                                      max_queue_size),
                          "Use 1024, or leave the option out");
        }
    }
    // The vhost-user messages for kick and call descriptors carry the vring's index in eight bits,
    // and the first vring is hiprio.
    constexpr std::uint32_t max_request_queues = 255;
    if (share.request_queues == 0 || share.request_queues > max_request_queues) {
        return refuse("queues",
                      fmt::format("{} request queues are not possible; a device has 1 to {}",
                                  share.request_queues,
                                  max_request_queues),
                      "Use one queue per virtual CPU, or 1");
    }
    return {};
}

// virtiofsd takes 509 descriptors for memory regions, 100 for itself and one per pool thread off
// the limit, and refuses to start when nothing is left for the guest (measured on 1.13.2 and
// 1.14.0: "Limit is 100, must be at least 610"). 0 means "leave the limit alone".
Result<void> validate_resources(const Share& share) {
    const std::uint64_t threads = share.thread_pool_size.value_or(0);
    if (threads > max_thread_pool_size) {
        return refuse("thread-pool-size",
                      fmt::format("{} threads are more than the {} that are reasonable for a share",
                                  threads,
                                  max_thread_pool_size),
                      "Use a few threads per host CPU, or 0 for none");
    }
    const std::uint64_t least_files = 509 + 100 + std::max<std::uint64_t>(threads, 1);
    if (share.rlimit_nofile.has_value() && *share.rlimit_nofile != 0 &&
        *share.rlimit_nofile < least_files) {
        return refuse("rlimit-nofile",
                      fmt::format("{} open files are too few for virtiofsd; it needs {} for itself",
                                  *share.rlimit_nofile,
                                  least_files),
                      "Raise the limit, or leave it out for the daemon's default of 1000000");
    }
    return {};
}

Result<void> validate_writing(const Share& share) {
    if (!share.writeback) {
        return {};
    }
    if (share.readonly) {
        return refuse("writeback",
                      "A read-only share has nothing to write back",
                      "Remove writeback or readonly");
    }
    // Under never and metadata each file is opened for direct I/O: nothing is ever written back,
    // yet a guest with a writeback cache trusts its own sizes and times, which is the very
    // staleness these policies are chosen against.
    const auto cache = share.cache.value_or(CachePolicy::automatic);
    if (cache == CachePolicy::never || cache == CachePolicy::metadata) {
        return refuse("writeback",
                      fmt::format("Writeback needs cached file data, and cache policy \"{}\" "
                                  "caches none",
                                  to_string(cache)),
                      "Remove writeback, or use cache policy auto or always");
    }
    return {};
}

bool needs_file_handles(const Share& share) {
    return share.method == mapping::MigrationMethod::file_handles ||
           share.inode_file_handles.value_or(InodeFileHandles::never) != InodeFileHandles::never;
}

Result<void> validate_capabilities(const Share& share) {
    if (!share.modcaps.has_value()) {
        return {};
    }
    VFSKIT_TRY_ASSIGN(const auto changes, parse_capability_changes(*share.modcaps));
    if (needs_file_handles(share) && removes_capability(changes, "dac_read_search")) {
        return refuse("modcaps",
                      "File handles need the capability dac_read_search, which modcaps takes away",
                      "Remove \"-dac_read_search\", or use inode-file-handles never and another "
                      "migration method");
    }
    return {};
}

Result<void> validate_id_ranges(std::string_view option, std::span<const IdRange> ranges) {
    // user_namespaces(7): 340 lines since Linux 4.15.
    constexpr std::size_t max_ranges = 340;
    if (ranges.size() > max_ranges) {
        return refuse(option,
                      fmt::format("{} ranges are more than the {} the kernel takes",
                                  ranges.size(),
                                  max_ranges),
                      "Join neighbouring ranges");
    }
    RangeSet guest_ids{"Guest id"};
    RangeSet host_ids{"Host id"};
    for (const auto& range : ranges) {
        const auto place = Place{.file = {}, .line = 0, .key = std::string{option}};
        if (auto added = guest_ids.add(range.guest, range.count); !added) {
            return std::move(added).error().at(place);
        }
        if (auto added = host_ids.add(range.host, range.count); !added) {
            return std::move(added).error().at(place);
        }
    }
    return {};
}

// virtiofsd: "uid_map can only be used by unprivileged user where sandbox mod is namespace".
// Whether the user is unprivileged is not known here; the rest is.
Result<void> validate_user_namespace(const Share& share) {
    VFSKIT_TRY(validate_id_ranges("uid-map", share.uid_map));
    VFSKIT_TRY(validate_id_ranges("gid-map", share.gid_map));
    if (share.uid_map.empty() && share.gid_map.empty()) {
        return {};
    }
    const auto* const option = share.uid_map.empty() ? "gid-map" : "uid-map";
    const auto sandbox = share.sandbox.value_or(SandboxMode::namespaces);
    if (sandbox != SandboxMode::namespaces) {
        return refuse(option,
                      fmt::format("Ids can be mapped only inside a user namespace, and sandbox "
                                  "\"{}\" makes none",
                                  to_string(sandbox)),
                      "Use sandbox namespace, or translate-uid and translate-gid instead");
    }
    // open_by_handle_at(2) wants CAP_DAC_READ_SEARCH in the initial user namespace.
    if (share.method == mapping::MigrationMethod::file_handles ||
        share.inode_file_handles == InodeFileHandles::mandatory) {
        return refuse(option,
                      "File handles cannot be opened from inside a user namespace, which mapped "
                      "ids need",
                      "Use migration method find-paths and inode-file-handles never, or run the "
                      "daemon as root with translate-uid and translate-gid");
    }
    return {};
}

// A handle names an inode of one filesystem and a descriptor an open file of this one; in a copy
// both name nothing, or something else.
Result<void> validate_method(const Share& share) {
    if (share.path_relation != mapping::PathRelation::replicas || !share.method.has_value() ||
        share.method == mapping::MigrationMethod::find_paths) {
        return {};
    }
    return refuse("live-migration-method",
                  fmt::format("Method {} needs the same directory on every node, and the mapping's "
                              "paths are replicas",
                              mapping::to_string(*share.method)),
                  "Use find-paths, or correct the relation if the directory is shared");
}

Result<void> validate_translation(const Share& share) {
    VFSKIT_TRY(validate_id_translations("translate-uid", share.translate_uid));
    VFSKIT_TRY(validate_id_translations("translate-gid", share.translate_gid));
    const bool translates = !share.translate_uid.empty() || !share.translate_gid.empty();
    // The ids inside an ACL are not translated, so virtiofsd refuses the pair.
    if (translates && share.posix_acl != Negotiation::never) {
        return refuse("posix-acl",
                      "POSIX ACLs carry ids that virtiofsd does not translate, so it refuses "
                      "posix-acl together with translate-uid or translate-gid",
                      "Remove posix-acl or the translation");
    }
    return {};
}

} // namespace

std::string_view to_string(CachePolicy value) {
    return word_of(cache_words, value);
}
std::string_view to_string(SandboxMode value) {
    return word_of(sandbox_words, value);
}
std::string_view to_string(InodeFileHandles value) {
    return word_of(handle_words, value);
}
std::string_view to_string(Negotiation value) {
    return word_of(negotiation_words, value);
}
std::string_view to_string(OnError value) {
    return word_of(on_error_words, value);
}

Result<CachePolicy> parse_cache_policy(std::string_view word) {
    // libvirt and the old C daemon say "none" for what virtiofsd calls "never".
    if (word == "none") {
        return Error{EINVAL, "Cache policy \"none\" is not known"}.with_remedy(
            "Use \"never\", virtiofsd's own word for it");
    }
    return value_of(cache_words, "Cache policy", word);
}
Result<SandboxMode> parse_sandbox_mode(std::string_view word) {
    return value_of(sandbox_words, "Sandbox mode", word);
}
Result<InodeFileHandles> parse_inode_file_handles(std::string_view word) {
    return value_of(handle_words, "Use of inode file handles", word);
}
Result<Negotiation> parse_negotiation(std::string_view word) {
    return value_of(negotiation_words, "Negotiation mode", word);
}
Result<OnError> parse_on_error(std::string_view word) {
    return value_of(on_error_words, "Migration error policy", word);
}

Result<Share> make_share(const mapping::DirectoryMapping& mapping, std::string_view node) {
    const auto path = mapping::find_path(mapping, node);
    if (!path.has_value()) {
        std::vector<std::string_view> nodes;
        nodes.reserve(mapping.paths.size());
        for (const auto& entry : mapping.paths) {
            nodes.emplace_back(entry.node);
        }
        auto error = Error{
            ENOENT, fmt::format("Mapping \"{}\" has no path on node \"{}\"", mapping.id, node)};
        if (nodes.empty()) {
            return std::move(error).with_remedy("Give the mapping a path on this node");
        }
        if (const auto near = base::nearest(node, nodes)) {
            return std::move(error).with_remedy(fmt::format(
                "Did you mean \"{}\"? It has paths on {}", *near, fmt::join(nodes, ", ")));
        }
        return std::move(error).with_remedy(
            fmt::format("Give it a path there; it has paths on {}", fmt::join(nodes, ", ")));
    }
    Share share;
    share.dirid = mapping.id;
    share.tag = mapping.id;
    share.path = std::string{*path};
    share.method = mapping.live_migration_method;
    share.path_relation = mapping.path_relation;
    return share;
}

Result<void> validate(const Share& share) {
    VFSKIT_TRY(validate_tag(share.tag));
    VFSKIT_TRY(validate_path(share.path));
    VFSKIT_TRY(validate_method(share));
    VFSKIT_TRY(validate_queues(share));
    VFSKIT_TRY(validate_resources(share));
    VFSKIT_TRY(validate_writing(share));
    if (share.xattrmap.has_value()) {
        VFSKIT_TRY(validate_xattr_map(*share.xattrmap));
    }
    VFSKIT_TRY(validate_capabilities(share));
    VFSKIT_TRY(validate_user_namespace(share));
    return validate_translation(share);
}

} // namespace vfskit::share
