// SPDX-License-Identifier: Apache-2.0
// The Proxmox engine: <root>/mapping/directory.cfg as Proxmox VE itself reads and writes it, and
// <root>/mapping/vfskit.cfg beside it for what Proxmox VE does not know and deletes.
#pragma once

#include "core/base/result.h"
#include "core/store/pve_lock.h"
#include "core/store/store.h"

#include <memory>
#include <string>

namespace vfskit::store {

/// Where the engine keeps what, below the root (normally /etc/pve).
inline constexpr std::string_view pve_directory_cfg = "mapping/directory.cfg";
inline constexpr std::string_view pve_truth_cfg = "mapping/vfskit.cfg";

/// pmxcfs refuses larger files, and a write that it refuses half way leaves a truncated file.
inline constexpr std::size_t pve_max_file_bytes = 1U << 20U;

/// The store over `root`, which pve_root() gives. EINVAL for a root that is not absolute, ENOENT
/// when it is no directory or, for a pmxcfs mount point, when nothing is mounted there (it then
/// lacks the link "local"). Nothing is read or locked yet.
Result<std::unique_ptr<MappingStore>> open_pve_store(std::string root);
/// The same with other limits and another clock.
Result<std::unique_ptr<MappingStore>>
open_pve_store(std::string root, const PveLockOptions& lock_options, PveClock& clock);

} // namespace vfskit::store
