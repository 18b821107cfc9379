// SPDX-License-Identifier: Apache-2.0
// Whether a share could live on this host: looked at with time limits, because a hook that waits
// makes libvirt wait.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <string>
#include <string_view>

namespace vfskit::libvirt_hook {

/// ENOENT, ENOTDIR, EACCES; ETIMEDOUT when the filesystem does not answer (a dead NFS server);
/// ENODEV when fstab(5) mounts something at the directory or above it, and it is not mounted: the
/// guest would write into the empty directory below.
Result<void> check_directory(const std::string& path,
                             std::chrono::milliseconds timeout = std::chrono::seconds{3});

/// The innermost mount point of fstab text that `path` is at or below and that `mountinfo` lacks;
/// "" when there is none. Entries with noauto are not expected to be mounted.
std::string
missing_mount(std::string_view path, std::string_view fstab, std::string_view mountinfo);

/// Runs PROGRAM --print-capabilities. ENOENT, EACCES; ENOTSUP when it does not list
/// migrate-precopy.
Result<void> check_daemon(const std::string& program);

} // namespace vfskit::libvirt_hook
