// SPDX-License-Identifier: Apache-2.0
// Puts the daemon's Landlock rules on itself and tries what they forbid and what they must allow.
// For a guest, whose kernel has Landlock; that of the machine that runs the tests may not. 0 when
// all holds.
#include "virtiofsd/sandbox.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace {

int faults = 0;

void expect(const char* what, int wanted, bool succeeded) {
    const int got = succeeded ? 0 : errno;
    if (got != wanted) {
        std::printf("%s: %s instead of %s\n", what, std::strerror(got), std::strerror(wanted));
        ++faults;
    }
}

bool connects_to_tcp() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

bool executes(const char* program) {
    char* const arguments[] = {nullptr};
    ::execv(program, arguments);
    return false;
}

bool makes_file(const char* path) {
    const int fd = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && ::write(fd, "x", 1) == 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 || ::chdir(argv[1]) != 0) {
        std::puts("usage: landlock_probe DIRECTORY");
        return 2;
    }
    ::mkdir("a", 0700);
    ::mkdir("b", 0700);
    const auto applied = vfskit::virtiofsd::apply_landlock();
    if (!applied || !*applied) {
        std::printf("not applied: %s\n",
                    applied ? "no Landlock" : applied.error().describe().c_str());
        return 1;
    }
    expect("execute", EACCES, executes("/bin/busybox"));
    expect("connect by TCP", EACCES, connects_to_tcp());
    expect("signal another process", EPERM, ::kill(1, 0) == 0);
    expect("signal itself", 0, ::kill(::getpid(), 0) == 0);
    expect("make a file", 0, makes_file("a/f"));
    expect("rename between directories", 0, ::rename("a/f", "b/f") == 0);
    expect("link between directories", 0, ::link("b/f", "a/g") == 0);
    expect("truncate", 0, ::truncate("a/g", 0) == 0);
    return faults == 0 ? 0 : 1;
}
