// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace vfskit::domain {

/// A YAML double-quoted scalar of printable UTF-8 text.
std::string yaml_quote(std::string_view text);

} // namespace vfskit::domain
