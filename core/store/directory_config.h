// SPDX-License-Identifier: Apache-2.0
// mapping/directory.cfg: what Proxmox VE makes of its sections, and how one mapping is changed so
// that Proxmox VE reads exactly the wanted mappings back and can go on writing the file.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"
#include "core/store/section_config.h"
#include "core/store/store.h"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Keys of ours that stock Proxmox VE does not know and deletes at its next write.
inline constexpr std::string_view method_key = "live-migration-method";
inline constexpr std::string_view relation_key = "path-relation";

/// A `map` value: a property string of exactly node and path. Blank parts are skipped, nothing is
/// trimmed, nothing can be quoted. EINVAL says what Proxmox VE says.
Result<mapping::NodePath> parse_map_value(std::string_view value);
/// The `map` value that reads back as `entry`; EINVAL when none does (a comma or a line feed in the
/// path).
Result<std::string> format_map_value(const mapping::NodePath& entry);

/// One section as Proxmox VE understands it.
struct DirectorySection {
    std::size_t section = 0; ///< index into DirectoryConfig::file.sections
    /// The live_migration_method and path_relation are those of this file, if it has any.
    mapping::DirectoryMapping mapping;
    std::vector<std::size_t> map_lines; ///< where mapping.paths stand, one for one
    std::optional<std::size_t> description_line;
    std::vector<std::size_t> method_lines; ///< every line with the key, the first valid one counts
    std::vector<std::size_t> relation_lines; ///< likewise
    /// No valid map line: Proxmox VE refuses to write the file as long as the section is there.
    bool is_poison = false;
    /// A later section has the same id, so this one is dead.
    bool is_superseded = false;
};

/// The content with its meaning.
struct DirectoryConfig {
    explicit DirectoryConfig(std::string bytes) : content{std::move(bytes)} {}
    DirectoryConfig(const DirectoryConfig&) = delete;
    DirectoryConfig& operator=(const DirectoryConfig&) = delete;

    const std::string content;
    SectionFile file;                       ///< borrows from content
    std::vector<DirectorySection> sections; ///< in the file's order, without skipped ones
    std::vector<Notice> notices;            ///< by line

    /// The section that counts for `id`, or nullptr. It may be poison.
    [[nodiscard]] const DirectorySection* find(std::string_view id) const;

    std::map<std::string_view, std::size_t> effective; ///< id to index in `sections`
};

/// Never fails; `file_name` is for the places of the notices.
std::unique_ptr<DirectoryConfig> parse_directory_config(std::string content,
                                                        const std::string& file_name);

/// What a section shall become.
struct SectionWish {
    std::string id;
    std::optional<mapping::DirectoryMapping> mapping; ///< absent: removed
    /// Our keys are written although the section does not have them yet.
    bool writes_our_keys = false;
};

/// The content with the wishes (at most one per id) fulfilled; only lines that must change do. The
/// result is parsed again: EINVAL unless it gives exactly the wanted mappings in the old order, new
/// ones at the end, and no section became poison. A section that has swallowed another's header is
/// not removed, nor are the swallowed map lines: EINVAL with the way out.
Result<std::string> edit_directory_config(const DirectoryConfig& config,
                                          const std::string& file_name,
                                          const std::vector<SectionWish>& wishes);

/// The rule for headers of directory.cfg.
Result<void> directory_header_rule(std::string_view word);

} // namespace vfskit::store
