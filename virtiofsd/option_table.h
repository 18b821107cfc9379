// SPDX-License-Identifier: Apache-2.0
// Every long option, and the C daemon's -o words, with what each does. Internal to the option
// parser.
#pragma once

#include "core/base/result.h"
#include "virtiofsd/options.h"

#include <functional>
#include <string_view>
#include <vector>

namespace vfskit::virtiofsd {

using Setter = std::function<Result<void>(Options&, std::string_view)>;

enum class ValueRule {
    none,            ///< a flag; "--x=y" is an error
    required,        ///< "--x y" or "--x=y"
    required_equals, ///< only "--x=y"
    optional_equals, ///< "--x" or "--x=y"
};

struct OptionRow {
    std::string_view name;
    ValueRule rule;
    std::string_view value_name;
    std::string_view help;
    Setter set;
};

/// In the order of --help.
const std::vector<OptionRow>& option_table();
/// The row of "--name", or nullptr.
const OptionRow* find_option(std::string_view name);

/// A setter for a member that is on or off.
Setter set_flag(bool Options::*member, bool value = true);

/// --xattrmap and the list's "xattrmap=".
Result<void> set_xattr_map(Options& options, std::string_view value);

/// One word of an -o list ("cache=none", "no_xattr"). EINVAL names it. Like upstream, a value that
/// holds a second '=' does not match.
Result<void> apply_legacy_word(Options& options, std::string_view argument);

} // namespace vfskit::virtiofsd
