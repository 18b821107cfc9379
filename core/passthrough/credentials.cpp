// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/credentials.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vfskit::passthrough {

namespace {

constexpr std::uint64_t bit(int capability) {
    return std::uint64_t{1} << static_cast<unsigned>(capability);
}

int errno_of(long result) {
    return result == 0 ? 0 : errno;
}

class RawCredentialCalls final : public CredentialCalls {
public:
    int set_groups(std::span<const gid_t> groups) override {
        return errno_of(::syscall(SYS_setgroups, groups.size(), groups.data()));
    }
    int set_effective_gid(gid_t gid) override {
        return errno_of(::syscall(SYS_setresgid, -1, gid, -1));
    }
    int set_effective_uid(uid_t uid) override {
        return errno_of(::syscall(SYS_setresuid, -1, uid, -1));
    }
    int set_capabilities(std::uint64_t effective, std::uint64_t permitted) override {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        std::array<__user_cap_data_struct, 2> data{};
        for (std::size_t i = 0; i < data.size(); ++i) {
            data.at(i).effective = static_cast<std::uint32_t>(effective >> (32 * i));
            data.at(i).permitted = static_cast<std::uint32_t>(permitted >> (32 * i));
        }
        return errno_of(::syscall(SYS_capset, &header, data.data()));
    }
};

/// How the calling thread differs from the process's own identity.
struct ThreadDeviation {
    bool has_groups = false;
    bool has_gid = false;
    bool has_uid = false;
    bool has_capabilities = false; ///< effective set differs while has_uid is false
    bool kills_privileges = false;

    [[nodiscard]] bool is_somebody_else() const { return has_groups || has_gid || has_uid; }
};
thread_local ThreadDeviation deviation;

struct ThreadFs {
    bool is_private = false;
    mode_t umask = 0;
    bool umask_is_known = false;
    std::uint64_t directory = 0;
};
thread_local ThreadFs thread_fs;

int make_fs_private() {
    if (thread_fs.is_private) {
        return 0;
    }
    // umask and working directory belong to a structure that threads share until they ask not to;
    // it needs no privilege.
    if (::unshare(CLONE_FS) != 0) {
        return errno;
    }
    thread_fs.is_private = true;
    return 0;
}

} // namespace

CredentialCalls& thread_credential_calls() {
    static RawCredentialCalls calls;
    return calls;
}

Identity Identity::of_this_thread() {
    Identity identity;
    identity.uid = ::geteuid();
    identity.gid = ::getegid();
    if (const int count = ::getgroups(0, nullptr); count > 0) {
        identity.groups.resize(static_cast<std::size_t>(count));
        const int got = ::getgroups(count, identity.groups.data());
        identity.groups.resize(static_cast<std::size_t>(std::max(got, 0)));
    }
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) == 0) {
        identity.effective_capabilities = data[0].effective | std::uint64_t{data[1].effective}
                                                                  << 32U;
        identity.permitted_capabilities = data[0].permitted | std::uint64_t{data[1].permitted}
                                                                  << 32U;
    }
    return identity;
}

bool Identity::has(int capability) const {
    return (effective_capabilities & bit(capability)) != 0;
}

Credentials::Scope::Scope(const Credentials& owner, const Caller& caller) : owner_{owner} {
    error_ = owner_.enter(caller);
    if (error_ != 0) {
        // A half-done switch is taken back; if even that fails the thread stays marked and
        // ensure_own_identity() refuses further requests on it.
        (void)owner_.leave();
    }
}

Credentials::Scope::~Scope() {
    if (error_ == 0) {
        (void)owner_.leave();
    }
}

bool Credentials::is_own_group_set(std::span<const gid_t> groups) const {
    return std::equal(groups.begin(), groups.end(), own_.groups.begin(), own_.groups.end());
}

