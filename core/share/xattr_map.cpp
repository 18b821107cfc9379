// SPDX-License-Identifier: Apache-2.0
#include "core/share/xattr_map.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace vfskit::share {
namespace {

constexpr std::array<std::string_view, 5> rule_types{"prefix", "ok", "bad", "unsupported", "map"};
constexpr std::array<std::string_view, 3> scopes{"client", "server", "all"};

Error bad_map(std::string message, std::string remedy) {
    return Error{EINVAL, std::move(message)}
        .at({.file = {}, .line = 0, .key = "xattrmap"})
        .with_remedy(std::move(remedy));
}

struct XattrRule {
    std::string_view type;
    std::string_view scope; ///< "all" for a map rule, which has none
    std::string_view key;
    std::string_view prepend;
};

// Which names have a rule for sure. A rule with an empty key answers every name the guest asks for,
// one with an empty prepend every name the host has.
struct Coverage {
    bool client = false;
    bool server = false;
};

/// Reads rules front to back: white space, then one character that is the rule's delimiter, then
/// fields that each end with it.
class RuleReader {
public:
    explicit RuleReader(std::string_view map) : rest_{skip_blanks(map)} {}

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

    Result<std::string_view> read_word(std::string_view name,
                                       std::span<const std::string_view> words) {
        VFSKIT_TRY_ASSIGN(const auto word, read_field(name));
        if (std::find(words.begin(), words.end(), word) != words.end()) {
            return word;
        }
        const auto near = base::nearest(word, words);
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
    char delimiter_ = ':';
    std::size_t rule_ = 0;
};

Result<XattrRule> read_rule(RuleReader& reader) {
    XattrRule rule;
    reader.begin_rule();
    VFSKIT_TRY_ASSIGN(rule.type, reader.read_word("type", rule_types));
    rule.scope = "all";
    if (rule.type != "map") {
        VFSKIT_TRY_ASSIGN(rule.scope, reader.read_word("scope", scopes));
    }
    VFSKIT_TRY_ASSIGN(rule.key, reader.read_field("key"));
    VFSKIT_TRY_ASSIGN(rule.prepend, reader.read_field("prepend"));
    reader.end_rule();
    // "map" stands for a complete set of rules, so nothing may follow it.
    if (rule.type == "map" && !reader.is_at_end()) {
        return bad_map(
            fmt::format("Rule {} of the xattr map is a \"map\" rule and must be the last",
                        reader.rule_number()),
            "Move the \"map\" rule to the end; it answers every name that is left");
    }
    return rule;
}

Result<std::vector<XattrRule>> read_rules(std::string_view map) {
    RuleReader reader{map};
    if (reader.is_at_end()) {
        return bad_map("The xattr map has no rule",
                       "Write at least one rule, for example :map::user.virtiofs.:");
    }
    std::vector<XattrRule> rules;
    while (!reader.is_at_end()) {
        VFSKIT_TRY_ASSIGN(const auto rule, read_rule(reader));
        rules.push_back(rule);
    }
    return rules;
}

Coverage coverage_of(const std::vector<XattrRule>& rules) {
    Coverage coverage;
    for (const auto& rule : rules) {
        const bool is_map = rule.type == "map";
        coverage.client = coverage.client || is_map || (rule.scope != "server" && rule.key.empty());
        coverage.server =
            coverage.server || is_map || (rule.scope != "client" && rule.prepend.empty());
    }
    return coverage;
}

std::string_view uncovered(const Coverage& coverage) {
    if (!coverage.client && !coverage.server) {
        return "names that no rule matches";
    }
    return coverage.server ? "names of the guest that no rule matches"
                           : "names of the host that no rule matches";
}

} // namespace

Result<void> validate_xattr_map(std::string_view map) {
    // virtiofsd keeps one byte of each character, so others would silently name another attribute.
    if (!std::all_of(map.begin(), map.end(), [](char c) { return c > 0 && c < 0x7F; })) {
        return bad_map("The xattr map has a character outside ASCII",
                       "Use ASCII names; virtiofsd cuts others to one byte");
    }
    VFSKIT_TRY_ASSIGN(const auto rules, read_rules(map));
    const auto coverage = coverage_of(rules);
    if (!coverage.client || !coverage.server) {
        return bad_map(fmt::format("The xattr map leaves {}, and virtiofsd dies on the first one",
                                   uncovered(coverage)),
                       "End the map with a rule for every name: :bad:all::: or :ok:all:::");
    }
    return {};
}

bool denies_xattr(std::string_view map, std::string_view name) {
    const auto rules = read_rules(map);
    if (!rules) {
        return false;
    }
    for (const auto& rule : *rules) {
        if (rule.type == "map") {
            // A map with a key hides what would collide with the names that it makes.
            return !name.starts_with(rule.key) && name.starts_with(rule.prepend);
        }
        if (rule.scope != "server" && name.starts_with(rule.key)) {
            return rule.type == "bad" || rule.type == "unsupported";
        }
    }
    return false;
}

} // namespace vfskit::share
