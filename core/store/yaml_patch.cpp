// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_patch.h"

#include "core/base/text.h"
#include "core/store/yaml_lines.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vfskit::store {

namespace {

using mapping::DirectoryMapping;
using mapping::NodePath;

constexpr std::size_t default_step = 2;

// One of the optional keys, in the order in which new ones are written.
struct OptionalKey {
    std::string_view key;
    const std::optional<YamlField>& found;
    std::optional<std::string_view> wanted;
};

std::array<std::pair<std::string_view, std::optional<std::string_view>>, 3>
optional_values(const DirectoryMapping& mapping) {
    std::array<std::pair<std::string_view, std::optional<std::string_view>>, 3> values{
        {{"description", std::nullopt},
         {"live-migration-method", std::nullopt},
         {"path-relation", std::nullopt}}};
    if (mapping.description) {
        values[0].second = *mapping.description;
    }
    if (mapping.live_migration_method) {
        values[1].second = mapping::to_string(*mapping.live_migration_method);
    }
    if (mapping.path_relation) {
        values[2].second = mapping::to_string(*mapping.path_relation);
    }
    return values;
}

std::array<OptionalKey, 3> optional_keys(const YamlMapping& found, const DirectoryMapping& wanted) {
    const auto values = optional_values(wanted);
    return {{{values[0].first, found.description, values[0].second},
             {values[1].first, found.live_migration_method, values[1].second},
             {values[2].first, found.path_relation, values[2].second}}};
}

// An entry of a flow mapping and whether it stays.
struct FlowEntry {
    Span span;
    bool stays = true;
};

std::string flow_entry(std::string_view key, std::string_view value) {
    return encode_scalar(key, QuoteStyle::plain, true) + ": " +
           encode_scalar(value, QuoteStyle::plain, true);
}

std::string join(const std::vector<std::string>& parts) {
    std::string result;
    for (const auto& part : parts) {
        result += (result.empty() ? "" : ", ") + part;
    }
    return result;
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_comment(std::string_view line) {
    const auto first = line.find_first_not_of(' ');
    return first != std::string_view::npos && line[first] == '#';
}

// The line that ends right before `position`; empty (no bytes) at the beginning.
Span line_before(std::string_view text, std::size_t position) {
    if (position == 0) {
        return {0, 0};
    }
    const auto feed = position >= 2 ? text.rfind('\n', position - 2) : std::string_view::npos;
    return {feed == std::string_view::npos ? 0 : feed + 1, position};
}

Span line_after(std::string_view text, std::size_t position) {
    const auto feed = text.find('\n', position);
    return {position, feed == std::string_view::npos ? text.size() : feed + 1};
}

bool has_blank_line_above(std::string_view text, std::size_t position) {
    Span above = line_before(text, position);
    while (above.end > above.begin) {
        if (!is_comment(above.in(text))) {
            return is_blank(above.in(text));
        }
        above = line_before(text, above.begin);
    }
    return false;
}

} // namespace

YamlPatcher::YamlPatcher(std::string_view text) : text_{text} {
    const auto feed = text.find('\n');
    if (feed != std::string_view::npos && feed > 0 && text[feed - 1] == '\r') {
        manner_.eol = "\r\n";
    }
}

void YamlPatcher::learn(const YamlMapping& found) {
    if (!found.is_flow && manner_.body_step == default_step) {
        manner_.body_step = found.body_indent - found.indent;
    }
    if (!found.is_flow && !found.nodes->is_flow && manner_.nodes_step == default_step) {
        manner_.nodes_step = found.nodes->indent - found.body_indent;
    }
    last_ = found.lines;
    mapping_indent_ = found.indent;
    manner_.has_blank_lines_between =
        learned_ > 0 && has_blank_line_above(text_, found.lines.begin);
    ++learned_;
}

void YamlPatcher::change(const YamlMapping& found, const DirectoryMapping& wanted) {
    if (found.is_flow) {
        change_flow(found, wanted);
    } else {
        change_block(found, wanted);
    }
}

void YamlPatcher::change_block(const YamlMapping& found, const DirectoryMapping& wanted) {
    std::size_t at = found.body;
    for (const auto& key : optional_keys(found, wanted)) {
        if (key.found && key.wanted) {
            set_value(*key.found, *key.wanted, false);
        } else if (key.found) {
            patches_.push_back({key.found->lines, {}});
        } else if (key.wanted) {
            insert_lines(at, make_line(found.body_indent, key.key, *key.wanted));
        }
        at = key.found ? key.found->lines.end : at;
    }
    change_nodes(*found.nodes, wanted);
}

void YamlPatcher::change_nodes(const YamlNodes& nodes, const DirectoryMapping& wanted) {
    if (nodes.is_flow) {
        change_flow_nodes(nodes, wanted);
    } else {
        change_block_nodes(nodes, wanted);
    }
}

namespace {

std::vector<const NodePath*> find_added(const YamlNodes& nodes, const DirectoryMapping& wanted) {
    std::vector<const NodePath*> added;
    for (const auto& path : wanted.paths) {
        const bool is_there =
            std::any_of(nodes.entries.begin(), nodes.entries.end(), [&](const YamlField& entry) {
                return entry.key == path.node;
            });
        if (!is_there) {
            added.push_back(&path);
        }
    }
    return added;
}

} // namespace

void YamlPatcher::change_block_nodes(const YamlNodes& nodes, const DirectoryMapping& wanted) {
    for (const auto& entry : nodes.entries) {
        if (const auto path = mapping::find_path(wanted, entry.key)) {
            set_value(entry, *path, false);
        } else {
            patches_.push_back({entry.lines, {}});
        }
    }
    for (const auto* added : find_added(nodes, wanted)) {
        insert_lines(nodes.entries.back().lines.end,
                     make_line(nodes.indent, added->node, added->path));
    }
}

namespace {

// Where the entries that go and their commas are, and where and how new ones come in.
struct FlowChange {
    std::vector<Span> removed;
    std::size_t insert_at = 0;
    std::string inserted;
};

FlowChange
rearrange_flow(Span braces, std::vector<FlowEntry> entries, const std::vector<std::string>& added) {
    std::sort(entries.begin(), entries.end(), [](const FlowEntry& a, const FlowEntry& b) {
        return a.span.begin < b.span.begin;
    });
    FlowChange change;
    const auto last_staying = std::find_if(
        entries.rbegin(), entries.rend(), [](const FlowEntry& entry) { return entry.stays; });
    const auto staying_end = static_cast<std::size_t>(entries.rend() - last_staying);
    for (std::size_t i = 0; i < staying_end; ++i) {
        if (!entries[i].stays) {
            change.removed.push_back({entries[i].span.begin, entries[i + 1].span.begin});
        }
    }
    const bool none_stays = staying_end == 0;
    if (staying_end < entries.size()) {
        const std::size_t begin =
            none_stays ? entries.front().span.begin : entries[staying_end - 1].span.end;
        change.removed.push_back({begin, entries.back().span.end});
    }
    if (none_stays) {
        change.insert_at = entries.empty() ? braces.begin + 1 : entries.front().span.begin;
        change.inserted = join(added);
    } else {
        change.insert_at = entries[staying_end - 1].span.end;
        change.inserted = added.empty() ? std::string{} : ", " + join(added);
    }
    return change;
}

} // namespace

void YamlPatcher::change_flow_nodes(const YamlNodes& nodes, const DirectoryMapping& wanted) {
    std::vector<FlowEntry> entries;
    for (const auto& entry : nodes.entries) {
        const auto path = mapping::find_path(wanted, entry.key);
        entries.push_back({entry.entry, path.has_value()});
        if (path) {
            set_value(entry, *path, true);
        }
    }
    std::vector<std::string> added;
    for (const auto* path : find_added(nodes, wanted)) {
        added.push_back(flow_entry(path->node, path->path));
    }
    const auto change = rearrange_flow(nodes.field.value, std::move(entries), added);
    for (const auto& removed : change.removed) {
        patches_.push_back({removed, {}});
    }
    patches_.push_back({{change.insert_at, change.insert_at}, change.inserted});
}

void YamlPatcher::change_flow(const YamlMapping& found, const DirectoryMapping& wanted) {
    std::vector<FlowEntry> entries{{found.nodes->field.entry, true}};
    for (const auto& field : found.unknown) {
        entries.push_back({field.entry, true});
    }
    std::vector<std::string> added;
    for (const auto& key : optional_keys(found, wanted)) {
        if (key.found) {
            entries.push_back({key.found->entry, key.wanted.has_value()});
        }
        if (key.found && key.wanted) {
            set_value(*key.found, *key.wanted, true);
        } else if (key.wanted) {
            added.push_back(flow_entry(key.key, *key.wanted));
        }
    }
    change_flow_nodes(*found.nodes, wanted);
    const auto change = rearrange_flow(found.value, std::move(entries), added);
    for (const auto& removed : change.removed) {
        patches_.push_back({removed, {}});
    }
    patches_.push_back({{change.insert_at, change.insert_at}, change.inserted});
}

void YamlPatcher::set_value(const YamlField& field, std::string_view value, bool in_flow) {
    if (field.text == value) {
        return;
    }
    const char first = field.value.begin < text_.size() ? text_[field.value.begin] : '\n';
    const auto style = first == '\''  ? QuoteStyle::single_quotes
                       : first == '"' ? QuoteStyle::double_quotes
                                      : QuoteStyle::plain;
    // A value that began on a later line than its key moves up behind the colon.
    const bool touches_colon = text_[field.value.begin - 1] == ':';
    patches_.push_back(
        {field.value, (touches_colon ? " " : "") + encode_scalar(value, style, in_flow)});
}

void YamlPatcher::remove(const YamlMapping& found) {
    Span removed{found.lines.begin, skip_inner_comments(text_, found.lines.end, found.indent)};
    const Span after = line_after(text_, removed.end);
    const Span before = line_before(text_, removed.begin);
    const bool blank_above = before.end > before.begin && is_blank(before.in(text_));
    const bool is_first = learned_ == 1 && !is_comment(before.in(text_));
    if (after.end > after.begin && is_blank(after.in(text_)) && (blank_above || is_first)) {
        removed.end = after.end;
    } else if (removed.end == text_.size() && blank_above) {
        removed.begin = before.begin;
    }
    patches_.push_back({removed, {}});
}

namespace {

// About as many as their blocks take, so that a large file grows once.
std::size_t expected_bytes(const std::vector<const DirectoryMapping*>& mappings) {
    constexpr std::size_t around_an_entry = 12;
    constexpr std::size_t around_a_mapping = 100;
    std::size_t bytes = 0;
    for (const auto* mapping : mappings) {
        bytes += mapping->id.size() + around_a_mapping;
        bytes += mapping->description ? mapping->description->size() : 0;
        for (const auto& entry : mapping->paths) {
            bytes += entry.node.size() + entry.path.size() + around_an_entry;
        }
    }
    return bytes;
}

} // namespace

void YamlPatcher::append(const YamlFile& file, const std::vector<const DirectoryMapping*>& added) {
    if (added.empty()) {
        return;
    }
    std::size_t at = text_.size();
    std::size_t indent = file.root_indent + default_step;
    const std::string root(file.root_indent, ' ');
    std::string lines;
    if (!file.mappings) {
        lines += file.has_version ? "" : root + "version: 1" + std::string{manner_.eol};
        lines += root + "mappings:" + std::string{manner_.eol};
    } else if (file.mapping_count > 0) {
        indent = mapping_indent_;
        at = skip_inner_comments(text_, last_.end, indent);
    } else {
        at = file.mappings->lines.end;
        Span braces = file.mappings->value;
        if (braces.end > braces.begin) {
            braces.begin -= text_[braces.begin - 1] == ' ' ? 1U : 0U;
            patches_.push_back({braces, {}});
        }
    }
    lines.reserve(lines.size() + expected_bytes(added));
    for (const auto* mapping : added) {
        lines += manner_.has_blank_lines_between ? manner_.eol : "";
        append_block(lines, *mapping, indent);
    }
    insert_lines(at, std::move(lines));
}

void YamlPatcher::insert_lines(std::size_t at, std::string lines) {
    patches_.push_back({{at, at}, std::move(lines), true});
}

void YamlPatcher::append_block(std::string& lines,
                               const DirectoryMapping& mapping,
                               std::size_t indent) const {
    const std::size_t body = indent + manner_.body_step;
    lines.append(indent, ' ') += encode_scalar(mapping.id, QuoteStyle::plain, false);
    lines.append(":") += manner_.eol;
    for (const auto& [key, value] : optional_values(mapping)) {
        if (value) {
            append_line(lines, body, key, *value);
        }
    }
    lines.append(body, ' ').append("nodes:") += manner_.eol;
    for (const auto& entry : mapping.paths) {
        append_line(lines, body + manner_.nodes_step, entry.node, entry.path);
    }
}

void YamlPatcher::append_line(std::string& lines,
                              std::size_t indent,
                              std::string_view key,
                              std::string_view value) const {
    lines.append(indent, ' ') += encode_scalar(key, QuoteStyle::plain, false);
    lines.append(": ") += encode_scalar(value, QuoteStyle::plain, false);
    lines += manner_.eol;
}

std::string
YamlPatcher::make_line(std::size_t indent, std::string_view key, std::string_view value) const {
    std::string line;
    append_line(line, indent, key, value);
    return line;
}

std::string YamlPatcher::apply() {
    // Insertions first where a removal begins at the same byte.
    std::stable_sort(patches_.begin(), patches_.end(), [](const Patch& a, const Patch& b) {
        const bool a_inserts = a.replaced.end == a.replaced.begin;
        const bool b_inserts = b.replaced.end == b.replaced.begin;
        return std::pair{a.replaced.begin, !a_inserts} < std::pair{b.replaced.begin, !b_inserts};
    });
    std::string result;
    std::size_t inserted = 0;
    for (const auto& patch : patches_) {
        inserted += patch.text.size() + manner_.eol.size();
    }
    result.reserve(text_.size() + inserted);
    std::size_t done = 0;
    for (const auto& patch : patches_) {
        // Removals may overlap in the blank line between two mappings.
        const std::size_t begin = std::max(patch.replaced.begin, done);
        result += text_.substr(done, begin - done);
        const bool at_line_begin =
            result.empty() || result.back() == '\n' || result == base::byte_order_mark;
        if (patch.is_lines && !at_line_begin) {
            result += manner_.eol;
        }
        result += patch.text;
        done = std::max(patch.replaced.end, begin);
    }
    result += text_.substr(done);
    if (!text_.empty() && text_.back() != '\n' && result.ends_with(manner_.eol)) {
        result.resize(result.size() - manner_.eol.size());
    }
    return result;
}

} // namespace vfskit::store
