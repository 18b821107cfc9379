// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <string>
#include <string_view>

namespace vfskit::vfsctl {

class Output;

/// The text of --help for "", a group ("mapping") or a verb ("mapping add").
std::string render_help(const VerbTable& table, std::string_view path, const Output& output);

/// "vfsctl mapping add [OPTIONS] ID NODE:PATH..."
std::string usage_line(const Verb& verb, const OptionSet& options);

} // namespace vfskit::vfsctl
