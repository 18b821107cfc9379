// SPDX-License-Identifier: Apache-2.0
#include "core/fuse/negotiation.h"

#include "core/base/result.h"

namespace vfskit::fuse {

namespace {

using namespace wire;

constexpr std::uint64_t always_wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                        FUSE_HAS_IOCTL_DIR | FUSE_AUTO_INVAL_DATA | FUSE_ASYNC_DIO |
                                        FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_SUBMOUNTS |
                                        FUSE_INIT_EXT | FUSE_CREATE_SUPP_GROUP | FUSE_ALLOW_IDMAP;
/// An ACL is kept by the host, so the guest must not apply the umask (DONT_MASK) and must say when
/// an ACL change has to clear set-group-id (SETXATTR_EXT).
constexpr std::uint64_t acl_flags = FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;

constexpr std::uint16_t max_background = 65535;
constexpr std::uint16_t congestion_threshold = 49149; // three quarters

std::uint64_t capabilities_of(const InitIn& guest) {
    std::uint64_t flags = guest.flags;
    if ((flags & FUSE_INIT_EXT) != 0) {
        flags |= std::uint64_t{guest.flags2} << 32;
    }
    return flags & ~FUSE_INIT_RESERVED;
}

std::uint64_t plainly_wanted(const Options& options) {
    std::uint64_t flags = always_wanted;
    if (options.readdirplus && options.cache != CachePolicy::never) {
        flags |= FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO;
    }
    flags |= options.writeback ? FUSE_WRITEBACK_CACHE : 0;
    flags |= options.killpriv_v2 ? FUSE_HANDLE_KILLPRIV_V2 : 0;
    flags |= options.allow_mmap ? FUSE_DIRECT_IO_ALLOW_MMAP : 0;
    flags |= options.posix_lock ? FUSE_POSIX_LOCKS : 0;
    flags |= options.flock ? FUSE_FLOCK_LOCKS : 0;
    return flags;
}

/// The flags of a feature that takes all of them or none.
Outcome<std::uint64_t> feature(FeatureMode mode, std::uint64_t needed, std::uint64_t capable) {
    if (mode == FeatureMode::never) {
        return std::uint64_t{0};
    }
    if ((capable & needed) == needed) {
        return needed;
    }
    if (mode == FeatureMode::always) {
        return Errno{EPROTO};
    }
    return std::uint64_t{0};
}

void collect_warnings(const Options& options, Negotiation& negotiation) {
    const auto lacks = [&](std::uint64_t flag) { return !negotiation.state.has(flag); };
    auto& warnings = negotiation.warnings;
    if (options.posix_acl == FeatureMode::automatic && lacks(FUSE_POSIX_ACL)) {
        warnings.emplace_back("The guest does not support POSIX ACLs: serving without them");
    }
    if (options.security_label == FeatureMode::automatic && lacks(FUSE_SECURITY_CTX)) {
        warnings.emplace_back("The guest does not send security labels: files get none");
    }
    if (options.killpriv_v2 && lacks(FUSE_HANDLE_KILLPRIV_V2)) {
        warnings.emplace_back(
            "The guest does not support killpriv_v2: it clears set-id bits by itself");
    }
    if (options.writeback && lacks(FUSE_WRITEBACK_CACHE)) {
        warnings.emplace_back("The guest does not support the writeback cache: writing through");
    }
    if ((options.posix_lock && lacks(FUSE_POSIX_LOCKS)) ||
        (options.flock && lacks(FUSE_FLOCK_LOCKS))) {
        warnings.emplace_back(
            "The guest does not send file locks: its locks stay inside the guest");
    }
}

InitOut make_reply(const NegotiatedState& state) {
    InitOut reply{};
    reply.major = FUSE_KERNEL_VERSION;
    reply.minor = newest_minor;
    reply.max_readahead = state.max_readahead;
    reply.flags = static_cast<std::uint32_t>(state.flags);
    reply.flags2 = static_cast<std::uint32_t>(state.flags >> 32);
    reply.max_background = max_background;
    reply.congestion_threshold = congestion_threshold;
    reply.max_write = state.max_write;
    reply.time_gran = 1;
    reply.max_pages = state.max_pages;
    return reply;
}

} // namespace

Outcome<Negotiation> negotiate(const Options& options, const InitIn& guest) {
    Negotiation negotiation;
    if (guest.major > FUSE_KERNEL_VERSION) {
        negotiation.reply.major = FUSE_KERNEL_VERSION;
        negotiation.reply.minor = newest_minor;
        return negotiation;
    }
    if (guest.major < FUSE_KERNEL_VERSION || guest.minor < oldest_minor) {
        return Errno{EPROTO};
    }
    const auto capable = capabilities_of(guest);
    VFSKIT_TRY_ASSIGN(const auto acl, feature(options.posix_acl, acl_flags, capable));
    VFSKIT_TRY_ASSIGN(const auto label,
                      feature(options.security_label, FUSE_SECURITY_CTX, capable));
    negotiation.state = {.minor = guest.minor,
                         .flags = (plainly_wanted(options) & capable) | acl | label,
                         .max_readahead = guest.max_readahead,
                         .max_write = options.max_write,
                         .max_pages = options.max_pages};
    negotiation.reply = make_reply(negotiation.state);
    collect_warnings(options, negotiation);
    return negotiation;
}

CacheRules make_cache_rules(CachePolicy policy) {
    static constexpr Timeout day{.seconds = 86400, .nanoseconds = 0};
    switch (policy) {
    case CachePolicy::automatic:
        return {.entry_timeout = {1, 0}, .attr_timeout = {1, 0}};
    case CachePolicy::always:
        return {.entry_timeout = day,
                .attr_timeout = day,
                .open_flags = FOPEN_KEEP_CACHE,
                .opendir_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR};
    case CachePolicy::metadata:
        return {.entry_timeout = day,
                .attr_timeout = day,
                .open_flags = FOPEN_DIRECT_IO,
                .opendir_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR};
    case CachePolicy::never:
        return {.open_flags = FOPEN_DIRECT_IO};
    }
    return {};
}

} // namespace vfskit::fuse
