// SPDX-License-Identifier: Apache-2.0
#include "core/launch/state_directory.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/control/client.h"
#include "core/control/daemon_sockets.h"
#include "core/launch/processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <thread>

namespace vfskit::launch {

namespace {

constexpr std::chrono::seconds lock_timeout{30};
constexpr std::chrono::milliseconds lock_poll_interval{20};

Result<void> make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
        const int failed = errno;
        return Error::from_errno(failed, fmt::format("Cannot make the directory '{}'", path))
            .with_remedy(failed == EACCES ? "Run it as root, or name another state directory in "
                                            "VFSKIT_RUN_DIR"
                                          : "");
    }
    return {};
}

// The directory may have been removed, and made anew, while we waited for its lock.
bool is_still_there(const UniqueFd& directory, const std::string& path) {
    struct stat held {};
    struct stat named {};
    return ::fstat(directory.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

RecordEntry read_entry(const std::filesystem::path& path) {
    auto record = read_record(path.string());
    if (record) {
        return {std::move(*record), {}};
    }
    RecordEntry entry;
    entry.problem = record.error().describe();
    entry.record.vm = path.parent_path().filename().string();
    entry.record.tag = control::tag_from_file_stem(path.stem().string());
    entry.record.socket = std::filesystem::path{path}.replace_extension(".sock").string();
    return entry;
}

std::string unescape_unit_part(std::string_view part) {
    std::string text;
    for (std::size_t i = 0; i < part.size(); ++i) {
        unsigned byte = 0;
        if (part.substr(i).starts_with("\\x") && i + 4 <= part.size() &&
            std::from_chars(part.data() + i + 2, part.data() + i + 4, byte, 16).ec == std::errc{}) {
            text += static_cast<char>(byte);
            i += 3;
        } else {
            text += part[i];
        }
    }
    return text;
}

} // namespace

Result<UniqueFd>
lock_state_directory(const Layout& layout, const std::string& directory, bool makes) {
    const auto deadline = std::chrono::steady_clock::now() + lock_timeout;
    while (true) {
        if (makes) {
            VFSKIT_TRY(make_directory(layout.base()));
            VFSKIT_TRY(make_directory(directory));
        }
        UniqueFd held{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!held) {
            if (errno == ENOENT && !makes) {
                return UniqueFd{};
            }
            if (errno != ENOENT) {
                return Error::from_errno(errno, fmt::format("Cannot open '{}'", directory));
            }
        } else if (::flock(held.get(), LOCK_EX | LOCK_NB) == 0) {
            if (is_still_there(held, directory)) {
                return held;
            }
            continue;
        }
        if (std::chrono::steady_clock::now() >= deadline) {
            return Error{ETIMEDOUT,
                         fmt::format("Another process has worked in '{}' for {} seconds",
                                     directory,
                                     lock_timeout.count())}
                .with_remedy("See who it is with 'fuser' and try again");
        }
        std::this_thread::sleep_for(lock_poll_interval);
    }
}

Result<std::vector<RecordEntry>> read_state_directory(const Layout& layout) {
    std::vector<RecordEntry> entries;
    std::error_code failed;
    const std::filesystem::path base{layout.base()};
    if (!std::filesystem::exists(base, failed)) {
        return entries;
    }
    for (std::filesystem::directory_iterator vms{base, failed}, end; !failed && vms != end;
         vms.increment(failed)) {
        // One that is removed while we look is empty.
        std::error_code gone;
        if (!vms->is_directory(gone)) {
            continue;
        }
        for (std::filesystem::directory_iterator files{vms->path(), gone}; !gone && files != end;
             files.increment(gone)) {
            if (files->path().extension() == ".json") {
                entries.push_back(read_entry(files->path()));
            }
        }
    }
    if (failed) {
        return Error::from_errno(failed.value(),
                                 fmt::format("Cannot read the directory '{}'", layout.base()));
    }
    return entries;
}

void add_unrecorded_units(const Layout& layout,
                          const std::vector<std::string>& units,
                          std::vector<RecordEntry>& entries) {
    constexpr std::string_view prefix = "vfskit-virtiofsd-";
    constexpr std::string_view suffix = ".service";
    for (const auto& unit : units) {
        if (std::ranges::any_of(
                entries, [&](const RecordEntry& entry) { return entry.record.unit == unit; })) {
            continue;
        }
        const auto middle = std::string_view{unit}.substr(
            prefix.size(), unit.size() - prefix.size() - suffix.size());
        const auto dash = middle.find('-');
        RecordEntry entry;
        entry.record.vm = unescape_unit_part(middle.substr(0, dash));
        entry.record.tag = unescape_unit_part(middle.substr(dash + 1));
        const auto paths = layout.paths(entry.record.vm, entry.record.tag);
        if (!paths) {
            continue;
        }
        const auto unreadable = std::ranges::find_if(entries, [&](const RecordEntry& known) {
            return known.record.vm == entry.record.vm && known.record.tag == entry.record.tag;
        });
        entry.record.keeper = Keeper::systemd;
        entry.record.unit = unit;
        entry.record.socket = paths->socket;
        if (unreadable != entries.end()) {
            entry.problem = unreadable->problem;
            *unreadable = std::move(entry);
        } else {
            entry.problem = fmt::format("There is no record '{}'", paths->record);
            entries.push_back(std::move(entry));
        }
    }
}

ProcessId read_locked_pid_file(const std::string& path) {
    constexpr std::size_t max_pid_file_bytes = 64;
    if (!is_locked(path)) {
        return {};
    }
    const auto text = base::read_file(path, max_pid_file_bytes);
    const auto pid = text ? base::parse_unsigned(base::trim(*text), "pid", INT32_MAX)
                          : Result<std::uint64_t>{std::uint64_t{0}};
    return find_process(static_cast<pid_t>(pid.value_or(0))).value_or(ProcessId{});
}

std::chrono::seconds age_of(const ProcessId& process) {
    std::ifstream file{"/proc/uptime"};
    double uptime = 0;
    file >> uptime;
    const auto started =
        static_cast<double>(process.start_time) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    return std::chrono::seconds{static_cast<std::int64_t>(std::max(0.0, uptime - started))};
}

bool control_tells_connected(const std::optional<std::string>& control) {
    if (!control) {
        return false;
    }
    auto client = control::Client::connect(*control, std::chrono::seconds{1});
    if (!client) {
        return false;
    }
    const auto status = client->status();
    return status && status->is_connected;
}

} // namespace vfskit::launch
