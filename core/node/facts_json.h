// SPDX-License-Identifier: Apache-2.0
// Parts of the document, for rooms' own use between processes. Internal to the room node.
#pragma once

#include "core/base/result.h"
#include "core/node/facts.h"

#include <string>
#include <string_view>

namespace vfskit::node {

/// One line.
std::string encode_path(const PathFacts& path);
Result<PathFacts> decode_path(std::string_view json);

} // namespace vfskit::node
