// SPDX-License-Identifier: Apache-2.0
#include "core/launch/limits.h"

#include "core/base/text.h"

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

Result<std::uint64_t> parse_size(std::string_view word) {
    constexpr std::string_view units = "KMGT";
    unsigned shift = 0;
    auto digits = word;
    if (!word.empty()) {
        if (const auto unit = units.find(word.back()); unit != std::string_view::npos) {
            shift = 10U * (static_cast<unsigned>(unit) + 1);
            digits.remove_suffix(1);
        }
    }
    constexpr std::uint64_t most = std::uint64_t{1} << 63U;
    auto number = base::parse_unsigned(digits, "size", most >> shift);
    if (!number || *number == 0) {
        return Error{EINVAL, fmt::format("'{}' is not a size above zero", word)}.with_remedy(
            "Write bytes, or a whole number with K, M, G or T, for example 64M");
    }
    return *number << shift;
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
