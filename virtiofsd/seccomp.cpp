// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/seccomp.h"

#include <fmt/format.h>
#include <seccomp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>

namespace vfskit::virtiofsd {

namespace {

constexpr std::array allowed{
    // Memory: the allocator, guest memory regions, thread stacks.
    std::string_view{"brk"},
    std::string_view{"mmap"},
    std::string_view{"munmap"},
    std::string_view{"mremap"},
    std::string_view{"mprotect"},
    std::string_view{"madvise"},
    // Threads, their signals and clocks. sched_getaffinity and rseq are glibc's own.
    std::string_view{"clone"},
    std::string_view{"clone3"},
    std::string_view{"exit"},
    std::string_view{"exit_group"},
    std::string_view{"futex"},
    std::string_view{"membarrier"},
    std::string_view{"rseq"},
    std::string_view{"set_robust_list"},
    std::string_view{"sched_getaffinity"},
    std::string_view{"sched_yield"},
    std::string_view{"gettid"},
    std::string_view{"getpid"},
    std::string_view{"prctl"},
    std::string_view{"tgkill"},
    std::string_view{"tkill"},
    std::string_view{"rt_sigaction"},
    std::string_view{"rt_sigprocmask"},
    std::string_view{"rt_sigreturn"},
    std::string_view{"rt_sigtimedwait"},
    std::string_view{"sigaltstack"},
    std::string_view{"restart_syscall"},
    std::string_view{"clock_gettime"},
    std::string_view{"clock_nanosleep"},
    std::string_view{"nanosleep"},
    std::string_view{"gettimeofday"},
    std::string_view{"time"},
    std::string_view{"getrandom"},
    // Events and sockets that exist already: front-end, rings, control socket.
    std::string_view{"accept4"},
    std::string_view{"close"},
    std::string_view{"dup"},
    std::string_view{"epoll_create1"},
    std::string_view{"epoll_ctl"},
    std::string_view{"epoll_wait"},
    std::string_view{"epoll_pwait"},
    std::string_view{"epoll_pwait2"},
    std::string_view{"eventfd2"},
    std::string_view{"pipe2"},
    std::string_view{"poll"},
    std::string_view{"ppoll"},
    std::string_view{"recvmsg"},
    std::string_view{"recvfrom"},
    std::string_view{"sendmsg"},
    std::string_view{"sendto"},
    std::string_view{"getsockopt"},
    std::string_view{"shutdown"},
    std::string_view{"fcntl"},
    std::string_view{
        "ioctl"}, // FICLONE, FS_IOC_*: the room passthrough lists the requests it passes on
    // Identity of the requester.
    std::string_view{"capget"},
    std::string_view{"capset"},
    std::string_view{"getegid"},
    std::string_view{"getgid"},
    std::string_view{"getgroups"},
    std::string_view{"getuid"},
    std::string_view{"geteuid"},
    std::string_view{"setgroups"},
    std::string_view{"setresgid"},
    std::string_view{"setresuid"},
    std::string_view{"setfsgid"},
    std::string_view{"setfsuid"},
    std::string_view{"umask"},
    std::string_view{"unshare"}, // a worker's own umask and working directory
    // Files.
    std::string_view{"open"},
    std::string_view{"openat"},
    std::string_view{"openat2"},
    std::string_view{"name_to_handle_at"},
    std::string_view{"open_by_handle_at"},
    std::string_view{"read"},
    std::string_view{"readv"},
    std::string_view{"pread64"},
    std::string_view{"preadv"},
    std::string_view{"preadv2"},
    std::string_view{"write"},
    std::string_view{"writev"},
    std::string_view{"pwrite64"},
    std::string_view{"pwritev"},
    std::string_view{"pwritev2"},
    std::string_view{"copy_file_range"},
    std::string_view{"lseek"},
    std::string_view{"fallocate"},
    std::string_view{"ftruncate"},
    std::string_view{"fsync"},
    std::string_view{"fdatasync"},
    std::string_view{"syncfs"},
    std::string_view{"flock"},
    // Attributes.
    std::string_view{"fstat"},
    std::string_view{"newfstatat"},
    std::string_view{"statx"},
    std::string_view{"fstatfs"},
    std::string_view{"fchmod"},
    std::string_view{"fchmodat"},
    std::string_view{"fchmodat2"},
    std::string_view{"fchown"},
    std::string_view{"fchownat"},
    std::string_view{"utimensat"},
    std::string_view{"faccessat2"},
    // Names.
    std::string_view{"getdents64"},
    std::string_view{"linkat"},
    std::string_view{"mkdirat"},
    std::string_view{"mknodat"},
    std::string_view{"readlinkat"},
    std::string_view{"renameat2"},
    std::string_view{"symlinkat"},
    std::string_view{"unlinkat"},
    std::string_view{"fchdir"},
    // Extended attributes, in every form: by descriptor, by /proc/self/fd, and the *at calls of
    // Linux 6.13.
    std::string_view{"fgetxattr"},
    std::string_view{"flistxattr"},
    std::string_view{"fremovexattr"},
    std::string_view{"fsetxattr"},
    std::string_view{"getxattr"},
    std::string_view{"getxattrat"},
    std::string_view{"lgetxattr"},
    std::string_view{"listxattr"},
    std::string_view{"listxattrat"},
    std::string_view{"llistxattr"},
    std::string_view{"lremovexattr"},
    std::string_view{"lsetxattr"},
    std::string_view{"removexattr"},
    std::string_view{"removexattrat"},
    std::string_view{"setxattr"},
    std::string_view{"setxattrat"},
};

std::uint32_t filter_action(SeccompAction action) {
    switch (action) {
    case SeccompAction::none:
        return SCMP_ACT_ALLOW;
    case SeccompAction::kill:
        return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::log:
        return SCMP_ACT_LOG;
    case SeccompAction::trap:
        return SCMP_ACT_TRAP;
    }
    return SCMP_ACT_KILL_PROCESS;
}

struct FilterDeleter {
    void operator()(void* filter) const { ::seccomp_release(filter); }
};

// System calls that libseccomp 2.5 (Debian 12) has no name for. Calls added since Linux 5.1 have
// one number on every architecture (include/uapi/asm-generic/unistd.h).
struct NumberedCall {
    std::string_view name;
    int number;
};
constexpr std::array numbered_calls{NumberedCall{"fchmodat2", 452},
                                    NumberedCall{"setxattrat", 463},
                                    NumberedCall{"getxattrat", 464},
                                    NumberedCall{"listxattrat", 465},
                                    NumberedCall{"removexattrat", 466}};

int system_call_number(std::string_view name) {
    const int number = ::seccomp_syscall_resolve_name(std::string{name}.c_str());
    if (number != __NR_SCMP_ERROR) {
        return number;
    }
    const auto* known = std::find_if(numbered_calls.begin(),
                                     numbered_calls.end(),
                                     [&](const auto& call) { return call.name == name; });
    return known == numbered_calls.end() ? __NR_SCMP_ERROR : known->number;
}

Result<void> allow(void* filter, std::string_view name) {
    const int number = system_call_number(name);
    if (number == __NR_SCMP_ERROR) {
        return Error{ENOSYS, fmt::format("libseccomp does not know the system call '{}'", name)};
    }
    if (const int failed = ::seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0); failed != 0) {
        return Error::from_errno(-failed, fmt::format("Cannot allow the system call '{}'", name));
    }
    return {};
}

// connect(2)'s address is out of a filter's sight, so the sockets are what is judged.
Result<void> allow_unix_sockets(void* filter) {
    VFSKIT_TRY(allow(filter, "connect"));
    if (const int failed = ::seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
        failed != 0) {
        return Error::from_errno(-failed, "Cannot allow the system call 'socket'");
    }
    return {};
}

} // namespace

std::span<const std::string_view> allowed_system_calls() {
    return allowed;
}

Result<void> load_seccomp(SeccompAction action, OutgoingSockets sockets) {
    if (action == SeccompAction::none) {
        return {};
    }
    const std::unique_ptr<void, FilterDeleter> filter{::seccomp_init(filter_action(action))};
    if (!filter) {
        return Error{ENOMEM, "Cannot create the seccomp filter"};
    }
    // All threads or none: a thread without the filter would be the way out.
    if (const int failed = ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
        failed != 0) {
        return Error::from_errno(-failed, "Cannot load a seccomp filter for all threads");
    }
    for (const auto name : allowed) {
        VFSKIT_TRY(allow(filter.get(), name));
    }
    if (sockets == OutgoingSockets::unix_only) {
        VFSKIT_TRY(allow_unix_sockets(filter.get()));
    }
    if (const int failed = ::seccomp_load(filter.get()); failed != 0) {
        return Error::from_errno(-failed, "Cannot load the seccomp filter")
            .with_remedy("The kernel needs CONFIG_SECCOMP_FILTER; --seccomp=none runs without");
    }
    return {};
}

} // namespace vfskit::virtiofsd
