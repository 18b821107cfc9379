// SPDX-License-Identifier: Apache-2.0
// One verb of vfsctl: its words, its help, and how options become a run.
#pragma once

#include "core/base/result.h"
#include "vfsctl/cli/option_set.h"
#include "vfsctl/exit_code.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::vfsctl {

struct Services;

/// A call of a verb: what it takes, and what it does once the options hold their values. `run` may
/// be called once, after OptionSet::take_all().
struct Invocation {
    std::unique_ptr<OptionSet> options;
    std::function<Result<ExitCode>(Services&)> run;
};

struct Verb {
    std::string path;        ///< "mapping add"
    std::string summary;     ///< one line for lists of verbs, no full stop
    std::string description; ///< paragraphs for --help and the man page
    std::string examples;    ///< lines that can be pasted into a shell
    std::function<Invocation()> make;
    bool is_hidden = false;

    /// The first word, "mapping".
    [[nodiscard]] std::string_view group() const {
        return std::string_view{path}.substr(0, path.find(' '));
    }
};

/// What a verb's own file says about it.
struct VerbText {
    std::string path = {};
    std::string summary = {};
    std::string description = {};
    std::string examples = {};
    bool is_hidden = false;
};

/// A verb from its text, the function that binds its options, and the function that runs it.
template <class Options>
Verb make_verb(VerbText text,
               void (*bind)(Options&, OptionSet&),
               Result<ExitCode> (*run)(const Options&, Services&)) {
    auto make = [bind, run] {
        auto options = std::make_shared<Options>();
        auto set = std::make_unique<OptionSet>();
        bind(*options, *set);
        return Invocation{std::move(set),
                          [options, run](Services& services) { return run(*options, services); }};
    };
    return Verb{std::move(text.path),
                std::move(text.summary),
                std::move(text.description),
                std::move(text.examples),
                std::move(make),
                text.is_hidden};
}

/// The groups of verbs ("mapping") with their one-line summaries, for the top-level help.
struct VerbGroup {
    std::string name;
    std::string summary;
};

/// Everything that the command line can hold.
struct VerbTable {
    std::vector<Verb> verbs; ///< A to Z by path
    std::vector<VerbGroup> groups;

    [[nodiscard]] const Verb* find(std::string_view path) const;
    [[nodiscard]] const VerbGroup* find_group(std::string_view name) const;
};

} // namespace vfskit::vfsctl
