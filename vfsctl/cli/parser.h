// SPDX-License-Identifier: Apache-2.0
// From the words of the command line to a verb with its options. The only place that knows CLI11.
#pragma once

#include "core/base/result.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/cli/verb.h"

#include <optional>
#include <span>
#include <string>

namespace vfskit::vfsctl {

enum class ColorMode { automatic, always, never };

/// Options that every verb takes, before or after it.
struct GlobalOptions {
    std::string store;
    std::optional<std::string> node;
    std::optional<ColorMode> color; ///< absent: automatic, and NO_COLOR decides
    bool json = false;
    bool quiet = false;
    bool wants_version = false;
};

/// Describes and binds them.
OptionSet make_global_options(GlobalOptions& target);

/// What the command line asks for.
struct CommandLine {
    enum class Wants { run, help, version };
    Wants wants = Wants::run;
    const Verb* verb = nullptr; ///< of run, and of help for one verb
    Invocation invocation;      ///< of run: its options hold their values
    std::string help_path;      ///< of help: "", "mapping" or "mapping add"
    GlobalOptions globals;
};

/// `words` excludes argv[0]. EINVAL for what is not understood, with "did you mean" where a verb,
/// option or value is near; the remedy names the help to read otherwise.
Result<CommandLine> parse_command_line(const VerbTable& table, std::span<const std::string> words);

} // namespace vfskit::vfsctl
