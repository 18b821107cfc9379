// SPDX-License-Identifier: Apache-2.0
#include "virtiofsd/migration_socket.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

namespace vfskit::virtiofsd {

namespace {

constexpr std::string_view suffix = ".sock";

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return Error{ENAMETOOLONG, fmt::format("The socket path '{}' is too long", path)}
            .with_remedy("Give --migration-socket-dir a shorter path");
    }
    std::copy(path.begin(), path.end(), address.sun_path);
    return address;
}

Result<UniqueFd> make_socket() {
    UniqueFd fd{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd) {
        return Error::from_errno(errno, "Cannot create a socket");
    }
    return fd;
}

bool is_abandoned(const std::string& path) {
    const auto address = address_of(path);
    const auto probe = make_socket();
    return address && probe &&
           ::connect(
               probe->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof(*address)) != 0 &&
           errno == ECONNREFUSED;
}

/// Daemons that were killed leave their sockets. Nobody binds meanwhile: the directory is locked.
void sweep(int directory_fd, const std::string& directory) {
    const int copy = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> listing{copy < 0 ? nullptr : ::fdopendir(copy),
                                                      ::closedir};
    std::vector<std::string> abandoned;
    while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        if (name.ends_with(suffix) && is_abandoned(fmt::format("{}/{}", directory, name))) {
            abandoned.emplace_back(name);
        }
    }
    for (const auto& name : abandoned) {
        ::unlinkat(directory_fd, name.c_str(), 0);
    }
}

Result<std::string> random_name() {
    std::array<std::uint64_t, 2> bits{};
    if (::getrandom(bits.data(), sizeof(bits), 0) != sizeof(bits)) {
        return Error::from_errno(errno, "Cannot make a name for the migration socket");
    }
    return fmt::format("{:016x}{:016x}{}", bits[0], bits[1], suffix);
}

Result<UniqueFd> open_locked(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return Error::from_errno(
                   errno, fmt::format("Cannot make the migration socket directory '{}'", directory))
            .with_remedy("Name another with --migration-socket-dir");
    }
    UniqueFd fd{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd || ::flock(fd.get(), LOCK_EX) != 0) {
        return Error::from_errno(
                   errno, fmt::format("Cannot use the migration socket directory '{}'", directory))
            .with_remedy("Name another with --migration-socket-dir");
    }
    return fd;
}

} // namespace

Result<std::string> default_migration_directory(bool is_root, const char* runtime_dir) {
    if (is_root) {
        return std::string{"/run/vfskit-migration"};
    }
    if (runtime_dir == nullptr || *runtime_dir != '/') {
        return Error{ENOENT,
                     "XDG_RUNTIME_DIR is not set, so there is no usual place to meet the "
                     "destination's daemon"}
            .with_remedy("Give both daemons one --migration-socket-dir");
    }
    return fmt::format("{}/vfskit-migration", runtime_dir);
}

Result<MigrationSocket> listen_for_migration(const std::string& wanted) {
    VFSKIT_TRY_ASSIGN(const auto lock, open_locked(wanted));
    std::array<char, PATH_MAX> resolved{};
    if (::realpath(wanted.c_str(), resolved.data()) == nullptr) {
        return Error::from_errno(errno, fmt::format("Cannot resolve '{}'", wanted));
    }
    MigrationSocket result;
    result.directory = resolved.data();
    sweep(lock.get(), result.directory);
    VFSKIT_TRY_ASSIGN(result.name, random_name());
    const auto path = fmt::format("{}/{}", result.directory, result.name);
    VFSKIT_TRY_ASSIGN(const auto address, address_of(path));
    VFSKIT_TRY_ASSIGN(auto fd, make_socket());
    VFSKIT_TRY_ASSIGN(auto file, RuntimeFile::open(path));
    // The mode of the descriptor is what bind(2) gives the file.
    if (::fchmod(fd.get(), 0600) != 0 ||
        ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(fd.get(), 8) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot listen on '{}'", path));
    }
    result.listener = Listener{std::move(fd), std::move(file)};
    return result;
}

} // namespace vfskit::virtiofsd
