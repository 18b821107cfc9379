// SPDX-License-Identifier: Apache-2.0
// Acting as somebody else for the length of one system call, and surely being oneself again after
// it.
//
// Linux keeps credentials, the umask and the working directory per thread; glibc's setresuid()
// changes all threads, so the raw system calls are used. A worker thread's deviation from the
// process's own state is remembered in thread-local variables: the common request, which deviates
// in nothing, makes no system call for it.
#pragma once

#include "core/passthrough/id_map.h"

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace vfskit::passthrough {

/// The system calls that change the calling thread. Injected, because their failures (an unmapped
/// id in a user namespace, RLIMIT_NPROC) are what needs testing. Each answers 0 or an errno.
class CredentialCalls {
public:
    virtual ~CredentialCalls() = default;
    virtual int set_groups(std::span<const gid_t> groups) = 0;
    /// Sets the effective (and with it the filesystem) id only.
    virtual int set_effective_gid(gid_t gid) = 0;
    virtual int set_effective_uid(uid_t uid) = 0;
    /// The low 64 capabilities; the inheritable set becomes empty.
    virtual int set_capabilities(std::uint64_t effective, std::uint64_t permitted) = 0;
};

/// The real ones: raw system calls, which change the calling thread alone.
CredentialCalls& thread_credential_calls();

/// What the process is when it serves nobody in particular.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
    std::uint64_t effective_capabilities = 0;
    std::uint64_t permitted_capabilities = 0;

    /// Of the calling thread, now. Read it after the capabilities have been dropped.
    static Identity of_this_thread();
    [[nodiscard]] bool has(int capability) const;
};

/// Whom a create request acts for.
struct Caller {
    HostUid uid{};
    HostGid gid{};
    /// Exactly these supplementary groups. They are host ids.
    std::span<const gid_t> groups;
    /// The guest cannot send the caller's groups (no FUSE_CREATE_SUPP_GROUP): keep
    /// CAP_DAC_OVERRIDE, for the guest's kernel has made the permission check, with the groups.
    bool keeps_dac_override = false;
};

/// Switches the calling thread. One object serves all threads; only one object may be used on one
/// thread while it is switched.
class Credentials {
public:
    explicit Credentials(Identity own, CredentialCalls& calls = thread_credential_calls())
        : own_{std::move(own)}, calls_{calls} {}

    /// Acts for a caller until destroyed. If error() is not 0 the thread was not switched (what had
    /// been done is undone) and the request must fail with it.
    class [[nodiscard]] Scope {
    public:
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
        ~Scope();
        [[nodiscard]] int error() const { return error_; }

    private:
        friend class Credentials;
        Scope(const Credentials& owner, const Caller& caller);
        const Credentials& owner_;
        int error_ = 0;
    };
    [[nodiscard]] Scope act_as(const Caller& caller) const { return Scope{*this, caller}; }

    /// Must be 0 before a request is served on this thread. After a switch back that failed (there
    /// is no harmless reason for that) it tries again and answers EIO until the thread is itself:
    /// no request runs with another one's identity.
    [[nodiscard]] int ensure_own_identity() const;

    /// Gives up or takes back CAP_FSETID: without it the kernel clears set-id bits on write and
    /// truncate (FUSE_HANDLE_KILLPRIV_V2). Lazy: nothing happens until a request wants the
    /// opposite. 0 or an errno.
    [[nodiscard]] int set_kills_privileges(bool kills) const;

    [[nodiscard]] const Identity& own() const { return own_; }

private:
    [[nodiscard]] int enter(const Caller& caller) const;
    [[nodiscard]] int leave() const;
    [[nodiscard]] bool is_own_group_set(std::span<const gid_t> groups) const;

    Identity own_;
    CredentialCalls& calls_;
};

/// The calling thread's umask and working directory, made its own (unshare(CLONE_FS)) at first use.
/// Lazy as above. 0 or an errno.
[[nodiscard]] int set_thread_umask(mode_t mask);
/// `directory_fd` becomes the working directory of this thread and stays it; `directory_id` tells
/// directories apart across reused descriptor numbers.
[[nodiscard]] int set_thread_directory(int directory_fd, std::uint64_t directory_id);

} // namespace vfskit::passthrough
