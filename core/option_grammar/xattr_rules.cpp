// SPDX-License-Identifier: Apache-2.0
#include "core/option_grammar/xattr_rules.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace vfskit::option_grammar {
namespace {

// Position i of the words is enumerator i; "map" comes after the types.
constexpr std::array<std::string_view, 5> type_words{"prefix", "ok", "bad", "unsupported", "map"};
constexpr std::array<std::string_view, 3> scope_words{"client", "server", "all"};
constexpr std::size_t map_word = 4;

Error bad_map(std::string message, std::string remedy) {
    return Error{EINVAL, std::move(message)}
        .at({.file = {}, .line = 0, .key = "xattrmap"})
        .with_remedy(std::move(remedy));
}

/// Reads rules front to back: white space, then one character that is the rule's delimiter, then
/// fields that each end with it.
class RuleReader {
public:
    RuleReader(std::string_view map, WordCase word_case)
        : rest_{skip_blanks(map)}, word_case_{word_case} {}

    [[nodiscard]] bool is_at_end() const { return rest_.empty(); }
    [[nodiscard]] std::size_t rule_number() const { return rule_; }

    void begin_rule() {
        ++rule_;
        delimiter_ = rest_.front();
        rest_.remove_prefix(1);
    }
    void end_rule() { rest_ = skip_blanks(rest_); }

    Result<std::string_view> read_field(std::string_view name) {
        const auto end = rest_.find(delimiter_);
        if (end == std::string_view::npos) {
            return bad_map(
                fmt::format(
                    "Rule {} of the xattr map has no \"{}\" after its {}", rule_, delimiter_, name),
                "End each field with the character that begins the rule: "
                ":TYPE:SCOPE:KEY:PREPEND:");
        }
        const auto field = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return field;
    }

    /// The position of the next field in `words`.
    Result<std::size_t> read_word(std::string_view name, std::span<const std::string_view> words) {
        VFSKIT_TRY_ASSIGN(const auto word, read_field(name));
        const auto wanted = word_case_ == WordCase::any ? base::to_lower(word) : std::string{word};
        const auto found = std::find(words.begin(), words.end(), wanted);
        if (found != words.end()) {
            return static_cast<std::size_t>(found - words.begin());
        }
        const auto near = base::nearest(wanted, words);
        return bad_map(
            fmt::format("Rule {} of the xattr map has the unknown {} \"{}\"", rule_, name, word),
            near.has_value() ? fmt::format("Did you mean \"{}\"?", *near)
                             : fmt::format("Use one of {}", fmt::join(words, ", ")));
    }

private:
    static std::string_view skip_blanks(std::string_view text) {
        const auto begin = text.find_first_not_of(" \t\n\v\f\r");
        return begin == std::string_view::npos ? std::string_view{} : text.substr(begin);
    }

    std::string_view rest_;
    WordCase word_case_;
    char delimiter_ = ':';
    std::size_t rule_ = 0;
};

// With a key, the host's names that carry the prefix already, and the guest's that would collide
// with them, are hidden and all else passes. Without, nothing else passes.
void add_short_form(std::vector<XattrRule>& rules, std::string_view key, std::string_view prepend) {
    using enum XattrRuleType;
    rules.push_back({prefix, XattrScope::all, key, prepend});
    if (key.empty()) {
        rules.push_back({bad, XattrScope::all, {}, {}});
        return;
    }
    rules.push_back({bad, XattrScope::all, prepend, key});
    rules.push_back({ok, XattrScope::all, {}, {}});
}

Result<void> read_short_form(RuleReader& reader, std::vector<XattrRule>& rules) {
    VFSKIT_TRY_ASSIGN(const auto key, reader.read_field("key"));
    VFSKIT_TRY_ASSIGN(const auto prepend, reader.read_field("prepend"));
    reader.end_rule();
    if (!reader.is_at_end()) {
        return bad_map(
            fmt::format("Rule {} of the xattr map is a \"map\" rule and must be the last",
                        reader.rule_number()),
            "Move the \"map\" rule to the end; it answers every name that is left");
    }
    add_short_form(rules, key, prepend);
    return {};
}

Result<void> read_rule(RuleReader& reader, std::vector<XattrRule>& rules) {
    reader.begin_rule();
    VFSKIT_TRY_ASSIGN(const auto type, reader.read_word("type", type_words));
    if (type == map_word) {
        return read_short_form(reader, rules);
    }
    VFSKIT_TRY_ASSIGN(const auto scope, reader.read_word("scope", scope_words));
    VFSKIT_TRY_ASSIGN(const auto key, reader.read_field("key"));
    VFSKIT_TRY_ASSIGN(const auto prepend, reader.read_field("prepend"));
    reader.end_rule();
    rules.push_back(
        {static_cast<XattrRuleType>(type), static_cast<XattrScope>(scope), key, prepend});
    return {};
}

// A rule with an empty key answers every name that the guest asks for, one with an empty prepend
// every name that the host has.
Result<void> check_every_name_has_a_rule(std::span<const XattrRule> rules) {
    const bool client = std::any_of(rules.begin(), rules.end(), [](const auto& rule) {
        return rule.answers_client() && rule.key.empty();
    });
    const bool server = std::any_of(rules.begin(), rules.end(), [](const auto& rule) {
        return rule.answers_server() && rule.prepend.empty();
    });
    if (client && server) {
        return {};
    }
    const auto* const whose = client   ? "names of the host"
                              : server ? "names of the guest"
                                       : "names";
    return bad_map(
        fmt::format("The xattr map leaves {} that no rule matches, and virtiofsd dies on the first "
                    "one",
                    whose),
        "End the map with a rule for every name: :bad:all::: or :ok:all:::");
}

} // namespace

Result<std::vector<XattrRule>> parse_xattr_map(std::string_view text, WordCase word_case) {
    RuleReader reader{text, word_case};
    if (reader.is_at_end()) {
        return bad_map("The xattr map has no rule",
                       "Write at least one rule, for example :map::user.virtiofs.:");
    }
    std::vector<XattrRule> rules;
    while (!reader.is_at_end()) {
        VFSKIT_TRY(read_rule(reader, rules));
    }
    VFSKIT_TRY(check_every_name_has_a_rule(rules));
    return rules;
}

} // namespace vfskit::option_grammar
