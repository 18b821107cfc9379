// SPDX-License-Identifier: Apache-2.0
#include "core/device_state/negotiated.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>

namespace vfskit::device_state {

using fuse::NegotiatedState;

namespace {

using namespace fuse::wire;

struct Promise {
    std::uint64_t flag;
    std::string_view name;
    std::string_view option;
};

/// What the guest relies on and we do only if told to.
constexpr std::array promises{
    Promise{FUSE_WRITEBACK_CACHE, "writeback caching", "--writeback"},
    Promise{FUSE_POSIX_ACL, "POSIX ACLs", "--posix-acl"},
    Promise{FUSE_SECURITY_CTX, "security labels", "--security-label"},
    Promise{FUSE_POSIX_LOCKS, "fcntl locks on the host", "--posix-lock"},
    Promise{FUSE_FLOCK_LOCKS, "flock locks on the host", "--flock"},
};

/// Flags of features that this code knows at all; what a newer daemon negotiated is not among them.
constexpr std::uint64_t known_flags =
    FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DONT_MASK |
    FUSE_FLOCK_LOCKS | FUSE_HAS_IOCTL_DIR | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
    FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_WRITEBACK_CACHE | FUSE_PARALLEL_DIROPS |
    FUSE_POSIX_ACL | FUSE_MAX_PAGES | FUSE_SUBMOUNTS | FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT |
    FUSE_INIT_EXT | FUSE_SECURITY_CTX | FUSE_CREATE_SUPP_GROUP | FUSE_DIRECT_IO_ALLOW_MMAP |
    FUSE_ALLOW_IDMAP;

Error refuse_promise(const Promise& promise) {
    return Error{
        ENOTSUP,
        fmt::format("The source's guest relies on {}, which this daemon does not do", promise.name)}
        .with_remedy(fmt::format("Start virtiofsd on the destination with {} as on the source",
                                 promise.option));
}

Result<NegotiatedState> check(const NegotiatedState& wanted, const NegotiatedState& offered) {
    for (const auto& promise : promises) {
        if (wanted.has(promise.flag) && !offered.has(promise.flag)) {
            return refuse_promise(promise);
        }
    }
    if ((wanted.flags & ~known_flags) != 0) {
        return Error{ENOTSUP,
                     fmt::format("The source's guest uses FUSE features that this version does not "
                                 "know (flags {:#x})",
                                 wanted.flags & ~known_flags)}
            .with_remedy("Update virtiofsd on the destination to the source's version");
    }
    if (wanted.max_write > offered.max_write || wanted.max_pages > offered.max_pages) {
        return Error{
            ENOTSUP,
            fmt::format(
                "The source's guest sends requests of up to {} bytes, more than this version takes",
                wanted.max_write)}
            .with_remedy("Update virtiofsd on the destination to the source's version");
    }
    return wanted;
}

/// Upstream sends four of its options and nothing else. The rest is what its options make it agree
/// on with any guest; where they differ from ours, ours count, for mixed clusters give both daemons
/// the same. Host locks it never does.
NegotiatedState assume(const SavedOptions& saved, const NegotiatedState& offered) {
    constexpr std::uint64_t acl_flags = FUSE_DONT_MASK | FUSE_POSIX_ACL | FUSE_SETXATTR_EXT;
    constexpr std::uint32_t upstream_minor = 38;
    auto state = offered;
    state.minor = upstream_minor;
    state.flags &= ~(FUSE_WRITEBACK_CACHE | acl_flags | FUSE_CREATE_SUPP_GROUP | FUSE_POSIX_LOCKS |
                     FUSE_FLOCK_LOCKS);
    state.flags |= saved.writeback ? FUSE_WRITEBACK_CACHE : 0;
    state.flags |= saved.posix_acl ? acl_flags : 0;
    state.flags |= saved.supplementary_groups ? FUSE_CREATE_SUPP_GROUP : 0;
    return state;
}

} // namespace

Result<NegotiatedState> negotiated_of(const State& state, const NegotiatedState& offered) {
    if (state.trailer) {
        return check(state.trailer->negotiated, offered);
    }
    if (state.inodes.empty()) {
        return NegotiatedState{}; // the guest has not mounted
    }
    return check(assume(state.options, offered), offered);
}

} // namespace vfskit::device_state
