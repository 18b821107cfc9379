// SPDX-License-Identifier: Apache-2.0
// A mapping file's text and what it says. Internal to the room store.
#pragma once

#include "core/store/store.h"
#include "core/store/yaml_full.h"
#include "core/store/yaml_reader.h"

#include <optional>
#include <string>
#include <string_view>

namespace vfskit::store {

/// Reads the file's text: quickly where it is written in the forms the quick reader knows, else by
/// yaml-cpp. EBADMSG with file, line, key and remedy.
Result<YamlContent> read_yaml(std::string_view text, const std::string& file);

/// The value of what stands in the file; nothing when it breaks a rule of Rules::pve.
std::optional<mapping::DirectoryMapping> make_mapping(const YamlMapping& found);

} // namespace vfskit::store
