// SPDX-License-Identifier: Apache-2.0
// The examinations behind diagnose(), as pure functions of what was read, and the repairs of
// directory.cfg that are edits of its lines.
#pragma once

#include "core/store/doctor.h"
#include "core/store/pve_files.h"
#include "core/store/vm_config.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Whether a finding is to be mended.
using FindingFilter = std::function<bool(const Finding&)>;

/// Codes M008, M009 and M014: what any store's mapping can have.
void examine_mapping(const mapping::DirectoryMapping& mapping,
                     const Place& place,
                     std::vector<Finding>& findings);

/// M001, M002, M003, M010, M013, M018: what Proxmox VE makes of directory.cfg.
void examine_directory(const DirectoryConfig& config,
                       const std::string& file_name,
                       std::vector<Finding>& findings);

/// M011, and M013 for lines of VM configurations.
void examine_vms(const std::vector<VmConfig>& vms, std::vector<Finding>& findings);

using IdSet = std::set<std::string, std::less<>>;

/// A mapping as a copy of directory.cfg has it.
struct KnownCopy {
    mapping::DirectoryMapping mapping;
    std::string file;
};
using KnownCopies = std::map<std::string, KnownCopy, std::less<>>;

/// What a cluster says about ids outside the two files.
struct PveSurroundings {
    std::vector<VmConfig> vms;
    std::optional<IdSet> ids_with_permissions; ///< in user.cfg; absent: it cannot be read
    KnownCopies copies;                        ///< of ids that VMs use and `mappings` lacks
};
Result<PveSurroundings> read_surroundings(const PvePaths& paths,
                                          const std::vector<mapping::DirectoryMapping>& mappings);

/// A device whose id is not defined. The pointers are into the VmConfigs.
struct UndefinedUse {
    const VmConfig* vm;
    const VmSection* section;
    const VirtiofsDevice* device;
};
std::vector<UndefinedUse>
find_undefined_uses(const std::vector<VmConfig>& vms,
                    const std::vector<mapping::DirectoryMapping>& mappings);
/// M005; fixable if one of `copies` has the mapping.
Finding finding_of(const UndefinedUse& use,
                   const std::vector<mapping::DirectoryMapping>& mappings,
                   const KnownCopies& copies);

/// M004 of a Proxmox store, where the id is the tag; fixable, by another id, if nobody refers to
/// this one.
void examine_long_ids(const PveState& state,
                      const PvePaths& paths,
                      const PveSurroundings& surroundings,
                      std::vector<Finding>& findings);
/// M004 of a store whose shares may have a tag of their own.
void examine_long_id(const mapping::DirectoryMapping& mapping, std::vector<Finding>& findings);
/// The id that a longer one gets: as much of it as a tag takes, and eight digits of its SHA-1.
std::string short_dirid(std::string_view id);
/// The content of directory.cfg with other ids in these sections' headers.
std::string rename_sections(std::string content,
                            const std::string& file_name,
                            const std::map<std::string, std::string>& new_ids);

/// The text of a YAML store in which a node stands twice below one mapping: with the first path of
/// each, the others as comments.
struct MendedYaml {
    std::string text;
    std::vector<Finding> findings; ///< M003
};
/// Nothing when no node stands twice or the quick reader does not understand the text.
std::optional<MendedYaml> mend_double_nodes(std::string_view text, const std::string& file_name);

/// The content with the wanted M001, M002, M003, M010 and M018 mended, one kind after the other;
/// EINVAL if that would make a mapping vanish or poison a section.
Result<std::string>
mend_directory(std::string content, const std::string& file_name, const FindingFilter& wanted);

/// The description one or more times decoded, if it was UTF-8 encoded again as if it were Latin-1;
/// nothing if it was not.
std::optional<std::string> undo_double_encoding(std::string_view description);

} // namespace vfskit::store
