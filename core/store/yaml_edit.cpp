// SPDX-License-Identifier: Apache-2.0
#include "core/store/yaml_edit.h"

#include "core/base/text.h"
#include "core/store/yaml_patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace vfskit::store {

namespace {

using mapping::DirectoryMapping;

// What the edits add up to for one id: the mapping, or nullptr for its removal.
struct Wish {
    std::string_view id;
    const DirectoryMapping* mapping = nullptr;
    bool is_done = false;
};

class Wishes {
public:
    explicit Wishes(const std::vector<Edit>& edits) {
        for (const auto& edit : edits) {
            if (const auto* put = std::get_if<PutMapping>(&edit)) {
                add(put->mapping.id, &put->mapping);
            } else {
                add(std::get_if<RemoveMapping>(&edit)->id, nullptr);
            }
        }
    }

    Wish* find(std::string_view id) {
        const auto found = by_id_.find(id);
        return found == by_id_.end() ? nullptr : &in_order_[found->second];
    }
    std::vector<Wish>& in_order() { return in_order_; }

private:
    void add(std::string_view id, const DirectoryMapping* mapping) {
        const auto [found, is_new] = by_id_.emplace(id, in_order_.size());
        if (is_new) {
            in_order_.push_back({id, mapping});
        } else {
            in_order_[found->second].mapping = mapping;
        }
    }

    std::vector<Wish> in_order_;
    std::unordered_map<std::string_view, std::size_t> by_id_;
};

// A mapping that the new text must have: these bytes, or this content.
struct Expected {
    Span bytes;
    const DirectoryMapping* mapping = nullptr;
};

Result<void> check_texts(const DirectoryMapping& mapping) {
    // Rules::pve lets one line feed through at the end of a name.
    const auto has_feed = [](const std::string& name) { return name.back() == '\n'; };
    if (has_feed(mapping.id) ||
        std::any_of(mapping.paths.begin(), mapping.paths.end(), [&](const auto& entry) {
            return has_feed(entry.node);
        })) {
        return Error{EINVAL, fmt::format("Mapping '{}': a name ends in a line feed", mapping.id)}
            .at({{}, 0, has_feed(mapping.id) ? "id" : "node"})
            .with_remedy("Remove the line feed from the name");
    }
    const auto refuse = [&](std::string_view key) {
        return Error{EINVAL,
                     fmt::format("Mapping '{}' has a {} that is not valid UTF-8", mapping.id, key)}
            .at({{}, 0, std::string{key}})
            .with_remedy("YAML holds UTF-8 only: convert the text");
    };
    if (mapping.description && !base::is_valid_utf8(*mapping.description)) {
        return refuse("description");
    }
    for (const auto& entry : mapping.paths) {
        if (!base::is_valid_utf8(entry.path)) {
            return refuse("path");
        }
    }
    return {};
}

Result<void> check_mapping(const DirectoryMapping& mapping) {
    VFSKIT_TRY(mapping::validate(mapping, mapping::Rules::pve));
    return check_texts(mapping);
}

Result<void> check_wishes(const std::vector<Wish>& wishes) {
    for (const auto& wish : wishes) {
        if (wish.mapping != nullptr) {
            VFSKIT_TRY(check_mapping(*wish.mapping));
        }
    }
    return {};
}

bool is_text(const std::optional<YamlField>& found, std::optional<std::string_view> wanted) {
    return found.has_value() == wanted.has_value() && (!found || found->text == *wanted);
}

bool are_nodes(const std::vector<YamlField>& found, const std::vector<mapping::NodePath>& wanted) {
    const auto is_entry = [](const YamlField& field, const mapping::NodePath& entry) {
        return field.key == entry.node && field.text == entry.path;
    };
    if (std::equal(found.begin(), found.end(), wanted.begin(), wanted.end(), is_entry)) {
        return true;
    }
    // In another order: as many, and each there. No node stands twice in `wanted`.
    return found.size() == wanted.size() &&
           std::all_of(wanted.begin(), wanted.end(), [&](const mapping::NodePath& entry) {
               return std::any_of(found.begin(), found.end(), [&](const YamlField& field) {
                   return is_entry(field, entry);
               });
           });
}

// Whether reading `found` gives `wanted`, which is valid.
bool says(const YamlMapping& found, const DirectoryMapping& wanted) {
    const auto word = [](const auto& value) {
        return value ? std::optional{mapping::to_string(*value)} : std::nullopt;
    };
    return found.id == wanted.id && is_text(found.description, wanted.description) &&
           is_text(found.live_migration_method, word(wanted.live_migration_method)) &&
           is_text(found.path_relation, word(wanted.path_relation)) &&
           are_nodes(found.nodes->entries, wanted.paths);
}

std::string_view without_line_end(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    return text;
}

class Editor {
public:
    Editor(std::string_view text, const std::vector<Edit>& edits, const std::string& file)
        : text_{text}, file_{file}, wishes_{edits} {}

