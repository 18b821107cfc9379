// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"

#include <string>
#include <vector>

namespace vfskit::vfsctl {

struct CompleteWordsOptions {
    std::vector<std::string> words; ///< of the line so far, without the program; the last is typed
};

Verb complete_words_verb();
/// One candidate a line, "WORD<TAB>DESCRIPTION"; ":file", ":directory" where the shell shall offer
/// its own, ":nospace" where the word goes on.
Result<ExitCode> run_complete_words(const CompleteWordsOptions& options, Services& services);

} // namespace vfskit::vfsctl
