// SPDX-License-Identifier: Apache-2.0
// The quick reader of the YAML that our files are written in: block mappings with scalars of one
// line, flow mappings, comments. It either understands a file wholly and knows where every part of
// it stands, or says so and leaves the file to yaml-cpp, which is a hundred times slower, reads all
// of YAML, and words every error. A test compares the two. Internal to the room store.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// Bytes [begin, end) of a text.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] std::string_view in(std::string_view text) const {
        return text.substr(begin, end - begin);
    }
};

/// "key: value" somewhere in a file.
struct YamlField {
    std::string_view key;
    std::string_view text; ///< the scalar's value; empty for anything else
    Span entry;            ///< from the key's first byte to the value's last
    Span value;            ///< as it is written, quotes or braces included
    Span lines;            ///< block style only: the whole lines it takes
    std::size_t line = 0;  ///< 1-based
};

/// The fields of one mapping's "nodes".
struct YamlNodes {
    YamlField field;
    bool is_flow = false;
    std::size_t indent = 0; ///< of the entries, block style only
    std::vector<YamlField> entries;
};

/// One mapping as it stands in the file. The views are good until the reader goes on.
struct YamlMapping {
    std::string_view id;
    std::size_t line = 0;
    Span lines;             ///< the whole mapping, key line first
    std::size_t indent = 0; ///< of its key
    bool is_flow = false;   ///< "id: {…}"
    Span value;             ///< flow style only: the braces and all between
    std::size_t body = 0;   ///< block style only: where the line below the key begins
    std::size_t body_indent = 0;
    std::optional<YamlField> description;
    std::optional<YamlField> live_migration_method;
    std::optional<YamlField> path_relation;
    std::optional<YamlNodes> nodes;
    std::vector<YamlField> unknown;
};

/// A key that the format does not know, and the mapping it is in ("" at the top).
struct YamlUnknownKey {
    std::string key;
    std::string mapping;
    std::size_t line = 0;
};

/// What is around the mappings.
struct YamlFile {
    std::size_t root_indent = 0;
    bool has_version = false;
    std::optional<YamlField> mappings; ///< value: "{}" if that is what stands there, else empty
    std::size_t mapping_count = 0;
    std::vector<YamlUnknownKey> unknown;
};

struct YamlReading {
    std::optional<YamlFile> file; ///< nothing: not understood
    std::size_t stopped_at = 0;   ///< the line (1-based) where understanding ended
};

/// Reads `text` (valid UTF-8) and hands each mapping to `visit` in order; false from it counts as
/// not understood. What YAML or the format forbids is not understood either, but for a node that
/// stands twice: `visit` sees both.
YamlReading read_yaml_quickly(std::string_view text,
                              const std::function<bool(const YamlMapping&)>& visit);

} // namespace vfskit::store
