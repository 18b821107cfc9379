// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/runtime_files.h"

#include "core/base/text.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace vfskit::virtiofsd {

Result<RuntimeFile> RuntimeFile::open(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string directory =
        slash == std::string::npos ? "." : (slash == 0 ? "/" : path.substr(0, slash));
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name.empty()) {
        return Error{EINVAL, fmt::format("'{}' names a directory, not a file", path)};
    }
    UniqueFd fd{::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!fd) {
        return Error::from_errno(errno, fmt::format("Cannot use the directory '{}'", directory))
            .with_remedy("Create it first, or name another place");
    }
    return RuntimeFile{path, std::move(fd), std::move(name)};
}

RuntimeFile& RuntimeFile::operator=(RuntimeFile&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::move(other.path_);
        directory_ = std::move(other.directory_);
        name_ = std::move(other.name_);
    }
    return *this;
}

void RuntimeFile::remove() {
    if (directory_) {
        ::unlinkat(directory_.get(), name_.c_str(), 0);
        directory_.reset();
    }
}

Result<PidFile> PidFile::create(const std::string& path) {
    VFSKIT_TRY_ASSIGN(auto file, RuntimeFile::open(path));
    UniqueFd fd{::openat(file.directory(),
                         file.name().c_str(),
                         O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                         0600)};
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        const int failed = errno;
        // What another daemon owns must stay when our handle goes.
        file.forget();
        return Error::from_errno(failed, fmt::format("Error creating pid file '{}'", path))
            .with_remedy(failed == EWOULDBLOCK
                             ? "Another daemon serves this socket: stop it, or use another path"
                             : "");
    }
    const std::string text = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return Error::from_errno(errno, fmt::format("Error writing pid file '{}'", path));
    }
    return PidFile{std::move(file), std::move(fd)};
}

namespace {

Result<gid_t> find_group(const std::string& name) {
    std::vector<char> buffer(16384);
    struct group entry {};
    struct group* found = nullptr;
    int failed = 0;
    while ((failed = ::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found)) ==
           ERANGE) {
        buffer.resize(buffer.size() * 2);
    }
    if (found == nullptr) {
        return Error{failed == 0 ? EINVAL : failed,
                     fmt::format("Couldn't resolve the group name '{}'", name)}
            .with_remedy("Give --socket-group a group of this host, see 'getent group'");
    }
    return found->gr_gid;
}

class Umask {
public:
    explicit Umask(mode_t mask) : old_{::umask(mask)} {}
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;
    ~Umask() { ::umask(old_); }

private:
    mode_t old_;
};

} // namespace

Result<Listener> listen_on(const std::string& path, const std::optional<std::string>& group) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return Error{EINVAL,
                     fmt::format("Socket path '{}' has {} bytes, at most {} fit",
                                 path,
                                 path.size(),
                                 sizeof(address.sun_path) - 1)}
            .with_remedy("Use a shorter path, for example below /run");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    VFSKIT_TRY_ASSIGN(auto file, RuntimeFile::open(path));
    std::optional<gid_t> gid;
    if (group) {
        VFSKIT_TRY_ASSIGN(gid, find_group(*group));
    }

    UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (!fd) {
        return Error::from_errno(errno, "Cannot create a socket");
    }
    // A daemon that was killed leaves its socket; the pid file's lock has told that none is alive.
    ::unlinkat(file.directory(), file.name().c_str(), 0);
    const Umask mask{gid ? mode_t{0007} : mode_t{0077}};
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int failed = errno;
        file.forget();
        return Error::from_errno(failed, fmt::format("Cannot bind the socket '{}'", path));
    }
    if (gid && ::fchownat(file.directory(),
                          file.name().c_str(),
                          static_cast<uid_t>(-1),
                          *gid,
                          AT_SYMLINK_NOFOLLOW) != 0) {
        return Error::from_errno(
            errno, fmt::format("Cannot give the socket '{}' to group '{}'", path, *group));
    }
    if (::listen(fd.get(), 1) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot listen on '{}'", path));
    }
    return Listener{std::move(fd), std::move(file)};
}

Result<Listener> adopt_listener(int fd) {
    const auto query = [&](int option) -> std::optional<int> {
        int value = 0;
        socklen_t size = sizeof(value);
        if (::getsockopt(fd, SOL_SOCKET, option, &value, &size) != 0) {
            return std::nullopt;
        }
        return value;
    };
    if (query(SO_DOMAIN) != AF_UNIX || query(SO_TYPE) != SOCK_STREAM || query(SO_ACCEPTCONN) != 1) {
        return Error{EINVAL, fmt::format("Descriptor {} is not a listening UNIX stream socket", fd)}
            .with_remedy("Pass a socket on which listen(2) was called");
    }
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot set FD_CLOEXEC on descriptor {}", fd));
    }
    return Listener{UniqueFd{fd}, std::nullopt};
}

Result<std::optional<int>> take_activation_fd() {
    constexpr int first_passed_fd = 3; // SD_LISTEN_FDS_START
    const char* pid = std::getenv("LISTEN_PID");
    const char* count = std::getenv("LISTEN_FDS");
    if (pid == nullptr || count == nullptr || std::string_view{pid} != std::to_string(::getpid())) {
        return std::optional<int>{};
    }
    const std::string fds = count;
    ::unsetenv("LISTEN_PID");
    ::unsetenv("LISTEN_FDS");
    ::unsetenv("LISTEN_FDNAMES");
    if (fds != "1") {
        return Error{EINVAL, fmt::format("systemd passed {} sockets, one is expected", fds)}
            .with_remedy("Give the socket unit one ListenStream=");
    }
    return std::optional<int>{first_passed_fd};
}

} // namespace vfskit::virtiofsd
