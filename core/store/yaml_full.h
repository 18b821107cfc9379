// SPDX-License-Identifier: Apache-2.0
// The mapping file as yaml-cpp reads it: all of YAML, every error with its line. Internal to the
// room store.
#pragma once

#include "core/store/store.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::store {

struct YamlContent {
    std::vector<mapping::DirectoryMapping> mappings;
    std::vector<Notice> notices;
};

/// EBADMSG with file, line, key and remedy for what YAML or the format forbids.
Result<YamlContent> read_yaml_fully(std::string_view text, const std::string& file);

struct LoneValue {
    bool is_text = false;
    std::string text;
};
/// The value of a text that is one "key: value" and nothing else; nothing when yaml-cpp does not
/// read it as that.
std::optional<LoneValue> read_lone_value(std::string_view key_and_value);

/// The remark about a key that the format does not know, which both readers make alike.
Notice unknown_key_notice(const std::string& file,
                          std::size_t line,
                          std::string_view key,
                          std::string_view mapping);

} // namespace vfskit::store
