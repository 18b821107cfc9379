// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/seccomp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>

namespace vfskit::virtiofsd {
namespace {

using ::testing::Contains;
using ::testing::KilledBySignal;
using ::testing::Not;

constexpr int survived = 7;

// Not _exit(): a sanitizer does more in it than the filter allows.
[[noreturn]] void leave(int status) {
    for (;;) {
        ::syscall(SYS_exit_group, status);
    }
}

// A call that is on no list and that changes nothing.
[[noreturn]] void try_forbidden_call(SeccompAction action) {
    if (!load_seccomp(action, OutgoingSockets::none)) {
        leave(1);
    }
    ::syscall(SYS_getpriority, 0, 0);
    leave(survived);
}

[[noreturn]] void try_socket(OutgoingSockets sockets, int family) {
    if (!load_seccomp(SeccompAction::kill, sockets)) {
        leave(1);
    }
    ::syscall(SYS_socket, family, 1, 0);
    leave(survived);
}

TEST(SeccompDeathTest, KillEndsTheProcess) {
    EXPECT_EXIT(try_forbidden_call(SeccompAction::kill), KilledBySignal(SIGSYS), "");
}

TEST(SeccompDeathTest, TrapSendsTheSignal) {
    EXPECT_EXIT(
        {
            ::signal(SIGSYS, [](int) { leave(survived + 1); });
            try_forbidden_call(SeccompAction::trap);
        },
        testing::ExitedWithCode(survived + 1),
        "");
}

TEST(SeccompDeathTest, LogLetsTheCallHappen) {
    EXPECT_EXIT(try_forbidden_call(SeccompAction::log), testing::ExitedWithCode(survived), "");
}

TEST(SeccompDeathTest, NoneLoadsNoFilter) {
    EXPECT_EXIT(try_forbidden_call(SeccompAction::none), testing::ExitedWithCode(survived), "");
}

TEST(SeccompDeathTest, SocketsAreMadeOnlyWhereTheyAreNeededAndOnlyUnixOnes) {
    constexpr int unix_family = 1;
    constexpr int internet_family = 2;
    EXPECT_EXIT(try_socket(OutgoingSockets::none, unix_family), KilledBySignal(SIGSYS), "");
    EXPECT_EXIT(
        try_socket(OutgoingSockets::unix_only, unix_family), testing::ExitedWithCode(survived), "");
    EXPECT_EXIT(
        try_socket(OutgoingSockets::unix_only, internet_family), KilledBySignal(SIGSYS), "");
}

TEST(Seccomp, AllowsNothingThatStartsAProgramOrChangesTheSystem) {
    for (const char* name : {"execve",
                             "execveat",
                             "ptrace",
                             "process_vm_writev",
                             "mount",
                             "umount2",
                             "pivot_root",
                             "chroot",
                             "setns",
                             "bpf",
                             "keyctl",
                             "init_module",
                             "io_uring_setup",
                             "kill",
                             "socket",
                             "connect",
                             "bind"}) {
        EXPECT_THAT(allowed_system_calls(), Not(Contains(name)));
    }
}

} // namespace
} // namespace vfskit::virtiofsd
