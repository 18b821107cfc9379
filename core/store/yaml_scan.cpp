// SPDX-License-Identifier: Apache-2.0
// YamlReader within a line: keys, scalars and flow mappings.
#include "core/store/yaml_descent.h"
#include "core/store/yaml_text.h"

#include <algorithm>
#include <string_view>

namespace vfskit::store {

namespace {

constexpr std::size_t max_flow_depth = 16;

bool is_plain_key_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}
bool is_flow_indicator(char c) {
    return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}
constexpr ByteSet plain_key_chars{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-./+@"};
// Mean nothing to YAML within a plain scalar, block or flow.
constexpr ByteSet quiet_chars{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789 /._-+@~"};
// What yaml-cpp makes a null of, as key or as value.
bool is_null_word(std::string_view text) {
    return text == "null" || text == "Null" || text == "NULL" || text == "~";
}
// YAML 1.2, 7.3.3 ns-plain-first, without the forms that begin with an indicator.
bool may_begin_plain(char c) {
    constexpr std::string_view indicators = "-?:,[]{}#&*!|>'\"%@`";
    return !is_control(c) && c != ' ' && indicators.find(c) == std::string_view::npos;
}

} // namespace

bool YamlReader::scan_key(std::size_t at, std::size_t limit, YamlField& field) {
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
        while (end < limit && plain_key_chars.has(text_[end])) {
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

ValueKind YamlReader::kind_at(std::size_t at) const {
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
bool YamlReader::is_rest_empty(std::size_t at) const {
    const std::size_t begin = at;
    const std::size_t end = lines_.line().end;
    while (at < end && text_[at] == ' ') {
        ++at;
    }
    return at >= end || (text_[at] == '#' && at > begin);
}

bool YamlReader::scan_scalar(YamlField& field, bool in_flow) {
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

bool YamlReader::scan_plain(YamlField& field, bool in_flow) {
    const std::size_t begin = field.value.begin;
    const std::size_t limit = lines_.line().end;
    if (begin >= limit || !may_begin_plain(text_[begin])) {
        return false;
    }
    std::size_t end = begin;
    for (; end < limit; ++end) {
        const char c = text_[end];
        if (quiet_chars.has(c)) {
            continue;
        }
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
bool YamlReader::skip_flow_space(std::size_t& at) {
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
bool YamlReader::read_flow_map(std::size_t& at,
                               const std::function<bool(YamlField&, std::size_t&)>& entry,
                               bool takes_doubles) {
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
        if (!scan_key(at, lines_.line().end, field) ||
            (!keys.insert(field.key).second && !takes_doubles)) {
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

bool YamlReader::read_flow_scalar(YamlField& field, std::size_t& at) {
    field.value.begin = at;
    const bool understood = scan_scalar(field, true);
    at = field.value.end;
    return understood;
}

bool YamlReader::skip_flow_value(YamlField& field, std::size_t& at, std::size_t depth) {
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

bool YamlReader::finish_flow(YamlField& field, std::size_t end) {
    field.value.end = field.entry.end = end;
    field.lines.end = lines_.line().next;
    return is_rest_empty(end) && lines_.advance();
}

} // namespace vfskit::store
