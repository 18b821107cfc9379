// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/xattr_map.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <optional>

namespace vfskit::passthrough {

bool XattrName::assign(std::string_view prefix, std::string_view name) {
    if (prefix.size() + name.size() > max_size) {
        return false;
    }
    auto* end = std::copy(prefix.begin(), prefix.end(), bytes_.begin());
    end = std::copy(name.begin(), name.end(), end);
    *end = '\0';
    size_ = prefix.size() + name.size();
    return true;
}

namespace {

constexpr std::string_view map_remedy =
    "Write each rule as :TYPE:SCOPE:KEY:PREPEND: or :map:KEY:PREPEND:, and end the map with a rule "
    "that matches every name, for example \":ok:all:::\" or \":bad:all:::\"";

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string lower(std::string_view text) {
    std::string result{text};
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return result;
}

} // namespace

/// Walks the text once; knows where it is for the error.
class XattrMapParser {
public:
    explicit XattrMapParser(std::string_view text) : text_{text} {}

    Result<XattrMap> run() {
        for (skip_space(); at_ < text_.size(); skip_space()) {
            VFSKIT_TRY(read_rule());
        }
        VFSKIT_TRY(check_complete());
        return std::move(map_);
    }

private:
    using Rule = XattrMap::Rule;
    using Type = XattrMap::Type;
    using Scope = XattrMap::Scope;

    [[nodiscard]] Error bad(std::string_view what) const {
        return Error{EINVAL,
                     fmt::format("Xattr map: rule {} (byte {}): {}", rule_, start_ + 1, what)}
            .with_remedy(std::string{map_remedy});
    }

    void skip_space() {
        while (at_ < text_.size() && is_space(text_[at_])) {
            ++at_;
        }
    }

    Result<std::string_view> read_field(std::string_view what) {
        const auto end = text_.find(delimiter_, at_);
        if (end == std::string_view::npos) {
            return bad(fmt::format("the {} is not ended by '{}'", what, delimiter_));
        }
        const auto field = text_.substr(at_, end - at_);
        at_ = end + 1;
        return field;
    }

    Result<void> read_rule() {
        ++rule_;
        start_ = at_;
        delimiter_ = text_[at_++];
        if (has_short_form_) {
            return bad("nothing may follow a 'map' rule");
        }
        VFSKIT_TRY_ASSIGN(const auto type, read_field("type"));
        if (lower(type) == "map") {
            return read_short_form();
        }
        VFSKIT_TRY_ASSIGN(const auto known_type, find_type(type));
        VFSKIT_TRY_ASSIGN(const auto scope, read_field("scope"));
        VFSKIT_TRY_ASSIGN(const auto known_scope, find_scope(scope));
        VFSKIT_TRY_ASSIGN(const auto key, read_field("key"));
        VFSKIT_TRY_ASSIGN(const auto prepend, read_field("prepend"));
        map_.rules_.push_back({known_type, known_scope, std::string{key}, std::string{prepend}});
        return {};
    }

    // The expansion is upstream's: with a key, host names that already carry the prefix, and guest
    // names that would collide with them, are hidden; all else passes. Without, nothing else
    // passes.
    Result<void> read_short_form() {
        VFSKIT_TRY_ASSIGN(const auto key_view, read_field("key"));
        VFSKIT_TRY_ASSIGN(const auto prepend_view, read_field("prepend"));
        const std::string key{key_view};
        const std::string prepend{prepend_view};
        map_.rules_.push_back({Type::prefix, Scope::all, key, prepend});
        if (key.empty()) {
            map_.rules_.push_back({Type::bad, Scope::all, "", ""});
        } else {
            map_.rules_.push_back({Type::bad, Scope::all, prepend, key});
            map_.rules_.push_back({Type::ok, Scope::all, "", ""});
        }
        has_short_form_ = true;
        return {};
    }

    [[nodiscard]] Result<Type> find_type(std::string_view word) const {
        const auto name = lower(word);
        if (name == "prefix") {
            return Type::prefix;
        }
        if (name == "ok") {
            return Type::ok;
        }
        if (name == "bad") {
            return Type::bad;
        }
        if (name == "unsupported") {
            return Type::unsupported;
        }
        return bad(fmt::format("unknown type '{}'", word));
    }

    [[nodiscard]] Result<Scope> find_scope(std::string_view word) const {
        const auto name = lower(word);
        if (name == "client") {
            return Scope::client;
        }
        if (name == "server") {
            return Scope::server;
        }
        if (name == "all") {
            return Scope::all;
        }
        return bad(fmt::format("unknown scope '{}'", word));
    }

    [[nodiscard]] Result<void> check_complete() const {
        const auto& rules = map_.rules_;
        if (rules.empty()) {
            return Error{EINVAL, "Xattr map: it has no rule"}.with_remedy(std::string{map_remedy});
        }
        const bool client = std::any_of(rules.begin(), rules.end(), [](const Rule& rule) {
            return XattrMap::applies_to_client(rule) && rule.key.empty();
        });
        const bool server = std::any_of(rules.begin(), rules.end(), [](const Rule& rule) {
            return XattrMap::applies_to_server(rule) && rule.prepend.empty();
        });
        if (!client || !server) {
            return Error{EINVAL,
                         fmt::format("Xattr map: no last rule catches every name {}",
                                     !client ? "from the client" : "from the server")}
                .with_remedy(std::string{map_remedy});
        }
        return {};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;
    std::size_t rule_ = 0;
    char delimiter_ = ':';
    bool has_short_form_ = false;
    XattrMap map_;
};

Result<XattrMap> XattrMap::parse(std::string_view text) {
    return XattrMapParser{text}.run();
}

bool XattrMap::applies_to_client(const Rule& rule) {
    return rule.scope != Scope::server;
}

bool XattrMap::applies_to_server(const Rule& rule) {
    return rule.scope != Scope::client;
}

int XattrMap::to_host(std::string_view guest_name, XattrName& host_name) const {
    for (const auto& rule : rules_) {
        if (!applies_to_client(rule) || !guest_name.starts_with(rule.key)) {
            continue;
        }
        switch (rule.type) {
        case Type::prefix:
            return host_name.assign(rule.prepend, guest_name) ? 0 : ERANGE;
        case Type::ok:
            return host_name.assign("", guest_name) ? 0 : ERANGE;
        case Type::bad:
            return EPERM;
        case Type::unsupported:
            return ENOTSUP;
        }
    }
    return EPERM; // not reached: parse() saw a rule for every name
}

std::string_view XattrMap::to_guest(std::string_view host_name) const {
    for (const auto& rule : rules_) {
        if (!applies_to_server(rule) || !host_name.starts_with(rule.prepend)) {
            continue;
        }
        switch (rule.type) {
        case Type::prefix:
            return host_name.substr(rule.prepend.size());
        case Type::ok:
            return host_name;
        case Type::bad:
        case Type::unsupported:
            return {};
        }
    }
    return {};
}

} // namespace vfskit::passthrough
