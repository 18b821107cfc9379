// SPDX-License-Identifier: Apache-2.0
// What a --modcaps list asks of Linux's capabilities.
#pragma once

#include "core/base/result.h"
#include "core/option_grammar/capability_changes.h"

#include <span>
#include <string_view>
#include <vector>

namespace vfskit::share {

using option_grammar::CapabilityChange;

/// Reads "+NAME:-NAME…". EINVAL for what the grammar refuses, a name that Linux does not have (with
/// "did you mean"), or the prefix "cap_", which virtiofsd does not take.
Result<std::vector<CapabilityChange>> parse_capability_changes(std::string_view list);

/// What the last mention of `name` says; false where it is not mentioned.
bool adds_capability(std::span<const CapabilityChange> changes, std::string_view name);
bool removes_capability(std::span<const CapabilityChange> changes, std::string_view name);

} // namespace vfskit::share
