// SPDX-License-Identifier: Apache-2.0
// What could stand at the end of a command line. The shells' scripts only ask for it and show it.
#pragma once

#include "vfsctl/cli/option_set.h"
#include "vfsctl/cli/verb.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vfskit::vfsctl {

struct Candidate {
    std::string word;
    std::string description; ///< may be empty
    bool operator==(const Candidate&) const = default;
};

/// What may follow: known words, or a kind of value that needs the store or the file system.
struct Completion {
    std::vector<Candidate> candidates;     ///< begin with what was typed
    Completes wanted = Completes::nothing; ///< besides these; never `words`
    std::string typed;                     ///< the part of the last word that the value has so far
    std::string kept;                      ///< what stands before it in the word, "--store="
};

/// `words` excludes argv[0]; the last one, perhaps empty, is being typed.
Completion complete(const VerbTable& table, std::span<const std::string> words);

/// The value of an option among `words`, as "--store X" or "--store=X".
std::optional<std::string> find_option_value(std::span<const std::string> words,
                                             std::string_view name);

} // namespace vfskit::vfsctl
