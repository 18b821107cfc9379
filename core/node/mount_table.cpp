// SPDX-License-Identifier: Apache-2.0
#include "core/node/mount_table.h"

#include "core/base/file.h"
#include "core/base/text.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace vfskit::node {

namespace {

constexpr std::size_t max_table_bytes = 16 << 20;
constexpr std::size_t max_unit_bytes = 1 << 20;

/// "\040" is a blank, in mountinfo and fstab alike.
std::string undo_octal(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto is_octal = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
        if (text[i] == '\\' && i + 3 < text.size() && is_octal(i + 1) && is_octal(i + 2) &&
            is_octal(i + 3)) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                       (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!(line = base::trim(line)).empty()) {
        const auto end = std::min(line.find_first_of(" \t"), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
    return words;
}

void add_options(std::vector<std::string>& options, std::string_view list) {
    for (const auto part : base::split(list, ',')) {
        auto option = undo_octal(part);
        if (std::ranges::find(options, option) == options.end()) {
            options.push_back(std::move(option));
        }
    }
}

std::string without_slash_at_end(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    return path;
}

/// One storage of storage.cfg.
struct Storage {
    std::string type;
    std::string id;
    std::map<std::string, std::string, std::less<>> properties;
};

bool is_true(std::string_view word) {
    const auto lower = base::to_lower(word);
    return lower == "1" || lower == "on" || lower == "yes" || lower == "true";
}

std::optional<std::string> mount_point_of(const Storage& storage, std::string_view node) {
    const auto property = [&](std::string_view key) -> std::string {
        const auto found = storage.properties.find(key);
        return found == storage.properties.end() ? "" : found->second;
    };
    if (storage.properties.contains("disable")) {
        return std::nullopt;
    }
    if (const auto nodes = property("nodes"); !nodes.empty()) {
        const auto names = base::split(nodes, ',');
        if (std::ranges::find(names, node) == names.end()) {
            return std::nullopt;
        }
    }
    if (storage.type == "nfs" || storage.type == "cifs" || storage.type == "cephfs") {
        const auto path = property("path");
        return without_slash_at_end(path.empty() ? "/mnt/pve/" + storage.id : path);
    }
    // is_mountpoint is a yes, or the mount point itself where the storage lies below it.
    const auto is_mountpoint = property("is_mountpoint");
    if (is_mountpoint.starts_with('/')) {
        return without_slash_at_end(is_mountpoint);
    }
    const auto path = property("path");
    return is_true(is_mountpoint) && !path.empty() ? std::optional{without_slash_at_end(path)}
                                                   : std::nullopt;
}

void add_units(const std::string& directory, std::vector<std::string>& points) {
    std::error_code failed;
    std::filesystem::directory_iterator entries{directory, failed};
    for (; !failed && entries != std::filesystem::directory_iterator{}; entries.increment(failed)) {
        const auto extension = entries->path().extension();
        if (extension != ".mount" && extension != ".automount") {
            continue;
        }
        if (const auto text = base::read_file(entries->path(), max_unit_bytes)) {
            if (auto point = parse_mount_unit(*text)) {
                points.push_back(*std::move(point));
            }
        }
    }
}

} // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
    // 36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    constexpr std::size_t first_optional = 6;
    std::vector<Mount> mounts;
    for (const auto line : base::split(text, '\n')) {
        const auto words = words_of(line);
        const auto separator = std::ranges::find(words, "-");
        const auto id =
            words.empty() ? Error{EINVAL, ""} : base::parse_unsigned(words[0], "Mount", INT32_MAX);
        if (!id || words.end() - separator < 4 ||
            separator - words.begin() < static_cast<std::ptrdiff_t>(first_optional)) {
            continue;
        }
        Mount mount{.id = static_cast<int>(*id),
                    .point = undo_octal(words[4]),
                    .fs_type = undo_octal(separator[1]),
                    .source = undo_octal(separator[2]),
                    .options = {}};
        add_options(mount.options, words[5]);
        add_options(mount.options, separator[3]);
        mounts.push_back(std::move(mount));
    }
    return mounts;
}

Result<std::vector<Mount>> read_mounts(const std::string& proc, std::string_view pid) {
    VFSKIT_TRY_ASSIGN(
        const auto text,
        base::read_file(proc + "/" + std::string{pid} + "/mountinfo", max_table_bytes));
    return parse_mountinfo(text);
}

bool is_at_or_below(std::string_view path, std::string_view directory) {
    if (directory == "/") {
        return path.starts_with('/');
    }
    return path.starts_with(directory) &&
           (path.size() == directory.size() || path[directory.size()] == '/');
}

const Mount* find_mount(const std::vector<Mount>& mounts, std::string_view path) {
    const Mount* best = nullptr;
    for (const auto& mount : mounts) {
        if (is_at_or_below(path, mount.point) &&
            (best == nullptr || mount.point.size() >= best->point.size())) {
            best = &mount;
        }
    }
    return best;
}

const Mount* find_mount_at(const std::vector<Mount>& mounts, std::string_view point) {
    const Mount* last = nullptr;
    for (const auto& mount : mounts) {
        // An automount that nobody has entered yet holds no filesystem.
        if (mount.point == point && mount.fs_type != "autofs") {
            last = &mount;
        }
    }
    return last;
}

std::vector<SubmountFacts> find_submounts(const std::vector<Mount>& mounts,
                                          std::string_view directory) {
    std::map<std::string, std::string> by_path;
    for (const auto& mount : mounts) {
        if (mount.point != directory && is_at_or_below(mount.point, directory)) {
            const auto length = directory == "/" ? 1 : directory.size() + 1;
            by_path[mount.point.substr(length)] = mount.fs_type;
        }
    }
    std::vector<SubmountFacts> submounts;
    for (auto& [path, fs_type] : by_path) {
        submounts.push_back({.path = path, .fs_type = fs_type});
    }
    return submounts;
}

std::vector<std::string> parse_fstab(std::string_view text) {
    std::vector<std::string> points;
    for (const auto line : base::split(text, '\n')) {
        const auto words = words_of(line);
        if (words.size() >= 3 && !words[0].starts_with('#') && words[1].starts_with('/') &&
            words[2] != "swap") {
            points.push_back(without_slash_at_end(undo_octal(words[1])));
        }
    }
    return points;
}

std::optional<std::string> parse_mount_unit(std::string_view text) {
    std::optional<std::string> where;
    for (auto line : base::split(text, '\n')) {
        line = base::trim(line);
        const auto equals = line.find('=');
        if (equals != std::string_view::npos && base::trim(line.substr(0, equals)) == "Where") {
            where = without_slash_at_end(std::string{base::trim(line.substr(equals + 1))});
        }
    }
    return where && where->starts_with('/') ? where : std::nullopt;
}

std::vector<std::string> parse_storage_config(std::string_view text, std::string_view node) {
    std::vector<std::string> points;
    Storage storage;
    const auto finish = [&] {
        if (auto point = mount_point_of(storage, node)) {
            points.push_back(*std::move(point));
        }
        storage = {};
    };
    for (const auto line : base::split(text, '\n')) {
        const auto words = words_of(line);
        if (words.empty() || words[0].starts_with('#')) {
            continue;
        }
        const bool is_header = line.front() != ' ' && line.front() != '\t';
        if (is_header && words[0].ends_with(':')) {
            finish();
            storage.type = words[0].substr(0, words[0].size() - 1);
            storage.id = words.size() > 1 ? words[1] : "";
        } else {
            const auto value = base::trim(base::trim(line).substr(words[0].size()));
            storage.properties[std::string{words[0]}] = value;
        }
    }
    finish();
    return points;
}

std::vector<std::string> read_expected_mount_points(const std::string& root,
                                                    std::string_view node) {
    std::vector<std::string> points;
    if (const auto fstab = base::read_file(root + "/etc/fstab", max_unit_bytes)) {
        points = parse_fstab(*fstab);
    }
    for (const auto* directory : {"/etc/systemd/system", "/run/systemd/system"}) {
        add_units(root + directory, points);
    }
    if (const auto storages = base::read_file(root + "/etc/pve/storage.cfg", max_unit_bytes)) {
        const auto more = parse_storage_config(*storages, node);
        points.insert(points.end(), more.begin(), more.end());
    }
    return points;
}

std::optional<std::string> find_expected(const std::vector<std::string>& points,
                                         std::string_view path) {
    std::optional<std::string> deepest;
    for (const auto& point : points) {
        if (point != "/" && is_at_or_below(path, point) &&
            (!deepest || point.size() > deepest->size())) {
            deepest = point;
        }
    }
    return deepest;
}

} // namespace vfskit::node
