// SPDX-License-Identifier: Apache-2.0
#include "core/launch/limits.h"

#include "core/base/size.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace vfskit::launch {

namespace {

struct MountOf {
    std::string type;
    std::string source;
};

// The filesystem with this device number, from proc_pid_mountinfo(5):
// "36 35 98:0 /root /mnt options … - type source super-options".
std::optional<MountOf> find_mount(dev_t device) {
    const auto wanted = fmt::format("{}:{}", major(device), minor(device));
    std::ifstream lines{"/proc/self/mountinfo"};
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream fields{line};
        std::string id;
        std::string parent;
        std::string number;
        fields >> id >> parent >> number;
        const auto separator = line.find(" - ");
        if (number != wanted || separator == std::string::npos) {
            continue;
        }
        std::istringstream rest{line.substr(separator + 3)};
        MountOf mount;
        rest >> mount.type >> mount.source;
        return mount;
    }
    return std::nullopt;
}

bool is_block_device(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

} // namespace

Result<std::uint64_t> parse_limit(std::string_view word) {
    constexpr std::uint64_t most = std::uint64_t{1} << 63U;
    VFSKIT_TRY_ASSIGN(const auto size, base::parse_size(word));
    if (size == 0 || size > most) {
        return Error{
            size == 0 ? EINVAL : ERANGE,
            fmt::format("'{}' is no limit: it is {}", word, size == 0 ? "zero" : "too large")};
    }
    return size;
}

Result<std::string> io_limit_target(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        return Error::from_errno(errno, fmt::format("Cannot find the device of '{}'", path));
    }
    if (S_ISBLK(info.st_mode)) {
        return path;
    }
    std::error_code unreadable;
    if (std::filesystem::exists(
            fmt::format("/sys/dev/block/{}:{}", major(info.st_dev), minor(info.st_dev)),
            unreadable)) {
        return path;
    }
    // btrfs and others number their filesystems themselves, and tell the device as the source.
    const auto mount = find_mount(info.st_dev);
    if (mount && is_block_device(mount->source)) {
        return mount->source;
    }
    return Error{ENOTSUP,
                 fmt::format("I/O on '{}' cannot be limited: it is on {}, which has no block "
                             "device of its own",
                             path,
                             mount ? mount->type : "a filesystem")}
        .with_remedy("Name the device that holds the data with --io-device, or limit the CPU with "
                     "--cpu-limit");
}

} // namespace vfskit::launch
