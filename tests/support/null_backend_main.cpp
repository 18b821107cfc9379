// SPDX-License-Identifier: Apache-2.0
// A vhost-user-fs back-end without a file system behind it: every request is answered with nothing.
// Shows what a real front-end thinks of the session alone. usage: vfskit_null_backend SOCKET [TAG]
#include "core/vhost_user/session.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

using namespace vfskit;

class NullHandler : public vhost_user::RequestHandler {
public:
    void handle(vhost_user::RequestSlot& request) override { request.complete(0); }
};

class PrintingObserver : public vhost_user::SessionObserver {
public:
    void device_reset() override { std::puts("device reset"); }
    void migration_started() override { std::puts("migration started"); }
    void migration_stopped() override { std::puts("migration stopped"); }
};

class EmptyDeviceState : public vhost_user::DeviceStateHandler {
public:
    Result<void> save(UniqueFd /*fd*/, int /*cancel_fd*/) override {
        std::puts("save");
        return {};
    }
    Result<void> load(UniqueFd /*fd*/, int /*cancel_fd*/) override {
        std::puts("load");
        return {};
    }
};

class PrintingLog : public LogSink {
public:
    [[nodiscard]] bool is_enabled(LogLevel /*level*/) const override { return true; }
    void write(LogLevel /*level*/, std::string_view line) override {
        std::printf("log: %.*s\n", static_cast<int>(line.size()), line.data());
    }
};

UniqueFd accept_one(const char* path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    const UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 1) != 0) {
        return UniqueFd{};
    }
    return UniqueFd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)};
}

} // namespace

int main(int argc, char** argv) {
    ::setvbuf(stdout, nullptr, _IOLBF, 0);
    UniqueFd socket = argc >= 2 ? accept_one(argv[1]) : UniqueFd{};
    if (!socket) {
        std::perror("usage: vfskit_null_backend SOCKET [TAG]");
        return 2;
    }
    vhost_user::SessionOptions options;
    if (argc >= 3) {
        options.config_space = vhost_user::make_fs_config(argv[2], 1);
    }
    NullHandler handler;
    PrintingObserver observer;
    EmptyDeviceState state;
    PrintingLog log;
    vhost_user::BackendSession session{std::move(socket), options, handler, &state, observer, log};
    const auto served = session.serve();
    std::printf("ended: %s\n", served ? "the front-end left" : served.error().describe().c_str());
    return served ? 0 : 1;
}
