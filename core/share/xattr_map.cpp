// SPDX-License-Identifier: Apache-2.0
#include "core/share/xattr_map.h"

#include "core/option_grammar/xattr_rules.h"

#include <algorithm>
#include <cerrno>

namespace vfskit::share {

using option_grammar::WordCase;
using option_grammar::XattrRuleType;

Result<void> validate_xattr_map(std::string_view map) {
    // virtiofsd keeps one byte of each character, so others would silently name another attribute.
    if (!std::all_of(map.begin(), map.end(), [](char c) { return c > 0 && c < 0x7F; })) {
        return Error{EINVAL, "The xattr map has a character outside ASCII"}
            .at({.file = {}, .line = 0, .key = "xattrmap"})
            .with_remedy("Use ASCII names; virtiofsd cuts others to one byte");
    }
    VFSKIT_TRY(option_grammar::parse_xattr_map(map, WordCase::lower));
    return {};
}

bool denies_xattr(std::string_view map, std::string_view name) {
    const auto rules = option_grammar::parse_xattr_map(map, WordCase::lower);
    if (!rules) {
        return false;
    }
    const auto first = std::find_if(rules->begin(), rules->end(), [name](const auto& rule) {
        return rule.answers_client() && name.starts_with(rule.key);
    });
    return first != rules->end() &&
           (first->type == XattrRuleType::bad || first->type == XattrRuleType::unsupported);
}

} // namespace vfskit::share
