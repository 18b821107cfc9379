// SPDX-License-Identifier: Apache-2.0
#include "pve-plugin/launcher/socket_name.h"

#include "core/base/text.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>

namespace vfskit::pve_plugin {
namespace {

constexpr std::uint64_t min_vmid = 100;
constexpr std::uint64_t max_vmid = 999'999'999;
constexpr std::uint64_t max_index = 9;

std::optional<int> canonical_number(std::string_view text, std::uint64_t max) {
    const auto number = base::parse_unsigned(text, "Number", max);
    if (!number || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    return static_cast<int>(*number);
}

} // namespace

std::optional<SocketOwner> parse_socket_name(std::string_view path) {
    constexpr std::string_view before_vmid = "vm";
    constexpr std::string_view before_index = "-fs";
    auto name = path.substr(path.rfind('/') + 1);
    const auto middle = name.find(before_index);
    if (!name.starts_with(before_vmid) || middle == std::string_view::npos) {
        return std::nullopt;
    }
    const auto vmid =
        canonical_number(name.substr(before_vmid.size(), middle - before_vmid.size()), max_vmid);
    const auto index = canonical_number(name.substr(middle + before_index.size()), max_index);
    if (!vmid || !index || static_cast<std::uint64_t>(*vmid) < min_vmid) {
        return std::nullopt;
    }
    return SocketOwner{*vmid, *index};
}

Result<std::string> socket_path(int fd) {
    int is_listening = 0;
    socklen_t size = sizeof is_listening;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot look at descriptor {}", fd));
    }
    sockaddr_un address{};
    size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot ask for the name of socket {}", fd));
    }
    constexpr auto path_offset = offsetof(sockaddr_un, sun_path);
    const bool has_path =
        address.sun_family == AF_UNIX && size > path_offset && address.sun_path[0] != '\0';
    if (is_listening == 0 || !has_path) {
        return Error{EINVAL,
                     fmt::format("Descriptor {} is no listening UNIX socket with a path", fd)};
    }
    const std::string_view bytes{address.sun_path, size - path_offset};
    return std::string{bytes.substr(0, bytes.find('\0'))};
}

} // namespace vfskit::pve_plugin
