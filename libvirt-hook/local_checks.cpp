// SPDX-License-Identifier: Apache-2.0
#include "libvirt-hook/local_checks.h"

#include "core/base/file.h"
#include "core/base/process.h"
#include "core/base/text.h"
#include "core/base/unique_fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

namespace vfskit::libvirt_hook {

namespace {

// fstab(5) and proc_pid_mountinfo(5) write blanks and backslashes as octal.
std::string unescape(std::string_view field) {
    std::string text;
    for (std::size_t i = 0; i < field.size(); ++i) {
        const auto is_octal = [&](std::size_t at) {
            return at < field.size() && field[at] >= '0' && field[at] <= '7';
        };
        if (field[i] == '\\' && is_octal(i + 1) && is_octal(i + 2) && is_octal(i + 3)) {
            text += static_cast<char>((field[i + 1] - '0') * 64 + (field[i + 2] - '0') * 8 +
                                      (field[i + 3] - '0'));
            i += 3;
        } else {
            text += field[i];
        }
    }
    return text;
}

std::vector<std::string_view> fields_of(std::string_view line) {
    std::vector<std::string_view> fields;
    std::size_t begin = 0;
    while ((begin = line.find_first_not_of(" \t", begin)) != std::string_view::npos) {
        const auto end = std::min(line.find_first_of(" \t", begin), line.size());
        fields.push_back(line.substr(begin, end - begin));
        begin = end;
    }
    return fields;
}

bool is_at_or_below(std::string_view path, std::string_view directory) {
    return path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

// In a process of its own, which is left behind if the filesystem never answers.
Result<int> stat_in_time(const std::string& path, std::chrono::milliseconds timeout) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return Error::from_errno(errno, "Cannot create a pipe");
    }
    const UniqueFd answer{ends[0]};
    UniqueFd asked{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) {
        return Error::from_errno(errno, "Cannot create a process");
    }
    if (child == 0) {
        const int directory = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int failed = directory < 0 ? errno : 0;
        const auto written = ::write(asked.get(), &failed, sizeof(failed));
        ::_exit(written == sizeof(failed) ? 0 : 1);
    }
    asked.reset();
    pollfd polled{answer.get(), POLLIN, 0};
    int failed = EIO;
    const bool answers = ::poll(&polled, 1, static_cast<int>(timeout.count())) == 1 &&
                         ::read(answer.get(), &failed, sizeof(failed)) == sizeof(failed);
    ::kill(child, SIGKILL);
    return answers ? failed : ETIMEDOUT;
}

} // namespace

std::string
missing_mount(std::string_view path, std::string_view fstab, std::string_view mountinfo) {
    std::set<std::string> mounted;
    for (const auto line : base::split(mountinfo, '\n')) {
        if (const auto fields = fields_of(line); fields.size() > 4) {
            mounted.insert(unescape(fields[4]));
        }
    }
    std::string innermost;
    for (const auto line : base::split(fstab, '\n')) {
        const auto fields = fields_of(line);
        if (fields.size() < 4 || fields[0].starts_with('#') || fields[1] == "none" ||
            fields[2] == "swap") {
            continue;
        }
        const auto options = base::split(fields[3], ',');
        const auto point = unescape(fields[1]);
        if (point != "/" && std::ranges::find(options, "noauto") == options.end() &&
            is_at_or_below(path, point) && !mounted.contains(point) &&
            point.size() > innermost.size()) {
            innermost = point;
        }
    }
    return innermost;
}

Result<void> check_directory(const std::string& path, std::chrono::milliseconds timeout) {
    VFSKIT_TRY_ASSIGN(const int failed, stat_in_time(path, timeout));
    if (failed == ETIMEDOUT) {
        return Error{
            ETIMEDOUT,
            fmt::format("The directory '{}' does not answer within {} ms", path, timeout.count())}
            .with_remedy("Mend its storage on this node");
    }
    if (failed != 0) {
        return Error::from_errno(failed, fmt::format("Cannot share the directory '{}'", path))
            .with_remedy("Make or mount it on this node, or correct the mapping");
    }
    constexpr std::size_t max_table_bytes = std::size_t{16} << 20;
    const auto fstab = base::read_file("/etc/fstab", max_table_bytes);
    const auto mountinfo = base::read_file("/proc/self/mountinfo", max_table_bytes);
    if (!fstab || !mountinfo) {
        return {};
    }
    if (const auto missing = missing_mount(path, *fstab, *mountinfo); !missing.empty()) {
        return Error{ENODEV,
                     fmt::format("'{}' is to be mounted by /etc/fstab and is not, so '{}' is not "
                                 "the shared directory",
                                 missing,
                                 path)}
            .with_remedy(fmt::format("Mount it on this node: mount {}", missing));
    }
    return {};
}

Result<void> check_daemon(const std::string& program) {
    const auto answer = base::run_and_capture(
        {.program = program, .args = {"--print-capabilities"}}, std::chrono::seconds{3});
    if (!answer) {
        return Error{answer.error()}.with_remedy("Install virtiofsd on this node");
    }
    if (answer->out.find("\"migrate-precopy\"") == std::string::npos) {
        return Error{ENOTSUP,
                     fmt::format("The virtiofsd '{}' cannot migrate: the guest could not leave "
                                 "this node again",
                                 program)}
            .with_remedy("Install virtiofsd 1.11 or later, or vfskit's, on this node");
    }
    return {};
}

} // namespace vfskit::libvirt_hook