    Result<std::string> edit() {
        VFSKIT_TRY(check_wishes(wishes_.in_order()));
        YamlPatcher patcher{text_};
        const auto reading = read_yaml_quickly(text_, [&](const YamlMapping& found) {
            plan(patcher, found);
            return true;
        });
        if (!reading.file) {
            return not_editable(reading.stopped_at);
        }
        std::vector<const DirectoryMapping*> added;
        for (const auto& wish : wishes_.in_order()) {
            if (!wish.is_done && wish.mapping != nullptr) {
                added.push_back(wish.mapping);
                expected_.push_back({{}, wish.mapping});
            }
        }
        patcher.append(*reading.file, added);
        std::string result = patcher.apply();
        VFSKIT_TRY(verify(result));
        return result;
    }

private:
    void plan(YamlPatcher& patcher, const YamlMapping& found) {
        patcher.learn(found);
        auto* wish = wishes_.find(found.id);
        if (wish == nullptr) {
            expected_.push_back({found.lines, nullptr});
            return;
        }
        wish->is_done = true;
        if (wish->mapping == nullptr) {
            patcher.remove(found);
            return;
        }
        patcher.change(found, *wish->mapping);
        expected_.push_back({{}, wish->mapping});
    }

    [[nodiscard]] bool is_as_expected(const Expected& expected,
                                      const YamlMapping& found,
                                      std::string_view result) const {
        if (expected.mapping == nullptr) {
            return without_line_end(expected.bytes.in(text_)) ==
                   without_line_end(found.lines.in(result));
        }
        return says(found, *expected.mapping);
    }

    // The proof of the promise; a fault of the patcher ends here and not in the file.
    [[nodiscard]] Result<void> verify(const std::string& result) const {
        std::size_t next = 0;
        const auto reading = read_yaml_quickly(result, [&](const YamlMapping& found) {
            return next < expected_.size() && is_as_expected(expected_[next++], found, result);
        });
        if (!reading.file || next != expected_.size()) {
            return Error{ENOTSUP, "The change would not read back as it was meant"}
                .at({file_, reading.stopped_at, {}})
                .with_remedy("Nothing was written. Edit the file by hand, and report this file as "
                             "a fault of vfskit");
        }
        return {};
    }

    [[nodiscard]] Error not_editable(std::size_t line) const {
        return Error{ENOTSUP,
                     "The file can be read but not edited: here it uses YAML other than 'key: "
                     "value' lines, such as anchors, aliases or '}' at the key's own indentation"}
            .at({file_, line, {}})
            .with_remedy("Write the line in the plain form, or export all mappings and import them "
                         "into a new file");
    }

    std::string_view text_;
    const std::string& file_;
    Wishes wishes_;
    std::vector<Expected> expected_;
};

} // namespace

Result<void> check_edits(const std::vector<Edit>& edits) {
    return check_wishes(Wishes{edits}.in_order());
}

Result<std::string>
edit_yaml(std::string_view text, const std::vector<Edit>& edits, const std::string& file) {
    return Editor{text, edits, file}.edit();
}

} // namespace vfskit::store
