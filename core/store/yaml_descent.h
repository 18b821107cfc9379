// SPDX-License-Identifier: Apache-2.0
// The reader behind read_yaml_quickly(): a private header of yaml_reader.cpp and yaml_scan.cpp.
#pragma once

#include "core/store/yaml_lines.h"
#include "core/store/yaml_reader.h"

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace vfskit::store {

enum class ValueKind { none, scalar, flow, other };

// A recursive descent that gives up (false) at the first thing it is not sure of.
class YamlReader {
public:
    YamlReader(std::string_view text, const std::function<bool(const YamlMapping&)>& visit)
        : text_{text}, visit_{visit}, lines_{text} {
        // A mapping on a few nodes takes as many bytes: a large file's ids find their place once.
        ids_.reserve(text.size() / 256);
    }

    YamlReading read() {
        YamlReading reading;
        if (read_file()) {
            reading.file = std::move(file_);
        } else {
            reading.stopped_at = lines_.line().number;
        }
        return reading;
    }

private:
    bool read_file();
    bool skip_document_start();
    bool read_root_entry();
    bool read_version(YamlField& field);
    bool read_mappings(YamlField& field);
    bool read_mapping();
    bool read_block_body(YamlMapping& mapping);
    bool read_body_entry(YamlMapping& mapping);
    bool read_flow_body(YamlMapping& mapping);
    bool read_block_nodes(YamlMapping& mapping, YamlField field);
    bool read_flow_nodes(YamlMapping& mapping, YamlField field);
    bool read_block_scalar(YamlField& field);
    bool skip_unknown(YamlField& field);
    bool take_odd_value(YamlField& field, bool needs_scalar);
    void note_unknown(const YamlField& field, std::string_view mapping);

    bool scan_key(std::size_t at, std::size_t limit, YamlField& field);
    ValueKind kind_at(std::size_t at) const;
    bool scan_scalar(YamlField& field, bool in_flow);
    bool scan_plain(YamlField& field, bool in_flow);
    bool is_rest_empty(std::size_t at) const;
    bool end_line(YamlField& field);

    bool skip_flow_space(std::size_t& at);
    bool read_flow_map(std::size_t& at,
                       const std::function<bool(YamlField&, std::size_t&)>& entry,
                       bool takes_doubles = false);
    bool read_flow_scalar(YamlField& field, std::size_t& at);
    bool skip_flow_value(YamlField& field, std::size_t& at, std::size_t depth);
    bool finish_flow(YamlField& field, std::size_t end);

    [[nodiscard]] char at(std::size_t position) const {
        return position < text_.size() ? text_[position] : '\n';
    }
    std::optional<YamlField>* known_scalar(YamlMapping& mapping, std::string_view key) {
        return key == "description"             ? &mapping.description
               : key == "live-migration-method" ? &mapping.live_migration_method
               : key == "path-relation"         ? &mapping.path_relation
                                                : nullptr;
    }

    std::string_view text_;
    const std::function<bool(const YamlMapping&)>& visit_;
    YamlLines lines_;
    YamlFile file_;
    YamlMapping mapping_; // kept between mappings for its capacity
    std::unordered_set<std::string_view> ids_;
    std::deque<std::string> decoded_; // behind the views of the current mapping
    std::size_t flow_indent_ = 0;     // continuation lines of a flow mapping are deeper than this
};

} // namespace vfskit::store
