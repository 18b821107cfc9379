// SPDX-License-Identifier: Apache-2.0
#include "core/node/collect.h"

#include "core/base/file.h"
#include "core/base/text.h"
#include "core/node/collect_parts.h"
#include "core/node/mount_table.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>

namespace vfskit::node {

namespace {

constexpr std::size_t max_small_file = 1 << 20;

std::string first_line(const std::string& path) {
    const auto text = base::read_file(path, max_small_file);
    return text ? std::string{base::trim(text->substr(0, text->find('\n')))} : "";
}

/// "Name:   value": the value, or "".
std::string_view field(std::string_view text, std::string_view name) {
    for (const auto line : base::split(text, '\n')) {
        if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
            return base::trim(line.substr(name.size() + 1));
        }
    }
    return {};
}

std::uint64_t kibibytes(std::string_view text, std::string_view name) {
    auto value = field(text, name);
    value = value.substr(0, value.find(' '));
    return base::parse_unsigned(value, "Memory").value_or(std::uint64_t{0}) * 1024;
}

std::uint64_t number_in(const std::filesystem::path& path) {
    return base::parse_unsigned(first_line(path), "Number").value_or(std::uint64_t{0});
}

std::optional<std::string> some(std::string text) {
    return text.empty() ? std::nullopt : std::optional{std::move(text)};
}

} // namespace

std::optional<bool> has_dac_read_search(const Places& places) {
    constexpr unsigned cap_dac_read_search = 2; // linux/capability.h
    const auto status = base::read_file(places.proc + "/self/status", max_small_file);
    const auto effective = status ? field(*status, "CapEff") : std::string_view{};
    if (effective.empty()) {
        return std::nullopt;
    }
    const auto digit = effective.back(); // capabilities 0 to 3
    const int bits = digit >= 'a' ? digit - 'a' + 10 : digit - '0';
    return (bits >> cap_dac_read_search & 1) != 0;
}

std::optional<MemoryFacts> collect_memory(const Places& places) {
    const auto text = base::read_file(places.proc + "/meminfo", max_small_file);
    if (!text) {
        return std::nullopt;
    }
    MemoryFacts memory{.total_bytes = kibibytes(*text, "MemTotal"),
                       .available_bytes = kibibytes(*text, "MemAvailable"),
                       .hugepages = {}};
    std::error_code failed;
    std::filesystem::directory_iterator pools{places.root + "/sys/kernel/mm/hugepages", failed};
    for (; !failed && pools != std::filesystem::directory_iterator{}; pools.increment(failed)) {
        auto name = pools->path().filename().string(); // hugepages-2048kB
        const auto dash = name.find('-');
        const auto size =
            dash == std::string::npos || !name.ends_with("kB")
                ? 0
                : base::parse_unsigned(name.substr(dash + 1, name.size() - dash - 3), "Page size")
                      .value_or(std::uint64_t{0});
        if (size == 0) {
            continue;
        }
        const auto free = number_in(pools->path() / "free_hugepages");
        const auto reserved = number_in(pools->path() / "resv_hugepages");
        memory.hugepages.push_back({.page_bytes = size * 1024,
                                    .total = number_in(pools->path() / "nr_hugepages"),
                                    .free = free - std::min(free, reserved)});
    }
    std::ranges::sort(memory.hugepages, {}, &HugepagesFacts::page_bytes);
    return memory;
}

Result<share::DaemonInfo> ProgramCache::virtiofsd(const std::string& path) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        return Error::from_errno(errno, fmt::format("'{}' cannot be examined", path));
    }
    const FileId id{file.st_dev, file.st_ino};
    const auto known = daemons_.find(id);
    if (known != daemons_.end()) {
        return known->second;
    }
    return daemons_.emplace(id, probe_(path, run_)).first->second;
}

std::optional<Version> ProgramCache::version(const std::string& path) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        return std::nullopt;
    }
    const FileId id{file.st_dev, file.st_ino};
    if (const auto known = versions_.find(id); known != versions_.end()) {
        return known->second;
    }
    std::optional<Version> version;
    if (const auto output = run_({.program = path, .args = {"--version"}})) {
        // "QEMU emulator version 10.0.2 (Debian …)", "libvirtd (libvirt) 11.3.0"
        const std::string_view text{output->out};
        for (const auto word : base::split(text.substr(0, text.find('\n')), ' ')) {
            if (const auto parsed = share::parse_version(word)) {
                version = *parsed;
                break;
            }
        }
    }
    versions_.emplace(id, version);
    return version;
}

NodeFacts collect(const CollectRequest& request, const Places& places) {
    ProgramCache programs{places.run};
    const auto boot = boot_time();
    NodeFacts facts;
    facts.node = request.node;
    facts.collected_at =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    facts.boot_id = first_line(places.proc + "/sys/kernel/random/boot_id");
    facts.machine_id = some(first_line(places.root + "/etc/machine-id"));
    facts.vfskit_version = request.vfskit_version;
    utsname names{};
    if (::uname(&names) == 0) {
        facts.kernel = names.release;
    }
    facts.has_dac_read_search = has_dac_read_search(places);
    facts.problems = request.problems;

    const auto guests = collect_guests(places, boot, programs);
    for (const auto& guest : guests) {
        facts.guests.push_back(guest.facts);
    }
    facts.daemons = collect_daemons(places, request.paths, guests, boot, programs);
    if (request.asks_daemons) {
        ask_daemons(facts.daemons, places);
    }
    facts.virtiofsds = collect_virtiofsds(places, programs);
    facts.qemus = collect_qemus(places, guests, programs);
    facts.libvirt = collect_libvirt(places, boot, programs);
    facts.pve = collect_pve(places);
    facts.memory = collect_memory(places);
    facts.mappings_revision = request.mappings_revision;
    facts.paths = probe_paths(
        request.paths, read_expected_mount_points(places.root, request.node), places.limits);
    return facts;
}

} // namespace vfskit::node
