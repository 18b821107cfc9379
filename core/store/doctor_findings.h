// SPDX-License-Identifier: Apache-2.0
// The examinations behind diagnose(), as pure functions of what was read, and the repairs of
// directory.cfg that are edits of its lines.
#pragma once

#include "core/store/doctor.h"
#include "core/store/pve_files.h"
#include "core/store/vm_config.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Whether a finding is to be mended.
using FindingFilter = std::function<bool(const Finding&)>;

/// Codes M004, M008, M009 and M014: what any store's mapping can have.
void examine_mapping(const mapping::DirectoryMapping& mapping,
                     const Place& place,
                     std::vector<Finding>& findings);

/// M001, M002, M003, M010, M013: what Proxmox VE makes of directory.cfg.
void examine_directory(const DirectoryConfig& config,
                       const std::string& file_name,
                       std::vector<Finding>& findings);

/// M005 and M011.
void examine_vms(const std::vector<VmConfig>& vms,
                 const std::vector<mapping::DirectoryMapping>& mappings,
                 std::vector<Finding>& findings);

/// The content with the wanted M001, M002, M003 and M010 mended, one kind after the other; EINVAL
/// if that would make a mapping vanish or poison a section.
Result<std::string>
mend_directory(std::string content, const std::string& file_name, const FindingFilter& wanted);

/// The description one or more times decoded, if it was UTF-8 encoded again as if it were Latin-1;
/// nothing if it was not.
std::optional<std::string> undo_double_encoding(std::string_view description);

} // namespace vfskit::store
