// SPDX-License-Identifier: Apache-2.0
#include "core/option_grammar/capability_changes.h"

#include "core/base/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace vfskit::option_grammar {
namespace {

Error bad_list(std::string message) {
    return Error{EINVAL, std::move(message)}
        .at({.file = {}, .line = 0, .key = "modcaps"})
        .with_remedy("Write \"+name\" to add a capability or \"-name\" to drop one, separated by "
                     "\":\"");
}

Result<CapabilityChange> parse_change(std::string_view element) {
    if (element.size() < 2) {
        return bad_list("The list of capabilities has an empty element");
    }
    if (element.front() != '+' && element.front() != '-') {
        return bad_list(fmt::format("Capability \"{}\" has no sign", element));
    }
    return CapabilityChange{.adds = element.front() == '+',
                            .name = base::to_lower(element.substr(1))};
}

} // namespace

Result<std::vector<CapabilityChange>> parse_capability_changes(std::string_view list) {
    std::vector<CapabilityChange> changes;
    for (const auto element : base::split(list, ':')) {
        VFSKIT_TRY_ASSIGN(auto change, parse_change(element));
        changes.push_back(std::move(change));
    }
    return changes;
}

} // namespace vfskit::option_grammar
