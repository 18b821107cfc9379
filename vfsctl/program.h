// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/exit_code.h"
#include "vfsctl/services.h"

#include <span>
#include <string>

namespace vfskit::vfsctl {

/// The whole program but main(): reads the words (without argv[0]), runs the verb, reports a
/// failure. Touches nothing but `environment`.
ExitCode
run_program(const VerbTable& table, std::span<const std::string> words, Environment& environment);

} // namespace vfskit::vfsctl
