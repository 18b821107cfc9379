// SPDX-License-Identifier: Apache-2.0
// What the verbs that write mappings share: how a path is given on the command line, and how a
// change is decided, shown, checked against --if-revision and written.
#pragma once

#include "core/base/result.h"
#include "core/mapping/mapping.h"
#include "core/store/store.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/services.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

/// "NODE:PATH", or "/PATH" for the node in question, whose name is then empty here.
Result<mapping::NodePath> parse_node_path(std::string_view word);
/// Puts `node` where parse_node_path() left the name empty.
void fill_node(std::vector<mapping::NodePath>& paths, const std::string& node);

/// --rules of every verb that takes new values.
void bind_rules(mapping::Rules& rules, OptionSet& set);

/// What --method takes: the migration methods, and "none" for a mapping without one.
inline const std::vector<std::string> method_words{
    "find-paths", "file-handles", "fd-passing", "none"};

/// --method and --relation take "none" too, which takes the property away.
template <class T>
struct Assignment {
    bool is_given = false;
    std::optional<T> value;
};

/// The properties of a mapping as options; absent ones stay as they are.
struct MappingFields {
    std::optional<std::string> description; ///< "" takes it away
    Assignment<mapping::MigrationMethod> method;
    Assignment<mapping::PathRelation> relation;
    mapping::Rules rules = mapping::Rules::strict;
};
void bind_mapping_fields(MappingFields& fields, OptionSet& set);
void assign(const MappingFields& fields, mapping::DirectoryMapping& mapping);

/// Options of every verb that writes.
struct WriteOptions {
    bool dry_run = false;
    std::optional<std::string> if_revision;
};
void bind_write_options(WriteOptions& options, OptionSet& set);

/// Decides the edits from a snapshot. Called again after a lost race.
using Decide = std::function<Result<std::vector<store::Edit>>(const store::Snapshot&)>;

/// Writes what `decide` wants, or with --dry-run shows it. Prints each change, or that there was
/// none.
Result<ExitCode>
write_mappings(Services& services, const WriteOptions& options, const Decide& decide);

/// EINVAL unless the parts of `wanted` that `current` does not have keep `rules`; the rest may be
/// as an older or a laxer writer left it.
Result<void> validate_new_parts(const mapping::DirectoryMapping* current,
                                const mapping::DirectoryMapping& wanted,
                                mapping::Rules rules);

} // namespace vfskit::vfsctl
