// SPDX-License-Identifier: Apache-2.0
// Lives as a virtiofsd does, without serving anything: it locks SOCKET.pid, listens, serves one
// front-end until that goes, removes its files. The name of the shared directory says how it
// misbehaves: "fails" ends with a message, "silent" never listens, "stubborn" ignores SIGTERM.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace {

std::string option(int argc, char** argv, std::string_view name) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word{argv[i]};
        if (word.starts_with(name) && word.size() > name.size() && word[name.size()] == '=') {
            return std::string{word.substr(name.size() + 1)};
        }
    }
    return {};
}

std::string socket_path;

void remove_files() {
    ::unlink(socket_path.c_str());
    ::unlink((socket_path + ".pid").c_str());
}

void end(int /*signal*/) {
    ::unlink(socket_path.c_str());
    ::_exit(1);
}

} // namespace

int main(int argc, char** argv) {
    socket_path = option(argc, argv, "--socket-path");
    const std::string shared = option(argc, argv, "--shared-dir");
    if (shared.ends_with("/fails")) {
        std::fputs("the directory is not to be shared\n", stderr);
        return 1;
    }
    if (shared.ends_with("/silent")) {
        ::pause();
        return 0;
    }
    ::signal(SIGTERM, shared.ends_with("/stubborn") ? SIG_IGN : end);
    const int pid_file = ::open((socket_path + ".pid").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (pid_file < 0 || ::flock(pid_file, LOCK_EX | LOCK_NB) != 0) {
        std::fputs("another daemon serves this socket\n", stderr);
        return 1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener, 1) != 0) {
        std::perror("listen");
        return 1;
    }
    const int front_end = ::accept(listener, nullptr, nullptr);
    ::close(listener);
    char byte = 0;
    while (::read(front_end, &byte, 1) > 0) {
    }
    remove_files();
    return 0;
}
