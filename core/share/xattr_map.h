// SPDX-License-Identifier: Apache-2.0
// Whether virtiofsd takes an --xattrmap, so that a bad one is found before a daemon starts.
#pragma once

#include "core/base/result.h"

#include <string_view>

namespace vfskit::share {

/// EINVAL where virtiofsd would refuse the map, and where it would accept it and die later: a map
/// without a last rule for every name kills the daemon when the guest first uses a name that no
/// rule matches. The error's place has the key "xattrmap".
Result<void> validate_xattr_map(std::string_view map);

/// True if a valid map keeps the guest from `name` altogether (bad or unsupported answer it first).
bool denies_xattr(std::string_view map, std::string_view name);

} // namespace vfskit::share
