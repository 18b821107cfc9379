// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_reader.h"

#include "core/store/yaml_descent.h"
#include "core/store/yaml_full.h"

#include <algorithm>
#include <utility>

namespace vfskit::store {

bool YamlReader::read_file() {
    if (!lines_.advance() || !skip_document_start()) {
        return false;
    }
    if (lines_.at_end()) {
        return true;
    }
    file_.root_indent = lines_.line().indent;
    while (!lines_.at_end()) {
        if (lines_.line().indent != file_.root_indent || !read_root_entry()) {
            return false;
        }
    }
    return file_.has_version;
}

bool YamlReader::skip_document_start() {
    const auto& line = lines_.line();
    if (lines_.at_end() || text_.substr(line.begin, 3) != "---") {
        return true;
    }
    return is_rest_empty(line.begin + 3) && lines_.advance();
}

bool YamlReader::read_root_entry() {
    YamlField field;
    const auto& line = lines_.line();
    if (!scan_key(line.begin + line.indent, line.end, field)) {
        return false;
    }
    if (field.key == "version") {
        return read_version(field);
    }
    if (field.key == "mappings") {
        return read_mappings(field);
    }
    const auto is_same = [&](const auto& other) {
        return other.mapping.empty() && other.key == field.key;
    };
    if (std::any_of(file_.unknown.begin(), file_.unknown.end(), is_same)) {
        return false;
    }
    note_unknown(field, {});
    return skip_unknown(field);
}

bool YamlReader::read_version(YamlField& field) {
    if (file_.has_version || kind_at(field.value.begin) != ValueKind::scalar ||
        !read_block_scalar(field)) {
        return false;
    }
    file_.has_version = true;
    return field.text == "1" && field.value.in(text_) == "1";
}

bool YamlReader::read_mappings(YamlField& field) {
    if (file_.mappings) {
        return false;
    }
    const std::size_t indent = lines_.line().indent;
    const std::size_t at_value = field.value.begin;
    field.lines = {lines_.line().begin, lines_.line().next};
    const auto kind = kind_at(at_value);
    if (kind == ValueKind::flow) {
        field.value.end = at_value + 2;
        file_.mappings = field;
        return text_.substr(at_value, 2) == "{}" && is_rest_empty(field.value.end) &&
               lines_.advance();
    }
    field.value.end = at_value;
    file_.mappings = field;
    if (kind != ValueKind::none || !lines_.advance()) {
        return false;
    }
    if (lines_.at_end() || lines_.line().indent <= indent) {
        return true;
    }
    const std::size_t inner = lines_.line().indent;
    while (!lines_.at_end() && lines_.line().indent == inner) {
        if (!read_mapping()) {
            return false;
        }
    }
    return lines_.at_end() || lines_.line().indent <= indent;
}

bool YamlReader::read_mapping() {
    decoded_.clear();
    std::vector<YamlField> unknown = std::move(mapping_.unknown);
    std::vector<YamlField> entries =
        mapping_.nodes ? std::move(mapping_.nodes->entries) : std::vector<YamlField>{};
    unknown.clear();
    entries.clear();
    mapping_ = YamlMapping{};
    mapping_.unknown = std::move(unknown);
    YamlField field;
    const YamlLine line = lines_.line();
    if (!scan_key(line.begin + line.indent, line.end, field) || !ids_.insert(field.key).second) {
        return false;
    }
    mapping_.id = field.key;
    mapping_.line = line.number;
    mapping_.indent = line.indent;
    mapping_.lines = {line.begin, line.next};
    mapping_.value.begin = field.value.begin;
    mapping_.body = line.next;
    mapping_.nodes.emplace().entries = std::move(entries);
    mapping_.nodes->field.line = 0;
    const auto kind = kind_at(field.value.begin);
    mapping_.is_flow = kind == ValueKind::flow;
    const bool understood = kind == ValueKind::flow   ? read_flow_body(mapping_)
                            : kind == ValueKind::none ? read_block_body(mapping_)
                                                      : false;
    if (!understood || mapping_.nodes->field.line == 0) {
        return false;
    }
    for (const auto& other : mapping_.unknown) {
        note_unknown(other, mapping_.id);
    }
    ++file_.mapping_count;
    return visit_(mapping_);
}

bool YamlReader::read_block_body(YamlMapping& mapping) {
    if (!lines_.advance() || lines_.at_end() || lines_.line().indent <= mapping.indent) {
        return false;
    }
    mapping.body_indent = lines_.line().indent;
    while (!lines_.at_end() && lines_.line().indent == mapping.body_indent) {
        if (!read_body_entry(mapping)) {
            return false;
        }
    }
    return lines_.at_end() || lines_.line().indent <= mapping.indent;
}

bool YamlReader::read_body_entry(YamlMapping& mapping) {
    YamlField field;
    const auto& line = lines_.line();
    if (!scan_key(line.begin + line.indent, line.end, field)) {
        return false;
    }
    if (field.key == "nodes") {
        if (mapping.nodes->field.line != 0) {
            return false;
        }
        const auto kind = kind_at(field.value.begin);
        const bool understood = kind == ValueKind::flow   ? read_flow_nodes(mapping, field)
                                : kind == ValueKind::none ? read_block_nodes(mapping, field)
                                                          : false;
        mapping.lines.end = std::max(mapping.lines.end, mapping.nodes->field.lines.end);
        return understood;
    }
    if (auto* known = known_scalar(mapping, field.key)) {
        if (known->has_value()) {
            return false;
        }
        const bool understood = kind_at(field.value.begin) == ValueKind::scalar
                                    ? read_block_scalar(field)
                                    : take_odd_value(field, true);
        *known = field;
        mapping.lines.end = field.lines.end;
        return understood;
    }
    for (const auto& other : mapping.unknown) {
        if (other.key == field.key) {
            return false;
        }
    }
    const bool understood = skip_unknown(field);
    mapping.unknown.push_back(field);
    mapping.lines.end = field.lines.end;
    return understood;
}

bool YamlReader::read_block_nodes(YamlMapping& mapping, YamlField field) {
    const std::size_t begin = lines_.line().begin;
    const std::size_t outer = lines_.line().indent;
    auto& nodes = *mapping.nodes;
    if (!lines_.advance() || lines_.at_end() || lines_.line().indent <= outer) {
        return false;
    }
    nodes.indent = lines_.line().indent;
    while (!lines_.at_end() && lines_.line().indent == nodes.indent) {
        auto& entry = nodes.entries.emplace_back();
        const auto& line = lines_.line();
        if (!scan_key(line.begin + line.indent, line.end, entry)) {
            return false;
        }
        const bool understood = kind_at(entry.value.begin) == ValueKind::scalar
                                    ? read_block_scalar(entry)
                                    : take_odd_value(entry, true);
        if (!understood) {
            return false;
        }
    }
    field.lines = {begin, nodes.entries.back().lines.end};
    nodes.field = field;
    return lines_.at_end() || lines_.line().indent <= outer;
}

bool YamlReader::read_flow_nodes(YamlMapping& mapping, YamlField field) {
    auto& nodes = *mapping.nodes;
    nodes.is_flow = true;
    flow_indent_ = lines_.line().indent;
    field.lines.begin = lines_.line().begin;
    std::size_t at = field.value.begin;
    const bool understood = read_flow_map(
        at,
        [&](YamlField& entry, std::size_t& position) {
            if (!read_flow_scalar(entry, position)) {
                return false;
            }
            nodes.entries.push_back(entry);
            return true;
        },
        true);
    const bool finished = understood && finish_flow(field, at);
    nodes.field = field;
    return finished;
}

bool YamlReader::read_flow_body(YamlMapping& mapping) {
    flow_indent_ = mapping.indent;
    std::size_t at = mapping.value.begin;
    const auto read_nodes = [&](YamlField& field, std::size_t& position) {
        auto& nodes = *mapping.nodes;
        if (nodes.field.line != 0 || this->at(position) != '{') {
            return false;
        }
        nodes.is_flow = true;
        const bool understood = read_flow_map(
            position,
            [&](YamlField& entry, std::size_t& inner) {
                if (!read_flow_scalar(entry, inner)) {
                    return false;
                }
                nodes.entries.push_back(entry);
                return true;
            },
            true);
        field.value.end = field.entry.end = position;
        nodes.field = field;
        return understood;
    };
    const bool understood = read_flow_map(at, [&](YamlField& field, std::size_t& position) {
        if (field.key == "nodes") {
            return read_nodes(field, position);
        }
        if (auto* known = known_scalar(mapping, field.key)) {
            const bool scalar = !known->has_value() && read_flow_scalar(field, position);
            *known = field;
            return scalar;
        }
        const bool skipped = skip_flow_value(field, position, 0);
        for (const auto& other : mapping.unknown) {
            if (other.key == field.key) {
                return false;
            }
        }
        mapping.unknown.push_back(field);
        return skipped;
    });
    if (!understood) {
        return false;
    }
    YamlField whole;
    whole.value.begin = mapping.value.begin;
    const bool finished = finish_flow(whole, at);
    mapping.value.end = at;
    mapping.lines.end = whole.lines.end;
    return finished;
}

// An unknown key's value may be anything; yaml-cpp says whether it is YAML on its own.
bool YamlReader::skip_unknown(YamlField& field) {
    return kind_at(field.value.begin) == ValueKind::scalar ? read_block_scalar(field)
                                                           : take_odd_value(field, false);
}

void YamlReader::note_unknown(const YamlField& field, std::string_view mapping) {
    file_.unknown.push_back({std::string{field.key}, std::string{mapping}, field.line});
}

bool YamlReader::read_block_scalar(YamlField& field) {
    return scan_scalar(field, false) && is_rest_empty(field.value.end) && end_line(field);
}

bool YamlReader::end_line(YamlField& field) {
    field.lines = {lines_.line().begin, lines_.line().next};
    return lines_.advance();
}

// A value over several lines, or of a kind that is rare here: yaml-cpp reads the key's lines on
// their own. Every line of a value is indented deeper than its key, so they are all of it; what
// needs its surroundings (an alias, the end of a quoted scalar) fails there.
bool YamlReader::take_odd_value(YamlField& field, bool needs_scalar) {
    field.lines = lines_.take_block(lines_.line().indent);
    auto value = read_lone_value(field.lines.in(text_));
    if (!value || (needs_scalar && !value->is_text)) {
        return false;
    }
    decoded_.push_back(std::move(value->text));
    field.text = decoded_.back();
    field.value.end = lines_.line().end;
    field.entry.end = field.value.end;
    return lines_.advance();
}

YamlReading read_yaml_quickly(std::string_view text,
                              const std::function<bool(const YamlMapping&)>& visit) {
    return YamlReader{text, visit}.read();
}

} // namespace vfskit::store
