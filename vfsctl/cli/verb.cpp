// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cli/verb.h"

#include <algorithm>

namespace vfskit::vfsctl {

const Verb* VerbTable::find(std::string_view path) const {
    const auto found = std::ranges::find(verbs, path, &Verb::path);
    return found == verbs.end() ? nullptr : &*found;
}

const VerbGroup* VerbTable::find_group(std::string_view name) const {
    const auto found = std::ranges::find(groups, name, &VerbGroup::name);
    return found == groups.end() ? nullptr : &*found;
}

} // namespace vfskit::vfsctl
