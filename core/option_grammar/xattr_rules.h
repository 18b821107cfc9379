// SPDX-License-Identifier: Apache-2.0
// --xattrmap: which extended attribute of a guest's file is which attribute of the host's.
#pragma once

#include "core/base/result.h"

#include <string_view>
#include <vector>

namespace vfskit::option_grammar {

/// `client` rules answer names that the guest asks for, `server` rules names that the host has.
enum class XattrScope { client, server, all };
enum class XattrRuleType {
    prefix,     ///< the host's name is `prepend` + the guest's
    ok,         ///< the same name on both sides
    bad,        ///< EPERM, or hidden in a list
    unsupported ///< ENOTSUP, or hidden in a list
};

/// The views borrow from the parsed text.
struct XattrRule {
    XattrRuleType type = XattrRuleType::ok;
    XattrScope scope = XattrScope::all;
    std::string_view key;     ///< begins the guest's names that the rule is for
    std::string_view prepend; ///< begins the host's names that the rule is for

    [[nodiscard]] bool answers_client() const { return scope != XattrScope::server; }
    [[nodiscard]] bool answers_server() const { return scope != XattrScope::client; }
    bool operator==(const XattrRule&) const = default;
};

/// Letter case of the words TYPE and SCOPE: virtiofsd (1.13.2 and 1.14.0 measured) knows them in
/// lower case only, the bundled daemon in any.
enum class WordCase { lower, any };

/// Rules in their order; the first that matches decides. Grammar: rules apart by white space or
/// nothing; a rule's first character is its delimiter D.
///     D TYPE D SCOPE D KEY D PREPEND D      TYPE: prefix ok bad unsupported; SCOPE: client server
///                                           all
///     D map D KEY D PREPEND D               short form, the last rule; comes back as what it
///                                           stands for
/// EINVAL names the rule and the remedy; the place has the key "xattrmap". Refused too is a map
/// that leaves names without a rule: virtiofsd accepts it and dies when the guest uses the first
/// such name.
Result<std::vector<XattrRule>> parse_xattr_map(std::string_view text, WordCase word_case);

} // namespace vfskit::option_grammar
