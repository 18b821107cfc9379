// SPDX-License-Identifier: Apache-2.0
// Changes mappings in a YAML text and leaves every other byte as it was. Internal to the room
// store.
#pragma once

#include "core/base/result.h"
#include "core/store/store.h"

#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

/// What edit_yaml() demands of the edits alone: EINVAL for a mapping that breaks Rules::pve or
/// cannot be written in UTF-8.
Result<void> check_edits(const std::vector<Edit>& edits);

/// The text with the edits applied, proven by reading it again: the mappings that no edit names
/// have the same bytes, the others say what was wanted. EINVAL as check_edits(); ENOTSUP, naming
/// the line, where the file is written in a way that cannot be edited without rewriting it. `text`
/// is a file that read_yaml() accepts.
Result<std::string>
edit_yaml(std::string_view text, const std::vector<Edit>& edits, const std::string& file);

} // namespace vfskit::store
