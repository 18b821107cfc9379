// SPDX-License-Identifier: Apache-2.0
// Mappings as one document: out of a store, into another, and what that would change.
#pragma once

#include "core/base/result.h"
#include "core/store/store.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Both have the shape of the YAML store's file (docs/mappings-yaml.md).
enum class DocumentFormat { yaml, json };

/// All mappings as one document in our own layout, in the given order. EINVAL names the mapping
/// that the format cannot hold: text that is not UTF-8, a node twice.
Result<std::string> export_mappings(std::vector<mapping::DirectoryMapping> mappings,
                                    DocumentFormat format);

struct Document {
    std::vector<mapping::DirectoryMapping> mappings;
    std::vector<Notice> notices; ///< keys that are not known, and are not imported
};

/// Reads a document in either format. The mappings obey Rules::pve; a caller that lets people
/// define new ones checks Rules::strict. `file` is the name for messages ("-" becomes "standard
/// input"). EBADMSG with line, key and remedy.
Result<Document> parse_document(std::string_view text, const std::string& file);

enum class ChangeKind { added, changed, removed, unchanged };

/// What an import does to one mapping.
struct Change {
    ChangeKind kind = ChangeKind::unchanged;
    std::string id;
    std::optional<mapping::DirectoryMapping> before; ///< absent where added or unchanged
    std::optional<mapping::DirectoryMapping> after;  ///< absent where removed or unchanged
};

enum class ImportMode {
    merge,   ///< mappings that the document does not name stay
    replace, ///< they are removed
};

/// The way from `current` to `wanted`: first the current mappings in their order, then the added
/// ones in theirs. The order of a mapping's nodes is no difference.
std::vector<Change> compare_mappings(const std::vector<mapping::DirectoryMapping>& current,
                                     const std::vector<mapping::DirectoryMapping>& wanted,
                                     ImportMode mode);

/// The edits that carry the changes out, for MappingStore::commit(); none for unchanged mappings.
std::vector<Edit> make_edits(const std::vector<Change>& changes);

/// True if both define the same, whatever the order of their nodes.
bool have_same_content(const mapping::DirectoryMapping& a, const mapping::DirectoryMapping& b);

std::string_view to_string(ChangeKind kind); ///< added, changed, removed, unchanged

} // namespace vfskit::store
