// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_reader.h"

#include "core/store/yaml_full.h"
#include "core/store/yaml_lines.h"
#include "core/store/yaml_text.h"

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_set>
#include <utility>

namespace vfskit::store {

namespace {

constexpr std::size_t max_flow_depth = 16;

bool is_plain_key_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_plain_key_char(char c) {
    return is_plain_key_start(c) || c == '-' || c == '.' || c == '/' || c == '+' || c == '@';
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
bool is_flow_indicator(char c) {
    return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}
// What yaml-cpp makes a null of, as key or as value.
bool is_null_word(std::string_view text) {
    return text == "null" || text == "Null" || text == "NULL" || text == "~";
}
// YAML 1.2, 7.3.3 ns-plain-first, without the forms that begin with an indicator.
bool may_begin_plain(char c) {
    constexpr std::string_view indicators = "-?:,[]{}#&*!|>'\"%@`";
    return !is_control(c) && c != ' ' && indicators.find(c) == std::string_view::npos;
}

enum class ValueKind { none, scalar, flow, other };

// A recursive descent that gives up (false) at the first thing it is not sure of.
class Reader {
public:
    Reader(std::string_view text, const std::function<bool(const YamlMapping&)>& visit)
        : text_{text}, visit_{visit}, lines_{text} {}

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
    bool read_flow_map(std::size_t& at, const std::function<bool(YamlField&, std::size_t&)>& entry);
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

bool Reader::read_file() {
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

bool Reader::skip_document_start() {
    const auto& line = lines_.line();
    if (lines_.at_end() || text_.substr(line.begin, 3) != "---") {
        return true;
    }
    return is_rest_empty(line.begin + 3) && lines_.advance();
}

bool Reader::read_root_entry() {
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

bool Reader::read_version(YamlField& field) {
    if (file_.has_version || kind_at(field.value.begin) != ValueKind::scalar ||
        !read_block_scalar(field)) {
        return false;
    }
    file_.has_version = true;
    return field.text == "1" && field.value.in(text_) == "1";
}

bool Reader::read_mappings(YamlField& field) {
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

bool Reader::read_mapping() {
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

bool Reader::read_block_body(YamlMapping& mapping) {
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

bool Reader::read_body_entry(YamlMapping& mapping) {
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

bool Reader::read_block_nodes(YamlMapping& mapping, YamlField field) {
    const std::size_t begin = lines_.line().begin;
    const std::size_t outer = lines_.line().indent;
    auto& nodes = *mapping.nodes;
    if (!lines_.advance() || lines_.at_end() || lines_.line().indent <= outer) {
        return false;
    }
    nodes.indent = lines_.line().indent;
    while (!lines_.at_end() && lines_.line().indent == nodes.indent) {
        YamlField entry;
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
        nodes.entries.push_back(entry);
    }
    field.lines = {begin, nodes.entries.back().lines.end};
    nodes.field = field;
    return lines_.at_end() || lines_.line().indent <= outer;
}

bool Reader::read_flow_nodes(YamlMapping& mapping, YamlField field) {
    auto& nodes = *mapping.nodes;
    nodes.is_flow = true;
    flow_indent_ = lines_.line().indent;
    field.lines.begin = lines_.line().begin;
    std::size_t at = field.value.begin;
    const bool understood = read_flow_map(at, [&](YamlField& entry, std::size_t& position) {
        if (!read_flow_scalar(entry, position)) {
            return false;
        }
        nodes.entries.push_back(entry);
        return true;
    });
    const bool finished = understood && finish_flow(field, at);
    nodes.field = field;
    return finished;
}

bool Reader::read_flow_body(YamlMapping& mapping) {
    flow_indent_ = mapping.indent;
    std::size_t at = mapping.value.begin;
    const auto read_nodes = [&](YamlField& field, std::size_t& position) {
        auto& nodes = *mapping.nodes;
        if (nodes.field.line != 0 || this->at(position) != '{') {
            return false;
        }
        nodes.is_flow = true;
        const bool understood = read_flow_map(position, [&](YamlField& entry, std::size_t& inner) {
            if (!read_flow_scalar(entry, inner)) {
                return false;
            }
            nodes.entries.push_back(entry);
            return true;
        });
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
bool Reader::skip_unknown(YamlField& field) {
    return kind_at(field.value.begin) == ValueKind::scalar ? read_block_scalar(field)
                                                           : take_odd_value(field, false);
}

void Reader::note_unknown(const YamlField& field, std::string_view mapping) {
    file_.unknown.push_back({std::string{field.key}, std::string{mapping}, field.line});
}

bool Reader::read_block_scalar(YamlField& field) {
    return scan_scalar(field, false) && is_rest_empty(field.value.end) && end_line(field);
}

bool Reader::end_line(YamlField& field) {
    field.lines = {lines_.line().begin, lines_.line().next};
    return lines_.advance();
}

// A value over several lines, or of a kind that is rare here: yaml-cpp reads the key's lines on
// their own. Every line of a value is indented deeper than its key, so they are all of it; what
// needs its surroundings (an alias, the end of a quoted scalar) fails there.
bool Reader::take_odd_value(YamlField& field, bool needs_scalar) {
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

bool Reader::scan_key(std::size_t at, std::size_t limit, YamlField& field) {
    field.line = lines_.line().number;
    field.entry.begin = at;
    std::size_t end = at;
    if (this->at(at) == '"' || this->at(at) == '\'') {
        const auto quoted = scan_quoted(text_, at, limit);
        if (!quoted || quoted->decoded ||
            std::any_of(quoted->raw.begin(), quoted->raw.end(), is_control)) {
            return false;
        }
        field.key = quoted->raw;
        end = quoted->end;
    } else {
        if (!is_plain_key_start(this->at(at))) {
            return false;
        }
        while (end < limit && is_plain_key_char(text_[end])) {
            ++end;
        }
        field.key = text_.substr(at, end - at);
        if (is_null_word(field.key)) {
            return false;
        }
    }
    if (end >= limit || text_[end] != ':' || (end + 1 < limit && text_[end + 1] != ' ')) {
        return false;
    }
    ++end;
    const std::size_t colon_end = end;
    while (end < limit && text_[end] == ' ') {
        ++end;
    }
    // Without a value on this line: right behind the colon, so that one can be put there.
    field.value.begin = end == limit || text_[end] == '#' ? colon_end : end;
    return true;
}

ValueKind Reader::kind_at(std::size_t at) const {
    if (is_rest_empty(at)) {
        return ValueKind::none;
    }
    const char first = text_[at];
    if (first == '"' || first == '\'' || may_begin_plain(first)) {
        return ValueKind::scalar;
    }
    return first == '{' ? ValueKind::flow : ValueKind::other;
}

// Nothing but blanks, or blanks and a comment, up to the end of the line.
bool Reader::is_rest_empty(std::size_t at) const {
    const std::size_t begin = at;
    const std::size_t end = lines_.line().end;
    while (at < end && text_[at] == ' ') {
        ++at;
    }
    return at >= end || (text_[at] == '#' && at > begin);
}

bool Reader::scan_scalar(YamlField& field, bool in_flow) {
    const std::size_t begin = field.value.begin;
    if (at(begin) != '"' && at(begin) != '\'') {
        return scan_plain(field, in_flow);
    }
    auto quoted = scan_quoted(text_, begin, lines_.line().end);
    if (!quoted || std::any_of(quoted->raw.begin(), quoted->raw.end(), is_control)) {
        return false;
    }
    field.text = quoted->raw;
    if (quoted->decoded) {
        field.text = decoded_.emplace_back(std::move(*quoted->decoded));
    }
    field.value.end = field.entry.end = quoted->end;
    return true;
}

bool Reader::scan_plain(YamlField& field, bool in_flow) {
    const std::size_t begin = field.value.begin;
    const std::size_t limit = lines_.line().end;
    if (begin >= limit || !may_begin_plain(text_[begin])) {
        return false;
    }
    std::size_t end = begin;
    for (; end < limit; ++end) {
        const char c = text_[end];
        if (is_control(c) || (c == ':' && (end + 1 >= limit || text_[end + 1] == ' ' ||
                                           (in_flow && is_flow_indicator(text_[end + 1]))))) {
            return false;
        }
        if ((c == '#' && text_[end - 1] == ' ') || (in_flow && is_flow_indicator(c))) {
            break;
        }
        if (in_flow && !is_plain_in_flow(c)) {
            return false;
        }
    }
    while (text_[end - 1] == ' ') {
        --end;
    }
    field.value.end = field.entry.end = end;
    field.text = field.value.in(text_);
    return !is_null_word(field.text);
}

// Blanks, line ends and comments between the parts of a flow mapping.
bool Reader::skip_flow_space(std::size_t& at) {
    for (;;) {
        while (at < lines_.line().end && text_[at] == ' ') {
            ++at;
        }
        if (at < lines_.line().end && text_[at] != '#') {
            return true;
        }
        if (at < lines_.line().end && text_[at - 1] != ' ') {
            return false;
        }
        if (!lines_.advance() || lines_.at_end() || lines_.line().indent <= flow_indent_) {
            return false;
        }
        at = lines_.line().begin + lines_.line().indent;
    }
}

// text_[at] is '{'; behind the '}' at the end. `entry` reads one value, whose key has been read.
bool Reader::read_flow_map(std::size_t& at,
                           const std::function<bool(YamlField&, std::size_t&)>& entry) {
    std::unordered_set<std::string_view> keys;
    for (++at;;) {
        if (!skip_flow_space(at)) {
            return false;
        }
        if (text_[at] == '}') {
            ++at;
            return true;
        }
        YamlField field;
        if (!scan_key(at, lines_.line().end, field) || !keys.insert(field.key).second) {
            return false;
        }
        at = field.value.begin;
        // A value on the line below its key is legal and unheard of.
        if (at >= lines_.line().end || text_[at] == ' ' || !entry(field, at) ||
            !skip_flow_space(at)) {
            return false;
        }
        if (text_[at] == ',') {
            ++at;
        } else if (text_[at] != '}') {
            return false;
        }
    }
}

bool Reader::read_flow_scalar(YamlField& field, std::size_t& at) {
    field.value.begin = at;
    const bool understood = scan_scalar(field, true);
    at = field.value.end;
    return understood;
}

bool Reader::skip_flow_value(YamlField& field, std::size_t& at, std::size_t depth) {
    const char first = this->at(at);
    if (depth > max_flow_depth) {
        return false;
    }
    bool understood = false;
    if (first == '{') {
        understood = read_flow_map(at, [&](YamlField& inner, std::size_t& position) {
            return skip_flow_value(inner, position, depth + 1);
        });
    } else {
        understood = read_flow_scalar(field, at);
    }
    field.value.end = field.entry.end = at;
    return understood;
}

bool Reader::finish_flow(YamlField& field, std::size_t end) {
    field.value.end = field.entry.end = end;
    field.lines.end = lines_.line().next;
    return is_rest_empty(end) && lines_.advance();
}

} // namespace

YamlReading read_yaml_quickly(std::string_view text,
                              const std::function<bool(const YamlMapping&)>& visit) {
    return Reader{text, visit}.read();
}

} // namespace vfskit::store
