// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vfsctl/cli/verb.h"
#include "vfsctl/cmd/check_facts.h"

#include <optional>
#include <string>

namespace vfskit::vfsctl {

struct SaveOptions {
    std::string domain;
    std::string file;
    std::optional<std::string> connect;
    std::optional<std::string> from; ///< the node that it is on; absent: this one
    bool replace = false;
    bool bypass_cache = false;
    FactsChoice facts;
    bool force = false;
    bool dry_run = false;
};

Verb save_verb();
Result<ExitCode> run_save(const SaveOptions& options, Services& services);

} // namespace vfskit::vfsctl
