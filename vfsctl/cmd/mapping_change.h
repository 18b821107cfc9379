// SPDX-License-Identifier: Apache-2.0
// What edits do to a snapshot, for people (a diff) and for programs.
#pragma once

#include "core/mapping/mapping.h"
#include "core/store/store.h"
#include "vfsctl/output/output.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace vfskit::vfsctl {

/// One mapping before and after. At least one of the two is there, and they differ.
struct MappingChange {
    std::optional<mapping::DirectoryMapping> before;
    std::optional<mapping::DirectoryMapping> after;

    [[nodiscard]] const std::string& id() const { return after ? after->id : before->id; }
    /// "added", "changed" or "removed".
    [[nodiscard]] std::string_view action() const;
};

/// The net changes, one per mapping; edits that change nothing are left out.
std::vector<MappingChange> find_changes(const store::Snapshot& snapshot,
                                        const std::vector<store::Edit>& edits);

/// The properties of a mapping, one per line, as they would stand in a YAML file.
std::vector<std::string> property_lines(const mapping::DirectoryMapping& mapping);

/// Lines that went and came, "-" and "+", between lines that stayed.
std::string render_diff(const MappingChange& change, const Output& output);

nlohmann::ordered_json to_json(const MappingChange& change);

} // namespace vfskit::vfsctl
