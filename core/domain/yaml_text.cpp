// SPDX-License-Identifier: Apache-2.0
#include "core/domain/yaml_text.h"

namespace vfskit::domain {

std::string yaml_quote(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += '\\';
        }
        result += c;
    }
    return result + "\"";
}

} // namespace vfskit::domain
