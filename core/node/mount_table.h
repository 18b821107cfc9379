// SPDX-License-Identifier: Apache-2.0
// /proc/PID/mountinfo, and where configuration says that filesystems belong.
#pragma once

#include "core/base/result.h"
#include "core/node/facts.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::node {

/// One mount, as mountinfo has it, octal escapes undone.
struct Mount {
    int id = 0;
    std::string point;
    std::string fs_type;
    std::string source;
    std::vector<std::string> options; ///< of the mount, then those of the filesystem that differ

    bool operator==(const Mount&) const = default;
};

/// Lines that are not understood are left out: the kernel may add what it likes.
std::vector<Mount> parse_mountinfo(std::string_view text);
/// Of a process; reading it never waits for a filesystem.
Result<std::vector<Mount>> read_mounts(const std::string& proc, std::string_view pid = "self");

/// True if `path` is `directory` or below it; both absolute, without "." and "..".
bool is_at_or_below(std::string_view path, std::string_view directory);

/// The mount that a path without symbolic links lies on: the last of the longest mount points.
const Mount* find_mount(const std::vector<Mount>& mounts, std::string_view path);
/// What is mounted at exactly `point`, or nullptr.
const Mount* find_mount_at(const std::vector<Mount>& mounts, std::string_view point);
/// Filesystems below `directory`, each once, by path; of mounts over each other the last.
std::vector<SubmountFacts> find_submounts(const std::vector<Mount>& mounts,
                                          std::string_view directory);

/// Mount points of an fstab(5): those that are directories of filesystems, not swap.
std::vector<std::string> parse_fstab(std::string_view text);
/// Where= of a systemd.mount(5) or systemd.automount(5) unit.
std::optional<std::string> parse_mount_unit(std::string_view text);
/// Proxmox VE's storage.cfg as `node` sees it: nfs, cifs and cephfs storages, and directories that
/// say is_mountpoint.
std::vector<std::string> parse_storage_config(std::string_view text, std::string_view node);

/// All of these on this node; `root` is put before /etc and /run. What is missing says nothing.
std::vector<std::string> read_expected_mount_points(const std::string& root, std::string_view node);

/// The deepest of the mount points at or above `path`; "/" never counts.
std::optional<std::string> find_expected(const std::vector<std::string>& points,
                                         std::string_view path);

} // namespace vfskit::node
