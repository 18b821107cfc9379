// SPDX-License-Identifier: Apache-2.0
#include "core/node/process_table.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <filesystem>
#include <set>

namespace vfskit::node {

namespace {

constexpr std::size_t max_proc_file = 4 << 20;
constexpr std::string_view deleted = " (deleted)";

std::string read_link(const std::string& path) {
    std::array<char, 4096> target{};
    const auto length = ::readlink(path.c_str(), target.data(), target.size());
    return length <= 0 ? "" : std::string{target.data(), static_cast<std::size_t>(length)};
}

/// The fields behind the name, which may itself hold blanks and brackets.
struct Stat {
    std::string name;
    std::uint32_t parent = 0;
    std::uint64_t start_ticks = 0;
};

std::optional<Stat> parse_stat(std::string_view text) {
    constexpr std::size_t parent_field = 1; // counted from the state, field 3 of the manual
    constexpr std::size_t start_field = 19;
    const auto begin = text.find('(');
    const auto end = text.rfind(')');
    if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
        return std::nullopt;
    }
    const auto fields = base::split(base::trim(text.substr(end + 1)), ' ');
    if (fields.size() <= start_field) {
        return std::nullopt;
    }
    const auto parent = base::parse_unsigned(fields[parent_field], "Process", UINT32_MAX);
    const auto start = base::parse_unsigned(fields[start_field], "Time");
    if (!parent || !start) {
        return std::nullopt;
    }
    return Stat{.name = std::string{text.substr(begin + 1, end - begin - 1)},
                .parent = static_cast<std::uint32_t>(*parent),
                .start_ticks = *start};
}

std::vector<std::string> read_argv(const std::string& path) {
    std::vector<std::string> argv;
    if (auto text = base::read_file(path, max_proc_file); text && !text->empty()) {
        if (text->back() == '\0') {
            text->pop_back();
        }
        for (const auto word : base::split(*text, '\0')) {
            argv.emplace_back(word);
        }
    }
    return argv;
}

std::vector<std::uint32_t> list_numbers(const std::string& directory) {
    std::vector<std::uint32_t> numbers;
    std::error_code failed;
    std::filesystem::directory_iterator entries{directory, failed};
    for (; !failed && entries != std::filesystem::directory_iterator{}; entries.increment(failed)) {
        const auto name = entries->path().filename().string();
        if (name.front() < '0' || name.front() > '9') {
            continue;
        }
        if (const auto number = base::parse_unsigned(name, "Process", UINT32_MAX)) {
            numbers.push_back(static_cast<std::uint32_t>(*number));
        }
    }
    std::ranges::sort(numbers);
    return numbers;
}

} // namespace

std::vector<Process>
find_processes(const std::string& proc, const std::vector<std::string_view>& names, Time boot) {
    const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    std::vector<Process> processes;
    for (const auto pid : list_numbers(proc)) {
        const auto directory = proc + "/" + std::to_string(pid);
        const auto text = base::read_file(directory + "/stat", max_proc_file);
        const auto stat = text ? parse_stat(*text) : std::nullopt;
        // The kernel cuts names to 15 bytes.
        const auto is_wanted = [&](std::string_view name) {
            return stat && stat->name == name.substr(0, 15);
        };
        if (!std::ranges::any_of(names, is_wanted)) {
            continue;
        }
        Process process{.pid = pid,
                        .parent = stat->parent,
                        .name = stat->name,
                        .argv = read_argv(directory + "/cmdline"),
                        .binary = read_link(directory + "/exe"),
                        .is_binary_deleted = false,
                        .start_ticks = stat->start_ticks,
                        .started_at = boot + std::chrono::milliseconds{stat->start_ticks * 1000 /
                                                                       ticks_per_second}};
        if (process.argv.empty()) {
            continue; // it has just ended
        }
        if (process.binary.ends_with(deleted)) {
            process.binary.resize(process.binary.size() - deleted.size());
            process.is_binary_deleted = true;
        }
        processes.push_back(std::move(process));
    }
    return processes;
}

Time boot_time() {
    timespec since_boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const auto age =
        std::chrono::seconds{since_boot.tv_sec} + std::chrono::nanoseconds{since_boot.tv_nsec};
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now() - age);
}

std::map<std::uint64_t, std::string> parse_unix_sockets(std::string_view table) {
    // Num RefCount Protocol Flags Type St Inode Path
    constexpr std::size_t inode_column = 6;
    std::map<std::uint64_t, std::string> paths;
    for (const auto line : base::split(table, '\n')) {
        auto rest = line;
        std::string_view word;
        for (std::size_t column = 0; column <= inode_column; ++column) {
            rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
            const auto end = std::min(rest.find(' '), rest.size());
            word = rest.substr(0, end);
            rest.remove_prefix(end);
        }
        const auto inode = base::parse_unsigned(word, "Inode");
        rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
        if (inode && rest.starts_with('/')) {
            paths[*inode] = rest;
        }
    }
    return paths;
}

std::vector<std::string> find_socket_paths(const std::string& proc, std::uint32_t pid) {
    constexpr std::string_view prefix = "socket:[";
    const auto directory = proc + "/" + std::to_string(pid);
    std::set<std::string> found;
    std::map<std::uint64_t, std::string> paths;
    for (const auto* table : {"/net/unix", "/../self/net/unix"}) {
        if (const auto text = base::read_file(directory + table, max_proc_file)) {
            paths.merge(parse_unix_sockets(*text));
        }
    }
    for (const auto fd : list_numbers(directory + "/fd")) {
        const auto link = read_link(directory + "/fd/" + std::to_string(fd));
        if (!link.starts_with(prefix)) {
            continue;
        }
        const auto number = std::string_view{link}.substr(prefix.size());
        const auto inode = base::parse_unsigned(number.substr(0, number.size() - 1), "Inode");
        if (const auto path = inode ? paths.find(*inode) : paths.end(); path != paths.end()) {
            found.insert(path->second);
        }
    }
    return {found.begin(), found.end()};
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}

} // namespace vfskit::node
