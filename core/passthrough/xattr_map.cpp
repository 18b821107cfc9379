// SPDX-License-Identifier: Apache-2.0
#include "core/passthrough/xattr_map.h"

#include <algorithm>
#include <cerrno>

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

Result<XattrMap> XattrMap::parse(std::string_view text) {
    VFSKIT_TRY_ASSIGN(const auto rules,
                      option_grammar::parse_xattr_map(text, option_grammar::WordCase::any));
    XattrMap map;
    for (const auto& rule : rules) {
        map.rules_.push_back({.type = rule.type,
                              .is_for_client = rule.answers_client(),
                              .is_for_server = rule.answers_server(),
                              .key = std::string{rule.key},
                              .prepend = std::string{rule.prepend}});
    }
    return map;
}

int XattrMap::to_host(std::string_view guest_name, XattrName& host_name) const {
    for (const auto& rule : rules_) {
        if (!rule.is_for_client || !guest_name.starts_with(rule.key)) {
            continue;
        }
        switch (rule.type) {
        case option_grammar::XattrRuleType::prefix:
            return host_name.assign(rule.prepend, guest_name) ? 0 : ERANGE;
        case option_grammar::XattrRuleType::ok:
            return host_name.assign("", guest_name) ? 0 : ERANGE;
        case option_grammar::XattrRuleType::bad:
            return EPERM;
        case option_grammar::XattrRuleType::unsupported:
            return ENOTSUP;
        }
    }
    return EPERM; // not reached: parse() saw a rule for every name
}

std::string_view XattrMap::to_guest(std::string_view host_name) const {
    for (const auto& rule : rules_) {
        if (!rule.is_for_server || !host_name.starts_with(rule.prepend)) {
            continue;
        }
        switch (rule.type) {
        case option_grammar::XattrRuleType::prefix:
            return host_name.substr(rule.prepend.size());
        case option_grammar::XattrRuleType::ok:
            return host_name;
        case option_grammar::XattrRuleType::bad:
        case option_grammar::XattrRuleType::unsupported:
            return {};
        }
    }
    return {};
}

} // namespace vfskit::passthrough