int Credentials::enter(const Caller& caller) const {
    if (const int error = ensure_own_identity(); error != 0) {
        return error;
    }
    // Back to the full set first: setresuid() away from 0 clears the effective set, and leave()
    // must find only what it knows.
    if (const int error = set_kills_privileges(false); error != 0) {
        return error;
    }
    const auto uid = static_cast<uid_t>(caller.uid);
    const auto gid = static_cast<gid_t>(caller.gid);
    // A daemon without CAP_SETGID cannot take groups on. It goes on with its own, fewer, rights:
    // the kernel then refuses what those do not allow.
    if (own_.has(CAP_SETGID) && !is_own_group_set(caller.groups)) {
        if (const int error = calls_.set_groups(caller.groups); error != 0) {
            return error;
        }
        deviation.has_groups = true;
    }
    if (gid != 0 && gid != own_.gid) {
        if (const int error = calls_.set_effective_gid(gid); error != 0) {
            return error == EINVAL ? EPERM : error; // EINVAL: not mapped in our user namespace
        }
        deviation.has_gid = true;
    }
    if (uid != 0 && uid != own_.uid) {
        if (const int error = calls_.set_effective_uid(uid); error != 0) {
            return error == EINVAL ? EPERM : error;
        }
        deviation.has_uid = true;
        if (caller.keeps_dac_override && own_.has(CAP_DAC_OVERRIDE)) {
            return calls_.set_capabilities(bit(CAP_DAC_OVERRIDE), own_.permitted_capabilities);
        }
    }
    return 0;
}

int Credentials::leave() const {
    // The uid first: with it the capabilities to change the others come back.
    if (deviation.has_uid) {
        if (const int error = calls_.set_effective_uid(own_.uid); error != 0) {
            return error;
        }
        deviation.has_uid = false;
        // The kernel copies permitted to effective on the way back to uid 0. Where that is not the
        // set we had (a daemon that is not root, or that had dropped some) it is set.
        deviation.has_capabilities =
            own_.uid != 0 || own_.effective_capabilities != own_.permitted_capabilities;
    }
    if (deviation.has_capabilities) {
        const int error =
            calls_.set_capabilities(own_.effective_capabilities, own_.permitted_capabilities);
        if (error != 0) {
            return error;
        }
        deviation.has_capabilities = false;
    }
    if (deviation.has_gid) {
        if (const int error = calls_.set_effective_gid(own_.gid); error != 0) {
            return error;
        }
        deviation.has_gid = false;
    }
    if (deviation.has_groups) {
        if (const int error = calls_.set_groups(own_.groups); error != 0) {
            return error;
        }
        deviation.has_groups = false;
    }
    return 0;
}

int Credentials::ensure_own_identity() const {
    if (!deviation.is_somebody_else() && !deviation.has_capabilities) {
        return 0;
    }
    return leave() == 0 ? 0 : EIO;
}

int Credentials::set_kills_privileges(bool kills) const {
    if (kills == deviation.kills_privileges || !own_.has(CAP_FSETID)) {
        return 0;
    }
    const auto effective =
        kills ? own_.effective_capabilities & ~bit(CAP_FSETID) : own_.effective_capabilities;
    if (const int error = calls_.set_capabilities(effective, own_.permitted_capabilities);
        error != 0) {
        return error;
    }
    deviation.kills_privileges = kills;
    return 0;
}

int set_thread_umask(mode_t mask) {
    if (thread_fs.umask_is_known && thread_fs.umask == mask) {
        return 0;
    }
    if (const int error = make_fs_private(); error != 0) {
        return error;
    }
    ::umask(mask);
    thread_fs.umask = mask;
    thread_fs.umask_is_known = true;
    return 0;
}

int set_thread_directory(int directory_fd, std::uint64_t directory_id) {
    if (thread_fs.directory == directory_id) {
        return 0;
    }
    if (const int error = make_fs_private(); error != 0) {
        return error;
    }
    if (::fchdir(directory_fd) != 0) {
        return errno;
    }
    thread_fs.directory = directory_id;
    return 0;
}

} // namespace vfskit::passthrough
