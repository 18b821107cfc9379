// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cmd/share_options.h"

#include "core/base/text.h"
#include "core/launch/layout.h"

#include <fmt/format.h>

#include <cerrno>

namespace vfskit::vfsctl {

namespace {

const std::vector<std::string> negotiation_words{"never", "auto", "always"};

void bind_identity(ShareOptions& options, OptionSet& set) {
    set.text({.name = "--tag",
              .value = "TAG",
              .help = "What the guest mounts, at most 36 bytes. Default: the mapping's id"},
             options.tag)
        .flag({.name = "--readonly", .help = "The guest can only read"}, options.readonly)
        .value({.name = "--on-error",
                .value = "POLICY",
                .help = "What the destination of a migration does with a file that it cannot open: "
                        "abort (default: the migration fails, the VM goes on at the source) or "
                        "guest-error (the guest gets errors for that file)",
                .completes = Completes::words,
                .words = {"abort", "guest-error"}},
               options.on_error,
               share::parse_on_error);
}

void bind_caching(ShareOptions& options, OptionSet& set) {
    set.value({.name = "--cache",
               .value = "POLICY",
               .help = "What the guest may cache: auto, always, metadata or never",
               .completes = Completes::words,
               .words = {"auto", "always", "metadata", "never"}},
              options.cache,
              share::parse_cache_policy)
        .flag({.name = "--writeback", .help = "The guest may delay writes"}, options.writeback)
        .flag({.name = "--allow-direct-io", .help = "Honour O_DIRECT of the guest"},
              options.allow_direct_io)
        .flag({.name = "--allow-mmap", .help = "Allow shared mmap with direct I/O"},
              options.allow_mmap);
}

void bind_attributes(ShareOptions& options, OptionSet& set) {
    set.flag({.name = "--xattr", .help = "Extended attributes"}, options.xattr)
        .text({.name = "--xattrmap",
               .value = "MAP",
               .help = "How names of extended attributes are translated; implies --xattr"},
              options.xattrmap)
        .value({.name = "--posix-acl",
                .value = "MODE",
                .help = "POSIX ACLs: never, auto or always; implies --xattr",
                .completes = Completes::words,
                .words = negotiation_words},
               options.posix_acl,
               share::parse_negotiation)
        .value({.name = "--security-label",
                .value = "MODE",
                .help = "Security labels at creation: never, auto or always; implies --xattr",
                .completes = Completes::words,
                .words = negotiation_words},
               options.security_label,
               share::parse_negotiation);
}

void bind_resources(ShareOptions& options, OptionSet& set) {
    set.value({.name = "--announce-submounts",
               .value = "ON|OFF",
               .help = "Show other filesystems below the directory as mounts of their own",
               .completes = Completes::words,
               .words = {"on", "off"}},
              options.announce_submounts,
              parse_on_off)
        .value({.name = "--inode-file-handles",
                .value = "MODE",
                .help = "Keep inodes as file handles instead of open files: never, prefer or "
                        "mandatory",
                .completes = Completes::words,
                .words = {"never", "prefer", "mandatory"}},
               options.inode_file_handles,
               share::parse_inode_file_handles)
        .number({.name = "--thread-pool-size", .value = "N", .help = "Worker threads; 0: none"},
                options.thread_pool_size)
        .number({.name = "--queues",
                 .value = "N",
                 .help = "Request queues; more than 1 needs vfskit's own daemon"},
                options.request_queues)
        .number({.name = "--queue-size",
                 .value = "N",
                 .help = "Entries of a queue, a power of two up to 1024. Default: 1024"},
                options.queue_size)
        .number({.name = "--rlimit-nofile", .value = "N", .help = "Open files of the daemon"},
                options.rlimit_nofile);
}

void bind_identities(ShareOptions& options, OptionSet& set) {
    set.value({.name = "--sandbox",
               .value = "MODE",
               .help = "How the daemon shuts itself in: namespace, chroot or none",
               .completes = Completes::words,
               .words = {"namespace", "chroot", "none"}},
              options.sandbox,
              share::parse_sandbox_mode)
        .text({.name = "--modcaps",
               .value = "LIST",
               .help = "Capabilities to add or drop, '+sys_admin:-mknod'"},
              options.modcaps)
        .values({.name = "--uid-map",
                 .value = "GUEST:HOST:COUNT",
                 .help = "User ids of an unprivileged daemon's namespace. May be repeated"},
                options.uid_map,
                parse_id_range)
        .values({.name = "--gid-map",
                 .value = "GUEST:HOST:COUNT",
                 .help = "Group ids of an unprivileged daemon's namespace. May be repeated"},
                options.gid_map,
                parse_id_range)
        .list({.name = "--translate-uid",
               .value = "RULE",
               .help = "Translate user ids, in virtiofsd's words: 'map:0:100000:65536'. May be "
                       "repeated"},
              options.translate_uid)
        .list({.name = "--translate-gid",
               .value = "RULE",
               .help = "Translate group ids. May be repeated"},
              options.translate_gid);
}

template <class T>
void take(const std::optional<T>& given, T& target) {
    if (given) {
        target = *given;
    }
}

} // namespace

void bind_share_options(ShareOptions& options, OptionSet& set) {
    bind_identity(options, set);
    bind_caching(options, set);
    bind_attributes(options, set);
    bind_resources(options, set);
    bind_identities(options, set);
}

void apply(const ShareOptions& options, share::Share& share) {
    take(options.tag, share.tag);
    take(options.on_error, share.on_error);
    take(options.posix_acl, share.posix_acl);
    take(options.security_label, share.security_label);
    take(options.request_queues, share.request_queues);
    share.cache = options.cache;
    share.writeback = options.writeback;
    share.xattr = options.xattr;
    share.xattrmap = options.xattrmap;
    share.readonly = options.readonly;
    share.allow_direct_io = options.allow_direct_io;
    share.allow_mmap = options.allow_mmap;
    share.announce_submounts = options.announce_submounts;
    share.inode_file_handles = options.inode_file_handles;
    share.thread_pool_size = options.thread_pool_size;
    share.queue_size = options.queue_size;
    share.sandbox = options.sandbox;
    share.uid_map = options.uid_map;
    share.gid_map = options.gid_map;
    share.translate_uid = options.translate_uid;
    share.translate_gid = options.translate_gid;
    share.modcaps = options.modcaps;
    share.rlimit_nofile = options.rlimit_nofile;
}

Result<std::vector<std::pair<std::string, std::string>>>
recorded_options(const ShareOptions& options) {
    if (!options.uid_map.empty() || !options.gid_map.empty() || !options.translate_uid.empty() ||
        !options.translate_gid.empty()) {
        return Error{ENOTSUP, "Id maps and translations cannot be kept in a domain"}.with_remedy(
            "Start the daemon yourself (vfsctl daemon command) and name its --socket");
    }
    std::vector<std::pair<std::string, std::string>> record;
    const auto word = [&record](const char* name, const auto& value) {
        if (value) {
            record.emplace_back(name, to_string(*value));
        }
    };
    const auto text = [&record](const char* name, const auto& value) {
        if (value) {
            record.emplace_back(name, fmt::to_string(*value));
        }
    };
    const auto flag = [&record](const char* name, bool value) {
        if (value) {
            record.emplace_back(name, "on");
        }
    };
    flag("readonly", options.readonly);
    word("on-error", options.on_error);
    word("cache", options.cache);
    flag("writeback", options.writeback);
    flag("allow-direct-io", options.allow_direct_io);
    flag("allow-mmap", options.allow_mmap);
    flag("xattr", options.xattr);
    text("xattrmap", options.xattrmap);
    word("posix-acl", options.posix_acl);
    word("security-label", options.security_label);
    if (options.announce_submounts) {
        record.emplace_back("announce-submounts", *options.announce_submounts ? "on" : "off");
    }
    word("inode-file-handles", options.inode_file_handles);
    text("thread-pool-size", options.thread_pool_size);
    text("queues", options.request_queues);
    text("queue-size", options.queue_size);
    text("rlimit-nofile", options.rlimit_nofile);
    word("sandbox", options.sandbox);
    text("modcaps", options.modcaps);
    return record;
}

Result<std::vector<share::Share>>
make_shares(Services& services, std::span<const std::string> ids, const ShareOptions& options) {
    if (options.tag && ids.size() > 1) {
        return Error{EINVAL, "--tag names one share, and there are several"}.with_remedy(
            "Call once per mapping, or let the ids be the tags");
    }
    VFSKIT_TRY_ASSIGN(const auto store, services.open_store());
    VFSKIT_TRY_ASSIGN(const auto snapshot, store->snapshot());
    std::vector<share::Share> shares;
    for (const auto& id : ids) {
        VFSKIT_TRY_ASSIGN(const auto* mapping, require_mapping(snapshot, id, store->url()));
        VFSKIT_TRY(require_node(*mapping, services.node));
        VFSKIT_TRY_ASSIGN(auto share, share::make_share(*mapping, services.node));
        apply(options, share);
        VFSKIT_TRY(share::validate(share));
        shares.push_back(std::move(share));
    }
    return shares;
}

Result<bool> parse_on_off(std::string_view word) {
    VFSKIT_TRY_ASSIGN(const auto known, parse_word(word, {"on", "off"}));
    return known == "on";
}

Result<share::IdRange> parse_id_range(std::string_view word) {
    const auto parts = base::split(word, ':');
    if (parts.size() != 3) {
        return Error{EINVAL, fmt::format("'{}' is not GUEST:HOST:COUNT", word)}.with_remedy(
            "Write for example 0:100000:65536");
    }
    VFSKIT_TRY_ASSIGN(const auto guest, base::parse_unsigned(parts[0], "guest id", UINT32_MAX));
    VFSKIT_TRY_ASSIGN(const auto host, base::parse_unsigned(parts[1], "host id", UINT32_MAX));
    VFSKIT_TRY_ASSIGN(const auto count, base::parse_unsigned(parts[2], "count", UINT32_MAX));
    return share::IdRange{static_cast<std::uint32_t>(guest),
                          static_cast<std::uint32_t>(host),
                          static_cast<std::uint32_t>(count)};
}

Result<std::string> default_socket(std::string_view vm, std::string_view tag) {
    VFSKIT_TRY_ASSIGN(const auto paths, launch::Layout{}.paths(vm, tag));
    return paths.socket;
}

} // namespace vfskit::vfsctl
