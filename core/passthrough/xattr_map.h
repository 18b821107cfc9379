// SPDX-License-Identifier: Apache-2.0
// --xattrmap: which extended attribute of a guest file is which attribute of the host file.
#pragma once

#include "core/base/result.h"
#include "core/option_grammar/xattr_rules.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::passthrough {

/// A NUL-terminated attribute name without the heap: the kernel takes at most 255 bytes
/// (XATTR_NAME_MAX).
class XattrName {
public:
    static constexpr std::size_t max_size = 255;

    [[nodiscard]] const char* c_str() const { return bytes_.data(); }
    [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
    /// Makes this `prefix` + `name`; false (and unspecified content) when that is too long.
    [[nodiscard]] bool assign(std::string_view prefix, std::string_view name);

private:
    std::array<char, max_size + 1> bytes_{};
    std::size_t size_ = 0;
};

/// An ordered list of rules; the first that matches decides. Names are bytes: nothing here knows an
/// encoding. Immutable once parsed, so any thread may use it.
class XattrMap {
public:
    /// As option_grammar::parse_xattr_map() says, with words in any letter case.
    static Result<XattrMap> parse(std::string_view text);

    /// The host's name for what the guest asked for: 0 and `host_name` set; EPERM (rule "bad"),
    /// ENOTSUP (rule "unsupported") or ERANGE (longer than a name can be).
    [[nodiscard]] int to_host(std::string_view guest_name, XattrName& host_name) const;

    /// The guest's name for a name that listxattr(2) gave, a part of `host_name`; empty when the
    /// guest must not see it.
    [[nodiscard]] std::string_view to_guest(std::string_view host_name) const;

private:
    struct Rule {
        option_grammar::XattrRuleType type = option_grammar::XattrRuleType::ok;
        bool is_for_client = true;
        bool is_for_server = true;
        std::string key;
        std::string prepend;
    };

    std::vector<Rule> rules_;
};

} // namespace vfskit::passthrough
